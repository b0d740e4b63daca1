"""Compiling a .cu with g++ into a library that the emulator can load, kept on disk.

A library is filed under a digest of all that it is made of: the .cu and its macros, the headers, the
emulator itself, the compiler and its options. It is built aside and renamed, so that whoever finds one
finds a whole one.
"""

import atexit
import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

HERE = Path(__file__).parent
CUDA = HERE.parent
WATCHED = "-fsanitize=thread,bounds,alignment,integer-divide-by-zero"  # see hooks.cpp
FLAGS = ("-std=c++17", "-O1", "-gdwarf-4", "-fPIC", "-fno-exceptions", "-w", "-fno-tree-loop-im")
MONTH = 30 * 24 * 3600  # seconds
SYSTEMS = {("linux", "x86_64"), ("linux", "aarch64")}


def missing() -> str | None:
    """Why kernels cannot be emulated here, in a few words; None where they can."""
    here = sys.platform, platform.machine()
    if here not in SYSTEMS:
        return f"the emulator runs on Linux on x86-64 and aarch64, not on {here[0]} on {here[1]}"
    if not shutil.which("g++"):
        return "g++, which compiles kernels for the emulator, is not installed"
    return None


def build(source, watched) -> Path:
    """The library of a `Source`, compiled unless it is on disk already.

    RuntimeError says what g++ found wrong; ValueError, that it is missing.

    watched: whether every access to memory is to be seen by the traps.
    """
    if missing():
        raise ValueError(missing())
    flags = [*FLAGS, *source.defines, *os.environ.get("MINIGAN_EMULATOR_FLAGS", "").split()]
    text = source.path.read_bytes()
    digest = _digest(text, repr((str(source.path), flags, watched)).encode(), *_headers())
    library = folder() / f"{source.path.stem}-{digest}.so"
    if library.exists():
        with contextlib.suppress(OSError):
            library.touch()  # in use
    else:
        _forget_unused()
        with tempfile.TemporaryDirectory(dir=folder()) as aside:
            try:
                _compile(source, Path(aside), flags, watched).replace(library)
            except RuntimeError as error:
                raise RuntimeError(
                    f"{source.path.name} cannot be compiled for the emulator: {error}"
                ) from None
    return library


def tiles(library) -> list[tuple[str, str, int, int]]:
    """(function, name, place, bytes) of each array of static shared memory, places from `emulated_origin`."""
    fields = [line.split("|") for line in _run("nm", "-C", "-f", "sysv", library).splitlines() if "|" in line]
    found = [(f[0].strip(), int(f[1], 16), int(f[4], 16)) for f in fields if f[3].strip() == "TLS"]
    origin = next(place for name, place, _ in found if name == "emulated_origin_of_tiles")
    split = [(*name.rpartition("::")[::2], place - origin, size) for name, place, size in found]
    return [tile for tile in split if tile[1] != "emulated_origin_of_tiles"]


def line_of(library, pc) -> str | None:
    """The file and line, "x.cu:12", of an address in a library; None if the compiler noted none."""
    line = _run("addr2line", "-i", "-e", library, hex(pc)).splitlines()[0]
    return None if line.startswith("?") else os.path.basename(line.split(" (")[0])


def _compile(source, aside, flags, watched):
    kernels = "".join(f'EMULATED_KERNEL({n}, "{",".join(p)}")\n' for n, p in _kernels(source, flags).items())
    (aside / "kernels.cpp").write_text(
        f'#include "emulated.h"\n#include "{source.path}"\n{kernels}EMULATED_TILES', encoding="utf-8"
    )
    include = (f"-I{HERE}", f"-I{CUDA}", "-DMINIGAN_EMULATED")
    flags = [*flags, WATCHED] if watched else flags
    _run("g++", *flags, *include, "-c", aside / "kernels.cpp", "-o", aside / "kernels.o")
    library = aside / "library.so"
    _run("g++", "-shared", "-Wl,-Bsymbolic", aside / "kernels.o", _runtime(), "-o", library)
    return library


def _kernels(source, flags):
    """The kernels that a file defines, and the names of their parameters, after its macros are expanded."""
    defines = [f for f in flags if f.startswith("-D")]
    text = _run("g++", "-E", "-P", "-xc++", *defines, "-DMINIGAN_EMULATED", f"-I{CUDA}", source.path)
    text = re.sub(r"__launch_bounds__\s*\([^()]*(\([^()]*\))*[^()]*\)", "", text)
    found = {}
    for name, parameters in re.findall(r"__global__\s+void\s+(\w+)\s*\(([^)]*)\)\s*\{", text):
        found[name] = re.findall(r"(\w+)\s*(?:,|$)", parameters.strip())
    return found


@functools.cache
def _runtime():
    """The emulator's own code, compiled."""
    objects = folder() / f"emulator-{_digest(*_headers())}.o"
    if not objects.exists():
        with tempfile.TemporaryDirectory(dir=folder()) as aside:
            parts = []
            for source in sorted(HERE.glob("*.cpp")):
                parts.append(Path(aside) / f"{source.stem}.o")
                _run(
                    "g++",
                    "-std=c++17",
                    "-O2",
                    "-g",
                    "-fPIC",
                    "-fno-exceptions",
                    "-Wall",
                    "-c",
                    source,
                    "-o",
                    parts[-1],
                )
            _run("g++", "-r", "-nostdlib", *parts, "-o", Path(aside) / "all.o")
            (Path(aside) / "all.o").replace(objects)
    return objects


def _run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, encoding="utf-8")
    if done.returncode:
        lines = done.stderr.splitlines()
        errors = [line for line in lines if "error" in line or "undefined" in line] or lines
        raise RuntimeError("\n".join(errors[:20]))
    return done.stdout


@functools.cache
def _headers():
    """Whatever a library depends on besides its own file: the headers, the emulator, the compiler."""
    files = [*sorted(CUDA.glob("*.cuh")), *sorted(HERE.glob("*.h")), *sorted(HERE.glob("*.cpp"))]
    compiler = _run("g++", "-dumpfullversion", "-dumpmachine").encode()
    return (*(f.read_bytes() for f in [*files, Path(__file__)]), compiler)


def _digest(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:20]


@functools.cache
def folder() -> Path:
    """Where compiled kernels are kept: below NUMBA_CACHE_DIR, or the user's folder of caches."""
    above = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    chosen = Path(above) / "minigan-emulator"
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=chosen).close()
    except OSError:
        warnings.warn(
            f"emulated kernels cannot be kept in {chosen}, so every start compiles them again; "
            "NUMBA_CACHE_DIR may name a folder that can be written",
            stacklevel=2,
        )
        chosen = Path(tempfile.mkdtemp(prefix="minigan-emulator-"))
        atexit.register(shutil.rmtree, chosen, ignore_errors=True)
    return chosen


@functools.cache
def _forget_unused():
    """Delete what no process has used for a month."""
    for file in folder().iterdir():
        with contextlib.suppress(OSError):  # another process may do the same
            if file.is_file() and time.time() - file.stat().st_mtime > MONTH:
                file.unlink()
