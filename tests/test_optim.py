"""Optimisers: they descend, own one flat buffer, save all they know, refuse what does not fit."""

import copy
import math
import pickle

import numpy as np
import pytest

from minigan import Generator, Tensor, grad, nn
from minigan.optim import SGD, Adam, AdamW, ExponentialMovingAverage, RMSprop, lr_scheduler
from minigan.testing import assert_close

OPTIMISERS = {
    "sgd": lambda params, lr=0.1: SGD(params, lr),
    "decay": lambda params, lr=0.1: SGD(params, lr, weight_decay=0.1),
    "momentum": lambda params, lr=0.1: SGD(params, lr, momentum=0.9, dampening=0.2),
    "nesterov": lambda params, lr=0.1: SGD(params, lr, momentum=0.9, nesterov=True),
    "rmsprop": lambda params, lr=0.1: RMSprop(params, lr),
    "adam": lambda params, lr=0.1: Adam(params, lr, weight_decay=0.1),
    "adamw": lambda params, lr=0.1: AdamW(params, lr, weight_decay=0.1),
}
each_optimiser = pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)

SHAPES = (4, 3), (3,), (5, 2, 3, 3)


def parameters(dtype=np.float32, seed=0):
    """Three parameters; the last is channels-last in memory, as the weights of convolutions are."""
    arrays = [Generator(seed).normal(shape, dtype=dtype) for shape in SHAPES]
    arrays[2] = np.ascontiguousarray(arrays[2].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return [nn.Parameter(a) for a in arrays]


def gradients(step, dtype=np.float32):
    rng = Generator(100 + step)
    return [Tensor(rng.normal(shape, dtype=dtype)) for shape in SHAPES]


def run(opt, steps):
    for step in steps:
        opt.step(gradients(step))


def saved(state):
    """A state as a file gives it back: copies, in C order."""
    return {k: v.copy(order="C") if isinstance(v, np.ndarray) else v for k, v in state.items()}


def values(params):
    return [p.numpy().copy() for p in params]


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# Steps


@pytest.mark.parametrize(
    "make",
    [
        lambda params: SGD(params, 0.1),
        lambda params: SGD(params, 0.02, momentum=0.9),
        lambda params: SGD(params, 0.02, momentum=0.9, dampening=0.1),
        lambda params: SGD(params, 0.02, momentum=0.9, nesterov=True),
        lambda params: RMSprop(params, 0.005),
        lambda params: Adam(params, 0.05),
    ],
    ids=["sgd", "momentum", "dampening", "nesterov", "rmsprop", "adam"],
)
def test_descends_to_the_minimum_of_a_quadratic(make):
    target, curvature = np.array([1.0, -2.0, 0.5]), Tensor(np.array([1.0, 3.0, 10.0]))
    x = nn.Parameter(np.zeros(3))
    opt = make([x])
    for _ in range(600):
        opt.step(grad((curvature * (x - target) ** 2).sum() / 2, [x]))
    assert_close(x, target, atol=6e-3)


def test_a_step_of_sgd_by_hand():
    x = nn.Parameter(np.array([1.0, 2.0]))
    opt = SGD([x], 0.5, momentum=0.5, weight_decay=0.1)
    opt.step([Tensor(np.array([1.0, 0.0]))])
    assert_close(x, [1 - 0.5 * 1.1, 2 - 0.5 * 0.2], rtol=1e-15)


@each_optimiser
def test_step_without_arguments_uses_what_backward_left(make):
    ours, theirs = parameters(), parameters()
    by_grad, by_backward = make(ours), make(theirs)
    for _ in range(3):
        by_grad.step(grad(sum((p * p * p).sum() for p in ours), ours))
        by_backward.zero_grad()
        sum((p * p * p).sum() for p in theirs).backward()
        by_backward.step()
    assert_equal(values(theirs), values(ours))


def test_zero_grad_forgets_the_gradients():
    p, q = parameters()[:2]
    opt = SGD([p], 0.1)
    (p.sum() + q.sum()).backward()
    opt.zero_grad()
    assert p.grad is None
    assert q.grad is not None


@each_optimiser
def test_a_parameter_without_gradient_stays_and_so_does_its_state(make):
    params = parameters()
    opt = make(params)
    run(opt, range(2))
    before, state = values(params), saved(opt.state_dict())
    first, _, last = gradients(2)
    opt.step([first, None, last])
    assert [np.array_equal(p, b) for p, b in zip(params, before, strict=True)] == [False, True, False]
    for name, value in opt.state_dict().items():
        if name.endswith(".1"):
            np.testing.assert_array_equal(value, state[name])


@each_optimiser
def test_a_step_with_no_gradients_at_all_changes_no_parameter(make):
    params = parameters()
    opt, before = make(params), values(params)
    opt.step([None] * 3)
    assert_equal(values(params), before)


@each_optimiser
def test_a_parameter_moves_as_if_it_were_alone(make):
    together = parameters()
    run(make(together), range(3))
    for i, alone in enumerate(parameters()):
        opt = make([alone])
        for step in range(3):
            opt.step([gradients(step)[i]])
        assert_close(alone, together[i], rtol=1e-5, atol=1e-6)


@each_optimiser
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_the_dtype(make, dtype):
    params = parameters(dtype)
    opt = make(params)
    opt.step(gradients(0, dtype))
    assert {str(p.dtype) for p in params} == {np.dtype(dtype).name}
    assert {a.dtype for a in opt.state_dict().values() if isinstance(a, np.ndarray)} <= {np.dtype(dtype)}


@each_optimiser
def test_the_rate_can_be_changed_between_steps(make):
    params = parameters()
    opt = make(params)
    run(opt, range(2))
    before = values(params)
    opt.lr = 0.0
    run(opt, range(2, 4))
    assert_equal(values(params), before)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([Tensor(np.zeros((4, 3), np.float32))], "3 parameters, but 1 gradients"),
        ([None, Tensor(np.zeros(1, np.float32)), None], r"parameter 1 has shape \(1,\), expected \(3,\)"),
    ],
)
def test_gradients_that_do_not_fit_are_refused(given, message):
    params = parameters()
    opt, before = Adam(params), values(params)
    with pytest.raises(ValueError, match=message):
        opt.step(given)
    assert opt.steps == 0
    assert_equal(values(params), before)


@each_optimiser
def test_a_graph_that_saved_the_weights_refuses_to_go_backward_after_a_step(make):
    w = nn.Parameter([1.0, 2.0])
    opt = make([w])
    y = (w * w).sum()
    opt.step(grad(y, [w]))
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


# The flat buffer


def test_parameters_become_views_of_one_buffer():
    params = parameters()
    before, strides = values(params), [p.data.strides for p in params]
    SGD(params, 0.0).step(gradients(0))
    buffers = [p.data.base for p in params]
    assert all(b is buffers[0] for b in buffers)
    assert buffers[0].shape == (sum(p.numel() for p in params),)
    assert_equal(values(params), before)
    assert [p.data.strides for p in params] == strides


@pytest.mark.parametrize("steps", [0, 2])
def test_the_state_is_of_copies_in_c_order_and_in_the_shapes_of_the_parameters(steps):
    params = parameters()
    opt = Adam(params)
    run(opt, range(steps))
    state = opt.state_dict()
    for i, p in enumerate(params):
        for name in ("exp_avg", "exp_avg_sq"):
            array = state[f"{name}.{i}"]
            assert array.shape == p.shape
            assert array.flags.carray
            assert not steps or not np.shares_memory(array, opt._state[name])


def test_a_network_may_be_converted_before_the_first_step():
    params = parameters()
    opt = Adam(params)
    opt.load_state_dict(saved(Adam(parameters()).state_dict()))
    for p in params:
        p.data = p.data.astype(np.float64)
    run(opt, range(2))
    assert {str(a.dtype) for a in opt.state_dict().values() if isinstance(a, np.ndarray)} == {"float64"}
    expected = parameters(np.float32)
    for p in expected:
        p.data = p.data.astype(np.float64)
    run(Adam(expected), range(2))
    assert_equal(values(params), values(expected))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: p.data.astype(np.float64),
            r"Adam: parameter 1 is float64 \(3,\) on cpu, but was float32 \(3,\) on",
        ),
        (
            lambda p: p.data[:2],
            r"Adam: parameter 1 is float32 \(2,\) on cpu, but was float32 \(3,\) on cpu at the f",
        ),
    ],
)
def test_a_parameter_that_became_another_kind_after_the_first_step_is_refused(change, message):
    params = parameters()
    opt = Adam(params)
    run(opt, range(1))
    params[1].data = change(params[1])
    with pytest.raises(ValueError, match=message):
        opt.step([None, None, None])
    assert opt.steps == 1


@each_optimiser
def test_a_parameter_that_was_given_another_array_moves_from_there(make):
    params, expected = parameters(), parameters()
    opt, other = make(params), make(expected)
    run(opt, range(2))
    run(other, range(2))
    params[2].data = np.full(SHAPES[2], 2, np.float32)  # in another memory order
    expected[2].data[...] = 2
    run(opt, range(2, 4))
    run(other, range(2, 4))
    assert_equal(values(params), values(expected))
    assert params[2].data.strides == expected[2].data.strides


def test_arrays_that_overlap_in_memory_are_taken_in_as_they_were():
    p, q = parameters()[:2]
    opt = SGD([p, q], 1.0)
    opt.step([None, None])
    p.data, q.data = p.data[::-1], p.data[0]
    before = values([p, q])
    opt.step([Tensor(np.ones(x.shape, np.float32)) for x in (p, q)])
    assert_equal(values([p, q]), [a - 1 for a in before])


@each_optimiser
def test_two_optimisers_move_one_parameter_in_turn(make):
    """As in InfoGAN, each with a state of its own: as two would that copy the weights to and fro."""
    shared, first, second = parameters(), parameters(), parameters()
    one, two = make(shared), make(shared[1:], lr=0.05)
    alone, other = make(first), make(second[1:], lr=0.05)
    for step in range(4):
        run(one, [step])
        two.step(gradients(10 + step)[1:])
        run(alone, [step])
        for a, b in zip(second[1:], first[1:], strict=True):
            a.data[...] = b.data
        other.step(gradients(10 + step)[1:])
        for a, b in zip(second[1:], first[1:], strict=True):
            b.data[...] = a.data
    assert_equal(values(shared), values(first))
    for mine, theirs in ((one, alone), (two, other)):
        assert mine.steps == theirs.steps == 4
        for name, value in theirs.state_dict().items():
            np.testing.assert_array_equal(mine.state_dict()[name], value, err_msg=name)


def test_a_graph_that_saved_a_weight_goes_backward_after_another_optimiser_took_it_in():
    w = nn.Parameter([1.0, 2.0])
    one, two = SGD([w], 0.5), SGD([w], 0.5)
    one.step([None])
    y = (w * w).sum()
    two.step([None])
    assert_equal([grad(y, [w])[0].numpy()], [[2, 4]])


def values_of(*networks):
    return [p.numpy().copy() for net in networks for p in net.parameters()]


@each_optimiser
def test_one_optimiser_of_two_networks_moves_as_two_would_and_goes_on_from_its_state(make):
    """As InfoGAN's, over G and the head that reads the codes."""
    together, apart, resumed = ([small_gan(), nn.Linear(3, 2, generator=Generator(5))] for _ in range(3))

    def stepped(opts, networks, steps):
        for step in steps:
            rng = Generator(step)
            given = [[Tensor(rng.normal(p.shape)) for p in net.parameters()] for net in networks]
            for opt, part in zip(opts, given if len(opts) == 2 else [[*given[0], *given[1]]], strict=True):
                opt.step(part)

    opt = make([p for net in together for p in net.parameters()])
    stepped([opt], together, range(2))
    state, weights = saved(opt.state_dict()), [copy.deepcopy(net.state_dict()) for net in together]
    stepped([opt], together, range(2, 4))
    stepped([make(net.parameters()) for net in apart], apart, range(4))
    for a, b in zip(values_of(*together), values_of(*apart), strict=True):
        assert_close(
            a, b, rtol=1e-6, atol=1e-7
        )  # the split of a run moves which entries are fused by vectors

    other = make([p for net in resumed for p in net.parameters()], 7.0)
    for net, w in zip(resumed, weights, strict=True):
        net.load_state_dict(w)
    other.load_state_dict(state)
    stepped([other], resumed, range(2, 4))
    assert_equal(values_of(*resumed), values_of(*together))


@pytest.mark.parametrize("steps", [0, 2])
def test_clamp_holds_all_parameters_of_all_networks(steps):
    params = parameters()
    opt, before = Adam(params), values(params)
    run(opt, range(steps))
    before = values(params)
    params[0].data = params[0].data.copy()  # taken in again
    strides = [p.data.strides for p in params]
    assert opt.clamp_(-0.1, 0.2) is None
    assert_equal(values(params), [a.clip(np.float32(-0.1), np.float32(0.2)) for a in before])
    assert [p.data.strides for p in params] == strides
    run(opt, range(2, 3))
    assert opt.steps == steps + 1


def test_clamp_is_seen_by_a_graph_that_saved_the_weights():
    w = nn.Parameter([1.0, 2.0])
    y = (w * w).sum()
    SGD([w], 0.1).clamp_(0, 1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1, -1), "SGD.clamp_: need low <= high, got 1 and -1"),
        ((None, 1), "SGD.clamp_: low must be a number, got None"),
        ((-1, math.nan), "SGD.clamp_: high must be finite, got nan"),
    ],
)
def test_bounds_that_are_none_are_refused(given, message):
    p = nn.Parameter([2.0])
    with pytest.raises((TypeError, ValueError), match=message):
        SGD([p], 0.1).clamp_(*given)
    assert p.item() == 2


# Copies

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda parts: pickle.loads(pickle.dumps(parts))}
each_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


def small_gan():
    """All that changes: convolutions lie channels-last, BatchNorm has statistics, dropout draws."""
    rng = Generator(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, generator=rng),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3, Generator(1)),
        nn.ConvTranspose2d(4, 2, 4, 2, 1, generator=rng),
        nn.Flatten(),
        nn.Linear(128, 3, generator=rng),
    )
    return net


def train(net, opt, schedule, average, rng, steps):
    losses = []
    for _ in range(steps):
        x, target = Tensor(rng.normal((4, 2, 4, 4))), Tensor(rng.normal((4, 3)))
        loss = ((net(x) - target) ** 2).mean()
        opt.step(grad(loss, net.parameters()))
        schedule.step()
        average.update()
        losses.append(loss.item())
    return losses


def all_of(net, opt, schedule, average, rng):
    return [
        *net.state_dict().values(),
        *opt.state_dict().values(),
        *schedule.state_dict().values(),
        *average.module.state_dict().values(),
        average.updates,
        *rng.state,
        *net[3].generator.state,
    ]


@each_optimiser
@each_copy
@pytest.mark.parametrize("steps", [0, 2])
def test_a_copy_of_all_parts_trains_to_the_same_bits_and_leaves_the_original_alone(make, copied, steps):
    net = small_gan()
    opt = make(net.parameters(), 0.01)
    parts = (
        net,
        opt,
        lr_scheduler.CosineAnnealingLR(opt, 5),
        ExponentialMovingAverage(net, 0.9),
        Generator(7),
    )
    train(*parts, steps)
    copies = copied(parts)
    before = copy.deepcopy(all_of(*parts))
    losses = train(*copies, 3)
    assert_equal(all_of(*parts), before)
    assert train(*parts, 3) == losses
    assert_equal(all_of(*copies), all_of(*parts))
    assert not np.array_equal(net[0].weight.numpy(), before[0])
    assert [p.data.strides for p in copies[0].parameters()] == [p.data.strides for p in net.parameters()]


@each_copy
def test_a_copied_optimiser_moves_the_copied_parameters_alone(copied):
    params = parameters()
    opt = SGD(params, 1.0)
    run(opt, range(1))
    before = values(params)
    params2, opt2 = copied((params, opt))
    assert all(p is q for p, q in zip(opt2.params, params2, strict=True))
    opt2.step([Tensor(np.ones(shape, np.float32)) for shape in SHAPES])
    assert_equal(values(params2), [a - 1 for a in before])
    assert_equal(values(params), before)


@each_copy
def test_a_copy_takes_the_gradients_and_the_hooks_along(copied):
    w = nn.Parameter([1.0, 2.0])
    w.register_hook(_doubled)
    (w * w).sum().backward(create_graph=True)
    opt = SGD([w], 1.0)
    w2, opt2 = copied((w, opt))
    opt.step()
    opt2.step()
    assert w2.tolist() == w.tolist() == [-3, -6]
    w2.grad = None
    w2.sum().backward()
    assert w2.grad.tolist() == [2, 2]


def _doubled(gradient):
    return gradient * 2.0


def test_a_shallow_copy_is_another_optimiser_of_the_same_parameters():
    params, expected = parameters(), parameters()
    opt = Adam(params)
    run(opt, range(2))
    twin = copy.copy(opt)
    state = saved(opt.state_dict())
    run(twin, range(2, 3))
    twin.register_step_pre_hook(lambda *_: pytest.fail("called"))
    for name, value in opt.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    run(Adam(expected), range(3))
    assert_equal(values(params), values(expected))
    run(opt, range(3, 4))
    assert (opt.steps, twin.steps) == (3, 3)


def test_a_copy_may_be_converted_before_its_first_step():
    net = nn.Linear(2, 2)
    opt = Adam(net.parameters())
    opt.step([Tensor(np.ones(p.shape, np.float32)) for p in net.parameters()])
    net2, opt2 = copy.deepcopy((net, opt))
    net2.to(np.float64)
    opt2.step([Tensor(np.ones(p.shape)) for p in net2.parameters()])
    assert {a.dtype for a in opt2.state_dict().values() if isinstance(a, np.ndarray)} == {
        np.dtype(np.float64)
    }
    opt.step([Tensor(np.ones(p.shape, np.float32)) for p in net.parameters()])
    assert_close(net2.weight, net.weight.numpy().astype(np.float64), rtol=1e-6)


def test_a_module_can_be_loaded_after_its_optimiser_was_made():
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    opt = SGD(net.parameters(), 1.0)
    net.load_state_dict(other.state_dict())
    opt.step([Tensor(np.ones(p.shape, np.float32)) for p in net.parameters()])
    np.testing.assert_array_equal(net.weight.data, other.weight.data - 1)


# State


@each_optimiser
def test_a_loaded_state_goes_on_to_the_same_bits(make):
    straight, params = parameters(), parameters()
    run(make(straight), range(6))

    first = make(params)
    run(first, range(3))
    resumed = make([nn.Parameter(a) for a in values(params)], lr=7.0)
    resumed.load_state_dict(saved(first.state_dict()))
    assert resumed.settings() == first.settings()
    run(resumed, range(3, 6))
    assert resumed.steps == 6
    assert_equal(values(resumed.params), values(straight))


@each_optimiser
def test_the_state_of_a_parameter_without_axes_is_loaded(make):
    first, second = nn.Parameter(1.0), nn.Parameter(1.0)
    opt, loaded = make([first]), make([second])
    opt.step([Tensor(2.0)])
    loaded.load_state_dict(saved(opt.state_dict()))
    assert loaded.state_dict() == opt.state_dict()


def test_a_rate_that_is_a_numpy_number_is_loaded():
    opt = Adam(parameters(), np.float64(0.5))
    opt.load_state_dict(Adam(parameters(), np.float32(0.25)).state_dict())
    assert opt.lr == 0.25


MISMATCHES = {
    "a name is missing": lambda state: state.pop("exp_avg.1"),
    "a name is unexpected": lambda state: state.update({"exp_avg.3": np.zeros(1)}),
    "a shape is another": lambda state: state.update({"exp_avg_sq.2": np.zeros((5, 2, 3, 1))}),
    "a setting is an array": lambda state: state.update({"beta1": np.zeros(2)}),
    "a setting is out of range": lambda state: state.update({"beta1": 1.0}),
    "a setting is no number": lambda state: state.update({"lr": "0.1"}),
    "a setting is not finite": lambda state: state.update({"lr": math.nan}),
    "the count is no integer": lambda state: state.update({"steps": 1.5}),
    "the count is negative": lambda state: state.update({"steps": -1}),
    "an array is complex": lambda state: state.update({"exp_avg.1": np.zeros(3, np.complex64)}),
    "an array is of integers": lambda state: state.update({"exp_avg.1": np.zeros(3, int)}),
    "an array is none": lambda state: state.update({"exp_avg_sq.2": None}),
}


@pytest.mark.parametrize("problem", MISMATCHES)
def test_a_state_that_does_not_fit_is_refused_with_nothing_changed(problem):
    opt, other = Adam(parameters()), Adam(parameters(), lr=0.5)
    run(opt, range(2))
    run(other, range(5))
    before, state = saved(opt.state_dict()), saved(other.state_dict())
    MISMATCHES[problem](state)
    with pytest.raises(ValueError, match="Adam: "):
        opt.load_state_dict(state)
    assert opt.state_dict().keys() == before.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(opt.state_dict()[name], value)


def test_what_does_not_fit_is_named():
    state = {**Adam(parameters()).state_dict(), "lr": "fast", "exp_avg.1": np.zeros(3, complex)}
    with pytest.raises(
        ValueError, match=r"lr must be a number, got 'fast'; exp_avg.1 is complex128, expected float32"
    ):
        Adam(parameters()).load_state_dict(state)
    with pytest.raises(TypeError, match="Adam: a state is a dict of arrays by name, got None"):
        Adam(parameters()).load_state_dict(None)


def test_a_state_is_loaded_from_a_file_of_numpys(tmp_path):
    opt, loaded = Adam(parameters(), 0.5), Adam(parameters())
    run(opt, range(2))
    np.savez(tmp_path / "opt.npz", **opt.state_dict())
    with np.load(tmp_path / "opt.npz") as state:
        loaded.load_state_dict(state)
    assert (loaded.steps, loaded.lr) == (2, 0.5)
    assert type(loaded.steps) is int
    assert_equal(loaded.state_dict().values(), opt.state_dict().values())


@pytest.mark.parametrize(
    "change", [{"n": -1}, {"n": 1.5}, {"base": "0.1"}, {"base": math.inf}, {"gamma": 1.0}, None, {"n": None}]
)
def test_a_schedule_refuses_a_state_that_does_not_fit(change):
    schedule = lr_scheduler.StepLR(SGD(parameters(), 0.8), 2)
    schedule.step()
    with pytest.raises((TypeError, ValueError), match="StepLR: "):
        schedule.load_state_dict(None if change is None else {"base": 0.5, "n": 3, **change})
    assert schedule.state_dict() == {"base": 0.8, "n": 1}
    assert schedule.optimizer.lr == 0.8


def test_a_state_of_another_optimiser_is_refused():
    with pytest.raises(
        ValueError,
        match=r"SGD: the state .* momentum is missing; dampening is missing; alpha is unexpected; eps is",
    ):
        SGD(parameters(), 0.1).load_state_dict(RMSprop(parameters()).state_dict())


def averaged(updates, networks=2):
    """An average of several networks, and the networks."""
    parts = [small_gan() for _ in range(networks)]
    net = nn.ModuleDict(dict(zip("FG", parts, strict=False)))
    average = ExponentialMovingAverage(net, 0.9)
    for n in range(updates):
        follow(average, n)
    return average


def follow(average, n):
    for p in average.network.parameters():
        p.data += Generator(n).normal(p.shape)
    average.update()


def test_several_networks_are_averaged_together_as_each_would_be_alone():
    together = averaged(3)
    for name in "FG":
        alone = ExponentialMovingAverage(small_gan(), 0.9)
        for n in range(3):
            follow(alone, n)
        assert_equal(together.module[name].state_dict().values(), alone.module.state_dict().values())
    names = set(small_gan().state_dict())
    assert set(together.state_dict()) == {f"{net}.{name}" for net in "FG" for name in names} | {"updates"}


def test_a_loaded_average_goes_on_to_the_same_bits(tmp_path):
    straight, first, resumed = averaged(4), averaged(2), averaged(0)
    np.savez(tmp_path / "average.npz", **first.state_dict())
    resumed.network.load_state_dict(first.network.state_dict())
    with np.load(tmp_path / "average.npz") as state:
        resumed.load_state_dict(state)
    assert resumed.updates == 2
    assert type(resumed.updates) is int
    for n in (2, 3):
        follow(resumed, n)
    assert_equal(resumed.state_dict().values(), straight.state_dict().values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"updates": None}, "updates must be an integer, got None"),
        ({"updates": -1}, "updates must be at least 0, got -1"),
        ({"F.0.bias": np.zeros(3)}, r"F.0.bias has shape \(3,\), expected \(4,\)"),
        ({"F.0.bias": None}, "F.0.bias cannot be used"),
        ({"F.9.bias": np.zeros(3)}, "F.9.bias is unexpected"),
        ("updates", "updates is missing"),
        ("G.1.running_var", "G.1.running_var is missing"),
    ],
)
def test_an_average_refuses_a_state_that_does_not_fit(change, message):
    average = averaged(2)
    before, state = copy.deepcopy(average.state_dict()), averaged(3).state_dict()
    state.update(change) if isinstance(change, dict) else state.pop(change)
    with pytest.raises(ValueError, match=f"ExponentialMovingAverage: the state does not fit: {message}"):
        average.load_state_dict(state)
    assert_equal(average.state_dict().values(), before.values())
    with pytest.raises(TypeError, match="ExponentialMovingAverage: a state is a dict"):
        average.load_state_dict(None)


def test_a_network_whose_tensor_is_called_as_the_count_is_refused():
    net = nn.Module()
    net.updates = nn.Parameter([1.0])
    with pytest.raises(ValueError, match="calls a tensor 'updates'"):
        ExponentialMovingAverage(net, 0.9)


# What cannot be optimised


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (SGD, {"lr": -0.1}, "SGD: lr must be at least 0, got -0.1"),
        (SGD, {"lr": math.nan}, "SGD: lr must be at least 0, got nan"),
        (SGD, {"momentum": -1}, "SGD: momentum must be at least 0"),
        (SGD, {"weight_decay": -1}, "SGD: weight_decay must be at least 0"),
        (SGD, {"nesterov": True}, "nesterov needs a momentum, and no dampening"),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs a momentum, and no"),
        (RMSprop, {"alpha": -1}, "RMSprop: alpha must be at least 0"),
        (RMSprop, {"eps": -1}, "RMSprop: eps must be at least 0"),
        (Adam, {"eps": -1}, "Adam: eps must be at least 0"),
        (Adam, {"betas": (1.0, 0.9)}, r"Adam: betas must be in \[0, 1\), got 1.0"),
        (Adam, {"betas": (0.9, -0.1)}, r"Adam: betas must be in \[0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(parameters(), **{"lr": 0.1, **settings})


UNFIT = {
    "no parameters were given": lambda params: [],
    "a parameter was given twice": lambda params: [*params, params[0]],
    "parameters of several dtypes: float32, float64": lambda params: [*params, nn.Parameter(np.zeros(2))],
}


@each_optimiser
@pytest.mark.parametrize("problem", UNFIT)
def test_parameters_that_do_not_fit_together_are_refused_and_left_alone(make, problem):
    params = parameters()
    arrays = [p.data for p in params]
    with pytest.raises(ValueError, match=problem):
        make(UNFIT[problem](params))
    assert all(p.data is a for p, a in zip(params, arrays, strict=True))


def test_repr_shows_the_settings():
    opt = Adam(parameters(), 2e-4, betas=(0.5, 0.999))
    assert repr(opt) == "Adam(105 parameters, lr=0.0002, weight_decay=0, beta1=0.5, beta2=0.999, eps=1e-08)"


# Schedules

SCHEDULES = {  # how to make one, and its first rates for a base of 0.8
    "lambda": (lambda opt: lr_scheduler.LambdaLR(opt, lambda n: 1 / (1 + n)), [0.8, 0.4, 0.8 / 3, 0.2]),
    "step": (lambda opt: lr_scheduler.StepLR(opt, 2, 0.5), [0.8, 0.8, 0.4, 0.4, 0.2]),
    "exponential": (lambda opt: lr_scheduler.ExponentialLR(opt, 0.5), [0.8, 0.4, 0.2, 0.1]),
    "linear": (lambda opt: lr_scheduler.LinearLR(opt, 0.25, 0.75, 2), [0.2, 0.4, 0.6, 0.6, 0.6]),
    "cosine": (lambda opt: lr_scheduler.CosineAnnealingLR(opt, 2, 0.2), [0.8, 0.5, 0.2]),
}
each_schedule = pytest.mark.parametrize(("make", "expected"), SCHEDULES.values(), ids=SCHEDULES)


def rates(schedule, count):
    """The next `count` rates, each read before the step to the one after it."""
    found = []
    for _ in range(count):
        found.append(schedule.optimizer.lr)
        schedule.step()
    return found


@each_schedule
def test_rates_of_a_schedule(make, expected):
    assert rates(make(SGD(parameters(), 0.8)), len(expected)) == pytest.approx(expected, rel=1e-12)


@each_schedule
def test_a_loaded_schedule_goes_on_with_the_same_rates(make, expected):
    schedule = make(SGD(parameters(), 0.8))
    rates(schedule, 1)
    # A resumed optimiser has the rate of its last step, not the one it began with.
    resumed = make(SGD(parameters(), 0.3))
    resumed.load_state_dict(schedule.state_dict())
    assert rates(resumed, len(expected) - 1) == pytest.approx(expected[1:], rel=1e-12)


def test_a_linear_schedule_ends_in_its_last_factor_itself():
    """0.1 + (0 - 0.1) · 3 / 3 is below 0, a rate that would not be loaded again."""
    opt = SGD(parameters(), 1.0)
    schedule = lr_scheduler.LinearLR(opt, 0.1, 0.0, 3)
    assert rates(schedule, 5)[3:] == [0, 0]
    opt.load_state_dict(opt.state_dict())


@pytest.mark.parametrize("lr", ["0.1", None, True, math.nan, math.inf, -0.1, np.ones(1)])
def test_a_rate_that_is_none_is_refused_when_it_is_set(lr):
    opt = SGD(parameters(), 0.5)
    with pytest.raises((TypeError, ValueError), match="SGD: lr must be "):
        opt.lr = lr
    assert opt.lr == 0.5


def test_a_schedule_from_zero_stays_at_zero():
    assert rates(lr_scheduler.CosineAnnealingLR(SGD(parameters(), 0.0), 4), 3) == [0, 0, 0]


@pytest.mark.parametrize("n", [10, 100_000])
def test_parameters_as_gradients_are_read_before_any_of_them_moves(n):
    p, q = (Tensor(np.full(n, v, np.float32), requires_grad=True) for v in (1.0, 2.0))
    SGD([p, q], lr=1.0).step([q.detach(), p.detach()])
    np.testing.assert_array_equal(p.numpy(), np.full(n, -1, np.float32))
    np.testing.assert_array_equal(q.numpy(), np.full(n, 1, np.float32))


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_and_small_gradients_in_any_memory_order(order):
    rng = np.random.default_rng(0)
    shapes = [(3,), (300, 200), (200,), (5, 4), (200, 300)]
    values, steps = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    params = [Tensor(v.copy(), requires_grad=True) for v in values]
    SGD(params, lr=0.5).step([Tensor(np.array(g, order=order)) for g in steps])
    for p, v, g in zip(params, values, steps, strict=True):
        np.testing.assert_allclose(p.numpy(), v - 0.5 * g)
