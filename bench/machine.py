"""The machine, in words: times mean nothing without it."""

import os
import platform
import re
from pathlib import Path

from minigan.doctor import processors


def machine() -> dict:
    """Processor, how many of it this process may use, memory, system."""
    return {
        "cpu": _cpu(),
        "processors": processors(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def load() -> float | None:
    """How many threads have wanted to run in the last minute. Two sides that share the processors with
    others are slowed down by very different factors."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):  # another system
        return None


def _cpu():
    try:
        (name, *_) = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return platform.processor() or platform.machine()
    return name


def _memory():
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # another system
        return None
