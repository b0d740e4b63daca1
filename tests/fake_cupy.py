"""A stand-in for CuPy on a machine without a GPU: CuPy's rules, on NumPy's arithmetic.

It is no GPU, no CUDA and no emulator: nothing here runs on other hardware, in parallel, or rounds as a GPU
does. What it has of CuPy (14, whose documentation and sources were followed) are the rules in which CuPy
differs from NumPy, so that code which breaks one of them breaks here too:

- an array is no numpy.ndarray, and does not turn into one by itself: `np.asarray` raises, `get` copies;
- in no operation, index excepted, does a NumPy array stand beside one of CuPy's; numbers may;
- what NumPy returns as a scalar is an array without axes;
- functions, arguments and dtypes that CuPy lacks are lacking;
- an array belongs to one GPU, of which there are two, and is only touched while that one is current. (CuPy
  lets a GPU that can reach its peers' memory do so, with a warning; here it cannot.)
- memory is short when it is told to be, and what `empty` gives is poisoned. What a pool was given back it
  keeps from other pools, until it is told to free it, and gives out again to the same stream alone;
- while a stream captures, nothing is computed, no library is called and nothing is copied to or from the
  host; a launch of the graph does the recorded work, in the same memory. Memory of a MemoryPool that is
  gone is poisoned, since others would write to it.

All runs at once and in order, so it cannot show a missing wait between streams, how CuPy's pool splits and
merges blocks within an arena, or what a GPU flushes to zero.

`install(monkeypatch)` puts it in the place of `cupy` and `cupyx`.
"""

import contextlib
import sys
import types
import weakref
from collections import defaultdict

import numpy as np

from minigan_kernels.arrays import total

DTYPES = "?bhilqBHILQefd"
LACKING = """
    asmatrix bmat busday_count clongdouble complex256 einsum_path errstate flexible float128 frompyfunc
    geomspace getbufsize geterr histogram_bin_edges info insert isnat longdouble matrix matvec memmap
    nanpercentile nanquantile ndenumerate nditer object_ polyder polydiv polyint recarray record seterr
    spacing unstack vecdot vecmat void
"""
LACKING_ARGUMENTS = {"initial", "where", "sparse", "like", "subok", "equal_nan", "casting"}
METHODS = """
    all any argmax argmin argsort astype clip copy cumsum diagonal dot fill flatten max mean min nonzero
    prod ravel repeat reshape round sort squeeze std sum swapaxes take transpose var view
"""
VIEWS = {"transpose", "swapaxes", "squeeze", "view", "diagonal"}
BLAS = {"matmul", "dot", "tensordot", "einsum", "vdot", "inner"}


class State:
    """What CuPy and CUDA keep behind the scenes."""

    def reset(self, devices=2, driver=13000, runtime=13020, sm=(9, 0)):
        self.devices, self.driver, self.runtime, self.sm = devices, driver, runtime, sm
        self.current = 0
        self.free = [10**12] * devices  # bytes, of every GPU
        self.capture = None  # the work recorded so far
        self.default_pool = self.pool = MemoryPool()
        self.stream = Stream.null
        self.calls = []  # what was done to streams, graphs and pools, in order


state = State()


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


# Arrays


class ndarray:
    __array_priority__ = 100

    def __init__(self, *args, **kwargs):
        raise NotImplementedError("the stand-in makes arrays by functions only")

    def __del__(self):
        if getattr(self, "_home", None):
            pool, stream = self._home
            if pool() is not None:
                pool().give_back(self._a, stream)

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    strides = property(lambda self: self._a.strides)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    flags = property(lambda self: self._a.flags)
    T = property(lambda self: self.transpose())
    data = property(lambda self: types.SimpleNamespace(ptr=self._a.ctypes.data, device_id=self._device))
    device = property(lambda self: Device(self._device))
    __cuda_array_interface__ = property(
        lambda self: {"shape": self.shape, "typestr": self.dtype.str, "data": (self._a.ctypes.data, False)}
    )

    def __dlpack__(self, **how):
        return self._a.__dlpack__(**how)

    def __dlpack_device__(self):
        return 2, self._device  # CUDA

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self):
        _no_capture("copying to the host")
        return self._a.copy(order="C")

    def set(self, a):
        _no_capture("copying from the host")
        self._a[...] = a

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        return bool(self.get())

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __complex__(self):
        return complex(self.get())

    def __index__(self):
        return self.get().__index__()

    def __repr__(self):
        return repr(self.get())

    def __format__(self, spec):
        return format(self.get(), spec)

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    __hash__ = object.__hash__

    def __deepcopy__(self, memo):
        with Device(self._device):
            return self.copy()

    def __getitem__(self, key):
        with _place_of_a_view(self, not _has_arrays(key)):
            return call(lambda a, k: a[k], self, _key(key), is_key=True)

    def __setitem__(self, key, value):
        if not isinstance(value, ndarray) and np.ndim(value):
            raise TypeError(f"Unsupported type {type(value)}")

        def assign(a, k, v):
            a[k] = v

        call(assign, self, _key(key), value, is_key=True, in_place=True)

    def __array_ufunc__(self, function, method, *inputs, **kwargs):
        if method != "__call__" or function.__name__ in LACKING.split():
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        return getattr(sys.modules["cupy"], function.__name__)(*inputs, **kwargs)

    def __array_function__(self, function, kinds, args, kwargs):
        module = sys.modules["cupy"]
        for name in function.__module__.split(".")[1:]:
            module = getattr(module, name, None)
        found = getattr(module, function.__name__, None)
        if found is None or any(kind not in (ndarray, np.ndarray) for kind in kinds):
            return NotImplemented
        return found(*args, **kwargs)


def _method(name):
    def method(self, *args, **kwargs):
        _only_known(name, kwargs)
        if name in ("transpose", "reshape"):
            axes = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
            if not all(isinstance(a, (int, np.integer)) for a in axes):
                raise TypeError(f"{name}: axes and sizes are integers, got {args}")
        if name == "fill":
            return call(lambda a, value: a.fill(value), self, *args, in_place=True)
        if name in BLAS:
            _no_blas()
        if name == "sum":
            return call(_sum, self, *args, **kwargs)
        is_view = name in VIEWS or (name == "reshape" and self.flags.c_contiguous)
        with _place_of_a_view(self, is_view):
            return call(lambda a, *rest, **more: getattr(a, name)(*rest, **more), self, *args, **kwargs)

    return method


def _sum(a, axis=None, keepdims=False):
    """CuPy shares a sum among many threads, so it is as good as ours, in bits too."""
    axes = (axis,) if isinstance(axis, (int, np.integer)) else axis
    return total(a, axes, keepdims)


for _name in METHODS.split():
    setattr(ndarray, _name, _method(_name))


def _operator(function, reflected=False):
    def method(self, other):
        if getattr(other, "__array_ufunc__", 0) is None:
            return NotImplemented
        if function is np.matmul:
            _no_blas()
        return call(function, *((other, self) if reflected else (self, other)))

    return method


def _in_place(function):
    def method(self, other):
        if getattr(other, "__array_ufunc__", 0) is None:
            return NotImplemented
        call(lambda a, b: function(a, b, out=a, casting="same_kind"), self, other, in_place=True)
        return self

    return method


_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
    "matmul": np.matmul,
}
for _name, _function in _BINARY.items():
    setattr(ndarray, f"__{_name}__", _operator(_function))
    setattr(ndarray, f"__r{_name}__", _operator(_function, reflected=True))
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", _in_place(_function))
for _name, _function in {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}.items():
    setattr(ndarray, f"__{_name}__", _operator(_function))
for _name, _function in {
    "neg": np.negative,
    "abs": np.absolute,
    "invert": np.invert,
    "pos": np.positive,
}.items():
    setattr(ndarray, f"__{_name}__", lambda self, f=_function: call(f, self))


def call(function, *args, is_key=False, in_place=False, **kwargs):
    """function(*args) on the memory behind the arrays: at once, or when the graph that records it runs."""
    plain = [_plain(a, is_key) for a in args]
    named = {k: _plain(v) for k, v in kwargs.items()}
    function = np.errstate(all="ignore")(function)  # a GPU does not warn of NaN
    if state.capture is not None and in_place:
        state.capture.append(lambda: function(*plain, **named))
        return None
    result = function(*plain, **named)
    return result if in_place else _wrapped(result, args, lambda: function(*plain, **named))


def _place_of_a_view(array, is_view):
    """A view of an array is made wherever it lies: no GPU has to do anything."""
    return Device(array._device) if is_view else contextlib.nullcontext()


def _has_arrays(key):
    return any(
        isinstance(k, (ndarray, np.ndarray, list)) for k in (key if isinstance(key, tuple) else (key,))
    )


def _plain(value, is_key=False):
    if isinstance(value, ndarray):
        if value._device != state.current:
            raise ValueError(
                f"Array device must be same as the current device: array device = {value._device} "
                f"while current = {state.current}"
            )
        return value._a
    if isinstance(value, np.ndarray) and not is_key:
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(v, is_key) for v in value)
    return value


def _key(key):
    keys = key if isinstance(key, tuple) else (key,)
    if any(isinstance(k, (np.ndarray, list)) for k in keys):
        _no_capture("an index from the host")
    if any(isinstance(k, ndarray) and k.dtype == bool for k in keys):
        _no_capture("an index by a mask, whose size the host must know,")
    return key


def _wrapped(result, inputs, again):
    if isinstance(result, (tuple, list)) and any(isinstance(r, np.ndarray) for r in result):
        return type(result)(_wrapped(r, inputs, lambda i=i: again()[i]) for i, r in enumerate(result))
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    if isinstance(result, np.ndarray):
        for source in inputs:
            if isinstance(source, ndarray) and np.may_share_memory(result, source._a):
                return _array(result, base=source if source.base is None else source.base)
    return _owned(np.asarray(result), again)


def _owned(a, again):
    """A new array; in a capture it has its memory, and its values when the graph has run."""
    if a.dtype.char not in DTYPES:
        raise ValueError(f"Unsupported dtype {a.dtype}")
    kept = state.default_pool.free_bytes() if state.pool is not state.default_pool else 0
    if a.nbytes > state.free[state.current] - kept:
        raise OutOfMemoryError(a.nbytes, 0)
    if not (a.flags.owndata and a.flags.writeable):
        a = a.copy(order="K")
    a = state.pool.place(a)
    if state.capture is not None:
        poison(a)
        if again is not None:
            state.capture.append(lambda: np.copyto(a, again()))
    return _array(a)


def _array(a, base=None):
    self = object.__new__(ndarray)
    self._a, self._device, self.base = a, state.current, base
    self._home = None if base is not None else (weakref.ref(state.pool), state.stream)
    return self


def poison(a):
    a[...] = np.nan if a.dtype.kind == "f" else 0


def _no_capture(what):
    if state.capture is not None:
        raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} is not permitted in a capture")


def _no_blas():
    if state.capture is not None:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")


def _only_known(name, kwargs):
    lacking = LACKING_ARGUMENTS & kwargs.keys()
    if lacking:
        raise TypeError(f"{name}() got an unexpected keyword argument {lacking.pop()!r}")


# Functions


class ufunc:
    def __init__(self, function):
        self.function, self.__name__ = function, function.__name__

    def __call__(self, *args, out=None, dtype=None):
        kwargs = {} if dtype is None else {"dtype": dtype}
        if self.__name__ in BLAS:
            _no_blas()
        if out is None:
            return call(self.function, *args, **kwargs)
        call(lambda o, *a: self.function(*a, out=o, **kwargs), out, *args, in_place=True)
        return out

    def at(self, a, index, value):
        if self.__name__ not in ("add", "subtract", "maximum", "minimum"):
            raise NotImplementedError(f"`{self.__name__}.at` is not supported yet")
        call(self.function.at, a, _key(index), value, in_place=True)


def _function(function):
    name = function.__name__

    def wrapper(*args, **kwargs):
        _only_known(name, kwargs)
        if name in BLAS:
            _no_blas()
        if (out := kwargs.pop("out", None)) is None:
            return call(function, *args, **kwargs)
        call(lambda o, *a: function(*a, out=o, **kwargs), out, *args, in_place=True)
        return out

    wrapper.__name__ = name
    return wrapper


def asarray(a, dtype=None, order=None):
    if isinstance(a, ndarray):
        if a._device == state.current:
            return a if dtype is None else a.astype(dtype)
        with Device(a._device):
            a = a._a.copy(order="K")
    else:
        _no_capture("copying from the host")
        fortran = isinstance(a, np.ndarray) and a.flags.f_contiguous
        a = np.array(a, dtype=dtype, order="F" if fortran else "C")
    return _owned(a if dtype is None else a.astype(dtype), None)


def array(a, dtype=None, copy=True):
    return asarray(a, dtype).copy()


class _OnTheHost:
    """What NumPy may read: the stand-in's memory is the host's, whatever it says of itself."""

    def __init__(self, owner):
        self.owner = owner

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, *, dl_device=None, **how):
        return self.owner.__dlpack__(**how)


def from_dlpack(owner):
    kind, index = owner.__dlpack_device__()
    if kind != 2:
        raise BufferError("the stand-in reads no memory but that of its GPUs")
    with Device(index):
        return _array(np.from_dlpack(_OnTheHost(owner)), base=owner)


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def empty(shape, dtype=float, order="C"):
    a = np.empty(shape, dtype, order)
    poison(a)
    return _owned(a, None)


def array_equal(a, b):
    return asarray(np.array_equal(_plain(a), _plain(b)))


def may_share_memory(a, b, max_work=None):
    return np.may_share_memory(a._a, b._a)


# cupy.cuda


class Device:
    def __init__(self, device=None):
        self.id = state.current if device is None else int(device)
        if not 0 <= self.id < state.devices:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self._before = []

    attributes = {"MultiProcessorCount": 4}  # noqa: RUF012
    compute_capability = property(lambda self: "".join(map(str, state.sm)))
    mem_info = property(lambda self: (state.free[self.id], 10**12))

    def use(self):
        state.current = self.id

    def synchronize(self):
        _no_capture("waiting for the device")

    def __enter__(self):
        self._before.append(state.current)
        state.current = self.id
        return self

    def __exit__(self, *error):
        state.current = self._before.pop()

    def __eq__(self, other):
        return self.id == int(getattr(other, "id", other))

    __hash__ = None


class Stream:
    null = None

    def __init__(self, non_blocking=False):
        self.before = []

    def __enter__(self):
        self.before.append(state.stream)
        state.stream = self
        return self

    def __exit__(self, *error):
        state.stream = self.before.pop()

    def begin_capture(self):
        if state.stream is not self:
            raise CUDARuntimeError("cudaErrorStreamCaptureImplicit: work on another stream than captures")
        state.calls.append("begin_capture")
        state.capture = []

    def end_capture(self):
        state.calls.append("end_capture")
        work, state.capture = state.capture, None
        return Graph(work)

    def is_capturing(self):
        return state.capture is not None

    def synchronize(self):
        _no_capture("waiting for the stream")
        state.calls.append("synchronize")

    def record(self, event=None):
        return "event"

    def wait_event(self, event):
        state.calls.append("wait")


class Graph:
    def __init__(self, work):
        self.work = work

    def launch(self, stream=None):
        state.calls.append("launch")
        for step in self.work:
            step()


class MemoryPool:
    """Memory, and what was given back of it: for each stream, by the power of two of its bytes."""

    def __init__(self):
        self.blocks = []  # all memory of a pool that is not the default one
        self.arenas = defaultdict(list)
        self.kept = 0
        weakref.finalize(self, _poison_all, self.blocks)

    def malloc(self, size):
        raise NotImplementedError("the stand-in only notes who allocates")

    def place(self, a):
        """`a` in memory that was given back, where a graph still writes to it; else where it is."""
        arena = self.arenas[state.stream, a.nbytes.bit_length()]
        if arena:
            size, given_back = arena.pop()
            self.kept -= size
            memory = given_back()
            if memory is not None and size >= a.nbytes:
                memory = np.ndarray(a.shape, a.dtype, memory.reshape(-1, order="A"), strides=a.strides)
                memory[...] = a
                a = memory
        if self is not state.default_pool:
            self.blocks.append(a)
        return a

    def give_back(self, a, stream):
        self.kept += a.nbytes
        self.arenas[stream, a.nbytes.bit_length()].append((a.nbytes, weakref.ref(a)))

    def free_bytes(self):
        return self.kept

    def free_all_blocks(self):
        self.arenas.clear()
        self.kept = 0


def _poison_all(blocks):
    for a in blocks:
        poison(a)


Stream.null = Stream()
state.reset()


class using_allocator:
    def __init__(self, allocator):
        self.pool = allocator.__self__

    def __enter__(self):
        self.before, state.pool = state.pool, self.pool
        state.calls.append("pool")

    def __exit__(self, *error):
        state.pool = self.before


def _count():
    if not state.driver:
        raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
    if not state.devices:
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
    return state.devices


def _properties(index):
    return {"name": b"Stand-in GPU", "major": state.sm[0], "minor": state.sm[1]}


def install(monkeypatch, **settings):
    """Put a fresh stand-in in the place of cupy; `settings` as in `State.reset`. Returns the module."""
    state.reset(**settings)
    cupy = types.ModuleType("cupy")
    own = (ndarray, ufunc, asarray, array, asnumpy, empty, from_dlpack, array_equal, may_share_memory)
    skipped = {*LACKING.split(), "empty_like"}
    for name in (n for n in dir(np) if not n.startswith("_") and n not in skipped):
        value = getattr(np, name)
        if isinstance(value, np.ufunc):
            value = ufunc(value)
        elif hasattr(value, "__name__") and callable(value) and not isinstance(value, type):
            value = _function(value)
        elif isinstance(value, types.ModuleType):
            continue
        setattr(cupy, name, value)
    for value in own:
        setattr(cupy, value.__name__, value)
    cupy.get_default_memory_pool = lambda: state.default_pool
    cupy.empty_like = lambda a, dtype=None: empty(a.shape, dtype or a.dtype)
    cupy.__version__ = "14.0.0 (stand-in)"
    cupy.__path__ = []
    strides = types.SimpleNamespace(as_strided=_function(np.lib.stride_tricks.as_strided))
    cupy.lib = types.SimpleNamespace(stride_tricks=strides)
    cupy.random = types.SimpleNamespace(normal=lambda *args: _no_blas())
    cupy.linalg = types.SimpleNamespace(norm=_function(np.linalg.norm), qr=_function(np.linalg.qr))
    cupy.cuda = types.SimpleNamespace(
        Device=Device,
        Graph=Graph,
        MemoryPool=MemoryPool,
        Stream=Stream,
        get_current_stream=lambda: state.stream,
        using_allocator=using_allocator,
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        runtime=types.SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            driverGetVersion=lambda: state.driver,
            getDevice=lambda: state.current,
            getDeviceCount=_count,
            getDeviceProperties=_properties,
            runtimeGetVersion=lambda: state.runtime,
        ),
    )
    special = types.ModuleType("cupyx.scipy.special")
    special.erf = lambda x: call(__import__("scipy.special").special.erf, x)
    scipy = types.ModuleType("cupyx.scipy")
    scipy.special = special
    cupyx = types.ModuleType("cupyx")
    cupyx.scipy = scipy
    for module in (cupy, cupyx, scipy, special):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return cupy
