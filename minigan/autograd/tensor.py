"""Tensor: an array that knows which op made it.

The arithmetic of a Tensor is defined in `minigan.functional`, which adds its ops to this class as
methods and operators. Here is what the graph needs, and how a Tensor meets the world of arrays.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from minigan import backend

from .modes import is_grad_enabled

if TYPE_CHECKING:
    from .function import Function
    from .methods import Methods  # what `minigan.functional` adds, for editors and type checkers
else:
    Methods = object


class Tensor(Methods):
    """A NumPy or CuPy array with a place in the graph of a computation.

    data: an array, kept without a copy, also one of PyTorch's or JAX's, or of any library that has DLPack;
        or numbers and nested lists of them, which become float32, int64 or bool. A Tensor gives a constant
        that shares its array.
    requires_grad: True for a leaf that gradients are wanted for; floating dtypes only.
    dtype: what to convert `data` to.
    device: where to put it, such as "gpu"; by default where it is.

    `creator` is the Function that made the tensor, None for a leaf. `grad` is filled by `backward()`,
    on leaves alone. Raises TypeError for data that is no array of numbers, and for a
    requires_grad=True that the dtype does not allow.
    """

    __slots__ = ("__weakref__", "_requires_grad", "_version", "creator", "data", "grad", "hooks")

    data: np.ndarray  # or CuPy's, which has the same methods
    creator: "Function | None"
    grad: "Tensor | None"
    hooks: list | None
    _version: list[int]

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: npt.DTypeLike | None = None,
        device: str | backend.Device | None = None,
    ) -> None:
        version = data._version if isinstance(data, Tensor) else [0]
        device = None if device is None else backend.device(device)
        self.data = backend.as_array(data.data if isinstance(data, Tensor) else data, dtype, device)
        self.creator = self.grad = self.hooks = None
        self._version = version  # shared by all tensors on one memory
        self.requires_grad = requires_grad

    @staticmethod
    def made_by(creator: Any, data: np.ndarray, version: list[int] | None = None) -> "Tensor":
        """The tensor at a place in the graph: the output `data` of the Function `creator`, or None."""
        self = Tensor.__new__(Tensor)
        self.data = data
        self.creator = creator
        self.grad = self.hooks = None
        self._requires_grad = creator is not None
        self._version = [0] if version is None else version
        return self

    # Place in the graph

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are wanted for this tensor; of the output of an op, whether they are for an
        input.

        Can be set for leaves. RuntimeError to switch it off elsewhere, TypeError to switch it on without
        floats.
        """
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.creator is not None and not wanted:
            raise RuntimeError("only a leaf can stop requiring a gradient; detach() gives a constant copy")
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"only floating tensors can require a gradient, this one is {self.dtype}")
        self._requires_grad = bool(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` and return the tensor itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this tensor: what gradients are stored in."""
        return self.creator is None

    def detach(self) -> "Tensor":
        """A constant that shares this tensor's array, and its guard against in-place changes."""
        return Tensor.made_by(None, self.data, self._version)

    def register_hook(self, hook: Callable[["Tensor"], "Tensor | None"]) -> Callable[[], None]:
        """Call `hook(gradient)` when this tensor's gradient is known; what it returns, if not None,
        takes the gradient's place. Returns a function that removes the hook."""
        if not self.requires_grad:
            raise RuntimeError("a hook needs a tensor that requires a gradient")
        place = self if self.creator is None else self.creator
        hooks = place.hooks = [] if place.hooks is None else place.hooks
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    def __getstate__(self) -> tuple:
        """What copies and pickles are made of. The array lies in them as it does in memory, and of a gradient
        there are the values alone. RuntimeError for the output of an op, whose graph has no copy."""
        if self.creator is not None:
            raise RuntimeError(
                f"a tensor that {type(self.creator).__name__} made is not copied or pickled, since its graph "
                "is not; say .detach() first"
            )
        given: Any = super().__getstate__()
        attributes, slots = given
        axes = sorted(range(self.ndim), key=lambda axis: -abs(self.data.strides[axis]))
        rows = None if axes == list(range(self.ndim)) else self.data.transpose(axes)
        gradient = None if self.grad is None else self.grad.detach()
        return attributes, {**slots, "grad": gradient, "data": self.data if rows is None else (rows, axes)}

    def __setstate__(self, state: tuple) -> None:
        attributes, slots = state
        for name, value in {**(attributes or {}), **slots}.items():
            object.__setattr__(self, name, value)
        if isinstance(self.data, tuple):
            rows, axes = self.data
            self.data = rows.transpose(np.argsort(axes).tolist())

    # In-place changes

    @property
    def version(self) -> int:
        """How often the memory of this tensor was changed in place."""
        return self._version[0]

    def bump(self) -> Self:
        """Tell the graph that `data` was changed in place: whoever saved it for a gradient must know."""
        self._version[0] += 1
        return self

    def copy_(self, source: Any) -> Self:
        """Overwrite the values by those of `source`, broadcast to this shape; it may lie on any device."""
        return self._write(..., source)

    def fill_(self, value: float) -> Self:
        """Overwrite all values by one number. Returns the tensor itself. RuntimeError for a tensor that
        requires a gradient, but under no_grad()."""
        return self._write(..., value)

    def zero_(self) -> Self:
        """Overwrite all values by 0. Returns the tensor itself. RuntimeError for a tensor that requires a
        gradient, but under no_grad()."""
        return self._write(..., 0)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._write(key, value)

    def _write(self, key: Any, value: Any) -> Self:
        if self.requires_grad and is_grad_enabled():
            raise RuntimeError(
                "a tensor that requires a gradient can be changed in place only under no_grad()"
            )
        if isinstance(value, Tensor) and value.requires_grad and is_grad_enabled():
            raise RuntimeError(
                "what is written into a tensor is not recorded: write value.detach(), or build the whole "
                "by concat, stack or where"
            )
        keys = key if isinstance(key, tuple) else (key,)
        keys = tuple(k.data if isinstance(k, Tensor) else k for k in keys)
        value = backend.plain(value.data if isinstance(value, Tensor) else value)
        if backend.gpu_in_use():
            value = self.device.put(value) if backend.is_array(value) else value
            with backend.one_device("writing into a tensor", (self.data, *keys)).active():
                self.data[keys] = value
        else:
            self.data[keys] = value
        return self.bump()

    # Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the values, NumPy's."""
        return self.data.dtype

    @property
    def device(self) -> backend.Device:
        """Where the values lie: `str` gives "cpu" or "gpu:0"."""
        return backend.device_of(self.data)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    def numel(self) -> int:
        """The number of entries."""
        return self.data.size

    def item(self) -> Any:
        """The one value of a tensor of one element, as a Python number. ValueError otherwise."""
        if self.data.size != 1:
            raise ValueError(f"item() needs a tensor of one element, this one has shape {self.shape}")
        return self.data.item()

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array: the tensor's own array where it is one.

        It lies in memory as the tensor does, images channels-last: to what reads the bare memory, as
        `safetensors.numpy` does, give `np.asarray(…, order="C")` of it.
        """
        return backend.to_numpy(self.data)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """What `np.asarray` asks for: the tensor's own array, unless `dtype` or `copy` want another.

        TypeError for a tensor that requires a gradient, but under `no_grad()`: the array would be a constant.
        """
        if self.requires_grad and is_grad_enabled():
            raise TypeError(
                "an array of a tensor that requires a gradient would lose it: call an op of "
                "minigan.functional, or say .detach() first"
            )
        if self.device != backend.CPU:
            raise TypeError(f"a tensor on {self.device} is no NumPy array; say .to('cpu') first")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __dlpack__(self, **how: Any) -> Any:
        """Share the memory with another library, as `torch.from_dlpack(tensor)` asks for. What that writes is
        seen here, though not by the guard against in-place changes.

        BufferError for a tensor that requires a gradient, of which the other library knows nothing; and
        for reversed axes, which kill a process with PyTorch in it.
        """
        if self.requires_grad:
            raise BufferError("a tensor that requires a gradient is not shared; say .detach() first")
        if min(self.data.strides, default=0) < 0:
            raise BufferError(
                "a tensor with a reversed axis is not shared; copy it first: Tensor(x.numpy().copy())"
            )
        with self.device.active():
            return self.data.__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's (kind, number) of the device."""
        return self.data.__dlpack_device__()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous; use any() or all()")
        return bool(self.item())

    def __len__(self) -> int:
        if self.data.ndim == 0:
            raise TypeError("a tensor without axes has no length")
        return self.data.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    __hash__ = object.__hash__  # `==` compares values, so say that a tensor is a key by identity

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(", threshold=200)
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        if self.creator is not None:
            return f"tensor({values}{dtype}, creator={type(self.creator).__name__})"
        return f"tensor({values}{dtype}{', requires_grad=True' if self.requires_grad else ''})"


Operand: TypeAlias = Tensor | np.ndarray | np.generic | float  # what arithmetic takes; CuPy's arrays too


def from_dlpack(x: Any) -> Tensor:
    """A constant on the memory of `x`, an array of PyTorch, JAX, CuPy or any library with DLPack: no copy.

    Errors as those of `backend.from_dlpack`.
    """
    return Tensor(backend.from_dlpack(x))
