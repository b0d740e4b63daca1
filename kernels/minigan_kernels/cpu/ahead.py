"""Compiling ahead, on all processors: what the first step of a training run would wait for, kernel by kernel.

A dry call of the step, in which kernels do nothing, tells which of them it needs, and for which types. This
process compiles them in that order, and helpers beside it from the other end. Each finds on disk what another
has compiled, so they need not speak with each other; where they meet, a kernel may be compiled twice.
"""

import contextlib
import importlib
import pickle
import subprocess
import sys
from functools import partial

import numpy as np

from .compiling import kept_on_disk, needs, on_compile
from .threads import num_threads

HELPER = sys.executable, "-P", "-c", "from minigan_kernels.cpu.ahead import help; help()"


def compile_ahead(step, report):
    """Compile the kernels of the `cpu` engine that `step()` needs, on as many processors as they use
    threads."""
    with needs() as needed, np.errstate(all="ignore"), contextlib.suppress(Exception):
        step()  # what it refuses may be nothing but the values: those of results that no kernel wrote
    needed, helpers, told = list(dict.fromkeys(needed)), [], set()

    def begun(place, name, _):  # also with each function inside of that kernel
        if not told:
            helpers.extend(start_helpers(needed[:place:-1]))
        if place not in told:
            told.add(place)
            report(place, len(needed), name.lstrip("_"))

    try:
        for place, (module, name, types) in enumerate(needed):
            with on_compile(partial(begun, place, name)):
                compile_one(module, name, types)
    finally:
        for helper in helpers:
            helper.kill()  # what it writes appears whole or not at all
            helper.wait()


def compile_one(module, name, types):
    getattr(importlib.import_module(module), name).compile(types)


def start_helpers(needed):
    """A process for each other thread that kernels may use, each with its share of what is needed."""
    count = min(num_threads() - 1, len(needed)) if kept_on_disk() and sys.executable else 0
    helpers = []
    for i in range(count):
        nothing = subprocess.DEVNULL
        helper = subprocess.Popen(HELPER, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing)
        helpers.append(helper)
        with contextlib.suppress(BrokenPipeError), helper.stdin:  # one that ended at once is no loss
            helper.stdin.write(pickle.dumps(needed[i::count]))
    return helpers


def help():
    """What a helper does: read its share, and compile it."""
    for one in pickle.load(sys.stdin.buffer):
        compile_one(*one)
