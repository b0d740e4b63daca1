"""All that a layer, a network or an optimiser has to keep to, in one call."""

import copy
from collections.abc import Callable, Sequence

import numpy as np

from minigan.autograd import Tensor
from minigan.nn import Module, Parameter, functional_call
from minigan.optim import Optimizer

from .assert_close import assert_close
from .check_grads import check_grads
from .check_op import check_float32, check_layouts, check_manners, value_and_gradients


def check_module(
    module: Module, inputs: Sequence[Tensor | np.ndarray], order: int = 2, seed: int = 0
) -> float:
    """Check a module's derivatives in its inputs and in every parameter, and its manners.

    module: of any floating dtype; it is copied, and the copy converted to float64. In training mode
        its running statistics may move, but its output must not depend on them.
    inputs: the float64 arrays to call it on, smooth around them.

    Checks derivatives up to `order` (`check_grads`), float32, memory layouts, that inputs are not
    changed, and that `state_dict` and `load_state_dict` carry all that the output depends on.
    Returns the largest relative error of a derivative. Errors as `check_op`.
    """
    exact = copy.deepcopy(module).to(np.float64)
    names = [name for name, _ in exact.named_parameters()]
    arrays = [np.asarray(x, dtype=np.float64) for x in inputs]
    weights = [p.data.copy() for p in exact.parameters()]
    n = len(arrays)

    def f(*tensors):
        return functional_call(exact, dict(zip(names, tensors[n:], strict=True)), *tensors[:n])

    everything = arrays + weights
    worst = check_grads(f, everything, order=order, seed=seed, allow_unused=True)
    expected = value_and_gradients(f, everything, seed)
    check_manners(f, everything, seed)
    check_layouts(f, everything, expected, seed)

    other = copy.deepcopy(exact)
    for p in other.parameters():
        p.data = p.data + 1
    other.load_state_dict({name: a.copy() for name, a in exact.state_dict().items()})
    assert_close(other(*map(Tensor, arrays)), exact(*map(Tensor, arrays)))

    exact.to(np.float32)
    check_float32(f, everything, expected, seed)
    return worst


def check_optimizer(make: Callable[[list[Parameter]], Optimizer], steps: int = 5, seed: int = 0) -> None:
    """Check an optimiser: that it descends, can be saved, and leaves alone what has no gradient.

    make: takes a list of parameters, returns an optimiser of them.

    Raises AssertionError with what was wrong.
    """
    target = np.random.default_rng(seed).standard_normal((3, 4)).astype(np.float32)

    def begin():
        p, idle = Parameter(np.zeros((3, 4), np.float32)), Parameter(np.ones(2, np.float32))
        return p, idle, make([p, idle])

    def descend(p, optimizer, n):
        for _ in range(n):
            optimizer.step([Tensor(p.data - target), None])

    def distance(p):
        return float(np.abs(p.data - target).sum())

    p, idle, optimizer = begin()
    descend(p, optimizer, steps)
    assert distance(p) < float(np.abs(target).sum()), f"{optimizer} does not descend a quadratic bowl"
    assert p.dtype == np.float32, f"{optimizer} turned float32 into {p.dtype}"
    assert (idle.data == 1).all(), f"{optimizer} moved a parameter without a gradient"

    q, _, resumed = begin()
    q.data[...] = p.data
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    descend(p, optimizer, steps)
    descend(q, resumed, steps)
    assert np.array_equal(p.data, q.data), f"{optimizer} goes on differently after its state was loaded"
