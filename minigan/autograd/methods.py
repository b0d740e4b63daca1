"""What `minigan.functional` adds to Tensor, declared for editors and type checkers: nothing here is run.

The ops come from `functional/methods.py` when `minigan` is imported, since they stand above the engine. A
test holds the two lists together, names, parameters and docstrings. In those, x is the tensor itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigan.backend import Device

if TYPE_CHECKING:
    from .tensor import Operand, Tensor

Number: TypeAlias = float  # within the class, `float` is a method


class Methods:
    """The methods and operators of Tensor that are ops."""

    # Activations

    def log_softmax(self, axis: int = -1) -> Tensor:
        """x - log Σ exp x along `axis`, without overflow."""
        ...

    def relu(self) -> Tensor:
        """max(x, 0)."""
        ...

    def sigmoid(self) -> Tensor:
        """1 / (1 + e⁻ˣ), without overflow."""
        ...

    def softmax(self, axis: int = -1) -> Tensor:
        """exp x / Σ exp x along `axis`, without overflow."""
        ...

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        ...

    # Arithmetic, entry by entry

    def abs(self) -> Tensor:
        """|x|, with gradient 0 at 0."""
        ...

    def add(self, b: Operand) -> Tensor:
        """a + b."""
        ...

    def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """x limited to [min, max], numbers, arrays or tensors, which broadcast, or None for no limit."""
        ...

    def cos(self) -> Tensor:
        """The cosine, of radians."""
        ...

    def div(self, b: Operand) -> Tensor:
        """a / b."""
        ...

    def exp(self) -> Tensor:
        """e ** x."""
        ...

    def log(self) -> Tensor:
        """The natural logarithm."""
        ...

    def masked_fill(self, mask: Tensor | np.ndarray, value: Number) -> Tensor:
        """x, with the number `value` where `mask` (a bool tensor or array, broadcast to x) holds."""
        ...

    def maximum(self, b: Operand) -> Tensor:
        """The larger of a and b; of a tie, each gets half the gradient."""
        ...

    def minimum(self, b: Operand) -> Tensor:
        """The smaller of a and b; of a tie, each gets half the gradient."""
        ...

    def mul(self, b: Operand) -> Tensor:
        """a · b."""
        ...

    def neg(self) -> Tensor:
        """-x."""
        ...

    def pow(self, b: Operand) -> Tensor:
        """a ** b, by a number or by a tensor. The gradient in b is 0 where a is 0."""
        ...

    def sin(self) -> Tensor:
        """The sine, of radians."""
        ...

    def sqrt(self) -> Tensor:
        """The square root. Its gradient at 0 is infinite; `norm` has a finite one."""
        ...

    def square(self) -> Tensor:
        """x · x."""
        ...

    def sub(self, b: Operand) -> Tensor:
        """a - b."""
        ...

    # Entries by position and by order

    def argsort(self, axis: int = -1, descending: bool = False) -> Tensor:
        """The positions along an axis, in the order of their values, smallest first: integers, a constant.
        Equal ones keep their order."""
        ...

    def gather(self, axis: int, index: Tensor | np.ndarray | Sequence | int) -> Tensor:
        """y[i, j, k] = x[index[i, j, k], j, k] for axis 0, and so on. x and index have equally many axes."""
        ...

    def index_select(self, axis: int, index: Tensor | np.ndarray | Sequence | int) -> Tensor:
        """The entries of an axis that `index`, a row of integers, names, in its order. IndexError beyond
        it."""
        ...

    def sort(self, axis: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
        """(the values along an axis in order, the positions they stood at): `argsort`, and what it names."""
        ...

    def topk(self, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
        """(the k largest values along an axis, the largest first, their positions); or the k smallest."""
        ...

    def tril(self, diagonal: int = 0) -> Tensor:
        """Matrices (..., H, W) with zeros above a diagonal: the main one, or that many steps above it."""
        ...

    def triu(self, diagonal: int = 0) -> Tensor:
        """Matrices (..., H, W) with zeros below a diagonal: the main one, or that many steps above it."""
        ...

    # Matrix products

    def matmul(self, b: Tensor | np.ndarray) -> Tensor:
        """a @ b: (..., M, K) @ (..., K, N) -> (..., M, N), broadcasting the leading axes."""
        ...

    # Sums, extrema and norms over axes

    def cumsum(self, axis: int) -> Tensor:
        """The sums of the first entries along an axis: y[i] = x[0] + ... + x[i]."""
        ...

    def expand(self, *shape: int | Sequence[int]) -> Tensor:
        """x broadcast to a shape, where -1 keeps an axis as it is. ValueError where that cannot be."""
        ...

    def logsumexp(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """log Σ exp x over `axis`, without overflow. Of nothing but -∞ it is -∞."""
        ...

    def max(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The largest value over `axis`; equal ones share the gradient, as in PyTorch's `amax`."""
        ...

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The mean of x over `axis`. ValueError if there is nothing to average."""
        ...

    def min(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The smallest value over `axis`; equal ones share the gradient."""
        ...

    def norm(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The Euclidean norm √Σx² over `axis`, with gradient 0 where it is 0."""
        ...

    def std(
        self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, correction: int = 1
    ) -> Tensor:
        """The square root of `var`. Where that is 0, its gradient is infinite."""
        ...

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Σ x over `axis`."""
        ...

    def sum_to(self, shape: int | Sequence[int]) -> Tensor:
        """x summed down to `shape`: the adjoint of `expand`."""
        ...

    def var(
        self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, correction: int = 1
    ) -> Tensor:
        """The variance of x over `axis`: squared deviations over n - correction, as in PyTorch."""
        ...

    # The same numbers in another shape

    def chunk(self, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
        """An axis in `chunks` parts of equal size, the last one smaller where they do not divide it; fewer,
        where so many are not to be had. A tuple of Tensors."""
        ...

    def clone(self) -> Tensor:
        """A copy of x, in memory of its own."""
        ...

    def flatten(self, start_axis: int = 0, end_axis: int = -1) -> Tensor:
        """The axes from `start_axis` to `end_axis` as one. ValueError if the second lies before the first."""
        ...

    def flip(self, axis: int | tuple[int, ...]) -> Tensor:
        """The order along `axis` (or a tuple of axes) reversed."""
        ...

    def narrow(self, axis: int, start: int, length: int) -> Tensor:
        """`length` entries of an axis from `start` on, which may count from the end. ValueError beyond
        them."""
        ...

    def permute(self, *axes: int | Sequence[int]) -> Tensor:
        """The axes in another order."""
        ...

    def repeat(self, *repeats: int | Sequence[int]) -> Tensor:
        """x laid side by side, so often along each axis; further counts make new axes in front."""
        ...

    def repeat_interleave(self, repeats: int, axis: int | None = None) -> Tensor:
        """Each entry of an axis so often, one behind the other; without an axis, of x as one long row."""
        ...

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """x in another shape of the same size; one -1 is worked out."""
        ...

    def roll(self, shifts: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Tensor:
        """x moved by `shifts` places along `axis`, what leaves at the end coming in at the front."""
        ...

    def split(self, size_or_sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
        """Parts of `size_or_sections` entries of an axis each, the last one with what is left; or, of a list
        of sizes, one part of each. A tuple of Tensors. ValueError for sizes that do not add up."""
        ...

    def squeeze(self, axis: int | None = None) -> Tensor:
        """x without its axes of size 1: all of them, or `axis` alone, which must be one."""
        ...

    def tile(self, *repeats: int | Sequence[int]) -> Tensor:
        """x laid side by side, so often along each axis; counts that are fewer than the axes are for the
        last."""
        ...

    def transpose(self, axis0: int, axis1: int) -> Tensor:
        """Two axes exchanged."""
        ...

    def unbind(self, axis: int = 0) -> tuple[Tensor, ...]:
        """The entries along an axis, without it: a tuple of Tensors."""
        ...

    def unflatten(self, axis: int, shape: int | Sequence[int]) -> Tensor:
        """One axis as several, of sizes `shape`; one -1 is worked out. ValueError where they do not fit."""
        ...

    def unsqueeze(self, axis: int) -> Tensor:
        """x with a new axis of size 1 at `axis`."""
        ...

    # PyTorch's other names

    def view(self, *shape: int | Sequence[int]) -> Tensor:
        """x in another shape of the same size; one -1 is worked out."""
        ...

    def clamp(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """x limited to [min, max], numbers, arrays or tensors, which broadcast, or None for no limit."""
        ...

    def size(self, axis: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        ...

    def dim(self) -> int:
        """The number of axes."""
        ...

    # Dtypes and devices

    def to(self, where: str | Device | npt.DTypeLike) -> Tensor:
        """x on another device, such as "gpu" or "cpu", or in another dtype. Its gradient comes back to
        x's."""
        ...

    def cpu(self) -> Tensor:
        """x in the memory of the CPU. Its gradient comes back to x's device."""
        ...

    def float(self) -> Tensor:
        """x in float32. Its gradient comes back in the dtype of x."""
        ...

    def double(self) -> Tensor:
        """x in float64. Its gradient comes back in the dtype of x."""
        ...

    def long(self) -> Tensor:
        """x rounded towards 0 to int64: a constant."""
        ...

    def contiguous(self) -> Tensor:
        """x itself: any order in memory is as good."""
        ...

    # Constants, without a gradient

    def any(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Whether any entry over `axis` is true, or not 0: a constant of bools."""
        ...

    def all(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Whether all entries over `axis` are true, or not 0: a constant of bools."""
        ...

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The position of the largest entry along an axis, the first of equals; without an axis, in x as one
        long row: int64, a constant."""
        ...

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The position of the smallest entry along an axis, the first of equals; without an axis, in x as one
        long row: int64, a constant."""
        ...

    def sign(self) -> Tensor:
        """-1, 0 or 1, as the entry is below, at or above 0: a constant, the slope being 0."""
        ...

    def round(self) -> Tensor:
        """The nearest whole number, the even one of two: a constant, the slope being 0."""
        ...

    def floor(self) -> Tensor:
        """The largest whole number that is not above the entry: a constant, the slope being 0."""
        ...

    def ceil(self) -> Tensor:
        """The smallest whole number that is not below the entry: a constant, the slope being 0."""
        ...

    def isnan(self) -> Tensor:
        """Whether each entry is NaN: a constant of bools."""
        ...

    def isinf(self) -> Tensor:
        """Whether each entry is infinite: a constant of bools."""
        ...

    def isfinite(self) -> Tensor:
        """Whether each entry is a number, neither NaN nor infinite: a constant of bools."""
        ...

    # In place, on constants or under no_grad(). RuntimeError else.

    def add_(self, other: Operand, alpha: Number = 1) -> Tensor:
        """x += alpha · other, under no_grad() or on a constant."""
        ...

    def sub_(self, other: Operand, alpha: Number = 1) -> Tensor:
        """x -= alpha · other, under no_grad() or on a constant."""
        ...

    def mul_(self, other: Operand) -> Tensor:
        """x *= other, under no_grad() or on a constant."""
        ...

    def div_(self, other: Operand) -> Tensor:
        """x /= other, under no_grad() or on a constant."""
        ...

    def clamp_(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """x limited to [min, max] in place, under no_grad() or on a constant."""
        ...

    # Gradients

    def backward(self, gradient: Operand | None = None, create_graph: bool = False) -> None:
        """Add the gradient of this tensor in every leaf it depends on to that leaf's `grad`."""
        ...

    # Operators

    @property
    def T(self) -> Tensor:
        """The axes in the opposite order."""
        ...

    def __add__(self, other: Operand) -> Tensor: ...
    def __radd__(self, other: Operand) -> Tensor: ...
    def __sub__(self, other: Operand) -> Tensor: ...
    def __rsub__(self, other: Operand) -> Tensor: ...
    def __mul__(self, other: Operand) -> Tensor: ...
    def __rmul__(self, other: Operand) -> Tensor: ...
    def __truediv__(self, other: Operand) -> Tensor: ...
    def __rtruediv__(self, other: Operand) -> Tensor: ...
    def __pow__(self, other: Operand) -> Tensor: ...
    def __rpow__(self, other: Operand) -> Tensor: ...
    def __matmul__(self, other: Tensor | np.ndarray) -> Tensor: ...
    def __rmatmul__(self, other: Tensor | np.ndarray) -> Tensor: ...
    def __iadd__(self, other: Operand) -> Tensor: ...
    def __isub__(self, other: Operand) -> Tensor: ...
    def __imul__(self, other: Operand) -> Tensor: ...
    def __itruediv__(self, other: Operand) -> Tensor: ...
    def __lt__(self, other: Operand) -> Tensor: ...
    def __le__(self, other: Operand) -> Tensor: ...
    def __gt__(self, other: Operand) -> Tensor: ...
    def __ge__(self, other: Operand) -> Tensor: ...
    def __and__(self, other: Operand) -> Tensor: ...
    def __or__(self, other: Operand) -> Tensor: ...
    def __xor__(self, other: Operand) -> Tensor: ...
    def __eq__(self, other: Operand) -> Tensor: ...  # type: ignore[override]
    def __ne__(self, other: Operand) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor: ...
    def __abs__(self) -> Tensor: ...
    def __invert__(self) -> Tensor: ...
    def __getitem__(self, key: Any) -> Tensor: ...
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any: ...
    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Any: ...
