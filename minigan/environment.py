"""What minigan finds on this machine."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import minigan_kernels as kernels
from minigan import __version__, backend
from minigan.data.kept import kept_bytes, pictures_folder

PACKAGES = (
    *("numpy", "numba", "scipy", "scikit-learn", "pillow", "matplotlib", "safetensors"),
    *("cupy-cuda13x", "cupy-cuda12x"),
)


def findings() -> list[tuple[str, str]]:
    """(what, finding) pairs, in the order to read them."""
    import pooch

    has_gpu, gpu = backend.gpu_status()
    missing = {name: kernels.engine_missing(name) for name in kernels.ENGINES}
    return [
        ("minigan", __version__),
        ("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES if _version(name))),
        ("kernel engines", ", ".join(name for name, why in missing.items() if why is None)),
        *((f"not {name}", why) for name, why in missing.items() if why),
        ("engine in use", os.environ.get("MINIGAN_ENGINE") or "cpu for float32, reference for the rest"),
        ("processors", str(processors())),
        ("threads", f"{kernels.num_threads()} (MINIGAN_NUM_THREADS)"),
        ("matrix products", f"minigan's own for float32, on vectors of {kernels.vector_bits()} bits"),
        ("", f"for the rest {backend.blas()}"),
        ("GPU", gpu if has_gpu else f"none: {gpu}"),
        ("data folder", os.environ.get("MINIGAN_DATA_DIR") or "not set (MINIGAN_DATA_DIR)"),
        ("download cache", str(pooch.os_cache("minigan"))),
        ("decoded pictures", f"{pictures_folder()}, {kept_bytes() / 1e6:,.0f} MB (MINIGAN_CACHE_DIR)"),
    ]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The model of the processor, as the system calls it."""
    try:
        (name, *_) = re.findall(
            r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
        )
    except (OSError, ValueError):  # another system
        return platform.processor() or platform.machine()
    return name


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
