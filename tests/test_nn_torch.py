"""Every layer against its PyTorch twin of the same name, arguments and weights."""

import copy

import numpy as np
import pytest

from minigan import Generator, Tensor, grad, manual_seed, nn, optim
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = pytest.mark.torch

ROWS = [  # the name in both libraries, arguments, settings, the shape of the input, or a list of shapes
    ("Linear", (3, 5), {}, (4, 3)),
    ("Linear", (3, 5), {"bias": False}, (4, 2, 3)),
    ("Conv2d", (3, 4, 3), {}, (2, 3, 7, 6)),
    ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2), {"bias": False}, (2, 4, 7, 6)),
    ("Conv2d", (2, 3, 3, 2, (1, 2)), {"padding_mode": "reflect"}, (2, 2, 5, 6)),
    ("Conv1d", (2, 3, 4, 1, 2), {"padding_mode": "replicate"}, (2, 2, 7)),
    ("ConvTranspose2d", (3, 4, 4, 2, 1), {}, (2, 3, 4, 3)),
    ("ConvTranspose2d", (4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2), {"dilation": 2}, (2, 4, 4, 3)),
    ("Conv1d", (3, 4, 3, 2, 1), {}, (2, 3, 7)),
    ("ConvTranspose1d", (4, 6, 4, 2, 1), {"groups": 2}, (2, 4, 5)),
    ("Conv3d", (3, 4, (3, 2, 1), 2, (1, 0, 0)), {}, (2, 3, 5, 4, 3)),
    ("ConvTranspose3d", (2, 3, 4, 2, 1), {"bias": False}, (1, 2, 2, 3, 2)),
    ("MaxPool1d", (3, 2, 1), {}, (2, 3, 7)),
    ("MaxPool2d", (2,), {}, (2, 3, 4, 7)),
    ("MaxPool3d", ((1, 2, 2),), {}, (2, 3, 3, 4, 4)),
    ("AvgPool1d", (2,), {"stride": 1}, (2, 3, 5)),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1}, (2, 3, 5, 6)),
    ("AvgPool3d", (2,), {}, (1, 2, 4, 4, 3)),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 3, 7)),
    ("AdaptiveAvgPool2d", ((1, 3),), {}, (2, 3, 4, 6)),
    ("ReflectionPad1d", (2,), {}, (2, 3, 4)),
    ("ReflectionPad2d", ((2, 0, 1, 1),), {}, (2, 3, 4, 4)),
    ("ReplicationPad1d", ((0, 3),), {}, (2, 3, 4)),
    ("ReplicationPad2d", (2,), {}, (2, 3, 1, 4)),
    ("ZeroPad2d", ((1, 2, 0, 3),), {}, (2, 3, 2, 2)),
    ("PixelShuffle", (2,), {}, (2, 8, 2, 3)),
    ("PixelUnshuffle", (2,), {}, (2, 2, 4, 6)),
    ("BatchNorm3d", (3,), {"momentum": 0.3}, (2, 3, 2, 2, 2)),
    ("InstanceNorm1d", (3,), {"affine": True}, (2, 3, 5)),
    ("InstanceNorm3d", (3,), {}, (2, 3, 2, 2, 2)),
    ("Unflatten", (1, (3, -1)), {}, (2, 6, 2)),
    ("Flatten", (1, 2), {}, (2, 3, 2, 4)),
    ("LogSigmoid", (), {}, (4, 3)),
    ("LogSoftmax", (1,), {}, (4, 3, 2)),
    ("GLU", (1,), {}, (4, 6, 2)),
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
    ("SiLU", (), {}, (4, 3)),
    ("PReLU", (), {}, (4, 3)),
    ("PReLU", (3, 0.1), {}, (4, 3, 2)),
    ("GRUCell", (3, 2), {}, (4, 3)),
    ("GRUCell", (3, 2), {"bias": False}, [(4, 3), (4, 2)]),
    ("LSTMCell", (3, 2), {}, (4, 3)),
    ("LSTMCell", (3, 2), {}, [(4, 3), [(4, 2), (4, 2)]]),
    ("GRU", (3, 2), {}, (5, 4, 3)),
    ("GRU", (3, 2, 2, False, True), {"bidirectional": True}, [(5, 4, 3), (4, 5, 2)]),
    ("LSTM", (3, 2, 2), {}, [(5, 4, 3), [(2, 4, 2), (2, 4, 2)]]),
    ("LSTM", (3, 2), {"batch_first": True, "bidirectional": True}, (5, 4, 3)),
    ("MultiheadAttention", (4, 2), {}, [(3, 2, 4), (5, 2, 4), (5, 2, 4)]),
    ("MultiheadAttention", (6, 3), {"bias": False, "batch_first": True}, [(2, 3, 6), (2, 5, 6), (2, 5, 6)]),
]
NO_TWIN = {"Maxout", "MinPool2d", "PositionalEncoding"}  # not in PyTorch
NOT_COMPARED = {
    "utils",
    "ModuleDict",
    "ModuleList",
    "Dropout",
    "Dropout2d",
    "Sequential",
    "Module",
    "Parameter",
    "functional_call",
    "init",
}

LOSSES = [  # the name, settings of both, and the kind of target
    ("L1Loss", {}, "values"),
    ("MSELoss", {"reduction": "sum"}, "values"),
    ("BCELoss", {}, "fractions"),
    ("BCEWithLogitsLoss", {}, "fractions"),
    ("NLLLoss", {}, "labels"),
    ("NLLLoss", {"weight": [0.5, 1.0, 2.0], "ignore_index": 1}, "labels"),
    ("SmoothL1Loss", {"beta": 0.5}, "values"),
    ("KLDivLoss", {"reduction": "batchmean"}, "fractions"),
    ("KLDivLoss", {"reduction": "sum", "log_target": True}, "values"),
    ("CrossEntropyLoss", {}, "labels"),
    ("CrossEntropyLoss", {"weight": [0.5, 1.0, 2.0], "ignore_index": 1}, "labels"),
    ("CrossEntropyLoss", {"label_smoothing": 0.1, "reduction": "none"}, "fractions"),
]

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


def drawn(shape, rng):
    """Numbers of a shape, or several of a list of shapes; integers as they are given."""
    if isinstance(shape, list):
        return tuple(drawn(s, rng) for s in shape)
    return rng.standard_normal(shape) if isinstance(shape, tuple) else shape


def made(arrays, kind, differentiable):
    return [
        tuple(made(a, kind, differentiable))
        if isinstance(a, tuple)
        else kind(a, requires_grad=differentiable)
        for a in arrays
    ]


def flat(values):
    """The tensors in nested tuples and lists."""
    return [t for v in values for t in flat(v)] if isinstance(values, (tuple, list)) else [values]


def test_every_layer_with_a_twin_is_in_the_table():
    compared = {name for name, *_ in (*ROWS, *LOSSES)}
    assert compared == set(nn.__all__) - NO_TWIN - NOT_COMPARED


@pytest.mark.parametrize(("name", "settings", "kind"), LOSSES, ids=[f"{n} {s}" for n, s, _ in LOSSES])
def test_losses_and_their_gradients_agree(name, settings, kind):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((4, 3, 2)), rng.integers(0, 3, (4, 2))
    target = {"values": rng.standard_normal(x.shape), "fractions": rng.uniform(0.1, 0.9, x.shape)}
    target = labels if kind == "labels" else target[kind]
    x = rng.uniform(0.1, 0.9, x.shape) if name == "BCELoss" else x

    def criterion(library, tensor):
        given = {k: tensor(np.array(v)) if k == "weight" else v for k, v in settings.items()}
        return getattr(library, name)(**given)

    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = criterion(nn, Tensor)(ours, Tensor(target))
    expected = criterion(torch.nn, torch.tensor)(theirs, torch.tensor(target))
    close(y, expected)
    y.sum().backward()
    expected.sum().backward()
    close(ours.grad, theirs.grad)


@with_each_row
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_outputs_gradients_and_statistics_agree(name, args, settings, given, training):
    ours = our_layer(name, args, settings)
    theirs = their_layer(name, args, settings, ours.state_dict())
    ours.train(training)
    theirs.train(training)
    rng = np.random.default_rng(0)
    for _ in range(3):
        given = given if isinstance(given, list) else [given]
        differentiable = not isinstance(given[0], np.ndarray)
        arrays = [drawn(shape, rng) for shape in given]
        our_x = made(arrays, Tensor, differentiable)
        their_x = made(arrays, torch.tensor, differentiable)
        ys, ts = flat(ours(*our_x)), flat(theirs(*their_x))
        cotangents = [rng.standard_normal(y.shape) for y in ys]
        for y, t in zip(ys, ts, strict=True):
            close(y, t)
        if ts[0].requires_grad:
            sum((y * u).sum() for y, u in zip(ys, cotangents, strict=True)).backward()
            sum((t * torch.from_numpy(u)).sum() for t, u in zip(ts, cotangents, strict=True)).backward()
        if differentiable:
            for x, t in zip(flat(our_x), flat(their_x), strict=True):
                close(x.grad, t.grad)
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


# Recurrent layers and attention, beyond the table


MASKS = {
    "padding": {"key_padding_mask": np.array([[False, True, False, False], [False, False, False, True]])},
    "causal": {"attn_mask": np.triu(np.ones((3, 4), bool), 1)},
    "a head": {"attn_mask": np.tril(np.ones((4, 3, 4), bool), -1)},
    "floats": {"attn_mask": np.linspace(-1, 1, 12).reshape(3, 4)},
    "both": {
        "key_padding_mask": np.array([[False, True, False, False], [False, False, False, True]]),
        "attn_mask": np.triu(np.ones((3, 4), bool), 2),
    },
    "no weights": {"need_weights": False},
    "weights of each head": {"average_attn_weights": False},
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_attention_behind_masks_agrees(mask):
    ours = our_layer("MultiheadAttention", (4, 2), {"batch_first": True})
    theirs = their_layer("MultiheadAttention", (4, 2), {"batch_first": True}, ours.state_dict())
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 4, 4), (2, 4, 4))]
    our_x = [Tensor(a, requires_grad=True) for a in arrays]
    their_x = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, w = ours(*our_x, **mask)
    their_mask = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in mask.items()}
    t, their_w = theirs(*their_x, **their_mask)
    close(y, t)
    assert (w is None) == (their_w is None)
    if w is not None:
        close(w, their_w)
    u = rng.standard_normal(y.shape)
    y.backward(u)
    t.backward(torch.from_numpy(u))
    for x, their in zip(our_x, their_x, strict=True):
        close(x.grad, their.grad)


@pytest.mark.parametrize(
    ("name", "args"), [("GRU", (3, 40)), ("LSTMCell", (3, 40)), ("MultiheadAttention", (40, 2))]
)
def test_first_weights_of_gates_and_heads_have_the_range_of_pytorchs(name, args):
    manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = (dict(getattr(lib, name)(*args).named_parameters()) for lib in (nn, torch.nn))
    for key, p in ours.items():
        assert np.abs(p.numpy()).max() == pytest.approx(theirs[key].abs().max().item(), rel=0.1)


# Spectral norm

NORMED = [
    ("Linear", (3, 5), {}, (4, 3), {}),
    ("Conv2d", (3, 4, 3), {}, (2, 3, 5, 4), {}),
    ("Conv2d", (2, 4, 3), {"groups": 2, "bias": False}, (2, 2, 5, 4), {"n_power_iterations": 3}),
    ("ConvTranspose2d", (3, 4, 3), {}, (2, 3, 5, 4), {}),
    ("ConvTranspose2d", (3, 4, 3), {}, (2, 3, 5, 4), {"dim": 0}),
    ("Embedding", (5, 3), {}, np.array([[0, 4, 4], [1, 0, 2]]), {}),
    ("GRUCell", (3, 2), {}, (4, 3), {"name": "weight_hh"}),
]


def their_norm(layer, how):
    return torch.nn.utils.parametrizations.spectral_norm(layer, **how)


@pytest.mark.parametrize(("name", "args", "settings", "given", "how"), NORMED, ids=lambda v: str(v)[:20])
def test_spectral_norm_agrees_in_three_steps_and_in_evaluation(name, args, settings, given, how):
    theirs = their_norm(getattr(torch.nn, name)(*args, **settings).double(), how)
    ours = nn.utils.parametrizations.spectral_norm(getattr(nn, name)(*args, **settings), **how).to(np.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    ours.load_state_dict(theirs.state_dict())
    rng, weight = np.random.default_rng(0), how.get("name", "weight")
    our_opt, their_opt = optim.SGD(ours.parameters(), 0.1), torch.optim.SGD(theirs.parameters(), 0.1)
    for training in (True, True, True, False, False):
        ours.train(training)
        theirs.train(training)
        x = drawn(given, rng)
        y, t = ours(Tensor(x)), theirs(torch.tensor(x))
        close(y, t)
        if training:
            our_opt.zero_grad(), their_opt.zero_grad()
            u = rng.standard_normal(y.shape)
            (y * y * u).sum().backward()
            (t * t * torch.from_numpy(u)).sum().backward()
            our_opt.step(), their_opt.step()
        theirs.eval(), ours.eval()
        close(getattr(ours, weight), getattr(theirs, weight))
        for key, a in theirs.state_dict().items():
            close(ours.state_dict()[key], a)
    theirs.load_state_dict({key: torch.from_numpy(a) for key, a in ours.state_dict().items()})


def test_a_gradient_penalty_through_spectral_norm_agrees():
    theirs = torch.nn.Sequential(
        their_norm(torch.nn.Conv2d(2, 3, 3), {}), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(12, 1)
    ).double()
    ours = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 3, 3)), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1)
    ).to(np.float64)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 4))
    our_x, their_x = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    (g,) = grad(ours(our_x).sum(), [our_x], create_graph=True)
    (t,) = torch.autograd.grad(theirs(their_x).sum(), [their_x], create_graph=True)
    (g * g).sum().backward()
    (t * t).sum().backward()
    gradients = {key: p.grad for key, p in theirs.named_parameters()}
    for key, p in ours.named_parameters():
        if gradients[key] is not None:
            close(p.grad, gradients[key])
