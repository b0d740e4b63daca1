"""A whole training step as one CUDA graph: hundreds of launches become one.

On a GPU a small step is bound by Python, which takes longer to launch a kernel than the kernel takes. CUDA
can record what a step launches, once, and launch all of it again. What is recorded are kernels and the
addresses they work on. So whatever changes from step to step has to lie on the device, at an address that
stays: parameters and optimiser states, which are written in place; the rate and the step count of an
optimiser and the counter of a Generator, which are arrays there; and the batch, which is copied into a buffer
before each launch. Python itself does not run again: numbers that it computed stay as they were.
"""

import contextlib
import functools
import gc
import traceback
from collections.abc import Callable
from typing import Any

import minigan_kernels as kernels
from minigan_kernels.contexts import context

from . import backend
from .autograd import Function, Tensor
from .autograd.modes import mode, switched
from .errors import MiniganError

WARM_UP = 3  # calls before the capture: they compile kernels, and begin what has a first step


def graph(step: Callable[..., Any]) -> "GraphedStep | Callable[..., Any]":
    """`step` as one launch, on a GPU; on the CPU it runs as it is. Without CuPy, the function itself.

        @graph
        def train_step(real):
            ...
            return {"loss": loss}

    step: takes arrays or Tensors on one device and returns a Tensor or array, or a tuple, list or dict of
        them. All else that it uses and changes lies on that device and is changed in place: networks,
        optimisers, a Generator.

    The first three calls run as they are. The next is captured and launched, all later ones are launched.
    They give the same bits. What is returned then is the same memory in every call: read it before the next.

    Raises MiniganError for inputs of another shape, dtype or device than those of the first call; for a
    step that waits for the device or calls what cannot be captured (copies to or from the host, cuBLAS,
    cuRAND), naming the op; and where, after the capture, an optimiser's settings but for its rate, the
    precision of matrix products, the forced engine, or the training mode of a module that was called have
    changed: make a new graph. A rate may change between two calls, not within the step. Two optimisers that
    move one parameter in turn do not go with a captured step: run it within `graphs(False)`.

    Where a tensor of such a module or optimiser was given another array, as by the first step of an optimiser
    that moves it, the step is captured anew.

    All else that Python decided stays as it was, in silence: a dropout's p, `requires_grad`, `no_grad`, the
    value of a closure or a global, the branch of an `if`; and any other array that is replaced, not changed
    in place, is not looked at again.

    In anomaly mode, which looks at every value, and within `graphs(False)`, the step runs as it is.
    """
    return GraphedStep(step) if backend.gpu_possible() else step


def graphs(enabled: bool) -> switched:
    """Inside the block, a step of `graph` is captured, or runs as it is."""
    return switched(graphs=bool(enabled))


class GraphedStep:
    """What `graph` makes of a step. `captured` says whether it is launched by now."""

    def __init__(self, step: Callable[..., Any]) -> None:
        functools.update_wrapper(self, step)
        self.step = step
        self.calls, self.expected = 0, None
        self.graph: Any = None
        self.pool: Any = None
        self.buffers: Any = None
        self.outputs: Any = None
        self.found: Any = None

    @property
    def captured(self) -> bool:
        """Whether the step is a CUDA graph by now, which calls launch."""
        return self.graph is not None

    def __call__(self, *inputs: Any) -> Any:
        if not backend.gpu_in_use():
            return self.step(*inputs)
        arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]
        device = backend.one_device("graph", arrays)
        if device.kind == "cpu" or not mode.graphs or mode.anomaly:
            return self.step(*inputs)
        self._check(arrays, device)
        with device.active():
            if self.calls < WARM_UP:
                self.calls += 1
                return self._warm_up(device.xp, inputs)
            if not self.captured or self.found.moved():
                self._capture(device.xp, inputs, arrays)
            return self._launch(arrays)

    def _check(self, arrays, device):
        if not all(map(backend.is_array, arrays)):
            kinds = ", ".join(type(a).__name__ for a in arrays)
            raise TypeError(f"graph: the inputs of a step are arrays or Tensors, got {kinds}")
        given = [(a.shape, str(a.dtype), str(device)) for a in arrays]
        self.expected = given if self.expected is None else self.expected
        if given != self.expected:
            shown = (
                ", ".join(f"{d} {s} on {p}" for s, d, p in described) for described in (given, self.expected)
            )
            raise MiniganError("graph: the step was first called with {1}, got {0}".format(*shown))

    def _warm_up(self, cupy, inputs):
        """The step as it is, on a stream of its own, as it will be captured."""
        before, stream = cupy.cuda.get_current_stream(), self._stream(cupy)
        stream.wait_event(before.record())
        with stream:
            outputs = self.step(*inputs)
        before.wait_event(stream.record())
        return outputs

    def _capture(self, cupy, inputs, arrays):
        """Record the step, in memory that nobody else is given as long as this graph lives."""
        self.graph = self.pool = self.buffers = self.outputs = self.found = None
        cupy.cuda.get_current_stream().synchronize()
        gc.collect()  # the pool of the warm-up keeps what it was given back, out of reach of the graph's own
        cupy.get_default_memory_pool().free_all_blocks()
        self.buffers = [a.copy(order="K") for a in arrays]
        static = [
            Tensor(b) if isinstance(x, Tensor) else b for x, b in zip(inputs, self.buffers, strict=True)
        ]
        self.pool, stream = cupy.cuda.MemoryPool(), self._stream(cupy)
        with stream, cupy.cuda.using_allocator(self.pool.malloc), backend.capture() as found:
            backend.depends_on("the precision of matrix products", kernels.precision_name)
            backend.depends_on("the forced engine", kernels.engines.forced_engine)
            stream.begin_capture()
            try:
                with switched(check_roots=False), _guarded(cupy):
                    outputs = _detached(self.step(*static))
            except BaseException as error:
                with contextlib.suppress(Exception):  # the capture is broken: this is to end it
                    stream.end_capture()
                if isinstance(error, MemoryError) or not isinstance(error, Exception):
                    raise
                raise MiniganError(_explain(error)) from error
            captured = stream.end_capture()
        self.graph, self.outputs, self.found = captured, outputs, found

    def _launch(self, arrays):
        for what, read, before in self.found.dependencies:
            if read() != before:
                raise MiniganError(
                    f"graph: {what} changed after the step was captured, from {before} to {read()}; "
                    "make a new graph"
                )
        for buffer, a in zip(self.buffers, arrays, strict=True):
            buffer[...] = a
        self.graph.launch()
        return self.outputs

    def _stream(self, cupy):
        if not hasattr(self, "stream"):
            self.stream = cupy.cuda.Stream(non_blocking=True)
        return self.stream


def _detached(outputs):
    """The outputs without the graph of their gradients, which a replay does not make anew."""
    if isinstance(outputs, dict):
        return {name: _detached(value) for name, value in outputs.items()}
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(map(_detached, outputs))
    return outputs.detach() if isinstance(outputs, Tensor) else outputs


# What a capture must not meet


class _Forbidden(Exception):
    pass


HOST = "get item tolist set __bool__ __int__ __float__ __complex__ __index__"
BLAS = "matmul dot tensordot einsum vdot inner"


@context
def _guarded(cupy):
    """Inside the block, on this thread, what would call cuBLAS or cuRAND or copy to or from the host raises.

    Most of it CUDA and CuPy refuse by themselves, but some is captured in silence, and would copy the same
    host memory again in every replay. Of what is called within CuPy's own compiled code nothing is seen here.
    """
    array = cupy.ndarray
    places = [(array, name, f"ndarray.{name}, which copies between device and host") for name in HOST.split()]
    places += [(array, name, "a matrix product by cuBLAS") for name in ("__matmul__", "__rmatmul__", "dot")]
    places += [(cupy, name, f"cupy.{name}, which calls cuBLAS") for name in BLAS.split()]
    places += [(cupy, name, f"cupy.{name}, which copies from the host") for name in ("array", "asarray")]
    places += [(cupy, "asnumpy", "cupy.asnumpy, which copies to the host")]
    places += [
        (cupy.random, name, f"cupy.random.{name}, which calls cuRAND")
        for name in dir(cupy.random)
        if name[0].islower() and callable(getattr(cupy.random, name))
    ]
    before = [(owner, name, owner.__dict__.get(name), getattr(owner, name)) for owner, name, _ in places]
    try:
        for (owner, name, _, original), (_, _, what) in zip(before, places, strict=True):
            setattr(owner, name, _guard(original, what, cupy.ndarray if name.endswith("array") else None))
        yield
    finally:
        for owner, name, own, _ in before:
            if own is None:
                delattr(owner, name)  # it was inherited
            else:
                setattr(owner, name, own)


def _guard(original, what, harmless):
    """`original`, but in a capture an error; calls with an argument of the type `harmless` are none."""

    @functools.wraps(original)
    def guard(*args, **kwargs):
        if backend.capturing():
            given = (*args, *kwargs.values())
            if harmless is None or not any(isinstance(a, harmless) for a in given):
                raise _Forbidden(what)
        return original(*args, **kwargs)

    return guard


def _explain(error: BaseException) -> str:
    """Which op it was, and what it did, in one sentence."""
    frames = list(traceback.walk_tb(error.__traceback__))
    owners = [frame.f_locals.get("self") for frame, _ in frames]
    ops = [type(owner).__name__ for owner in owners if isinstance(owner, Function)]
    step, line = frames[min(1, len(frames) - 1)]  # called by `_capture`
    place = f"{step.f_code.co_filename}:{line}"
    who = f"{ops[-1]}, on the way from {place}," if ops else f"the step, at {place},"
    what = str(error) if isinstance(error, _Forbidden) else f"what cannot be captured: {error}"
    return f"graph: {who} uses {what}; run the step without graph, on the command line with --no-graph"
