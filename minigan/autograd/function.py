"""Function: one op of a computation."""

import itertools
import traceback
from sys import modules
from typing import Any

import numpy as np

from minigan import backend
from minigan.errors import NonFiniteError

from .modes import mode
from .tensor import Tensor


class Function:
    """A differentiable op. A subclass gives `forward` and `backward`; settings go into `__init__`.

        class Mul(Function):
            def forward(self, a, b):          # arrays in, array out
                return a * b

            def backward(self, gy):           # tensors in, tensors out
                a, b = self.inputs
                return gy * b, gy * a

        y = Mul()(x1, x2)

    An input is a Tensor, or a constant: an array or a Python number, which reaches `forward` and
    `self.inputs` as it is. `forward` must not change its inputs, and returns one array.

    `backward` takes the gradient of the output and returns one gradient per input, None where the
    op has none. Because it is written in differentiable ops, it can be differentiated in its turn:
    that is all there is to second derivatives. What it may use of the forward pass:

    - `self.inputs` and `self.output`, as tensors, each only if `saves` names it. A tensor that was
      changed in place since then is refused.
    - masks, indices and shapes, kept by `forward` on `self`. Anything else that `forward` computed
      from its inputs is no constant, and treating it as one makes the second derivative wrong.
    - `self.wanted[i]`: whether the gradient of input i is used. Skip the others where they cost.

    The engine sums a gradient over the axes along which its input was broadcast, and gives it the
    input's dtype.

    Where no graph is being built, the same gradient may come quicker from arrays. An op that has
    such a short cut gives it as `first_order(gy, *saved)`: arrays in (the gradient of the output, and
    what `saves` names), arrays out, one per input. `backward` remains what the op means.
    """

    saves = "inputs"  # "inputs", "output", "inputs and output" or "": what `backward` needs
    first_order = None

    parents = None  # the places in the graph of the inputs, None for a constant
    hooks: list | None = None
    wanted = ()
    origin = None

    def __call__(self, *inputs: Any) -> Tensor:
        arrays: list[Any] = []
        record = False
        for x in inputs:
            if isinstance(x, Tensor):
                if type(x.data) is not np.ndarray:
                    x.data = backend.plain(x.data)  # whoever assigned it
                arrays.append(x.data)
                record = record or x._requires_grad
            else:
                constant = x if x is None or type(x) is float or type(x) is int else _constant(self, x)
                if constant is not x:
                    return self(*map(backend.plain, inputs))
                arrays.append(x)
        try:
            if "cupy" in modules:  # backend.gpu_in_use(), without a call
                with backend.one_device(describe(self), arrays).active():
                    y = as_array(self.forward(*arrays))
            else:
                y = as_array(self.forward(*arrays))
        except MemoryError as error:  # NumPy's and CuPy's own name the bytes
            raise MemoryError(out_of_memory(describe(self), arrays, error)) from None
        record = record and mode.record
        out = Tensor.made_by(self if record else None, y, version_of_view(y, inputs))
        if record:
            self._record(inputs, out)
        if mode.anomaly:
            _check_forward(self, inputs, out)
        if mode.trace:
            mode.trace(self, inputs, out)
        return out

    def forward(self, *arrays: Any) -> Any:
        """The output, one array, of the inputs' arrays. A subclass gives it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, gy: Tensor) -> Any:
        """One gradient, a Tensor or None, for each input, of the output's gradient. A subclass gives it,
        written in differentiable ops."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def _record(self, inputs, out):
        if self.parents is not None:
            raise RuntimeError(f"this {type(self).__name__} was called before; make one for each call")
        self.serial = next(_serials)  # a node's inputs are older than itself
        self.parents, self.shapes, self.dtypes, versions = [], [], [], []
        for x in inputs:
            if isinstance(x, Tensor):
                self.parents.append((x.creator or x) if x._requires_grad else None)
                self.shapes.append(x.data.shape)
                self.dtypes.append(x.data.dtype)
                versions.append(x._version[0])
            else:
                self.parents.append(None)
                self.shapes.append(None)
                self.dtypes.append(None)
                versions.append(None)
        if "inputs" in self.saves:
            self._inputs, self._versions = inputs, versions
        if "output" in self.saves:  # its array and version only: the tensor would be a cycle
            self._output = out.data, out._version, out._version[0]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The inputs, as they were given to the op."""
        if "inputs" not in self.saves:
            raise RuntimeError(f"{describe(self)} uses its inputs: set saves = 'inputs'")
        for x, version in zip(self._inputs, self._versions, strict=True):
            if version is not None and x._version[0] != version:
                self._refuse("an input")
        return self._inputs

    @property
    def output(self) -> Tensor:
        """The output, as a tensor at this op's place in the graph."""
        return Tensor.made_by(self, *self._saved_output())

    def _saved_output(self):
        if "output" not in self.saves:
            raise RuntimeError(f"{describe(self)} uses its output: set saves = 'output'")
        data, version, saved_version = self._output
        if version[0] != saved_version:
            self._refuse("its output")
        return data, version

    def saved_arrays(self) -> list[np.ndarray]:
        """The arrays of what was saved: of the inputs, then of the output."""
        arrays = []
        if "inputs" in self.saves:
            arrays += [x.data if isinstance(x, Tensor) else x for x in self.inputs]
        if "output" in self.saves:
            arrays.append(self._saved_output()[0])
        return arrays

    def _refuse(self, what):
        raise RuntimeError(
            f"the gradient of {describe(self)} needs {what}, which was changed in place after it was used"
        )


def _constant(node, x):
    """An input that is no Tensor: a plain array of numbers or a number. TypeError for anything else."""
    x = backend.plain(x)
    if backend.is_array(x) or isinstance(x, (np.generic, bool)):
        if isinstance(x, bool) or x.dtype.kind in "fiub":
            return x
    elif isinstance(x, (float, int)):
        return x
    kind = x.dtype if hasattr(x, "dtype") else type(x).__name__
    raise TypeError(f"{describe(node)} takes Tensors, arrays and numbers, got {kind}")


_serials = itertools.count()


def as_array(y):
    """What NumPy gave, as a plain array: of arrays without axes it makes scalars."""
    if type(y) is np.ndarray or hasattr(y, "__cuda_array_interface__"):
        return y
    return np.asarray(backend.plain(y))


def version_of_view(y, inputs):
    """The version counter of the input whose memory `y` shares, None when it has memory of its own."""
    has_base = y.base is not None
    for x in inputs:
        if isinstance(x, Tensor):
            a = x.data
            if y is a or (has_base and type(y) is type(a) and np.may_share_memory(y, a)):
                return x._version
    return None


# Telling the user which op is meant.


def describe(node: Function) -> str:
    """The op's name, and where it was called if that was recorded (in anomaly mode)."""
    return type(node).__name__ + (f" (called at {node.origin})" if node.origin else "")


def out_of_memory(what: str, arrays: list, error: MemoryError) -> str:
    """One sentence on an op that found no memory: its shapes, the bytes asked and, on a GPU, those free."""
    given = [a for a in arrays if backend.is_array(a)]
    shapes = ", ".join(str(a.shape) for a in given)
    return f"{what} of arrays of shape {shapes}: {error}{backend.one_device(what, given).memory()}"


def is_finite(array: Any) -> bool:
    """Whether an array has neither NaN nor infinity; of integers and bools, always."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _check_forward(node, inputs, out):
    node.origin = _caller()
    if is_finite(out.data):
        return
    given = ", ".join(
        "not finite" if not is_finite(x.data) else f"{x.data.min():.4g} to {x.data.max():.4g}"
        for x in inputs
        if isinstance(x, Tensor) and x.data.size
    )
    raise NonFiniteError(f"{describe(node)} made a value that is not finite; its inputs were {given}")


def _caller() -> str:
    """file:line of the newest frame outside the engine and its ops."""
    for frame in reversed(traceback.extract_stack()):
        if not any(part in frame.filename for part in _ENGINE):
            return f"{frame.filename}:{frame.lineno}"
    return "unknown"


_PARTS = ("arguments", "autograd", "functional", "nn")
_ENGINE = tuple(f"minigan{sep}{part}" for sep in "/\\" for part in _PARTS)
