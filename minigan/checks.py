"""Checks of single arguments. Each gives the value, or one sentence that names the call and the argument:
a TypeError for another kind of thing, a ValueError for one out of range."""

import math
from collections.abc import Mapping
from numbers import Integral, Real


def is_integer(value) -> bool:
    """Whether it is an integer, of Python or NumPy. True and False are none."""
    return type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))


def is_number(value) -> bool:
    """Whether it is a real number, of Python or NumPy. True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def integer(who: str, name: str, value, at_least=-math.inf, below=math.inf) -> int:
    """An integer, of Python or NumPy, in [at_least, below). True and False are none."""
    if not is_integer(value):
        raise TypeError(f"{who}: {name} must be an integer, got {shown(value)}")
    _in_range(who, name, value, at_least, below)
    return int(value)


def number(who: str, name: str, value, at_least=-math.inf, below=math.inf):
    """A number, of Python or NumPy, in [at_least, below): not infinite, no NaN, no bool; as it was given."""
    if not is_number(value):
        raise TypeError(f"{who}: {name} must be a number, got {shown(value)}")
    _in_range(who, name, value, at_least, below)
    if not math.isfinite(value):
        raise ValueError(f"{who}: {name} must be finite, got {value}")
    return value


def flag(who: str, name: str, value) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{who}: {name} must be True or False, got {shown(value)}")
    return value


def mapping(who: str, state):
    """A state: a dict, or the like."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{who}: a state is a dict of arrays by name, got {shown(state)}")
    return state


def names_that_differ(given, own) -> list[str]:
    """A sentence for each name that only one of two states has."""
    missing = [f"{name} is missing" for name in own if name not in given]
    return missing + [f"{name} is unexpected" for name in given if name not in own]


def read_back(value):
    """A number of a state, which a file may give back as an array without axes; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def shown(value) -> str:
    """A value as an error shows it: in short, or by its kind and shape where it is large."""
    if hasattr(value, "shape"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"


def _in_range(who, name, value, low, high):
    if low <= value < high:
        return
    bounds = f"at least {low}" if high == math.inf else f"in [{low}, {high})"
    if low > -math.inf or high < math.inf:
        raise ValueError(f"{who}: {name} must be {bounds}, got {value}")
