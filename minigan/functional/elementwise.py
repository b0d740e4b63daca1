"""Arithmetic, entry by entry. All ops broadcast, and all have derivatives of every order.

Dtypes promote as NumPy's: an array counts with its dtype, and only numbers take that of the other
operand. At a kink (abs at 0, a tie of maximum, an end of clip) the gradient is one choice of subgradient,
the same as PyTorch's.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigan import backend
from minigan.autograd import Function, Operand, Tensor
from minigan.checks import is_number, shown


def add(a: Operand, b: Operand) -> Tensor:
    """a + b."""
    return Add()(operand(a), operand(b))


def sub(a: Operand, b: Operand) -> Tensor:
    """a - b."""
    return Sub()(operand(a), operand(b))


def mul(a: Operand, b: Operand) -> Tensor:
    """a · b."""
    return Mul()(operand(a), operand(b))


def div(a: Operand, b: Operand) -> Tensor:
    """a / b."""
    return Div()(operand(a), operand(b))


def neg(x: Tensor) -> Tensor:
    """-x."""
    return Neg()(x)


def pow(a: Operand, b: Operand) -> Tensor:
    """a ** b, by a number or by a tensor. The gradient in b is 0 where a is 0."""
    a, b = operand(a), operand(b)
    return PowerByNumber(b)(a) if isinstance(b, (int, float)) else Power()(a, b)


def abs(x: Tensor) -> Tensor:
    """|x|, with gradient 0 at 0."""
    return Abs()(x)


def exp(x: Tensor) -> Tensor:
    """e ** x."""
    return Exp()(x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm."""
    return Log()(x)


def sqrt(x: Tensor) -> Tensor:
    """The square root. Its gradient at 0 is infinite; `norm` has a finite one."""
    return Sqrt()(x)


def square(x: Tensor) -> Tensor:
    """x · x."""
    return Mul()(x, x)


def sin(x: Tensor) -> Tensor:
    """The sine, of radians."""
    return Sin()(x)


def cos(x: Tensor) -> Tensor:
    """The cosine, of radians."""
    return Cos()(x)


def erf(x: Tensor) -> Tensor:
    """The error function, 2/√π ∫₀ˣ exp(-t²) dt."""
    return Erf()(x)


def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of a and b; of a tie, each gets half the gradient."""
    return Extremum(np.maximum, np.greater)(operand(a), operand(b))


def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of a and b; of a tie, each gets half the gradient."""
    return Extremum(np.minimum, np.less)(operand(a), operand(b))


def clip(x: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """x limited to [min, max], numbers, arrays or tensors, which broadcast, or None for no limit.

    The gradient goes to x inside and at the ends, else to the end that is taken: max, where min is above it.
    """
    if min is None and max is None:
        raise ValueError("clip: needs min or max")
    return Clip()(x, operand(min), operand(max))


def where(condition: Tensor | np.ndarray, a: Operand, b: Operand) -> Tensor:
    """a where `condition` (a bool tensor or array) holds, else b."""
    mask = condition.data if isinstance(condition, Tensor) else backend.as_array(condition)
    if mask.dtype != bool:
        raise TypeError(f"where: condition must be bool, got {mask.dtype}")
    if backend.gpu_in_use():
        backend.one_device("where", (mask, *(x.data if isinstance(x, Tensor) else x for x in (a, b))))
    with backend.beside(mask):
        mask = mask.copy()
    if a is None or b is None:
        raise TypeError(
            f"where: {'a' if a is None else 'b'} must be a Tensor, an array or a number, got None"
        )
    return Where(mask)(operand(a), operand(b))


def masked_fill(x: Tensor, mask: Tensor | np.ndarray, value: float) -> Tensor:
    """x, with the number `value` where `mask` (a bool tensor or array, broadcast to x) holds."""
    value = operand(value)
    if not is_number(value):
        raise TypeError(f"masked_fill: value must be a number, got {shown(value)}")
    return where(mask, value, x)


def cast(x: Tensor, dtype: npt.DTypeLike) -> Tensor:
    """x in another dtype. Its gradient comes back in the dtype of x."""
    if dtype is None:  # NumPy's name for float64
        raise TypeError("cast: dtype must be a dtype, got None")
    dtype = np.dtype(dtype)
    if dtype.kind != "f":  # a step function: a constant
        with backend.beside(x.data):
            return Tensor(x.data.astype(dtype))
    return x if x.dtype == dtype else Cast(dtype)(x)


def to(x: Tensor, where: str | backend.Device | npt.DTypeLike) -> Tensor:
    """x on another device, such as "gpu" or "cpu", or in another dtype. Its gradient comes back to x's."""
    place: Any = where
    if not backend.names_device(place):
        return cast(x, place)
    place = backend.device(place)
    return x if x.device == place else Move(place)(x)


def compare(op, a, b):
    """The bool tensor op(a, b), a constant."""
    a, b = (backend.plain(x.data if isinstance(x, Tensor) else x) for x in (a, b))
    if backend.gpu_in_use():
        with backend.one_device(op.__name__, (a, b)).active():
            return Tensor(op(a, b))
    return Tensor(op(a, b))


def operand(x):
    """NumPy's scalars as Python's, so that they take the dtype of the other operand."""
    scalar = isinstance(x, np.generic) or (isinstance(x, np.ndarray) and x.ndim == 0)
    return backend.plain(x).item() if scalar else x


class Add(Function):
    saves = ""

    def forward(self, a, b):
        return a + b

    def backward(self, gy):
        return gy, gy


class Sub(Function):
    saves = ""

    def forward(self, a, b):
        return a - b

    def backward(self, gy):
        return gy, -gy if self.wanted[1] else None


class Mul(Function):
    def forward(self, a, b):
        return a * b

    def backward(self, gy):
        a, b = self.inputs
        return gy * b if self.wanted[0] else None, gy * a if self.wanted[1] else None


class Div(Function):
    def forward(self, a, b):
        return a / b

    def backward(self, gy):
        a, b = self.inputs
        ga = gy / b
        return ga, -ga * (a / b) if self.wanted[1] else None


class Neg(Function):
    saves = ""

    def forward(self, x):
        return -x

    def backward(self, gy):
        return -gy


class PowerByNumber(Function):
    def __init__(self, exponent):
        self.exponent = exponent

    def forward(self, x):
        return x**self.exponent

    def backward(self, gy):
        (x,) = self.inputs
        p = self.exponent
        if p in (0, 1):  # p · x ** (p - 1) would be 0 · ∞ at x = 0, here or one order later
            return gy * p
        return gy * (p * x ** (p - 1))


class Power(Function):
    def forward(self, a, b):
        return a**b

    def backward(self, gy):
        a, b = (
            x if isinstance(x, Tensor) else Tensor(x, dtype=gy.dtype, device=gy.device) for x in self.inputs
        )
        ga = gb = None
        if self.wanted[0]:
            ga = gy * b * a ** (b - 1.0 + (b.data == 0))  # where b is 0: 0 · a, not 0 · a ** -1
        if self.wanted[1]:
            gb = gy * a**b * log(a + (a.data == 0))  # where a is 0: log 1
        return ga, gb


class Abs(Function):
    def forward(self, x):
        return np.abs(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * np.sign(x.data)


class Exp(Function):
    saves = "output"

    def forward(self, x):
        return np.exp(x)

    def backward(self, gy):
        return gy * self.output


class Log(Function):
    def forward(self, x):
        return np.log(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy / x


class Sqrt(Function):
    saves = "output"

    def forward(self, x):
        return np.sqrt(x)

    def backward(self, gy):
        return 0.5 * gy / self.output


class Sin(Function):
    def forward(self, x):
        return np.sin(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * cos(x)


class Cos(Function):
    def forward(self, x):
        return np.cos(x)

    def backward(self, gy):
        (x,) = self.inputs
        return -gy * sin(x)


class Erf(Function):
    def forward(self, x):
        return backend.erf(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * (2 / np.pi**0.5 * exp(-x * x))


class Extremum(Function):
    def __init__(self, choose, wins):
        self.choose, self.wins = choose, wins

    def forward(self, a, b):
        return self.choose(a, b)

    def backward(self, gy):
        a, b = (x.data if isinstance(x, Tensor) else x for x in self.inputs)
        share = (self.wins(a, b) + 0.5 * (a == b)).astype(gy.dtype)
        return gy * share, gy * (1 - share)


class Clip(Function):
    def forward(self, x, low, high):
        return np.clip(x, low, high)

    def backward(self, gy):
        x, low, high = (t.data if isinstance(t, Tensor) else t for t in self.inputs)
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        gx = gy * ((x >= low) & (x <= high)) if self.wanted[0] else None
        glow = gy * ((x < low) & (low < high)) if self.wanted[1] else None
        return gx, glow, gy * ((x > high) | (low > high)) if self.wanted[2] else None


class Where(Function):
    saves = ""

    def __init__(self, mask):
        self.mask = mask

    def forward(self, a, b):
        return np.where(self.mask, a, b)

    def backward(self, gy):
        return Where(self.mask)(gy, 0.0), Where(self.mask)(0.0, gy)


class Cast(Function):
    saves = ""

    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, x):
        return x.astype(self.dtype)

    def backward(self, gy):
        return gy  # the engine gives it the dtype of x


class Move(Function):
    """x on another device; its gradient comes back to where x lies."""

    saves = ""

    def __init__(self, device):
        self.device = device

    def forward(self, x):
        self.origin_device = backend.device_of(x)
        return self.device.put(x)

    def backward(self, gy):
        return Move(self.origin_device)(gy)
