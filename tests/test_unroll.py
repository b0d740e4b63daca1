"""Steps of an optimiser that can be differentiated: the same numbers as its own, and the right slopes."""

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, enable_grad, grad, nn
from minigan.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from minigan.testing import assert_close, check_grads

MAKERS = {
    "sgd": lambda params: SGD(params, 0.1, weight_decay=0.1),
    "momentum": lambda params: SGD(params, 0.1, momentum=0.9, dampening=0.2),
    "nesterov": lambda params: SGD(params, 0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "rmsprop": lambda params: RMSprop(params, 0.1, weight_decay=0.1),
    "adam": lambda params: Adam(params, 0.1, betas=(0.5, 0.99), weight_decay=0.1),
    "adamw": lambda params: AdamW(params, 0.1, weight_decay=0.1),
}
each_optimiser = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
SHAPES = (4, 3), (), (2, 3, 3, 3)


def parameters(dtype=np.float64):
    """Three parameters; the last is channels-last in memory."""
    arrays = [Generator(7).normal(shape, dtype=dtype) for shape in SHAPES]
    arrays[2] = np.ascontiguousarray(arrays[2].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return [nn.Parameter(a) for a in arrays]


def gradients(step, dtype=np.float64):
    return [Tensor(Generator(100 + step).normal(shape, dtype=dtype)) for shape in SHAPES]


@pytest.mark.parametrize("before", [0, 3])
@each_optimiser
def test_steps_ahead_are_those_that_the_optimiser_then_takes(make, before):
    params = parameters()
    opt = make(params)
    for step in range(before):
        opt.step(gradients(step))
    untouched = {k: np.copy(v) for k, v in opt.state_dict().items()}
    start, ahead = [p.numpy().copy() for p in params], opt.unroll()
    for step in range(before, before + 4):
        ahead = ahead.step(gradients(step))
    for p, a in zip(params, start, strict=True):
        np.testing.assert_array_equal(p.numpy(), a)
    for name, value in opt.state_dict().items():
        np.testing.assert_array_equal(value, untouched[name], err_msg=name)
    for step in range(before, before + 4):
        opt.step(gradients(step))
    for found, p in zip(ahead.params, params, strict=True):
        assert found.dtype == p.dtype
        assert_close(found, p.numpy(), rtol=1e-14, atol=1e-14)


@each_optimiser
def test_gradients_go_through_the_steps_to_second_order(make):
    start = Generator(1).normal(5, dtype=np.float64)
    opt = make([nn.Parameter(start)])
    opt.step([Tensor(Generator(2).normal(5, dtype=np.float64))])
    weight = Tensor(Generator(3).normal((5, 5), dtype=np.float64))

    def after_three_steps(target):
        ahead = opt.unroll()
        for _ in range(3):
            with enable_grad():
                (w,) = ahead.params
                loss = ((weight @ w.reshape(5, 1)).tanh().reshape(5) - target) ** 2
                ahead = ahead.step(grad(loss.sum(), ahead.params, create_graph=True))
        return (ahead.params[0] ** 2).sum()

    check_grads(after_three_steps, [Generator(4).normal(5, dtype=np.float64)], order=2)


def test_an_entry_that_never_had_a_gradient_has_a_finite_slope():
    """As the weights of a unit that is dead: √v has no slope at 0, the step of such an entry is flat."""
    for make in (Adam, RMSprop):
        w, x = nn.Parameter(np.ones(2)), Tensor(np.array([0.0, 1.0])).requires_grad_()
        ahead = make([w], 0.1).unroll()
        for _ in range(2):
            ahead = ahead.step(grad((ahead.params[0] ** 2 * x).sum(), ahead.params, create_graph=True))
        (slope,) = grad(ahead.params[0].sum(), x)
        assert np.isfinite(slope.numpy()).all()


def test_a_rate_of_its_own_and_a_parameter_without_a_gradient():
    a, b = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    ahead = SGD([a, b], 0.1, momentum=0.5).unroll(lr=2.0).step([Tensor(np.ones(2)), None])
    assert [p.tolist() for p in ahead.params] == [[-1, -1], [1, 1]]
    assert ahead.params[1] is b
    assert a.tolist() == [1, 1]


def test_float32_stays_float32():
    opt = Adam(parameters(np.float32), 0.1)
    opt.step(gradients(0, np.float32))
    assert {p.dtype for p in opt.unroll().step(gradients(1, np.float32)).params} == {np.dtype(np.float32)}


class Sign(Optimizer):
    def _update(self, p, g, state):
        p -= self.lr * np.sign(g)


class Other(Adam):
    """Another step than Adam's, which must not be unrolled as Adam's."""

    def _update(self, p, g, state):
        p -= g


@pytest.mark.parametrize("kind", [Sign, Other])
def test_a_step_that_cannot_be_differentiated_is_refused(kind):
    with pytest.raises(MiniganError, match=f"a step of {kind.__name__} cannot be differentiated; those of"):
        kind([nn.Parameter(np.ones(2))], 0.1).unroll()


def test_what_does_not_fit_is_refused():
    ahead, g = SGD([nn.Parameter(np.ones(2))], 0.1).unroll(), Tensor(np.ones(2))
    with pytest.raises(ValueError, match=r"SGD\.unroll: 1 parameters, but 2 gradients"):
        ahead.step([g, g])
    with pytest.raises(ValueError, match=r"the gradient of parameter 0 has shape \(3,\), not \(2,\)"):
        ahead.step([Tensor(np.ones(3))])
    with pytest.raises(TypeError, match="gradients is a list of Tensors"):
        ahead.step(g)
    with pytest.raises(TypeError, match="number 0 is"):
        ahead.step([np.ones(2)])
    with pytest.raises(ValueError, match="lr"):
        SGD([nn.Parameter(np.ones(2))], 0.1).unroll(lr=-1.0)
