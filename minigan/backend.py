"""Arrays and devices. The only file of this package that imports CuPy, and only when asked about it.

A device is the CPU, whose arrays are NumPy's, or a GPU, whose arrays are CuPy's. What is computed from
arrays of one device lies on that device; arrays of two devices are never mixed in silence.
"""

import contextlib
import ctypes
import importlib.util
import re
import sys
import threading
from dataclasses import dataclass
from operator import is_not

import numpy as np

from minigan_kernels import ENGINES, array_module, engine_missing
from minigan_kernels.contexts import context

from .errors import DeviceError, MiniganError, did_you_mean


@dataclass(frozen=True)
class Device:
    """ "cpu", or a GPU by its number in CuPy's count: "gpu:0". Made by `device(name)`."""

    kind: str
    index: int = 0

    @property
    def xp(self):
        """The module that makes arrays here: numpy or cupy."""
        if self.kind == "cpu":
            return np
        import cupy

        return cupy

    def active(self):
        """Inside the block, new arrays of `xp` are made here."""
        if self.kind == "cpu" or self.xp.cuda.runtime.getDevice() == self.index:
            return contextlib.nullcontext()
        return self.xp.cuda.Device(self.index)

    def put(self, array):
        """`array` on this device, in the same memory order; itself where it is here already."""
        source = device_of(array)
        if source == self:
            return array
        axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
        try:
            with source.active():
                inner = array.transpose(axes)  # CuPy copies to and from the CPU in the order of the axes
                moved = inner.get() if self.kind == "cpu" else inner
            with self.active():
                moved = moved if self.kind == "cpu" else self.xp.asarray(moved)
                return moved.transpose(np.argsort(axes).tolist())
        except MemoryError as error:
            what = f"moving an array of shape {array.shape} to {self}"
            raise MemoryError(f"{what}: {error}{self.memory()}") from None

    def memory(self) -> str:
        """What is left of a GPU's memory, to end an error with; nothing for the CPU."""
        if self.kind == "cpu":
            return ""
        free, total = self.xp.cuda.Device(self.index).mem_info
        return f" {self} has {free:,} of {total:,} bytes free."

    def __str__(self):
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


CPU = Device("cpu")
_NAME = re.compile(r"(cpu|auto|gpu(?::(\d+))?)", re.ASCII)


def device(name="cpu") -> Device:
    """The device called "cpu", "gpu" (the first one) or "gpu:1"; "auto" is a GPU where one can be used.

    DeviceError for another name, and, with the reason and what to do, for a GPU that cannot be used.
    """
    if isinstance(name, Device):
        return name
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise DeviceError(f"no device is called {name!r}; there are: auto, cpu, gpu, gpu:N")
    if name == "cpu":
        return CPU
    index = int(found[2] or 0)
    reason = no_gpu_reason(index)
    if reason is None:
        return Device("gpu", index)
    if name == "auto":
        return CPU
    raise DeviceError(f"{Device('gpu', index)} cannot be used: {reason}")


def names_device(name) -> bool:
    """Whether `name` stands for a device; otherwise it is meant as a dtype."""
    if isinstance(name, Device):
        return True
    if not isinstance(name, str):
        return False
    try:
        np.dtype(name)
    except TypeError:
        return True
    return False


def device_of(array) -> Device:
    """Where an array lies."""
    return CPU if isinstance(array, np.ndarray) else Device("gpu", array.device.id)


def gpu_in_use() -> bool:
    """Whether any array can lie on a GPU: without CuPy there is nothing to look for."""
    return "cupy" in sys.modules


def gpu_possible() -> bool:
    """Whether that may still come: CuPy is imported, or there to be. Nothing is imported to find out."""
    return gpu_in_use() or importlib.util.find_spec("cupy") is not None


def beside(array):
    """Inside the block, new arrays are made on the device of `array`."""
    return device_of(array).active() if gpu_in_use() else contextlib.nullcontext()


def one_device(what: str, values) -> Device:
    """The device that all arrays among `values` lie on, the CPU if there are none.

    DeviceError that names `what` and both devices where there are two. Numbers lie anywhere.
    """
    found = None
    for value in values:
        if not is_array(value):
            continue
        here = device_of(value)
        if found is None:
            found = here
        elif found != here:
            raise DeviceError(
                f"{what}: one array lies on {found}, another on {here}; move one of them by to('{found}')"
            )
    return found or CPU


class _Capture(threading.local):
    found = None


_capture = _Capture()


@dataclass(frozen=True)
class Captured:
    """What the replays of a CUDA graph depend on. dependencies: (what it is, a function that reads it, its
    value at the capture), an error where it changed. places: (a function that gives arrays, the arrays at the
    capture), a reason to capture anew where they are others."""

    dependencies: list
    places: list

    def moved(self) -> bool:
        """Whether arrays that the graph knows were replaced by others."""
        return any(
            len(now := read()) != len(then) or any(map(is_not, now, then)) for read, then in self.places
        )


@context
def capture():
    """Inside the block, this thread records a CUDA graph. Gives the Captured."""
    _capture.found = Captured([], [])
    try:
        yield _capture.found
    finally:
        _capture.found = None


def capturing() -> bool:
    """Whether this thread records a CUDA graph: then nothing may wait for the device."""
    return _capture.found is not None


def depends_on(what: str, read):
    """Tell a capture, if there is one, that what it records holds only while read() stays as it is."""
    if capturing():
        _capture.found.dependencies.append((what, read, read()))


def lies_in(read):
    """Tell a capture, if there is one, that what it records works on the very arrays that read() gives."""
    if capturing():
        _capture.found.places.append((read, read()))


# Arrays


def as_array(data, dtype=None, device=None):
    """`data` as a NumPy or CuPy array of numbers, without a copy where it is one of `dtype` already.

    What has `__dlpack__`, as the arrays of PyTorch and JAX, is shared: see `from_dlpack`. Python numbers and
    nested lists become float32, int64 or bool. Of subclasses of NumPy's arrays only the plain array is taken:
    see `plain`. TypeError for anything else.
    device: the Device to lie on; by default where it is, lists on the CPU.
    """
    if is_array(data):
        data = plain(data)
    elif hasattr(data, "__dlpack__"):
        data = from_dlpack(data)
    else:
        is_python = not isinstance(data, np.generic)
        data = np.asarray(data)
        if is_python and dtype is None and data.dtype == np.float64:
            dtype = np.float32
    if data.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds numbers, got {data.dtype}")
    if dtype is not None and data.dtype != dtype:
        with beside(data):
            data = data.astype(dtype)
    return data if device is None else device.put(data)


def plain(value):
    """An array of a subclass of NumPy's, such as `np.matrix`, as one of NumPy's own on the same memory: a
    subclass may mean something else by `*` and `sum`. Anything else as it is.

    TypeError for a masked array.
    """
    if type(value) is np.ndarray or not isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("the mask of a masked array would be lost; give its filled(number), or its data")
    return value.view(np.ndarray)


def is_array(value) -> bool:
    """Whether it is an array of NumPy's or CuPy's. Never imports CuPy."""
    cupy = sys.modules.get("cupy")
    return isinstance(value, np.ndarray) or (cupy is not None and isinstance(value, cupy.ndarray))


HOST, CUDA = {1, 3}, {2, 13}  # DLPack's numbers of kinds of memory: the CPU's, pinned; a GPU's, managed


def from_dlpack(owner):
    """A NumPy or CuPy array on the memory of `owner`, which has `__dlpack__`, in its strides: never a copy.

    It is read-only where the owner says that its memory is not to be written to, as JAX does; and where the
    owner or NumPy speak a DLPack older than 1.0, in which nobody can say.
    TypeError for what has no `__dlpack__`, or a dtype that NumPy lacks; DeviceError for memory that is not
    the CPU's, nor a GPU's that CuPy can use; BufferError where the owner refuses.
    """
    if not hasattr(owner, "__dlpack__"):
        raise TypeError(f"{type(owner).__name__} has no __dlpack__ to share its memory by")
    kind, index = owner.__dlpack_device__()
    if kind not in HOST | CUDA:
        raise DeviceError(
            f"an array on DLPack's device {int(kind)} cannot be shared; copy it to the CPU first"
        )
    place = device(f"gpu:{index}") if kind in CUDA else CPU
    try:
        with place.active():
            return place.xp.from_dlpack(owner)
    except RuntimeError as error:
        raise TypeError(f"a tensor cannot hold {getattr(owner, 'dtype', type(owner))}: {error}") from error


def c_copy(array):
    """A copy of `array` on its device, in C order: what a reader of the bare memory expects."""
    with beside(array):
        return array.copy(order="C")


def to_numpy(array):
    """A NumPy array with the values of `array`, copied from the device if it lies on one."""
    return CPU.put(array)


def erf(x):
    """The error function of an array, in its dtype."""
    if array_module(x) is np:
        from scipy import special  # takes longer to import than all of minigan
    else:
        from cupyx.scipy import special
    return special.erf(x)


# What GPUs there are, or why there is none

OLDEST_CUDA = 12000  # what the extras' CuPy needs of a driver
OLDEST_SM = 75  # Turing
WHEELS = {13: "cupy-cuda13x", 12: "cupy-cuda12x"}  # the CuPy for each CUDA


def gpu_status() -> tuple[bool, str]:
    """Whether there is a GPU to use, and what CuPy sees; or the reason why not, and what to do."""
    reason = no_gpu_reason()
    if reason is not None:
        return False, reason
    import cupy

    runtime = cupy.cuda.runtime
    names = ", ".join(f"gpu:{i} {_name(runtime, i)}" for i in range(runtime.getDeviceCount()))
    made, driver = (_version(v()) for v in (runtime.runtimeGetVersion, runtime.driverGetVersion))
    return True, f"{names}; CuPy {cupy.__version__} for CUDA {made}, a driver for CUDA {driver}"


def no_gpu_reason(index: int = 0) -> str | None:
    """Why GPU `index` cannot be used, and what to do about it, in one sentence; None if it can."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return f"CuPy is installed but broken: {error}"
        return _without_cupy(_driver_version())
    except ImportError as error:
        return f"CuPy is installed but cannot be imported: {' '.join(str(error).split())}"
    runtime = cupy.cuda.runtime
    driver, made = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if not driver or driver < OLDEST_CUDA:
        return _driver_reason(driver)
    if driver // 1000 < made // 1000:
        return (
            f"CuPy is made for CUDA {_version(made)}, the NVIDIA driver goes up to CUDA {_version(driver)}: "
            f"pip uninstall {WHEELS[made // 1000]}, then {_install(driver)}, or install a newer driver"
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return f"the NVIDIA driver finds no GPU: {error}"
    if index >= count:
        known = ", ".join(f"gpu:{i}" for i in range(count)) or "none"
        return f"there is no such GPU; CuPy sees {known}"
    properties = runtime.getDeviceProperties(index)
    sm = 10 * properties["major"] + properties["minor"]
    if sm < OLDEST_SM:
        return f"{_name(runtime, index)} is an sm_{sm}, minigan needs sm_{OLDEST_SM} (Turing, 2018) or newer"
    return None


def _without_cupy(driver):
    if not driver or driver < OLDEST_CUDA:
        newest = max(WHEELS) * 1000
        return f"{_driver_reason(driver)}, and CuPy is not installed: once there is one, {_install(newest)}"
    return f"CuPy is not installed: {_install(driver)}"


def _driver_reason(driver):
    """What is wrong with the driver: None or 0 for no driver, else the CUDA it goes up to."""
    if not driver:
        return "this machine has no NVIDIA driver"
    return (
        f"the NVIDIA driver is too old: it goes up to CUDA {_version(driver)}, minigan needs "
        f"{_version(OLDEST_CUDA)} (driver 525) or newer"
    )


def _install(driver) -> str:
    """The line that installs the CuPy for a driver, with the compiler and headers it needs."""
    return f"pip install '{WHEELS[min(driver // 1000, max(WHEELS))]}[ctk]'"


def _driver_version() -> int | None:
    """What CUDA the driver goes up to, as 12040 for 12.4, asked without CuPy; None without a driver."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int(0)
    return version.value if library.cuDriverGetVersion(ctypes.byref(version)) == 0 else None


def _version(number):
    return f"{number // 1000}.{number % 1000 // 10}"


def _name(runtime, index):
    return runtime.getDeviceProperties(index)["name"].decode()


def require_engine(name: str):
    """MiniganError unless `name` is a kernel engine that this machine can run: what it is called like, or
    why not."""
    if name not in ENGINES:
        raise MiniganError(f"no engine is called {name!r}; {did_you_mean(name, ENGINES)}")
    reason = no_gpu_reason() if name == "cuda" else engine_missing(name)
    if reason:
        raise MiniganError(f"the engine {name!r} cannot run here: {reason}")


def blas() -> str:
    """The libraries behind matrix products, and their numbers of threads."""
    from threadpoolctl import threadpool_info

    pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
    owners = ["SciPy's" if "scipy.libs" in p["filepath"] else "NumPy's" for p in pools]
    return "; ".join(
        f"{owner} {p['internal_api']} {p['version']}, {p['num_threads']} threads"
        for owner, p in zip(owners, pools, strict=True)
    )
