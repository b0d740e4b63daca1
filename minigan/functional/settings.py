"""Settings of ops, such as a slope or an axis, are constants: a gradient would end in them without a word."""

import functools
import inspect

from minigan.autograd import Tensor, is_grad_enabled

# The arguments of ops that are recorded, or that are integers and masks, which have no gradient. All other
# arguments, and so those of an op that is still to be written, are settings.
RECORDED = {"a", "b", "x", "gy", "w", "weight", "bias", "min", "max", "tensors", "operands"}
RECORDED |= {"input", "target", "condition", "index", "key", "labels", "mask"}
RECORDED |= {"logits", "styles", "hard", "soft", "x1", "x2"}


def refusal(op):
    """(refuse, the number of the first setting of `op`): refuse(args, kwargs) raises TypeError for a tensor
    that requires a gradient in the place of a setting. (None, 0) of an op without settings."""
    parameters = inspect.signature(op).parameters
    names = [name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    rest = next((name for name, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
    first = next((i for i, name in enumerate(parameters) if name not in RECORDED), None)
    if first is None:
        return None, 0

    def refuse(args, kwargs):
        for i, value in enumerate(args[first:], start=first):
            if isinstance(value, CARRIERS):
                _refuse(op.__name__, names[i] if i < len(names) else rest, value)
        for name, value in kwargs.items():
            if isinstance(value, CARRIERS):
                _refuse(op.__name__, name, value)

    return refuse, first


def with_settings(op):
    """`op`, with that refusal."""
    refuse, first = refusal(op)
    if refuse is None:
        return op

    @functools.wraps(op)
    def guarded(*args, **kwargs):
        if kwargs or len(args) > first:
            refuse(args, kwargs)
        return op(*args, **kwargs)

    return guarded


CARRIERS = Tensor, tuple, list


def _refuse(op, name, value):
    """TypeError if `value`, the argument `name` of `op`, is a setting with a gradient to lose."""
    if name in RECORDED:
        return
    for part in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(part, Tensor) and part.requires_grad and is_grad_enabled():
            raise TypeError(
                f"{op}: {name} is a setting and has no gradient, but the tensor given for it requires one; "
                f"give a constant, such as {name}.detach()"
            )
