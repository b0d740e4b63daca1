"""Modules: what they register, save and show. Layers: shapes, errors, modes, first weights."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, manual_seed, nn, no_grad
from minigan import functional as F
from minigan.autograd.modes import switched
from minigan.nn import init
from minigan.testing import assert_close


class Block(nn.Module):
    """One of each: a parameter, a buffer, a module, and a tensor that is none of them."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.register_buffer("seen", Tensor(np.zeros(3, np.float32)))
        self.inner = nn.Linear(3, 2)
        self.constant = Tensor(np.ones(3, np.float32))

    def forward(self, x):
        return self.inner(x * self.scale)


def small_net(seed=0):
    """A network with every kind of state; the running statistics have moved."""
    rng = Generator(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, generator=rng), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2, generator=rng)
    )
    net(images(4, 2, 4, 4, seed=seed))
    return net


def images(*shape, seed=0, dtype=np.float32):
    return Tensor(Generator(seed).normal(shape, dtype=dtype))


def copies(state):
    return {name: array.copy() for name, array in state.items()}


def assert_same_state(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


# What a module registers


def test_attributes_are_registered_by_their_kind():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == ["scale", "inner.weight", "inner.bias"]
    assert [name for name, _ in block.named_buffers()] == ["seen"]
    assert [name for name, _ in block.named_modules()] == ["", "inner"]
    assert list(block.children()) == [block.inner]


def test_a_parameter_is_a_leaf_that_requires_a_gradient():
    p = nn.Parameter([1.0, 2.0])
    assert (p.is_leaf, p.requires_grad, p.dtype) == (True, True, np.float32)


def test_names_are_those_of_pytorch():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    assert set(net.state_dict()) == {
        *("0.weight", "0.bias"),
        *("1.weight", "1.bias", "1.running_mean", "1.running_var"),
        *("2.1.weight", "2.1.bias"),
    }


def test_the_generators_that_layers_draw_from_have_names_each_once():
    rng, other = Generator(1), Generator(2)
    net = nn.Sequential(
        nn.Linear(2, 2, generator=rng),
        nn.Dropout(0.1, rng),
        nn.Dropout(0.1),
        nn.Sequential(nn.Dropout(0.1, other), nn.Dropout(0.1, rng)),
    )
    assert list(net.named_generators()) == [("1.generator", rng), ("3.0.generator", other)]
    twin = copy.deepcopy(net)
    x = images(3, 2)
    net(x)
    assert rng.counter > 0
    for (name, mine), (same, theirs) in zip(twin.named_generators(), net.named_generators(), strict=True):
        assert name == same
        mine.load_state_dict(theirs.state_dict())
    manual_seed(0)
    expected = net(x).numpy()
    manual_seed(0)
    np.testing.assert_array_equal(twin(x).numpy(), expected)


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("scale", None, {"seen", "inner.weight", "inner.bias"}),
        ("scale", Tensor([1.0]), {"seen", "inner.weight", "inner.bias"}),
        ("scale", nn.Linear(1, 1, bias=False), {"scale.weight", "seen", "inner.weight", "inner.bias"}),
        ("inner", None, {"scale", "seen"}),
        ("inner", nn.Linear(3, 2, bias=False), {"scale", "seen", "inner.weight"}),
        ("inner", nn.Parameter([1.0]), {"scale", "seen", "inner"}),
        ("seen", None, {"scale", "inner.weight", "inner.bias"}),
        ("seen", Tensor([1.0]), {"scale", "seen", "inner.weight", "inner.bias"}),
        ("constant", nn.Parameter([1.0]), {"scale", "seen", "constant", "inner.weight", "inner.bias"}),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_assigning_another_value_replaces_what_was_registered(name, value, names):
    block = Block()
    setattr(block, name, value)
    assert set(block.state_dict()) == names
    assert getattr(block, name) is value


@pytest.mark.parametrize("value", [nn.Parameter([1.0]), nn.ReLU()], ids=["parameter", "module"])
def test_assigning_before_init_says_what_is_missing(value):
    class Forgetful(nn.Module):
        def __init__(self):
            self.part = value

    with pytest.raises(RuntimeError, match=r"Forgetful: call super\(\).__init__\(\) before assigning part"):
        Forgetful()


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)


def test_a_shared_parameter_counts_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    net = nn.Sequential(first, second)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert "15 parameters" in repr(net).splitlines()[0]


# State


def test_a_state_is_of_copies_in_c_order():
    net = small_net()
    assert not net[0].weight.data.flags.c_contiguous
    state = net.state_dict()
    for name, t in [*net.named_parameters(), *net.named_buffers()]:
        np.testing.assert_array_equal(state[name], t.data)
        assert state[name].flags.carray
        assert not np.shares_memory(state[name], t.data)


def test_a_loaded_state_gives_the_same_outputs():
    source, target = small_net(0).eval(), small_net(1).eval()
    x = images(4, 2, 4, 4, seed=2)
    assert not np.array_equal(target(x), source(x))
    target.load_state_dict(copies(source.state_dict()))
    np.testing.assert_array_equal(target(x).data, source(x).data)


def test_loading_writes_into_the_arrays_in_place():
    net = small_net(0)
    before = [t.data for t in (*net.parameters(), net[1].running_mean, net[1].running_var)]
    versions = [p.version for p in net.parameters()]
    net.load_state_dict(small_net(1).state_dict())
    after = [t.data for t in (*net.parameters(), net[1].running_mean, net[1].running_var)]
    assert all(a is b for a, b in zip(after, before, strict=True))
    assert [p.version for p in net.parameters()] == [v + 1 for v in versions]


MISMATCHES = {
    "0.weight is missing": lambda state: state.pop("0.weight"),
    "1.running_var is missing": lambda state: state.pop("1.running_var"),
    "4.weight is unexpected": lambda state: state.update({"4.weight": np.zeros(1)}),
    "3.bias has shape (3,), expected (2,)": lambda state: state.update({"3.bias": np.zeros(3)}),
    "1.running_mean has shape (), expected (3,)": lambda state: state.update(
        {"1.running_mean": np.zeros(())}
    ),
}


MISMATCHES |= {
    f"3.bias {says}": lambda state, value=value: state.update({"3.bias": value})
    for says, value in {
        "is complex64, expected float32": np.zeros(2, np.complex64),
        "is int64, expected float32": np.zeros(2, np.int64),
        "cannot be used: a tensor holds numbers, got <U1": "s",
        "cannot be used: a tensor holds numbers, got object": None,
        "cannot be used: a tensor holds numbers, got |V2": np.zeros(2, "V2"),
        "has shape (), expected (2,)": 0.5,
    }.items()
}
LISTS = [
    *([p] for p in MISMATCHES),
    ["0.weight is missing", "4.weight is unexpected", *list(MISMATCHES)[3:5]],
]


@pytest.mark.parametrize("problems", LISTS, ids=", ".join)
def test_a_state_that_does_not_fit_is_refused_as_a_whole(problems):
    net, state = small_net(0), copies(small_net(1).state_dict())
    before = copies(net.state_dict())
    for problem in problems:
        MISMATCHES[problem](state)
    with pytest.raises(ValueError, match="Sequential: the state does not fit: ") as error:
        net.load_state_dict(state)
    found = str(error.value).partition("the state does not fit: ")[2].split("; ")
    assert sorted(found) == sorted(problems)
    assert_same_state(net.state_dict(), before)


def test_loading_loosely_takes_the_names_that_both_sides_have():
    net, other = small_net(0), small_net(1)
    kept = net[0].weight.data.copy()
    state = {name: array for name, array in other.state_dict().items() if name != "0.weight"}
    net.load_state_dict({**state, "spare": np.zeros(1)}, strict=False)
    np.testing.assert_array_equal(net[0].weight.data, kept)
    assert_same_state(net.state_dict(), {**other.state_dict(), "0.weight": kept})


def test_a_state_may_be_of_tensors_lists_and_floats_of_another_width():
    net = nn.Linear(1, 2)
    net.load_state_dict({"weight": nn.Parameter([[1.0], [2.0]]), "bias": [0.5, 0.25]})
    assert (net.weight.tolist(), net.bias.tolist()) == ([[1], [2]], [0.5, 0.25])
    net.load_state_dict({"weight": np.ones((2, 1), np.float16), "bias": np.zeros(2)})
    assert (net.weight.tolist(), net.bias.tolist()) == ([[1], [1]], [0, 0])
    assert net.bias.dtype == np.float32


@pytest.mark.parametrize("state", [None, [1], "weights.npz", nn.Linear(1, 2)])
def test_a_state_is_a_dict(state):
    with pytest.raises(TypeError, match=r"Linear: a state is a dict of arrays by name, got "):
        nn.Linear(1, 2).load_state_dict(state)


def test_a_state_is_not_written_in_part_where_memory_is_read_only():
    net = nn.Linear(1, 2)
    fixed = np.zeros(2, np.float32)
    fixed.flags.writeable = False
    net.bias.data = fixed
    before = net.weight.numpy().copy()
    with pytest.raises(ValueError, match="bias lies in memory that cannot be written to"):
        net.load_state_dict({"weight": np.ones((2, 1)), "bias": np.ones(2)})
    np.testing.assert_array_equal(net.weight.numpy(), before)


def tied():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    return nn.Sequential(first, second, first)


@pytest.mark.parametrize("names", [["0.weight"], ["1.weight"], ["2.weight"], ["0.weight", "2.weight"]])
def test_a_shared_tensor_is_loaded_from_any_of_its_names(names):
    net, state = tied(), tied().state_dict()
    given = {name: a for name, a in state.items() if "weight" not in name or name in names}
    net.load_state_dict(given)
    np.testing.assert_array_equal(net[2].weight.numpy(), state["0.weight"])


def test_values_that_contradict_each_other_are_refused():
    net = tied()
    before = copies(net.state_dict())
    state = {**copies(tied().state_dict()), "1.weight": np.zeros((2, 2))}
    with pytest.raises(
        ValueError, match=r"0\.weight and 1\.weight are one tensor, but have different values"
    ):
        net.load_state_dict(state)
    assert_same_state(net.state_dict(), before)
    same = {name: np.full(a.shape, np.nan) for name, a in before.items()}
    net.load_state_dict(same)
    assert np.isnan(net[0].weight.numpy()).all()


def test_functional_call_refuses_two_tensors_for_one():
    x, w = Tensor(np.ones((1, 2), np.float32)), Tensor(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match=r"functional_call: 1\.weight is given twice"):
        nn.functional_call(tied(), {"0.weight": w, "1.weight": Tensor(w.data + 1)}, x)
    with pytest.raises(KeyError, match=r"functional_call: Sequential has no 0\.wait"):
        nn.functional_call(tied(), {"0.wait": w}, x)
    net = tied()
    y = nn.functional_call(net, {"0.weight": w, "2.weight": w}, x)
    np.testing.assert_array_equal(y.numpy(), net[0].bias.numpy()[None])


def test_a_module_that_is_registered_twice_is_visited_once():
    net = tied()
    visits = []
    net.apply(visits.append)
    assert visits == [net, net[0], net[1]]
    assert list(net) == [net[0], net[1], net[0]]


def test_a_count_of_batches_is_passed_over_where_pytorch_has_one():
    nn.BatchNorm1d(2).load_state_dict({**nn.BatchNorm1d(2).state_dict(), "num_batches_tracked": 3})
    for net in (nn.BatchNorm1d(2, track_running_stats=False), nn.Linear(1, 1)):
        with pytest.raises(ValueError, match="num_batches_tracked is unexpected"):
            net.load_state_dict({**net.state_dict(), "num_batches_tracked": 3})


def test_loading_loosely_refuses_another_shape():
    with pytest.raises(ValueError, match=r"bias has shape \(3,\), expected \(2,\)"):
        nn.Linear(1, 2).load_state_dict({"bias": np.zeros(3)}, strict=False)


def test_a_shallow_copy_shares_its_tensors_and_nothing_else():
    net = nn.Linear(2, 2)
    twin = copy.copy(net)
    assert twin.weight is net.weight
    twin.weight = nn.Parameter(np.zeros((2, 2), np.float32))
    twin.extra = nn.Linear(1, 1)
    assert [name for name, _ in net.named_parameters()] == ["weight", "bias"]
    assert net.parameters()[0] is net.weight
    assert twin.parameters()[0] is twin.weight


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda parts: pickle.loads(pickle.dumps(parts))}
each_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@each_copy
def test_a_copied_tensor_is_a_leaf_in_the_same_memory_order(copied):
    for axes in itertools.permutations(range(4)):
        x = Tensor(np.arange(120.0).reshape(2, 3, 4, 5).transpose(axes), requires_grad=True)
        y, same = copied((x, x))
        assert y is same
        assert y.requires_grad
        assert y.data.strides == x.data.strides
        np.testing.assert_array_equal(y.data, x.data)
        assert not np.may_share_memory(y.data, x.data)


@each_copy
def test_a_tensor_with_a_graph_is_not_copied(copied):
    net = nn.Linear(2, 2)
    net.last = net(Tensor(np.ones((1, 2), np.float32)))
    with pytest.raises(
        RuntimeError, match=r"a tensor that Linear made is not copied or pickled, .*detach\(\) first"
    ):
        copied(net)
    net.last = net.last.detach()
    assert copied(net).last.tolist() == net.last.tolist()


@each_copy
def test_a_copied_network_calls_its_hooks(copied):
    net = nn.Linear(2, 2)
    net.register_forward_hook(_count)
    twin = copied(net)
    x = Tensor(np.ones((1, 2), np.float32))
    twin(x)
    assert (getattr(net, "calls", 0), twin.calls) == (0, 1)


def _count(module, inputs, output):
    module.calls = getattr(module, "calls", 0) + 1


def test_a_deep_copy_has_the_same_state_in_arrays_of_its_own():
    net = small_net()
    twin = copy.deepcopy(net)
    assert_same_state(twin.state_dict(), net.state_dict())
    before = net.state_dict()
    with no_grad():
        for tensor in (*twin.parameters(), *(b for _, b in twin.named_buffers())):
            tensor += 1
    assert_same_state(net.state_dict(), before)


# Activations in the pass of the layer before them


def activated_net():
    rng = Generator(0)
    down = [nn.Conv2d(3, 16, 4, 2, 1, generator=rng), nn.LeakyReLU(0.2)]
    down += [nn.Conv2d(16, 32, 4, 2, 1, bias=False, generator=rng), nn.BatchNorm2d(32), nn.LeakyReLU(0.2)]
    flat = [nn.Flatten(), nn.Linear(32 * 16, 100, generator=rng), nn.ReLU(), nn.BatchNorm1d(100), nn.ReLU()]
    up = [nn.Linear(100, 16 * 16, generator=rng), nn.LeakyReLU(0.1), nn.Unflatten(16, 4, 4)]
    return nn.Sequential(*down, *flat, *up, nn.ConvTranspose2d(16, 8, 4, 2, 1, generator=rng), nn.ReLU())


def outcome(net, x):
    """The ops of a forward pass, and what it and the two orders of derivatives give."""
    ops = []
    with switched(trace=lambda op, *_: ops.append(type(op).__name__)):
        y = net(x)
    parameters = list(net.parameters())
    first = grad(y.sum(), [x, *parameters])
    slope = grad((y * y).sum(), [x], create_graph=True)[0]
    second = grad((slope * slope).sum(), parameters, allow_unused=True)
    return ops, [t.data for t in (y, *first, slope, *second) if t is not None]


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_an_activation_in_the_pass_of_its_layer_changes_no_bit(engine):
    x = Tensor(np.random.default_rng(0).standard_normal((20, 3, 16, 16)).astype(np.float32), True)
    with kernels.engine(engine):
        ops, together = outcome(activated_net(), x)
        hooked = activated_net()
        for module in hooked:
            if isinstance(module, nn.ReLU | nn.LeakyReLU):
                module.register_forward_hook(lambda *_: None)
        apart_ops, apart = outcome(hooked, x)
    assert ops.count("LeakyReLU") == 0
    assert apart_ops.count("LeakyReLU") == 6
    assert len(together) == len(apart) > 20
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_of_ones_own_is_called_as_ever():
    class Doubled(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2.0

    class Steep(nn.LeakyReLU):
        def forward(self, x):
            return super().forward(x) * 3.0

    x, rng = images(4, 5), Generator(0)
    mine, plain = Doubled(5, 6, generator=rng), nn.Linear(6, 7, generator=rng)
    y = nn.Sequential(mine, nn.ReLU(), plain, Steep())(x)
    assert_close(y, Steep()(plain(nn.ReLU()(mine(x)))), rtol=0, atol=0)


@pytest.mark.parametrize("axes", [1, 3])
def test_sequences_and_clips_are_activated_in_one_pass_with_the_same_values(axes):
    rng, norm = Generator(0), getattr(nn, f"BatchNorm{axes}d")
    conv, back = (getattr(nn, f"{name}{axes}d") for name in ("Conv", "ConvTranspose"))
    down, up = conv(2, 3, 4, 2, 1, generator=rng), back(3, 2, 4, 2, 1, generator=rng)
    layers = [down, nn.LeakyReLU(0.2), norm(3), nn.ReLU(), up, nn.ReLU()]
    x, alone = images(2, 2, *(4,) * axes), images(2, 2, *(4,) * axes)
    for layer in layers:
        alone = layer(alone)
    assert_close(nn.Sequential(*layers)(x), alone, rtol=1e-5, atol=1e-6)


# What is done to all parts of a module


def test_the_mode_reaches_every_part():
    net = nn.Sequential(nn.Sequential(nn.Dropout()), nn.BatchNorm1d(2))
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 4
    assert net.train() is net
    assert [m.training for m in net.modules()] == [True] * 4


def test_apply_visits_every_module_once():
    net, seen = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())), []
    assert net.apply(seen.append) is net
    assert seen == [net, net[0], net[1], net[1][0]]


def test_frozen_parameters_get_no_gradient():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    assert net[0].requires_grad_(False) is net[0]
    net(images(2, 3)).sum().backward()
    assert [p.grad is None for p in net.parameters()] == [True, True, False, False]
    assert all(p.requires_grad for p in net.requires_grad_().parameters())


def test_zero_grad_forgets_the_gradients():
    net = nn.Linear(3, 1)
    net(images(2, 3)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_to_converts_parameters_and_floating_buffers():
    net = small_net().eval()
    net.register_buffer("count", Tensor(np.array([3])))
    expected = net(images(2, 2, 4, 4))
    assert net.to(np.float64) is net
    assert net.count.dtype == np.int64
    assert {str(p.dtype) for p in net.parameters()} == {"float64"}
    assert {str(b.dtype) for name, b in net.named_buffers() if name != "count"} == {"float64"}
    y = net(images(2, 2, 4, 4).to(np.float64))
    assert y.dtype == np.float64
    assert_close(y, expected, rtol=1e-5, atol=1e-6)


def test_repr_shows_settings_shapes_and_counts():
    net = nn.Sequential(
        nn.Sequential(nn.Linear(2, 700), nn.LeakyReLU(0.2)),
        nn.Conv2d(2, 4, 3, padding=1, groups=2, bias=False),
        nn.BatchNorm2d(4),
    )
    assert repr(net).splitlines() == [
        "Sequential(2,144 parameters)",
        "  (0): Sequential(2,100 parameters)",
        "    (0): Linear(weight (700, 2), bias (700,), 2,100 parameters)",
        "    (1): LeakyReLU(negative_slope=0.2)",
        "  (1): Conv2d(padding=1, groups=2, weight (4, 1, 3, 3), 36 parameters)",
        "  (2): BatchNorm2d(eps=1e-05, momentum=0.1, weight (4,), bias (4,), 8 parameters)",
    ]


# Every layer: what it makes of which shape, and what it refuses

LAYERS = [
    (nn.Linear(3, 5), (4, 3), (4, 5)),
    (nn.Linear(3, 5, bias=False), (4, 2, 3), (4, 2, 5)),
    (nn.Conv2d(3, 4, 3), (2, 3, 8, 6), (2, 4, 6, 4)),
    (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), 2, 2), (2, 4, 9, 6), (2, 6, 4, 4)),
    (nn.ConvTranspose2d(3, 4, 4, 2, 1), (2, 3, 4, 3), (2, 4, 8, 6)),
    (nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2), (2, 4, 4, 3), (2, 6, 8, 6)),
    (nn.Conv1d(3, 4, 3, 2, 1), (2, 3, 7), (2, 4, 4)),
    (nn.ConvTranspose1d(4, 3, 4, 2, 1), (2, 4, 4), (2, 3, 8)),
    (nn.Conv3d(2, 3, (3, 2, 2), (2, 1, 1), (1, 0, 0)), (2, 2, 3, 3, 3), (2, 3, 2, 2, 2)),
    (nn.ConvTranspose3d(2, 1, 4, 2, 1), (2, 2, 1, 2, 2), (2, 1, 2, 4, 4)),
    (nn.BatchNorm3d(3), (2, 3, 2, 2, 1), (2, 3, 2, 2, 1)),
    (nn.InstanceNorm1d(3, affine=True), (4, 3, 4), (4, 3, 4)),
    (nn.InstanceNorm3d(3), (4, 3, 2, 1, 2), (4, 3, 2, 1, 2)),
    (nn.MaxPool1d(2), (4, 3, 5), (4, 3, 2)),
    (nn.MaxPool2d(2), (4, 3, 4, 2), (4, 3, 2, 1)),
    (nn.MaxPool3d(2, 1), (2, 3, 2, 3, 2), (2, 3, 1, 2, 1)),
    (nn.MinPool2d((1, 2)), (4, 3, 1, 4), (4, 3, 1, 2)),
    (nn.AvgPool1d(2), (4, 3, 4), (4, 3, 2)),
    (nn.AvgPool2d(3, 2, 1), (4, 3, 4, 4), (4, 3, 2, 2)),
    (nn.AvgPool3d((2, 1, 1)), (4, 1, 4, 2, 2), (4, 1, 2, 2, 2)),
    (nn.AdaptiveAvgPool1d(2), (4, 3, 5), (4, 3, 2)),
    (nn.AdaptiveAvgPool2d((1, 2)), (4, 3, 5, 3), (4, 3, 1, 2)),
    (nn.ReflectionPad1d((1, 2)), (4, 3, 3), (4, 3, 6)),
    (nn.ReflectionPad2d(1), (4, 3, 2, 3), (4, 3, 4, 5)),
    (nn.ReplicationPad1d(1), (4, 3, 1), (4, 3, 3)),
    (nn.ReplicationPad2d((1, 0, 0, 2)), (4, 3, 1, 1), (4, 3, 3, 2)),
    (nn.ZeroPad2d(1), (4, 3, 1, 2), (4, 3, 3, 4)),
    (nn.PixelShuffle(2), (4, 4, 1, 2), (4, 1, 2, 4)),
    (nn.PixelUnshuffle(2), (4, 1, 2, 4), (4, 4, 1, 2)),
    (nn.Upsample(scale_factor=2, mode="linear"), (4, 3, 4), (4, 3, 8)),
    (nn.Unflatten(2, (2, -1)), (4, 3, 6), (4, 3, 2, 3)),
    (nn.Unflatten((3, 2)), (4, 6), (4, 3, 2)),
    (nn.Flatten(2), (4, 3, 2, 2), (4, 3, 4)),
    (nn.GLU(1), (4, 6, 2), (4, 3, 2)),
    *((kind(), (4, 3), (4, 3)) for kind in (nn.LogSigmoid, nn.LogSoftmax)),
    (nn.BatchNorm1d(3), (4, 3), (4, 3)),
    (nn.BatchNorm1d(3), (4, 3, 5), (4, 3, 5)),
    (nn.BatchNorm2d(3), (4, 3, 2, 2), (4, 3, 2, 2)),
    (nn.LayerNorm(3), (4, 2, 3), (4, 2, 3)),
    (nn.LayerNorm((2, 3)), (4, 2, 3), (4, 2, 3)),
    (nn.InstanceNorm2d(3, affine=True), (4, 3, 2, 2), (4, 3, 2, 2)),
    (nn.GroupNorm(2, 4), (4, 4, 2, 2), (4, 4, 2, 2)),
    (nn.Identity(), (4, 3), (4, 3)),
    (nn.Dropout(0.3), (4, 3), (4, 3)),
    (nn.Dropout2d(0.3), (4, 3, 2, 2), (4, 3, 2, 2)),
    (nn.Flatten(), (4, 3, 2, 2), (4, 12)),
    (nn.Unflatten(3, 2, 2), (4, 12), (4, 3, 2, 2)),
    (nn.Upsample(scale_factor=2), (4, 3, 2, 3), (4, 3, 4, 6)),
    (nn.Upsample(size=(5, 4), mode="bilinear"), (4, 3, 2, 3), (4, 3, 5, 4)),
    (nn.Maxout(2), (4, 6, 2), (4, 3, 2)),
    (nn.Maxout(3, axis=-1), (4, 6), (4, 2)),
    *((kind(), (4, 3), (4, 3)) for kind in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU)),
    *((kind(), (4, 3), (4, 3)) for kind in (nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Softmax, nn.SiLU)),
    (nn.PReLU(), (4, 3), (4, 3)),
    (nn.PReLU(3), (4, 3, 2), (4, 3, 2)),
    (nn.PositionalEncoding(5), (2, 7, 5), (2, 7, 5)),
    (nn.GRUCell(3, 2), (4, 3), (4, 2)),
]

REFUSED = [
    (nn.Linear(3, 5), (4, 2), "x has 2 features, the weight expects 3"),
    (nn.Conv2d(3, 4, 3), (2, 2, 8, 8), "x has 2 channels, w expects 3"),
    (nn.Conv2d(3, 4, 3), (3, 8, 8), r"x must have shape \(N, C, H, W\)"),
    (nn.Conv2d(3, 4, 3), (2, 3, 2, 8), "a kernel that spans 3x3 pixels does not fit an image of 2x8"),
    (nn.ConvTranspose2d(3, 4, 3), (2, 4, 8, 8), "x has 4 channels, w expects 3"),
    (nn.ConvTranspose2d(3, 4, 3), (3, 8, 8), "x and w need 4 axes"),
    (nn.ConvTranspose2d(3, 4, 3, 2, output_padding=2), (2, 3, 8, 8), "must be below the stride"),
    (nn.BatchNorm1d(3), (4, 2), "x has 2 channels"),
    (nn.BatchNorm1d(3), (4, 3, 2, 2), r"BatchNorm1d: x has 4 axes, expected 2 or 3"),
    (nn.BatchNorm1d(3), (1, 3), "more than one value per channel"),
    (nn.BatchNorm2d(3), (4, 2, 2, 2), "x has 2 channels"),
    (nn.BatchNorm2d(3), (4, 3), r"BatchNorm2d: x has 2 axes, expected 4"),
    (nn.LayerNorm(3), (4, 2), r"the last axes of \(4, 2\) are not the normalized_shape \(3,\)"),
    (nn.LayerNorm((2, 3)), (2, 3, 2), r"are not the .* \(2, 3\)"),
    (nn.InstanceNorm2d(3), (4, 2, 2, 2), r"expected \(N, 3, H, W\)"),
    (nn.InstanceNorm2d(3), (4, 3, 2), r"expected \(N, 3, H, W\)"),
    (nn.GroupNorm(2, 3), (4, 3, 2), "expected channels in 2 groups"),
    (nn.GroupNorm(2, 4), (4, 6, 2), "group_norm: x has 6 channels, but weight"),
    (nn.Unflatten(3, 2), (4, 5), r"unflatten: shape \(3, 2\) does not fit axis 1 of size 5"),
    (nn.Upsample(scale_factor=2), (4, 3), "interpolate: .* shape"),
    (nn.Upsample(size=2), (4, 3), "interpolate: .* shape"),
    (nn.Upsample(size=2, mode="bilinear"), (4, 3, 2), "interpolate: mode must be 'nearest' or 'linear'"),
    (nn.Conv1d(3, 4, 3), (2, 3, 8, 8), r"x must have shape \(N, C, L\)"),
    (nn.Conv3d(3, 4, 3), (2, 3, 8, 8), r"x must have shape \(N, C, D, H, W\)"),
    (nn.ConvTranspose3d(3, 4, 3), (2, 2, 2, 2, 2), "x has 2 channels, w expects 3"),
    (nn.BatchNorm3d(3), (4, 3, 2, 2), r"BatchNorm3d: x has 4 axes, expected 5"),
    (nn.InstanceNorm1d(3), (4, 3, 2, 2), r"InstanceNorm1d: .* expected \(N, 3, L\)"),
    (nn.InstanceNorm3d(3), (4, 2, 2, 2, 2), r"InstanceNorm3d: .* expected \(N, 3, D, H, W\)"),
    (nn.ReflectionPad2d(1), (4, 3, 4), "ReflectionPad2d: x has 3 axes, expected 4"),
    (nn.ReflectionPad2d(2), (4, 3, 2, 4), "pad: an axis of 2 has no mirror image of 2"),
    (nn.MaxPool3d(3), (4, 3, 2, 4, 4), "max_pool3d: a kernel that spans 3x3x3 does not fit 2x4x4"),
    (nn.PReLU(3), (4, 2), "prelu: weight must have shape"),
    (nn.Upsample(), (4, 3, 2, 2), "give either size or scale_factor"),
    (nn.PReLU(3), (3,), "prelu: weight must have shape"),
    (nn.PositionalEncoding(5), (2, 7, 4), r"PositionalEncoding: x has shape .*, expected \(..., L, 5\)"),
    (nn.PositionalEncoding(5), (5,), r"expected \(..., L, 5\)"),
    (nn.GRUCell(3, 2), (4, 4), r"GRUCell: x has shape \(4, 4\), expected \(N, 3\)"),
    (nn.LSTMCell(3, 2), (4, 3, 3), r"LSTMCell: x has shape .*, expected \(N, 3\)"),
    (nn.GRU(3, 2), (4, 3), r"GRU: x has shape .*, expected \(T, N, 3\)"),
    (nn.LSTM(3, 2, batch_first=True), (4, 2, 4), r"LSTM: x has shape .*, expected \(N, T, 3\)"),
    (nn.LSTM(3, 2), (0, 2, 3), "LSTM: a sequence has at least one step"),
    (nn.Maxout(2), (4, 3), "3 channels are no multiple of 2 pieces"),
]


def name_of(value):
    return type(value).__name__ if isinstance(value, nn.Module) else str(value)


def test_every_layer_is_in_the_table():
    layers = {getattr(nn, name) for name in nn.__all__} - {
        *(nn.init, nn.utils, nn.functional_call, nn.Module, nn.Parameter),
        *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    }
    layers = {layer for layer in layers if layer.__module__ != "minigan.nn.losses"}  # which take two inputs
    with_other_inputs = {nn.Embedding, nn.LSTMCell, nn.GRU, nn.LSTM, nn.MultiheadAttention}
    assert {type(layer) for layer, *_ in LAYERS} | with_other_inputs == layers


@pytest.mark.parametrize(("layer", "given", "expected"), LAYERS, ids=name_of)
def test_shape_of_the_output(layer, given, expected):
    y = layer(images(*given))
    assert (y.shape, y.dtype) == (expected, np.float32)


@pytest.mark.parametrize(("layer", "given", "message"), REFUSED, ids=name_of)
def test_what_a_layer_refuses(layer, given, message):
    with pytest.raises(ValueError, match=message):
        layer(images(*given))


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize(("kind", "channels"), [(nn.Conv2d, (3, 4)), (nn.ConvTranspose2d, (3, 4))])
@pytest.mark.parametrize("swapped", [False, True])
def test_groups_must_divide_the_channels(kind, channels, groups, swapped):
    with pytest.raises(ValueError, match=f"{kind.__name__}: groups={groups} must divide the channels"):
        kind(*(channels[::-1] if swapped else channels), 3, groups=groups)


def test_embedding_reads_the_rows_of_its_table():
    layer = nn.Embedding(5, 2)
    np.testing.assert_array_equal(layer(Tensor([[0, 4], [1, 0]])).data, layer.weight.data[[[0, 4], [1, 0]]])


@pytest.mark.parametrize(("labels", "error"), [([5], ValueError), ([-1], ValueError), ([0.0], TypeError)])
def test_embedding_refuses_what_is_no_row(labels, error):
    with pytest.raises(error, match="embedding: label"):
        nn.Embedding(5, 2)(Tensor(labels))


# Sequential


def test_sequential_applies_its_modules_in_order():
    net = nn.Sequential(nn.ReLU(), nn.Linear(2, 2), nn.Tanh())
    x = images(3, 2)
    np.testing.assert_array_equal(net(x).data, net[1](x.relu()).tanh().data)
    assert nn.Sequential()(x) is x


def test_sequential_is_a_sequence():
    parts = [nn.ReLU(), nn.Linear(2, 2), nn.Tanh()]
    net = nn.Sequential(*parts)
    assert (len(net), list(net)) == (3, parts)
    assert (net[0], net[-1]) == (parts[0], parts[2])
    with pytest.raises(IndexError):
        net[3]


def test_a_slice_of_sequential_shares_its_modules():
    net = nn.Sequential(nn.ReLU(), nn.Linear(2, 2), nn.Tanh())
    part = net[1:]
    assert isinstance(part, nn.Sequential)
    assert list(part) == [net[1], net[2]]


# Dropout


def test_dropout_drops_in_training_and_keeps_the_mean():
    y = nn.Dropout(0.25, Generator(0))(Tensor(np.ones(20_000, np.float32))).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_dropout_does_nothing_in_evaluation():
    x = images(4, 3)
    np.testing.assert_array_equal(nn.Dropout(0.9).eval()(x), x)


def test_the_generator_decides_what_is_dropped():
    x = images(1000)
    first, again, other = (nn.Dropout(0.5, Generator(seed))(x).numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_whole_channels_are_dropped():
    y = nn.Dropout2d(0.5, Generator(0))(Tensor(np.ones((8, 16, 3, 2), np.float32))).numpy()
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :, :1, :1], y.shape))
    assert 0.3 < (y == 0).mean() < 0.7
    assert set(np.unique(y)) == {0, 2}


def test_dropout_draws_anew_at_every_call():
    layer, x = nn.Dropout(0.5, Generator(0)), images(1000)
    assert not np.array_equal(layer(x), layer(x))


# Batch norm


@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm2d, (4, 3, 2, 2))])
def test_running_statistics_follow_the_batches(kind, shape):
    layer, rng = kind(3, momentum=0.2), Generator(0)
    mean, var = np.zeros(3), np.ones(3)
    axes = (0, *range(2, len(shape)))
    for _ in range(3):
        x = rng.normal(shape, mean=2, std=3)
        layer(Tensor(x))
        mean = 0.8 * mean + 0.2 * x.mean(axes)
        var = 0.8 * var + 0.2 * x.var(axes, ddof=1)
    assert_close(layer.running_mean, mean, rtol=1e-5)
    assert_close(layer.running_var, var, rtol=1e-5)


def test_batch_norm_uses_the_batch_in_training_and_the_running_statistics_after():
    layer = nn.BatchNorm1d(2, eps=0.5)
    x = images(100, 2) * 3 + 1
    y = layer(x).numpy()
    assert_close(y.mean(0), np.zeros(2), atol=1e-6)
    assert_close(y.var(0), x.numpy().var(0) / (x.numpy().var(0) + 0.5), rtol=1e-5)

    mean, var = layer.running_mean.numpy().copy(), layer.running_var.numpy().copy()
    y = layer.eval()(x)
    assert_close(y, (x.numpy() - mean) / np.sqrt(var + 0.5), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)


def test_without_running_statistics_the_batch_is_always_used():
    layer, x = nn.BatchNorm1d(2, track_running_stats=False), images(10, 2)
    assert list(layer.state_dict()) == ["weight", "bias"]
    np.testing.assert_array_equal(layer(x).data, layer.eval()(x).data)


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(3, affine=False),
        nn.BatchNorm2d(3, affine=False),
        nn.InstanceNorm2d(3),
        nn.LayerNorm(3, elementwise_affine=False),
    ],
    ids=name_of,
)
def test_a_norm_without_affine_has_no_parameters(layer):
    assert layer.parameters() == []


# First weights of layers

DRAWN = [  # a layer of many weights, and the fan_in that PyTorch bounds them by
    (nn.Linear, (100, 300), {}, 100),
    (nn.Conv2d, (32, 64, (3, 2)), {"groups": 2}, 16 * 3 * 2),
    (nn.ConvTranspose2d, (32, 64, (3, 2)), {"groups": 2}, 32 * 3 * 2),
]


@pytest.mark.parametrize(("kind", "args", "settings", "fan_in"), DRAWN)
def test_first_weights_are_uniform_within_the_root_of_the_fan_in(kind, args, settings, fan_in):
    layer, bound = kind(*args, **settings, generator=Generator(0)), 1 / math.sqrt(fan_in)
    weight, bias = layer.weight.numpy(), layer.bias.numpy()
    for array in (weight, bias):
        assert 0.9 * bound < np.abs(array).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not np.isin(bias, weight).all()


MADE = [(nn.Linear, (4, 3)), (nn.Conv2d, (4, 3, 2)), (nn.ConvTranspose2d, (4, 3, 2)), (nn.Embedding, (4, 3))]


@pytest.mark.parametrize(("kind", "args"), MADE)
def test_the_generator_decides_the_first_weights(kind, args):
    first, again, other = (kind(*args, generator=Generator(seed)).weight.numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("kind", "args"), MADE)
def test_manual_seed_decides_them_where_no_generator_is_given(kind, args):
    manual_seed(3)
    ours, seeded = kind(*args).weight, kind(*args, generator=Generator(3)).weight
    np.testing.assert_array_equal(ours.data, seeded.data)


def is_channels_last(array):
    return array.transpose(0, 2, 3, 1).flags.c_contiguous and not array.flags.c_contiguous


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_weights_of_convolutions_are_channels_last_in_memory(kind):
    layer = kind(4, 6, 3)
    assert layer.weight.shape == ((6, 4, 3, 3) if kind is nn.Conv2d else (4, 6, 3, 3))
    assert is_channels_last(layer.weight.data)
    layer.load_state_dict({"weight": np.ones(layer.weight.shape), "bias": np.ones(6)})
    init.normal_(layer.weight)
    layer.to(np.float64)
    assert is_channels_last(layer.weight.data)


# Initialisers

RELU, LEAKY, TANH = math.sqrt(2), math.sqrt(2 / (1 + 0.3**2)), 5 / 3
MATRIX, KERNELS = (100, 300), (32, 64, 3, 2)

NORMAL = [  # an initialiser, its settings, a shape, the mean and the standard deviation
    (init.normal_, {"mean": 2.0, "std": 0.5}, MATRIX, 2, 0.5),
    (init.xavier_normal_, {}, MATRIX, 0, math.sqrt(2 / 400)),
    (init.xavier_normal_, {"gain": 3.0}, KERNELS, 0, 3 * math.sqrt(2 / (96 * 6))),
    (init.kaiming_normal_, {}, MATRIX, 0, RELU / math.sqrt(300)),
    (init.kaiming_normal_, {"a": 0.3}, KERNELS, 0, LEAKY / math.sqrt(64 * 6)),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}, KERNELS, 0, TANH / math.sqrt(32 * 6)),
]

UNIFORM = [
    (init.uniform_, {"a": -1.0, "b": 3.0}, MATRIX, 1, 2 / math.sqrt(3)),
    (init.xavier_uniform_, {"gain": 2.0}, MATRIX, 0, 2 * math.sqrt(2 / 400)),
    (init.kaiming_uniform_, {"a": 0.3}, MATRIX, 0, LEAKY / math.sqrt(300)),
    (
        init.kaiming_uniform_,
        {"mode": "fan_out", "nonlinearity": "relu"},
        KERNELS,
        0,
        RELU / math.sqrt(32 * 6),
    ),
]


def drawn(initialise, settings, shape, seed=0):
    weight = nn.Parameter(np.empty(shape, np.float32))
    assert initialise(weight, **settings, generator=Generator(seed)) is weight
    return weight.numpy()


@pytest.mark.parametrize(("initialise", "settings", "shape", "mean", "std"), NORMAL + UNIFORM)
def test_moments(initialise, settings, shape, mean, std):
    weight = drawn(initialise, settings, shape)
    assert weight.mean() == pytest.approx(mean, abs=0.03 * std)
    assert weight.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize(("initialise", "settings", "shape", "mean", "std"), UNIFORM)
def test_uniform_weights_fill_their_bounds(initialise, settings, shape, mean, std):
    reach = np.abs(drawn(initialise, settings, shape) - mean).max() / (std * math.sqrt(3))
    assert 0.99 < reach < 1 + 1e-6


@pytest.mark.parametrize(("initialise", "settings", "shape", "mean", "std"), NORMAL)
def test_normal_weights_have_tails(initialise, settings, shape, mean, std):
    beyond = np.abs(drawn(initialise, settings, shape) - mean) > 2 * std
    assert beyond.mean() == pytest.approx(0.0455, abs=0.01)


@pytest.mark.parametrize("initialise", sorted({row[0] for row in NORMAL + UNIFORM}, key=lambda f: f.__name__))
def test_initialisers_draw_from_the_given_generator_or_the_seeded_one(initialise):
    manual_seed(4)
    weight = initialise(nn.Parameter(np.empty((3, 2), np.float32))).numpy()
    np.testing.assert_array_equal(weight, drawn(initialise, {}, (3, 2), seed=4))


@pytest.mark.parametrize(
    ("initialise", "value"),
    [(init.zeros_, 0), (init.ones_, 1), (lambda t: init.constant_(t, 0.5), 0.5)],
)
def test_constants_are_written_in_place(initialise, value):
    weight = nn.Conv2d(2, 3, 2).weight
    array = weight.data
    assert initialise(weight) is weight
    assert weight.data is array
    assert weight.is_leaf
    assert (array == value).all()


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 3, 3), (20, 2, 3, 3)])
def test_orthogonal_rows_or_columns(shape):
    tensor = Tensor(np.empty(shape))
    init.orthogonal_(tensor, gain=2.0, generator=Generator(0))
    w = tensor.numpy().reshape(shape[0], -1)
    products = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    assert_close(products, 4 * np.eye(len(products)), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "expected"), [((3, 5), (5, 3)), ((8, 4, 3, 2), (24, 48)), ((2, 3, 4), (12, 8))]
)
def test_fans(shape, expected):
    assert init.fans(Tensor(np.zeros(shape))) == expected


@pytest.mark.parametrize("initialise", [init.fans, init.xavier_normal_, init.kaiming_uniform_])
def test_fans_need_two_axes(initialise):
    with pytest.raises(ValueError, match=r"at least two axes, got shape \(3,\)"):
        initialise(Tensor(np.zeros(3)))


@pytest.mark.parametrize(
    ("name", "settings", "gain"),
    [
        ("linear", (), 1),
        ("sigmoid", (), 1),
        ("tanh", (), 5 / 3),
        ("relu", (), math.sqrt(2)),
        ("leaky_relu", (), math.sqrt(2 / (1 + 0.01**2))),
        ("leaky_relu", (0.3,), LEAKY),
        ("selu", (), 3 / 4),
    ],
)
def test_gains(name, settings, gain):
    assert init.calculate_gain(name, *settings) == pytest.approx(gain, rel=1e-15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nonlinearity": "rleu"}, "unknown nonlinearity 'rleu'; there are: linear, .*relu"),
        ({"mode": "fan"}, "mode must be 'fan_in' or 'fan_out', got 'fan'"),
    ],
)
def test_unknown_names_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        init.kaiming_normal_(Tensor(np.zeros((2, 2))), **settings)


def test_initialising_tells_the_graph_that_saved_the_weight():
    weight = nn.Parameter(np.ones(2, np.float32))
    y = (weight * weight).sum()
    init.zeros_(weight)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_sequential_takes_modules_one_argument_each():
    for wrong, kind in (([nn.Linear(2, 2)], "Linear"), (math.sqrt, "built-in function")):
        with pytest.raises(TypeError, match=f"Sequential: modules are given one argument each, got .*{kind}"):
            nn.Sequential(wrong)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate"])
def test_a_convolution_without_a_border_reads_its_input_where_it_is(mode, monkeypatch):
    monkeypatch.setattr(F, "pad", None)  # which would copy it
    assert nn.Conv2d(1, 1, 3, padding_mode=mode)(Tensor(np.ones((1, 1, 3, 3), np.float32))).shape == (
        1,
        1,
        1,
        1,
    )
