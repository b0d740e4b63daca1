"""Arrays and devices. The only file of this package that imports CuPy, and only when asked about it."""

import numpy as np

from minigan_kernels import array_module


def as_array(data, dtype=None):
    """`data` as a NumPy or CuPy array of numbers, without a copy where it is one of `dtype` already.

    Python numbers and nested lists become float32, int64 or bool. TypeError for anything else.
    """
    if not is_array(data):
        plain = not isinstance(data, np.generic)
        data = np.asarray(data)
        if plain and dtype is None and data.dtype == np.float64:
            dtype = np.float32
    if data.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds numbers, got {data.dtype}")
    return data if dtype is None else data.astype(dtype, copy=False)


def is_array(value) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "__cuda_array_interface__")


def to_numpy(array):
    """A NumPy array with the values of `array`, copied from the device if it lies on one."""
    return array if isinstance(array, np.ndarray) else array.get()


def erf(x):
    """The error function of an array, in its dtype."""
    if array_module(x) is np:
        from scipy import special  # takes longer to import than all of minigan
    else:
        from cupyx.scipy import special
    return special.erf(x)


def gpu_status() -> tuple[bool, str]:
    """Whether CuPy sees a GPU, and its name; or the reason why not."""
    try:
        import cupy
    except ImportError:
        return False, "CuPy is not installed"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return False, f"CuPy {cupy.__version__} finds no usable GPU: {error}"
    return True, f"{name} ({count} in all), CuPy {cupy.__version__}"


def blas() -> str:
    """The libraries behind matrix products, and their numbers of threads."""
    from threadpoolctl import threadpool_info

    pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
    owners = ["SciPy's" if "scipy.libs" in p["filepath"] else "NumPy's" for p in pools]
    return "; ".join(
        f"{owner} {p['internal_api']} {p['version']}, {p['num_threads']} threads"
        for owner, p in zip(owners, pools, strict=True)
    )
