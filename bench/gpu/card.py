"""The card, and what runs on it."""

import platform
import subprocess


def card() -> dict:
    """The first GPU; nothing is started on it."""
    from cupy.cuda import runtime

    properties = runtime.getDeviceProperties(0)
    return {
        "name": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"],
        "memory_gib": round(properties["totalGlobalMem"] / 2**30, 1),
        "cache_mib": round(properties["l2CacheSize"] / 2**20, 1),
        "driver": _driver(),
        "driver_cuda": _cuda(runtime.driverGetVersion()),
        "runtime_cuda": _cuda(runtime.runtimeGetVersion()),
    }


def versions() -> dict[str, str]:
    import cupy
    import numba
    import numpy

    libraries = {"CuPy": cupy, "NumPy": numpy, "Numba": numba}
    return {"Python": platform.python_version()} | {k: m.__version__ for k, m in libraries.items()}


def _driver():
    """Its version, which CUDA does not tell; "unknown" without nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=20).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        said = []
    return said[0] if said else "unknown"


def _cuda(number):
    return f"{number // 1000}.{number % 1000 // 10}"
