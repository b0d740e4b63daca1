"""The machine, in words: times mean nothing without it."""

import os
import platform
import subprocess
import time
from pathlib import Path

import numpy as np

from minigan.environment import processor_name, processors


def machine() -> dict:
    """Processor, how many of it this process may use, memory, system."""
    return {
        "cpu": processor_name(),
        "processors": processors(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def busy(seconds: float = 2.0, stat: Path = Path("/proc/stat")) -> float | None:
    """How many of our processors others use, watched for `seconds`; None where the system does not say.

    Two sides that share the processors with others are slowed down by very different factors. (A load
    average looks back over a minute, and still counts what has ended.)
    """
    try:
        before = _ticks(stat)
        time.sleep(seconds)
        used, idle = (now - then for now, then in zip(_ticks(stat), before, strict=True))
        return round(processors() * used / (used + idle), 2)
    except (OSError, ValueError, ZeroDivisionError):  # another system
        return None


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
    """Of what runs on a GPU."""
    import cupy
    import numba

    libraries = {"CuPy": cupy, "NumPy": np, "Numba": numba}
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


def _ticks(stat):
    """What the processors of this process have been through since the start: in use, idle."""
    ours = {f"cpu{n}" for n in os.sched_getaffinity(0)}
    lines = [line.split() for line in stat.read_text(encoding="utf-8").splitlines()]
    counts = np.sum([list(map(int, counts[:8])) for name, *counts in lines if name in ours], axis=0)
    user, nice, system, idle, iowait, irq, softirq, steal = counts.tolist()
    return user + nice + system + irq + softirq + steal, idle + iowait


def _memory():
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # another system
        return None
