"""Every op of the table against its PyTorch twin: values, first and second derivatives."""

import numpy as np
import pytest

from minigan import Tensor, grad
from minigan import functional as F
from minigan.testing import assert_close
from minigan.testing.op_table import ROWS

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = pytest.mark.torch


def derivatives(f, leaves, v, direction, grad, order):
    """f(x), g = ∇ₓ⟨v, f(x)⟩, and for order 2 the gradients of ⟨direction, g⟩ in x and v."""
    y = f(*leaves)
    first = grad(y, leaves, v, create_graph=True)
    if order == 1:
        return [y, *first]
    slope = sum((u * g).sum() for u, g in zip(direction, first, strict=True))
    slope = slope + 0 * v.sum()  # where the first derivative is constant, something must be left to derive
    second = grad(slope, [*leaves, v], allow_unused=True)
    return [y, *first, *(0 * x if g is None else g for x, g in zip([*leaves, v], second, strict=True))]


@pytest.mark.parametrize("row", [row for row in ROWS if row.torch], ids=lambda row: row.name)
def test_agrees_with_pytorch(row):
    arrays = row.sample()
    rng = np.random.default_rng(1)
    v = rng.standard_normal(row.f(*map(Tensor, arrays)).shape)
    direction = [rng.standard_normal(a.shape) for a in arrays]

    def all_by(f, tensor, grad):
        leaves, seed = [tensor(a, requires_grad=True) for a in arrays], tensor(v, requires_grad=True)
        return derivatives(f, leaves, seed, [tensor(u) for u in direction], grad, row.order)

    ours = all_by(row.f, Tensor, grad)
    theirs = all_by(row.twin(torch), torch.tensor, torch.autograd.grad)
    for found, expected in zip(ours, theirs, strict=True):
        expected = expected.numpy(force=True)
        assert_close(found, expected, atol=1e-10 * np.abs(expected).max(initial=0) + 1e-13)


@pytest.mark.parametrize("ends", ["both", "min", "max"])
def test_clip_to_tensors_is_clamp_to_tensors_also_where_they_are_equal(ends):
    x, low, high = (a.reshape(-1) for a in np.meshgrid(*([[0.0, 1.0, 2.0]] * 3)))  # all orders, all ties
    arrays = [x, *([low] if ends != "max" else []), *([high] if ends != "min" else [])]
    names = ["x", *(name for name in ("min", "max") if ends in (name, "both"))]
    ours = [Tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.clip(ours[0], **dict(zip(names[1:], ours[1:], strict=True)))
    expected = torch.clamp(theirs[0], **dict(zip(names[1:], theirs[1:], strict=True)))
    assert_close(y, expected.detach().numpy())
    seed = np.arange(1.0, 28.0)
    first = grad(y, ours, Tensor(seed, requires_grad=True), create_graph=True)
    expected = torch.autograd.grad(expected, theirs, torch.tensor(seed), create_graph=False)
    for name, found, right in zip(names, first, expected, strict=True):
        assert_close(found, right.numpy())
        assert found.requires_grad, name
