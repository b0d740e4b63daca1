"""Reverse-mode differentiation: from outputs back to inputs, along the paths that join them.

A place in the graph is the Function that made a tensor, or a leaf tensor itself. Functions are
numbered as they are called, so that descending numbers are an order in which every op comes after
all its users: the walk is a loop over a sorted list, however deep the graph.
"""

import copy
from collections.abc import Iterable, Sequence
from operator import attrgetter

from minigan import backend
from minigan.errors import NonFiniteError
from minigan_kernels import array_module

from .function import as_array, describe, is_finite, out_of_memory, version_of_view
from .modes import mode, no_grad, set_grad_enabled
from .tensor import Operand, Tensor


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Operand | Sequence[Operand] | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of `outputs` in `inputs`: Σ grad_outputs · ∂outputs/∂inputs.

    outputs, inputs: a Tensor or a sequence of them. Inputs may stand anywhere in the graph; only
        the paths that lead to them are walked.
    grad_outputs: one Tensor or array of real numbers per output, of its shape, cast to its dtype; None
        means one, for an output of one element.
    create_graph: record the walk, so that the gradients can be differentiated in their turn.
    allow_unused: give None for an input that the outputs do not depend on, instead of raising.

    Returns a tuple with one Tensor per input. Raises RuntimeError when an output does not require
    a gradient, an input was not used, or a saved tensor was changed in place.
    """
    outputs, inputs = _sequence(outputs), _sequence(inputs)
    for x in (*outputs, *inputs):
        if not isinstance(x, Tensor):
            kind = type(x).__name__
            raise TypeError(f"grad: outputs and inputs are Tensors, such as net.parameters(); got {kind}")
    for x in inputs:
        if not x.requires_grad:
            raise RuntimeError(f"grad: an input of shape {x.shape} does not require a gradient")
    places = [_place(x) for x in inputs]
    found = _walk(outputs, _seeds(outputs, grad_outputs), set(places), create_graph)
    gradients = tuple(found.get(place) for place in places)
    for x, g in zip(inputs, gradients, strict=True):
        if g is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on an input of shape {x.shape}; "
                f"allow_unused=True gives None for it"
            )
    return gradients


def backward(self: Tensor, gradient: Operand | None = None, create_graph: bool = False) -> None:
    """Add the gradient of this tensor in every leaf it depends on to that leaf's `grad`.

    gradient: what to start from, of this tensor's shape, cast to its dtype; None for a tensor of one element.
    """
    outputs = (self,)
    found = _walk(outputs, _seeds(outputs, (gradient,)), None, create_graph)
    with set_grad_enabled(create_graph):
        for leaf, g in found.items():
            # Memory of its own: an op may give one array to several inputs.
            leaf.grad = g * 1.0 if leaf.grad is None else leaf.grad + g


Tensor.backward = backward  # type: ignore[method-assign, assignment]


def _walk(outputs, seeds, wanted, create_graph):
    """{place: gradient} for the places in `wanted`, None for all leaves, that the outputs depend on."""
    ops, leaves = _ancestors(outputs)
    wanted = set(leaves) if wanted is None else wanted
    useful = set(wanted)  # the wanted places, and every op downstream of one
    order = []  # those ops, with which of their inputs are useful
    for node in ops:
        ways = tuple([parent in useful for parent in node.parents])
        if True in ways or node in wanted:
            useful.add(node)
            order.append((node, ways))

    pending, found = {}, {}
    with set_grad_enabled(create_graph), backend.beside(outputs[0].data):
        for y, seed in zip(outputs, seeds, strict=True):
            _add(pending, _place(y), seed if seed.dtype == y.dtype else seed.to(y.dtype))
        for node, ways in reversed(order):
            gy = pending.pop(node, None)
            if gy is None:
                continue
            if node.hooks:
                gy = _hooked(node, gy)
            if node in wanted:
                found[node] = gy
            if True in ways:
                node.wanted = ways
                _pass_on(node, gy, pending, create_graph)
        for place, g in pending.items():
            if place in wanted:  # a leaf: no op made it
                found[place] = _hooked(place, g)
    return found


def _pass_on(node, gy, pending, create_graph):
    """Add the gradients of a node's wanted inputs to those pending, in the shape and dtype of each input."""
    short_cut = node.first_order is not None and not create_graph
    try:
        gradients = node.first_order(gy.data, *node.saved_arrays()) if short_cut else node.backward(gy)
    except NonFiniteError as error:  # an op of the backward: say whose gradient that was
        raise NonFiniteError(f"the gradient of {describe(node)} is not finite: {error}") from None
    except MemoryError as error:
        what = f"the gradient of {describe(node)}"
        if short_cut:
            raise MemoryError(out_of_memory(what, [gy.data], error)) from None
        raise MemoryError(f"{what}, of shape {gy.shape}: {error}") from None  # an op of the backward said it
    if not isinstance(gradients, (tuple, list)):
        gradients = (gradients,)
    if len(gradients) != len(node.parents):
        raise RuntimeError(
            f"{describe(node)} has {len(node.parents)} inputs, its backward gave {len(gradients)} gradients"
        )
    for i, g in enumerate(gradients):
        if g is None or not node.wanted[i]:
            continue
        if short_cut:
            g = as_array(g)
            g = Tensor.made_by(None, g, version_of_view(g, (gy,)))
        elif not isinstance(g, Tensor):
            raise TypeError(f"the backward of {describe(node)} must give Tensors, it gave {type(g).__name__}")
        if mode.anomaly and not is_finite(g.data):
            raise NonFiniteError(f"the gradient of {describe(node)} in its input {i} is not finite")
        if g.data.shape != node.shapes[i]:
            g = g.sum_to(node.shapes[i])
        if g.data.dtype != node.dtypes[i]:
            g = g.to(node.dtypes[i])
        _add(pending, node.parents[i], g)


def _add(pending, place, g):
    before = pending.get(place)
    pending[place] = g if before is None else before + g


def _hooked(place, g):
    for hook in place.hooks or ():
        replaced = hook(g)
        g = g if replaced is None else _replacement(replaced, g)
    return g


def _replacement(replaced, g):
    """What a hook gave in the place of the gradient `g`: a Tensor of its shape, in its dtype."""
    if not isinstance(replaced, Tensor):
        kind = type(replaced).__name__
        raise TypeError(f"a hook gives a Tensor in the place of a gradient, or None; it gave a {kind}")
    if replaced.shape != g.shape:
        raise ValueError(f"a hook gave a gradient of shape {replaced.shape} in the place of one of {g.shape}")
    backend.one_device("a gradient and what a hook gave in its place", (g.data, replaced.data))
    return replaced if replaced.dtype == g.dtype else replaced.to(g.dtype)


def _place(tensor):
    return tensor if tensor.creator is None else tensor.creator


def _ancestors(tensors):
    """What `tensors` were computed from: the ops, in the order in which they ran, and the leaves."""
    stack = [_place(x) for x in tensors]
    seen, ops, leaves = set(stack), [], []
    stack = list(seen)
    while stack:
        place = stack.pop()
        if isinstance(place, Tensor):
            leaves.append(place)
            continue
        ops.append(place)
        for parent in place.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    ops.sort(key=attrgetter("serial"))
    return ops, leaves


def _seeds(outputs, grad_outputs):
    given = [None] * len(outputs) if grad_outputs is None else _sequence(grad_outputs)
    if len(given) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs, but {len(given)} grad_outputs")
    seeds = []
    for y, seed in zip(outputs, given, strict=True):
        if not y.requires_grad:
            raise RuntimeError(
                f"grad: an output of shape {y.shape} does not require a gradient: "
                f"none of what it was computed from does, or it was computed under no_grad()"
            )
        if mode.check_roots and not is_finite(y.data):
            raise NonFiniteError(blame(y))
        if seed is None:
            if y.data.size != 1:
                raise RuntimeError(
                    f"grad: an output of shape {y.shape} has no single gradient; reduce it to one value "
                    f"or give grad_outputs"
                )
            with backend.beside(y.data):
                seed = array_module(y.data).ones_like(y.data)
        try:
            seed = seed if isinstance(seed, Tensor) else Tensor(seed)
        except (TypeError, ValueError) as error:
            raise TypeError(f"grad: grad_outputs are arrays or Tensors of real numbers: {error}") from None
        if backend.gpu_in_use():
            backend.one_device("grad: an output and its grad_outputs", (y.data, seed.data))
        if seed.shape != y.shape:
            raise ValueError(f"grad: grad_outputs of shape {seed.shape} for an output of shape {y.shape}")
        seeds.append(seed)
    return seeds


def _sequence(tensors):
    if isinstance(tensors, (list, tuple)):
        return tuple(tensors)
    single = isinstance(tensors, Tensor) or hasattr(tensors, "dtype") or not isinstance(tensors, Iterable)
    return (tensors,) if single else tuple(tensors)


# Finding the culprit.


def blame(tensor: Tensor) -> str:
    """One sentence on the first op behind `tensor` that made a value that is not finite.

    The ops are looked at in the order in which they ran. One that saved its inputs is run again;
    of one that saved its output that is looked at. Ops that saved nothing (sums, views) only pass
    on what they were given, and are skipped.
    """
    ops, _ = _ancestors([tensor])
    for node in ops:
        inputs = node.inputs if "inputs" in node.saves else (None,) * len(node.parents)
        for parent, x in zip(node.parents, inputs, strict=True):
            given = parent if isinstance(parent, Tensor) else x if parent is None else None
            given = given.data if isinstance(given, Tensor) else given
            if given is not None and hasattr(given, "dtype") and not is_finite(given):
                return (
                    f"a weight or input of shape {given.shape}, given to {describe(node)}, is not finite: "
                    f"an earlier update or the data spoiled it"
                )
        if "inputs" in node.saves:
            with no_grad():
                made = copy.copy(node).forward(*[x.data if isinstance(x, Tensor) else x for x in inputs])
        elif "output" in node.saves:
            made = node.output.data
        else:
            continue
        if not is_finite(made):
            return f"the loss is not finite: {describe(node)} is the first op that made such a value"
    return "the loss is not finite: a sum or a view of finite values overflowed"
