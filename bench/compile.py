"""The compile gate: every CUDA kernel for every architecture, with no GPU: `python -m bench.compile`.

NVRTC compiles to machine code without a driver, so what ptxas says there of registers and spills is what
a card will run. The gate fails on what does not compile, on spills, and on a kernel of which the largest
block that it allows would find too few registers or too little shared memory.
"""

import argparse
import io
import math
import re
import struct
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

try:
    from cuda.core import Program, ProgramOptions
    from cuda.pathfinder import DynamicLibNotFoundError
except ImportError as error:
    raise SystemExit(f"bench.compile needs a compiler ({error}): pip install -e '.[test]'") from error

from minigan.environment import processors
from minigan_kernels.cuda.launch import FOLDER, Source
from minigan_kernels.cuda.tiles import most_shared_bytes

from .table import grid

ARCHITECTURES = "sm_75", "sm_80", "sm_90a", "sm_100", "sm_120"
TENSOR_CORES = 80  # the first with those for TF32 and BF16; before it `tiles.plan` refuses both
REGISTERS = 65536  # of a multiprocessor, and so of a block, on all of them
MOST_THREADS = 1024  # of a block, where __launch_bounds__ does not say less

# Bytes of shared memory of a block. What is compiled for sm_80 runs on sm_86 and sm_89 too, which with sm_120
# have the least since.
SHARED, SHARED_BEFORE = 99 << 10, 64 << 10

# What `ptxas -v` says of a kernel, a section for each.
SECTION = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
NUMBERS = {
    "registers": re.compile(r"Used (\d+) registers"),
    "shared": re.compile(r"(\d+) bytes smem"),
    "stack": re.compile(r"(\d+) bytes stack frame"),
    "spill_stores": re.compile(r"(\d+) bytes spill stores"),
    "spill_loads": re.compile(r"(\d+) bytes spill loads"),
}


class CompileError(Exception):
    """NVRTC refused a source; the message is the compiler's."""


@dataclass(frozen=True)
class Usage:
    """What a kernel takes on an architecture: registers a thread; bytes of shared memory a block, static, and
    dynamic, the most that a launch asks for; bytes a thread of the stack, and of the code that moves
    registers to it and back."""

    source: Source
    kernel: str
    architecture: str
    registers: int
    shared: int
    dynamic: int
    stack: int
    spill_stores: int
    spill_loads: int
    threads: int
    """The most that a block may have."""

    @property
    def problem(self) -> str | None:
        """Why the gate refuses it, or None."""
        where = f"{self.source!r}, {self.kernel}, {self.architecture}"
        if self.spill_stores or self.spill_loads:
            stores, loads = self.spill_stores, self.spill_loads
            return f"{where}: {stores} bytes of spill stores, {loads} bytes of spill loads"
        if self.registers * self.threads > REGISTERS:
            return (
                f"{where}: {self.registers} registers a thread are too many for a block of {self.threads}; "
                "__launch_bounds__ can allow fewer threads"
            )
        most = SHARED if number_of(self.architecture) >= TENSOR_CORES else SHARED_BEFORE
        if self.shared + self.dynamic > most:
            return (
                f"{where}: {self.shared} bytes of static and {self.dynamic} of dynamic shared memory are"
                f" more than the {most} of a block"
            )
        return None


def number_of(architecture: str) -> int:
    """90 for sm_90a."""
    return int(re.fullmatch(r"sm_(\d+)[a-z]?", architecture)[1])


def runs_on(source: Source, architecture: str) -> bool:
    """Whether a card of that architecture is ever given the source."""
    return number_of(architecture) >= TENSOR_CORES or source.macros.get("PRECISION", "FP32") == "FP32"


def compile_source(source: Source, architecture: str) -> list[Usage]:
    """Every kernel of the source. CompileError with the compiler's message."""
    options = ProgramOptions(
        name=source.path.name,
        arch=architecture,
        std="c++17",
        include_path=str(FOLDER),
        define_macro=[(name, str(value)) for name, value in source.macros.items()] or None,
        ftz=True,  # as CuPy adds it to all that it compiles
        ptxas_options=["-v"],
    )
    log = io.StringIO()
    try:
        program = Program(source.path.read_text(encoding="utf-8"), "c++", options)
        cubin = program.compile("cubin", logs=log).code
    except DynamicLibNotFoundError:  # there is no NVRTC, which says nothing about the source
        raise
    except Exception as error:  # cuda.core keeps the type of its errors to itself
        words = str(error).strip("\0\n ")
        raise CompileError(f"{source!r} does not compile for {architecture}: {words}") from error
    return read_log(log.getvalue(), cubin, source)


def read_log(log: str, cubin: bytes, source: Source) -> list[Usage]:
    """What `ptxas -v` says of each kernel. CompileError if it says nothing."""
    _, *parts = SECTION.split(log)
    found = []
    for kernel, architecture, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        # The sum: a function that was not inlined has its own stack and spills.
        numbers = {name: sum(map(int, number.findall(text))) for name, number in NUMBERS.items()}
        threads = most_threads(cubin, kernel)
        dynamic = most_shared_bytes(source)
        found.append(Usage(source, kernel, architecture, **numbers, dynamic=dynamic, threads=threads))
    if not found or not all(usage.registers for usage in found):
        raise CompileError(f"{source!r}: no kernel in what ptxas says:\n{log}")
    return sorted(found, key=lambda usage: usage.kernel)


def most_threads(cubin: bytes, kernel: str) -> int:
    """What __launch_bounds__ says, which is kept in the cubin, an ELF file: in the section `.nv.info.KERNEL`
    there is an attribute of kind 4, number 5 and 12 bytes, the sizes of the block."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<3H", cubin, 0x3A)
    headers = [struct.unpack_from("<II4Q", cubin, table + i * size) for i in range(count)]
    for name, _, _, _, offset, length in headers:
        start = headers[names][4] + name
        if cubin[start : cubin.index(b"\0", start)] == f".nv.info.{kernel}".encode():
            attributes = cubin[offset : offset + length]
            found = attributes.find(struct.pack("<BBH", 4, 5, 12))
            if found >= 0:
                return math.prod(struct.unpack_from("<3I", attributes, found + 4))
    return MOST_THREADS


def compile_all(
    sources: Iterable[Source], architectures: Iterable[str] = ARCHITECTURES
) -> tuple[list[Usage], list[str]]:
    """All sources for all architectures that run them, some at a time: what they take, and the gate's
    objections."""

    def one(job):
        try:
            usages = compile_source(*job)
        except CompileError as error:
            return [], [str(error)]
        return usages, [usage.problem for usage in usages if usage.problem]

    sources = {repr(source): source for source in sources}.values()  # each once
    jobs = [(s, architecture) for s in sources for architecture in architectures if runs_on(s, architecture)]
    with ThreadPoolExecutor(processors()) as pool:  # NVRTC lets other threads run while it compiles
        results = list(pool.map(one, jobs))
    return [u for usages, _ in results for u in usages], [p for _, problems in results for p in problems]


def markdown(usages: list[Usage]) -> str:
    """A line for each kernel of each source: registers on each architecture, and the most shared memory,
    stack and spills on any."""
    kernels = {}
    for usage in usages:
        kernels.setdefault((repr(usage.source), usage.kernel), {})[usage.architecture] = usage
    architectures = list(dict.fromkeys(usage.architecture for usage in usages))
    lines = []
    for (source, kernel), by in kernels.items():
        registers = [str(by[a].registers) if a in by else "–" for a in architectures]
        rest = [str(max(getattr(u, name) for u in by.values())) for name in ("shared", "dynamic", "stack")]
        spills = max(u.spill_stores + u.spill_loads for u in by.values())
        lines.append([f"{source} {kernel}", *registers, *rest, str(spills)])
    heads = [f"registers {a}" for a in architectures]
    most = [f"{name}, bytes" for name in ("static shared", "dynamic shared", "stack", "spills")]
    return grid(["kernel", *heads, *most], lines)


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0, or 1 where the gate refuses something."""
    parser = argparse.ArgumentParser(prog="python -m bench.compile", description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", nargs="+", default=ARCHITECTURES, help="default: %(default)s")
    parser.add_argument("--file", help="only sources of this file, e.g. norm.cu")
    given = parser.parse_args(arguments)
    from minigan_kernels.cuda import SOURCES

    sources = [s for s in SOURCES if given.file in (None, s.path.name)]
    if not sources:
        known = ", ".join(sorted({s.path.name for s in SOURCES}))
        parser.error(f"no source of the file {given.file!r}; there are: {known}")
    began = time.perf_counter()
    usages, problems = compile_all(sources, given.arch)
    print(markdown(usages))
    print(f"{len(sources)} sources × {len(given.arch)} architectures in {time.perf_counter() - began:.0f} s")
    for problem in problems:
        print(f"refused: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
