"""Optimisers and schedules against PyTorch's of the same names and settings."""

import numpy as np
import pytest

from minigan import Tensor, nn, optim
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = pytest.mark.torch

OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.2}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.03, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 2e-4, "betas": (0.5, 0.999)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.3}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
]

SCHEDULES = [
    ("LambdaLR", (lambda n: 1 / (1 + n),), {}),
    ("StepLR", (6,), {}),
    ("StepLR", (3,), {"gamma": 0.5}),
    ("ExponentialLR", (0.9,), {}),
    ("LinearLR", (), {}),
    ("LinearLR", (), {"start_factor": 0.1, "end_factor": 0.6, "total_iters": 12}),
    ("CosineAnnealingLR", (20,), {}),
    ("CosineAnnealingLR", (7,), {"eta_min": 0.05}),  # 20 steps: down, up and down again
]

SHAPES = (4, 3), (5, 2, 3, 3), ()


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize(("name", "settings"), OPTIMISERS)
def test_ten_steps_agree(name, settings, dtype, rtol):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    ours = [nn.Parameter(a) for a in arrays]
    our_opt = getattr(optim, name)(ours, **{"lr": 1e-2, **settings})
    their_opt = getattr(torch.optim, name)(theirs, **{"lr": 1e-2, **settings})
    for _ in range(10):
        gradients = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
        our_opt.step([Tensor(g) for g in gradients])
        for t, g in zip(theirs, gradients, strict=True):
            t.grad = torch.tensor(g)
        their_opt.step()
        for p, t in zip(ours, theirs, strict=True):
            assert_close(p, t.numpy(force=True), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", ["RMSprop", "Adam", "AdamW"])
def test_defaults_agree(name):
    p = np.zeros(1, np.float32)
    ours = getattr(optim, name)([nn.Parameter(p)]).settings()
    theirs = dict(getattr(torch.optim, name)([torch.nn.Parameter(torch.tensor(p))]).defaults)
    if name.startswith("Adam"):
        theirs["beta1"], theirs["beta2"] = theirs.pop("betas")
    assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize(("name", "args", "settings"), SCHEDULES)
def test_twenty_rates_agree(name, args, settings):
    p = np.zeros(1, np.float32)
    our_opt = optim.SGD([nn.Parameter(p)], lr=0.4)
    their_opt = torch.optim.SGD([torch.nn.Parameter(torch.tensor(p))], lr=0.4)
    ours = getattr(optim.lr_scheduler, name)(our_opt, *args, **settings)
    theirs = getattr(torch.optim.lr_scheduler, name)(their_opt, *args, **settings)
    for _ in range(20):
        assert our_opt.lr == pytest.approx(their_opt.param_groups[0]["lr"], rel=1e-12)
        ours.step()
        their_opt.step()  # PyTorch warns of a schedule that is ahead of its optimiser
        theirs.step()


@pytest.mark.parametrize("most", [0.7, 50.0])
def test_clipped_gradients_agree(most):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    for t, a in zip(theirs, arrays, strict=True):
        t.grad = torch.tensor(a)
    expected = torch.nn.utils.clip_grad_norm_(theirs, most)
    found, length = nn.utils.clip_grad_norm([Tensor(a) for a in arrays], most)
    assert_close(length, expected.numpy(), rtol=1e-12)
    for g, t in zip(found, theirs, strict=True):
        assert_close(g, t.grad.numpy(), rtol=1e-12)
