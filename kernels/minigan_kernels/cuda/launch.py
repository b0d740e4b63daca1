"""A .cu file and how its kernels are launched: on a GPU for CuPy arrays, in the emulator for NumPy arrays."""

import functools
import hashlib
from pathlib import Path

import numpy as np

from ..arrays import array_module

# Also the include path, by which compilers file what they made: a link of one process is not to be in it.
FOLDER = Path(__file__).resolve().parent
SCALARS = (np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64)
GRID_LIMIT, BLOCK_LIMIT = (2**31 - 1, 65535, 65535), (1024, 1024, 64)  # of every card since sm_30
MAX_THREADS = 1024
SHARED_LIMIT = 48 << 10  # bytes of dynamic shared memory that a kernel has without asking for more


class Source:
    """One .cu file with its macros: `Source("norm.cu", THREADS=256)`, compiled when it is first launched.

    file: in this folder, or absolute. macros: numbers or words, each passed as -DNAME=VALUE.
    """

    def __init__(self, file, **macros):
        self.path = FOLDER / file
        self.macros = macros
        self._functions = {}  # of CuPy, by the kernel's name
        self._allowed = {}  # bytes of dynamic shared memory asked for, by kernel and device

    def __repr__(self):
        return f"Source({', '.join([repr(self.path.name), *(f'{k}={v}' for k, v in self.macros.items())])})"

    @property
    def defines(self) -> list[str]:
        """The macros as options of a compiler."""
        return [f"-D{name}={value}" for name, value in self.macros.items()]

    def launch(self, kernel, grid, block, *args, shared=0):
        """Run the kernel called `kernel` by `grid` blocks of `block` threads.

        grid, block: an integer, or up to three, x first; nothing runs if one of them is 0.
        args: arrays, all NumPy or all CuPy, of which the kernel gets the address of the first element;
            np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64, passed as they are; None, a null
            pointer.
        shared: bytes of dynamic shared memory.

        TypeError for other arguments, ValueError for a grid or block that no card can run.
        """
        grid = _triple("grid", grid, GRID_LIMIT)
        block = _triple("block", block, BLOCK_LIMIT)
        if block[0] * block[1] * block[2] > MAX_THREADS:
            raise ValueError(f"{kernel}: a block has at most {MAX_THREADS} threads, got {block}")
        xp = _module_of(kernel, args)
        if 0 in grid or 0 in block:
            return
        if xp is np:
            self._emulated.launch(kernel, grid, block, args, shared)
        else:
            self._on_gpu(xp, kernel, grid, block, args, shared)

    @functools.cached_property
    def _emulated(self):
        from .emulator import Program

        return Program(self)

    def _on_gpu(self, cupy, kernel, grid, block, args, shared):
        function = self._functions.get(kernel)
        if function is None:
            function = self._functions[kernel] = self._module.get_function(kernel)
        if shared > SHARED_LIMIT:
            here = kernel, cupy.cuda.runtime.getDevice()
            if shared > self._allowed.get(here, 0):
                function.max_dynamic_shared_size_bytes = shared
                self._allowed[here] = shared
        # CuPy passes arrays by their address and NumPy's scalars by their bytes.
        function(grid, block, [np.uint64(0) if a is None else a for a in args], shared_mem=shared)

    @functools.cached_property
    def _module(self):
        import cupy

        # CuPy adds -ftz=true to the options: a float32 below 2**-126 is zero, in and out of an operation. The
        # gate compiles likewise, and the emulator computes so. And it finds a compiled module again by its
        # source and options, which do not name the headers.
        headers = hashlib.sha256(b"".join(f.read_bytes() for f in sorted(FOLDER.glob("*.cuh")))).hexdigest()
        options = ("-std=c++17", f"-I{FOLDER}", f"-DHEADERS_{headers[:16]}", *self.defines)
        return cupy.RawModule(code=self.path.read_text(encoding="utf-8"), options=options, backend="nvrtc")


def known_or_counted(what, number, dtype):
    """A number that the host knows, as `dtype`, and None; or 0 and the array of one `dtype` that holds it,
    which a kernel reads, so that a captured graph can count by itself. TypeError for other arrays."""
    if isinstance(number, np.generic) or not hasattr(number, "dtype"):
        return dtype(number), None
    if number.dtype != dtype or number.size != 1:
        raise TypeError(f"{what} in an array is one {dtype.__name__}, got {number.size} {number.dtype}")
    return dtype(0), number


def _triple(what, given, limits):
    """Three numbers, x first, where one or two may stand for them."""
    given = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not 1 <= len(given) <= 3:
        raise ValueError(f"a {what} has one to three sizes, got {given}")
    sizes = tuple(int(n) for n in given) + (1,) * (3 - len(given))
    if any(not 0 <= n <= most for n, most in zip(sizes, limits, strict=True)):
        raise ValueError(f"the sizes of a {what} are at most {limits}, got {given}")
    return sizes


def _module_of(kernel, args):
    """numpy or cupy: where the arrays among the arguments lie."""
    modules = []
    for i, a in enumerate(args):
        if a is None or isinstance(a, SCALARS):
            continue
        try:
            modules.append(array_module(a))
        except TypeError:
            types = ", ".join(f"np.{t.__name__}" for t in SCALARS)
            raise TypeError(
                f"{kernel}: argument {i} is {type(a).__name__}; a kernel takes arrays, None and {types}"
            ) from None
    if len(set(modules)) != 1:
        given = " and ".join(sorted({m.__name__ for m in modules})) or "none"
        raise TypeError(f"{kernel}: the arrays must be all NumPy or all CuPy, and at least one; got {given}")
    return modules[0]
