"""Optimisers: they descend, own one flat buffer, save all they know, refuse what does not fit."""

import math

import numpy as np
import pytest

from minigan import Generator, Tensor, grad, nn
from minigan.optim import SGD, Adam, RMSprop, lr_scheduler
from minigan.testing import assert_close

OPTIMISERS = {
    "sgd": lambda params, lr=0.1: SGD(params, lr),
    "decay": lambda params, lr=0.1: SGD(params, lr, weight_decay=0.1),
    "momentum": lambda params, lr=0.1: SGD(params, lr, momentum=0.9, dampening=0.2),
    "nesterov": lambda params, lr=0.1: SGD(params, lr, momentum=0.9, nesterov=True),
    "rmsprop": lambda params, lr=0.1: RMSprop(params, lr),
    "adam": lambda params, lr=0.1: Adam(params, lr, weight_decay=0.1),
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
    Adam(params)
    buffers = [p.data.base for p in params]
    assert all(b is buffers[0] for b in buffers)
    assert buffers[0].shape == (sum(p.numel() for p in params),)
    assert_equal(values(params), before)
    assert [p.data.strides for p in params] == strides


def test_the_state_is_of_copies_in_c_order_and_in_the_shapes_of_the_parameters():
    params = parameters()
    opt = Adam(params)
    state = opt.state_dict()
    for i, p in enumerate(params):
        for name in ("exp_avg", "exp_avg_sq"):
            array = state[f"{name}.{i}"]
            assert array.shape == p.shape
            assert array.flags.carray
            assert not np.shares_memory(array, opt._state[name])


def test_a_parameter_that_was_given_another_array_is_refused():
    net = nn.Linear(2, 2)
    opt = Adam(net.parameters())
    net.to(np.float64)
    with pytest.raises(RuntimeError, match="parameter 0 was given another array"):
        opt.step([None, None])


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


def test_a_state_of_another_optimiser_is_refused():
    with pytest.raises(
        ValueError, match=r"SGD: .* missing \['dampening', 'momentum'\], unexpected \['alpha'"
    ):
        SGD(parameters(), 0.1).load_state_dict(RMSprop(parameters()).state_dict())


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
        (Adam, {"betas": (1.0, 0.9)}, r"Adam: betas must be in \[0, 1\), got \(1.0, 0.9\)"),
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
