"""Every layer against its PyTorch twin of the same name, arguments and weights."""

import copy

import numpy as np
import pytest

from minigan import Generator, Tensor, manual_seed, nn, optim
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = pytest.mark.torch

ROWS = [  # the name in both libraries, arguments, settings, the shape of the input
    ("Linear", (3, 5), {}, (4, 3)),
    ("Linear", (3, 5), {"bias": False}, (4, 2, 3)),
    ("Conv2d", (3, 4, 3), {}, (2, 3, 7, 6)),
    ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2), {"bias": False}, (2, 4, 7, 6)),
    ("ConvTranspose2d", (3, 4, 4, 2, 1), {}, (2, 3, 4, 3)),
    ("ConvTranspose2d", (4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2), {"dilation": 2}, (2, 4, 4, 3)),
    ("Embedding", (5, 3), {}, np.array([[0, 4, 4], [1, 0, 2]])),
    ("BatchNorm1d", (3,), {}, (5, 3)),
    ("BatchNorm1d", (3,), {"eps": 0.1, "momentum": 0.3}, (4, 3, 2)),
    ("BatchNorm1d", (3,), {"affine": False, "track_running_stats": False}, (4, 3)),
    ("BatchNorm2d", (3,), {"momentum": 0.4}, (2, 3, 4, 3)),
    ("BatchNorm2d", (3,), {"affine": False}, (2, 3, 4, 3)),
    ("LayerNorm", (3,), {"eps": 0.1}, (4, 2, 3)),
    ("LayerNorm", ((2, 3),), {}, (4, 2, 3)),
    ("LayerNorm", (3,), {"elementwise_affine": False}, (4, 3)),
    ("InstanceNorm2d", (3,), {"affine": True}, (2, 3, 4, 3)),
    ("GroupNorm", (2, 4), {}, (2, 4, 3, 2)),
    ("Identity", (), {}, (2, 3)),
    ("InstanceNorm2d", (3,), {"eps": 0.1}, (2, 3, 4, 3)),
    ("Flatten", (), {}, (4, 3, 2, 2)),
    ("Upsample", (), {"scale_factor": 2}, (2, 3, 3, 2)),
    ("Upsample", (), {"size": (5, 7), "mode": "bilinear"}, (2, 3, 3, 4)),
    ("Upsample", (), {"scale_factor": 2, "mode": "bilinear", "align_corners": True}, (2, 3, 3, 4)),
    ("ReLU", (), {}, (4, 3)),
    ("LeakyReLU", (0.2,), {}, (4, 3)),
    ("LeakyReLU", (), {}, (4, 3)),
    ("ELU", (1.5,), {}, (4, 3)),
    ("SELU", (), {}, (4, 3)),
    ("GELU", (), {}, (4, 3)),
    ("GELU", ("tanh",), {}, (4, 3)),
    ("Tanh", (), {}, (4, 3)),
    ("Sigmoid", (), {}, (4, 3)),
    ("Softplus", (), {}, (4, 3)),
    ("Softmax", (-1,), {}, (4, 3)),
]
NO_TWIN = {"Maxout", "Unflatten"}  # not in PyTorch, or with other arguments
NOT_COMPARED = {"Dropout", "Sequential", "Module", "Parameter", "functional_call", "init"}

with_each_row = pytest.mark.parametrize(
    ("name", "args", "settings", "given"), ROWS, ids=[f"{name}{args}" for name, args, *_ in ROWS]
)


def close(found, expected):
    assert_close(found, expected.numpy(force=True), rtol=1e-10, atol=1e-10)


def our_layer(name, args, settings):
    """In float64, with parameters and statistics that are not the ones it starts from."""
    layer, rng = getattr(nn, name)(*args, **settings).to(np.float64), Generator(0)
    state = layer.state_dict()
    layer.load_state_dict({name: rng.uniform(a.shape, 0.5, 2.0, np.float64) for name, a in state.items()})
    return layer


def their_layer(name, args, settings, state):
    layer = getattr(torch.nn, name)(*args, **settings).double()
    layer.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in state.items()})
    return layer


def test_every_layer_with_a_twin_is_in_the_table():
    assert {name for name, *_ in ROWS} == set(nn.__all__) - NO_TWIN - NOT_COMPARED


@with_each_row
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_outputs_gradients_and_statistics_agree(name, args, settings, given, training):
    ours = our_layer(name, args, settings)
    theirs = their_layer(name, args, settings, ours.state_dict())
    ours.train(training)
    theirs.train(training)
    rng = np.random.default_rng(0)
    for _ in range(3):
        differentiable = isinstance(given, tuple)
        x = rng.standard_normal(given) if differentiable else given
        our_x, their_x = (
            Tensor(x, requires_grad=differentiable),
            torch.tensor(x, requires_grad=differentiable),
        )
        y, t = ours(our_x), theirs(their_x)
        close(y, t)
        u = rng.standard_normal(y.shape)
        if t.requires_grad:
            y.backward(u)
            t.backward(torch.from_numpy(u))
        if differentiable:
            close(our_x.grad, their_x.grad)
    gradients = {key: p.grad for key, p in theirs.named_parameters()}
    for key, p in ours.named_parameters():
        close(p.grad, gradients[key])
    for key, buffer in ours.named_buffers():
        close(buffer, theirs.state_dict()[key])


@with_each_row
def test_weights_of_pytorch_load_under_their_names(name, args, settings, given):
    theirs = getattr(torch.nn, name)(*args, **settings)
    state = {key: t.numpy() for key, t in theirs.state_dict().items()}
    ours = getattr(nn, name)(*args, **settings)
    ours.load_state_dict(copy.deepcopy(state))
    assert list(ours.state_dict()) == [key for key in state if key != "num_batches_tracked"]
    for key, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, state[key])
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


@with_each_row
def test_weights_load_into_pytorch_under_their_names(name, args, settings, given):
    ours, theirs = our_layer(name, args, settings), getattr(torch.nn, name)(*args, **settings).double()
    state = {key: torch.from_numpy(np.array(a)) for key, a in ours.state_dict().items()}
    theirs.load_state_dict(state, strict=True)
    for key, t in theirs.state_dict().items():
        if key != "num_batches_tracked":
            np.testing.assert_array_equal(t.numpy(), ours.state_dict()[key])


def shared_network(lib):
    """A layer registered twice, a weight tied under another name, and a norm registered twice."""
    net, hidden, norm = lib.Sequential(), lib.Linear(3, 3), lib.BatchNorm1d(3)
    out = lib.Linear(3, 3)
    for name, module in {"a": hidden, "n": norm, "b": hidden, "m": norm, "out": out}.items():
        net.add_module(name, module) if lib is torch.nn else setattr(net, name, module)
    out.weight = hidden.weight
    return net


def test_names_of_shared_weights_are_pytorchs():
    ours, theirs = shared_network(nn), shared_network(torch.nn)
    state = theirs.state_dict()
    assert list(ours.state_dict()) == [key for key in state if not key.endswith("num_batches_tracked")]
    for walk in ("named_parameters", "named_buffers", "named_modules"):
        expected = [n for n, _ in getattr(theirs, walk)() if not n.endswith("num_batches_tracked")]
        assert [n for n, _ in getattr(ours, walk)()] == expected
    assert len(list(ours.children())) == len(list(theirs.children())) == 3
    assert len(list(ours)) == len(list(theirs)) == 5
    ours.load_state_dict({key: t.numpy() for key, t in state.items()})
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert_close(ours(Tensor(x)), theirs(torch.from_numpy(x)).numpy(force=True), rtol=1e-5, atol=1e-6)
    back = shared_network(torch.nn)
    back.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in ours.state_dict().items()})
    assert_close(back.a.weight.numpy(force=True), ours.a.weight)


@pytest.mark.parametrize("name", ["a.weight", "b.weight", "out.weight", "b.bias"])
def test_functional_call_replaces_a_shared_weight_under_all_its_names(name):
    ours, theirs = shared_network(nn), shared_network(torch.nn)
    ours.load_state_dict({key: t.numpy() for key, t in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((4, 3), ours.state_dict()[name].shape))
    y = nn.functional_call(ours, {name: Tensor(w)}, Tensor(x))
    t = torch.func.functional_call(theirs, {name: torch.from_numpy(w)}, torch.from_numpy(x))
    assert_close(y, t.numpy(force=True), rtol=1e-5, atol=1e-5)
    assert ours.a.weight is ours.b.weight is ours.out.weight
    assert ours.a.weight.requires_grad


@pytest.mark.parametrize("of", [lambda t: t, lambda t: t.requires_grad_()], ids=["plain", "with gradient"])
def test_bfloat16_is_loaded_exactly(of):
    given = torch.randn(2, 3).to(torch.bfloat16)
    net = nn.Linear(3, 2)
    net.load_state_dict({"weight": of(given.clone()), "bias": torch.zeros(2, dtype=torch.float16)})
    np.testing.assert_array_equal(net.weight.numpy(), given.float().numpy())
    opt = optim.SGD(net.parameters(), 0.1, momentum=0.9)
    opt.load_state_dict({**opt.state_dict(), "momentum_buffer.0": given})
    np.testing.assert_array_equal(opt.state_dict()["momentum_buffer.0"], given.float().numpy())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(2, dtype=torch.complex64), "bias is complex64, expected float32"),
        (torch.zeros(2, dtype=torch.int64), "bias is int64, expected float32"),
        (torch.zeros(2, dtype=torch.float8_e4m3fn), "bias cannot be used: "),
        (torch.zeros(2, requires_grad=True), "bias cannot be used: "),
        (torch.zeros(2, device="meta"), "bias cannot be used: "),
        (torch.zeros(2).to_sparse(), "bias cannot be used: "),
    ],
)
def test_what_cannot_be_taken_is_named_and_nothing_is_changed(given, message):
    net = nn.Linear(3, 2)
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=f"Linear: the state does not fit: {message}"):
        net.load_state_dict({"weight": torch.ones(2, 3), "bias": given})
    for key, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


@pytest.mark.parametrize(
    ("name", "args"), [("Linear", (40, 90)), ("Conv2d", (8, 90, 3)), ("ConvTranspose2d", (8, 90, 3))]
)
def test_first_weights_have_the_range_of_pytorchs(name, args):
    manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = (dict(getattr(lib, name)(*args).named_parameters()) for lib in (nn, torch.nn))
    assert ours.keys() == theirs.keys()
    for key, p in ours.items():
        assert np.abs(p.numpy()).max() == pytest.approx(theirs[key].abs().max().item(), rel=0.05)


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_agree(name):
    assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)
