"""What is done to gradients and layers from outside: a bound on the length, the spectral norm."""

import copy
import math
import pickle

import numpy as np
import pytest

from minigan import Generator, Tensor, grad, nn, optim
from minigan.nn.utils.parametrizations import spectral_norm
from minigan.testing import assert_close, check_grads, check_module


def gradients(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [Tensor(rng.standard_normal(shape)) for shape in shapes]


@pytest.mark.parametrize("most", [0.0, 0.5, 100.0])
def test_gradients_are_scaled_together_to_the_length(most):
    first, second = gradients((3, 4), (5,))
    found, length = nn.utils.clip_grad_norm([first, None, second], most)
    whole = np.concatenate([first.numpy().ravel(), second.numpy()])
    assert length.item() == pytest.approx(np.linalg.norm(whole), rel=1e-12)
    scale = min(1, most / (np.linalg.norm(whole) + 1e-6))
    assert found[1] is None
    assert_close(found[0], first.numpy() * scale)
    assert_close(found[2], second.numpy() * scale)


def test_two_gradients_in_one_memory_are_scaled_once():
    a, b = (nn.Parameter([3.0, 4.0]) for _ in range(2))
    found = grad((a + b) @ Tensor([3.0, 4.0]), [a, b])
    clipped, length = nn.utils.clip_grad_norm(found, math.sqrt(2))
    assert length.item() == pytest.approx(math.sqrt(50))
    for g in clipped:
        assert_close(g, np.array([0.6, 0.8], np.float32), rtol=1e-5)
    for g in found:
        assert g.tolist() == [3, 4]


def test_clipped_gradients_have_gradients():
    def length_of_step(*arrays):
        clipped, length = nn.utils.clip_grad_norm(list(arrays), 1.0)
        return sum((g * g * g).sum() for g in clipped) + length

    check_grads(length_of_step, [g.numpy() for g in gradients((3, 2), (4,))])


def test_no_gradients_and_zeros_have_length_zero():
    assert nn.utils.clip_grad_norm([None, None], 1.0)[1].item() == 0
    found, length = nn.utils.clip_grad_norm([Tensor([0.0, 0.0])], 1.0)
    assert (found[0].tolist(), length.item()) == ([0, 0], 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    with np.errstate(invalid="ignore"):
        found, length = nn.utils.clip_grad_norm([Tensor([1.0, bad])], 1.0)
    assert math.isnan(found[0].tolist()[1])
    assert not math.isfinite(length.item())


# Spectral norm


def critic(seed=0):
    """A layer of each kind that has a weight to be normed."""
    rng = Generator(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, generator=rng),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(4, 2, 2, 2, generator=rng),
        nn.Flatten(),
        nn.Linear(72, 1, generator=rng),
    )
    return net.apply(lambda m: spectral_norm(m, generator=rng) if hasattr(m, "weight") else m)


def pictures(seed=0, dtype=np.float32):
    return Tensor(Generator(seed).normal((3, 2, 3, 3), dtype=dtype))


def trained(net, opt, steps):
    for seed in steps:
        opt.step(grad((net(pictures(seed)) ** 2).mean(), net.parameters()))
    return net


def matrix(layer):
    w = layer.weight.numpy()
    w = w.swapaxes(0, 1) if getattr(layer, "transposed", False) else w
    return w.reshape(len(w), -1)


LAYERS = {
    "linear": lambda: (nn.Linear(3, 5), (4, 3)),
    "convolution": lambda: (nn.Conv2d(2, 4, 3, groups=2), (2, 2, 4, 4)),
    "transposed": lambda: (nn.ConvTranspose2d(2, 4, 3), (2, 2, 3, 3)),
    "with a head": lambda: (nn.GRUCell(3, 2), (4, 3)),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_derivatives_through_the_norm(make):
    layer, given = make()
    spectral_norm(layer, "weight_hh" if isinstance(layer, nn.GRUCell) else "weight")
    check_module(layer.eval(), [np.random.default_rng(0).standard_normal(given)])


def test_derivatives_of_a_normed_table():
    class Read(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = spectral_norm(nn.Embedding(4, 3))

        def forward(self):
            return self.table(np.array([[0, 3], [3, 1]]))

    check_module(Read().eval(), [])


@pytest.mark.parametrize("make", [LAYERS[n] for n in ("linear", "convolution", "transposed")])
def test_the_largest_singular_value_becomes_1(make):
    layer, given = make()
    layer.weight.data[...] *= 7
    spectral_norm(layer)
    for _ in range(200):
        layer(Tensor(np.zeros(given, np.float32)))
    assert np.linalg.svd(matrix(layer), compute_uv=False)[0] == pytest.approx(1, rel=1e-4)


def test_u_and_v_move_in_training_only_and_stay_the_constants_of_a_graph():
    net = critic()
    buffers = {name: b.numpy().copy() for name, b in net.named_buffers()}
    net.eval()(pictures())
    for name, b in net.named_buffers():
        np.testing.assert_array_equal(b.numpy(), buffers[name])
    first = net.train()(pictures())
    assert not any(np.array_equal(b.numpy(), buffers[f"0.{name}"]) for name, b in net[0].named_buffers())
    alone = grad(first.sum(), net.parameters())
    net.load_state_dict({**net.state_dict(), **buffers})
    first, second = net(pictures()), net(pictures(1))  # which moves u and v before the first goes backward
    for g, expected in zip(grad((first + 0 * second).sum(), net.parameters()), alone, strict=True):
        assert_close(g, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda parts: pickle.loads(pickle.dumps(parts))])
def test_a_copy_trains_to_the_same_bits_and_so_does_what_is_resumed(copied):
    net = critic()
    opt = optim.Adam(net.parameters(), 0.01)
    trained(net, opt, range(2))
    twin, twins_opt = copied((net, opt))
    resumed = critic(seed=5)
    resumed_opt = optim.Adam(resumed.parameters())
    resumed.load_state_dict(net.state_dict())
    resumed_opt.load_state_dict(opt.state_dict())
    trained(net, opt, range(2, 5))
    for other, its_opt in ((twin, twins_opt), (resumed, resumed_opt)):
        trained(other, its_opt, range(2, 5))
        for name, a in net.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[name], a, err_msg=name)
    assert net[0].parametrizations["weight"].original.data.base is opt._flat
    np.testing.assert_array_equal(net.eval()(pictures()).numpy(), twin.eval()(pictures()).numpy())


def test_an_average_follows_the_weights_behind_the_norm():
    net = critic()
    average = optim.ExponentialMovingAverage(net, 0.5)
    trained(net, optim.SGD(net.parameters(), 0.1), range(3))
    average.update()
    w = average.module[0].parametrizations["weight"]
    np.testing.assert_array_equal(
        w.state_dict()["0._u"], net[0].parametrizations["weight"].state_dict()["0._u"]
    )
    assert not np.array_equal(w.original.numpy(), net[0].parametrizations["weight"].original.numpy())
    average.module(pictures())


def test_functional_call_takes_another_weight_and_gives_its_gradient():
    layer = spectral_norm(nn.Linear(3, 2)).eval()
    w = Tensor(layer.parametrizations["weight"].original.numpy() * 3, requires_grad=True)
    x = Tensor(np.ones((1, 3), np.float32))
    y = nn.functional_call(layer, {"parametrizations.weight.original": w}, x)
    assert_close(y, layer(x), rtol=1e-6)  # a factor cancels out
    assert grad((y**2).sum(), [w])[0].shape == (2, 3)


def test_a_normed_network_may_be_converted():
    net = critic().to(np.float64)
    assert {str(a.dtype) for a in net.state_dict().values()} == {"float64"}
    assert net(pictures(dtype=np.float64)).dtype == np.float64
    assert net[0].weight.dtype == np.float64


def test_the_parameter_stays_the_same_object_and_the_fused_pass_is_taken():
    layer = nn.Linear(3, 2)
    w = layer.weight
    assert spectral_norm(layer) is layer
    assert layer.parametrizations["weight"].original is w
    layer.eval()
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32))
    np.testing.assert_array_equal(nn.Sequential(layer, nn.ReLU())(x).numpy(), layer(x).relu().numpy())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: spectral_norm(nn.ReLU()),
            ValueError,
            r"name must be a parameter of ReLU \(it has none\), got 'weight'",
        ),
        (
            lambda: spectral_norm(nn.Linear(2, 2), "wight"),
            ValueError,
            r"of Linear \(weight, bias\), got 'wight'",
        ),
        (
            lambda: spectral_norm(nn.Linear(2, 2), "bias"),
            ValueError,
            r"bias of Linear has shape \(2,\), expec",
        ),
        (lambda: spectral_norm(spectral_norm(nn.Linear(2, 2))), ValueError, "Linear is normed already"),
        (
            lambda: spectral_norm(nn.Linear(2, 2), dim=2),
            ValueError,
            r"dim must be an axis of \(2, 2\), got 2",
        ),
        (
            lambda: setattr(spectral_norm(nn.Linear(2, 2)), "weight", nn.Parameter(np.ones((2, 2)))),
            AttributeError,
            "Linear: weight is made of parametrizations.weight.original, set that instead",
        ),
        (
            lambda: nn.init.xavier_normal_(spectral_norm(nn.Linear(2, 2)).weight),
            ValueError,
            "xavier_normal_: tensor is made by Div, and would be made anew: draw what it is made of",
        ),
        (
            lambda: spectral_norm(nn.Linear(2, 2)).wieght,
            AttributeError,
            "'Linear' object has no attribute 'wi",
        ),
    ],
)
def test_what_cannot_be_normed_or_set_is_told(call, error, message):
    with pytest.raises(error, match=message):
        call()
