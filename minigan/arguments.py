"""What the arguments of public calls may be, by name: a name means one thing everywhere.

Layers and the like, which are made once, look at all that they are given: `checked`. Ops are called a hundred
times a step, so they look only once one has failed, to say which argument it was: `explained`.
"""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TypeVar

import numpy as np

from minigan import backend
from minigan.autograd import Tensor
from minigan.checks import is_integer, is_number, shown
from minigan.errors import MiniganError
from minigan.random import Generator


@dataclass(frozen=True)
class Kind:
    """phrase: what an argument must be. is_one: whether a value is of that kind. fits: and in its range."""

    phrase: str
    is_one: Callable
    fits: Callable = lambda value: True

    def check(self, who, name, value):
        """TypeError or ValueError, in one sentence, unless `value` is what the argument must be."""
        if not (right := self.is_one(value)) or not self.fits(value):
            raise (ValueError if right else TypeError)(
                f"{who}: {name} must be {self.phrase}, got {shown(value)}"
            )


def _is_operand(value):
    return isinstance(value, (Tensor, Real, np.generic)) or backend.is_array(value)


def _is_dtype(value):
    try:
        return value is not None and np.dtype(value) is not None
    except TypeError:
        return False


def _several(is_one):
    return lambda value: isinstance(value, (tuple, list)) and all(map(is_one, value))


def _letter(value):
    """The letter of a value's dtype: "f", "i", ...; "O" for lists that are no array."""
    value = value.data if isinstance(value, Tensor) else value
    try:
        return (value if backend.is_array(value) else np.asarray(value)).dtype.kind
    except ValueError:  # of rows of different lengths
        return "O"


def integer(at_least: int) -> Kind:
    """The kind of an integer of at least `at_least`."""
    return Kind(f"an integer of at least {at_least}", is_integer, lambda n: n >= at_least)


def sizes(at_least: int, *counts: int) -> Kind:
    """An integer for all axes, or one for each: of any number of axes, or of `counts` of them."""
    number = " or ".join(("one", "two", "three", "four")[n - 1] for n in counts) if counts else "one an axis"
    return Kind(
        f"an integer of at least {at_least}" + f", or {number}" * (counts != (1,)),
        lambda value: (
            is_integer(value) or (_several(is_integer)(value) and (not counts or len(value) in counts))
        ),
        lambda value: min(value if isinstance(value, (tuple, list)) else [value], default=-1) >= at_least,
    )


def pair(at_least: int) -> Kind:
    """The kind of sizes of the rows and the columns of an image: one for both, or two."""
    return sizes(at_least, 2)


def window(*counts: int) -> dict:
    """The arguments of a window over so many axes, by name; over any number of them by default."""
    kinds = dict.fromkeys(("kernel_size", "stride", "dilation"), sizes(1, *counts))
    return {**kinds, **dict.fromkeys(("padding", "output_padding"), sizes(0, *counts))}


def number(which="", fits=lambda value: True) -> Kind:
    """The kind of a finite number that `fits`; `which` says which those are, as " of at least 0"."""
    return Kind(f"a finite number{which}", is_number, lambda value: np.isfinite(value) and fits(value))


def one_of(*names: str) -> Kind:
    """The kind of a text that is one of `names`."""

    phrase = f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
    return Kind(phrase, lambda value: isinstance(value, str), lambda value: value in names)


def instance(kind: type, phrase: str) -> Kind:
    """The kind of what is an instance of a class, called `phrase` in errors."""
    return Kind(phrase, lambda value: isinstance(value, kind))


def _is_shape(value):
    """Integers one by one or as one tuple: `reshape(x, 2, 3)`, `reshape(x, (2, 3))`."""
    inner = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value
    return is_integer(inner) or _several(is_integer)(inner)


FLOATS = Kind(
    "a Tensor of floats", lambda value: isinstance(value, Tensor), lambda value: value.dtype.kind == "f"
)
INTEGERS = Kind(
    "integers, in a Tensor, an array or a list",
    lambda value: _is_operand(value) or isinstance(value, (tuple, list)),
    lambda value: _letter(value) in "iu",
)
CLASSES = Kind(
    "labels, which are integers, or probabilities of input's shape",
    INTEGERS.is_one,
    lambda value: _letter(value) in "iu" or (_letter(value) == "f" and np.ndim(value) > 1),
)
OPERAND = Kind("a Tensor, an array or a number", _is_operand, lambda value: _letter(value) in "fiub")
FLAG = Kind("True or False", lambda value: isinstance(value, (bool, np.bool_)) or value in (0, 1))
SHAPE = Kind("integers, the sizes of the axes", _is_shape, lambda value: np.min(value) >= -1)
COUNT, SIZE, NUMBER = integer(1), integer(0), number()
AT_LEAST_0 = number(" of at least 0", lambda value: value >= 0)
UNIT = number(" in [0, 1]", lambda value: 0 <= value <= 1)

KINDS = {
    name: kind
    for names, kind in {
        "x x1 x2 w b gy weight bias running_mean running_var input tensor": FLOATS,
        "logits styles soft": FLOATS,
        "a target": OPERAND,
        "labels index": INTEGERS,
        "tensors": Kind("a list of Tensors", _several(lambda t: isinstance(t, Tensor))),
        "operands": Kind("Tensors", _several(lambda t: isinstance(t, Tensor))),
        "condition mask": Kind("bools, in a Tensor or an array", _is_operand, lambda v: _letter(v) == "b"),
        "chunks k groups num_groups pieces upscale_factor downscale_factor": COUNT,
        "step_size total_iters T_max": COUNT,
        "in_channels out_channels in_features out_features num_features num_channels": SIZE,
        "num_embeddings embedding_dim num_classes correction length": SIZE,
        "kernel_size stride dilation output_size": pair(1),
        "size": sizes(1),
        "padding output_padding": pair(0),
        "axis axes": Kind("an axis, an integer, or a tuple of them", _is_shape),
        "start_axis end_axis axis0 axis1": Kind("an axis, an integer", is_integer),
        "start diagonal": Kind("an integer", is_integer),
        "shifts": Kind("an integer, or a tuple of them", _is_shape),
        "repeats": Kind("integers of at least 0", _is_shape, lambda value: np.min(value) >= 0),
        "size_or_sections": Kind(
            "the size of a part, or a list of sizes", _is_shape, lambda value: np.min(value) >= 0
        ),
        "shape": SHAPE,
        "normalized_shape": Kind(SHAPE.phrase, _is_shape, lambda value: np.min(value) >= 0),
        "pad": Kind(
            "a list of integers, (before, after) of each axis from the last on", _several(is_integer)
        ),
        "scale_factor": Kind("a number, or one an axis", lambda v: is_number(v) or _several(is_number)(v)),
        "mean gamma start_factor end_factor eta_min": NUMBER,
        "value": Kind("a number", is_number),
        "min max": OPERAND,
        "eps alpha std gain": AT_LEAST_0,
        "momentum negative_slope label_smoothing": UNIT,
        "p": number(" in [0, 1)", lambda value: 0 <= value < 1),
        "dtype": Kind("a dtype", _is_dtype),
        "equation": instance(str, "a text such as 'ij,jk->ik'"),
        "reduction": one_of("mean", "sum", "none"),
        "approximate": one_of("none", "tanh"),
        "padding_mode": one_of("zeros", "reflect", "replicate"),
        "mode": one_of("nearest", "linear", "bilinear", "trilinear"),
        "affine elementwise_affine track_running_stats training keepdims align_corners antialias": FLAG,
        "descending largest flip_filter demodulate transposed log_target hard": FLAG,
        "f": Kind("a list of numbers", _several(is_number), len),
        "up down": COUNT,
        "tau beta": number(" above 0", lambda value: value > 0),
        "ignore_index": Kind("an integer", is_integer),
        "generator": instance(Generator, "a minigan.Generator"),
        "key": Kind("an index", lambda value: True),
    }.items()
    for name in names.split()
}


F = TypeVar("F", bound=Callable)


def checked(**own: Kind) -> Callable[[F], F]:
    """A decorator for an `__init__`, or for a function that is called seldom: looks at every argument first.

    own: the kinds of arguments whose names mean something else here.
    """
    return lambda f: _wrapped(f, own, always=True)


def explained(f: F, refuse: Callable | None = None, settings: int = 0, **own: Kind) -> F:
    """The op `f`, that looks at its arguments where it fails. Only refuse(args, kwargs) is called before, and
    only where an argument from number `settings` on was given, or one by its name."""
    return _wrapped(f, own, refuse, settings)


FAILURES = TypeError, ValueError, AttributeError, LookupError, ArithmeticError


def _wrapped(f, own, refuse=None, settings=0, always=False):
    signature = inspect.signature(f)
    is_method = next(iter(signature.parameters), None) == "self"
    kinds = {
        name: (own.get(name) or KINDS[name], p.default is None)
        for name, p in signature.parameters.items()
        if name != "self"
    }

    def who(args):
        return type(args[0]).__name__ if is_method else f.__name__

    @functools.wraps(f)
    def call(*args, **kwargs):
        try:
            if always:
                _check(who(args), signature, kinds, args, kwargs)
            elif refuse is not None and (kwargs or len(args) > settings):
                refuse(args, kwargs)
            return f(*args, **kwargs)
        except FAILURES as error:
            reason = _reason(who(args), signature, kinds, args, kwargs, error)
            if reason is None:
                raise
            raise reason from error

    return call


def _check(who, signature, kinds, args, kwargs):
    """Raise what is wrong with the first argument that is not what it must be."""
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        kind, optional = kinds.get(name, (None, True))
        if not (optional and value is None) and kind is not None:
            kind.check(who, name, value)


def _reason(who, signature, kinds, args, kwargs, error):
    """What to raise in the place of an error; None for the error itself, if that is a sentence of ours."""
    said = str(error)
    if said.startswith(f"{who}: ") or isinstance(error, MiniganError) or backend.capturing():
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError:  # an argument is missing, or there is one too many
        return TypeError(f"{who}: {error}" if not said.startswith(who) else said)
    try:
        _check(who, signature, kinds, args, kwargs)
    except (TypeError, ValueError) as found:
        return found
    kind = next((k for k in (TypeError, IndexError, ValueError) if isinstance(error, k)), ValueError)
    return kind(f"{who}: {re.sub(r'^[a-z0-9_]+: ', '', said)}")
