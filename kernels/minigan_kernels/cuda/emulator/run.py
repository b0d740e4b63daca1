"""A compiled .cu, and its launches."""

import ctypes
import functools
import os
import threading
from ctypes import POINTER, Structure, c_char, c_char_p, c_int, c_size_t, c_uint, c_void_p

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ...contexts import context
from .build import build, line_of, tiles

ORDERS = ("forward", "backward", "shuffled")


class EmulatorFault(RuntimeError):
    """A kernel did what it must not: the message says what, where, and on which thread."""


class _Settings(threading.local):
    def __init__(self):
        given = os.environ.get("MINIGAN_EMULATOR_ORDER") or "forward"
        self.order, _, seed = given.partition(":")
        if self.order not in ORDERS or not (seed or "0").isdecimal():
            raise ValueError(f"MINIGAN_EMULATOR_ORDER is {', '.join(ORDERS)} or shuffled:SEED, got {given!r}")
        self.seed = int(seed or 0) % 2**32
        self.watched = os.environ.get("MINIGAN_EMULATOR_TRAPS") != "0"


_settings = _Settings()
_turn = threading.Lock()  # there is one set of threads


@context
def order(name, seed=0):
    """Inside the block, on this thread, run blocks and threads "forward", "backward" or "shuffled" by a seed.

    A kernel without races gives the same in any order. MINIGAN_EMULATOR_ORDER=shuffled:7 does the same.
    """
    if name not in ORDERS:
        raise ValueError(f"order: {name!r} is none of {', '.join(ORDERS)}")
    before = _settings.order, _settings.seed
    _settings.order, _settings.seed = name, seed
    try:
        yield
    finally:
        _settings.order, _settings.seed = before


@context
def traps(on):
    """Inside the block, on this thread, watch every access to memory, or none; by default all.

    MINIGAN_EMULATOR_TRAPS=0 does the second.
    """
    before, _settings.watched = _settings.watched, on
    try:
        yield
    finally:
        _settings.watched = before


class _Triple(Structure):
    _fields_ = [("x", c_uint), ("y", c_uint), ("z", c_uint)]

    def __str__(self):
        return f"({self.x}, {self.y}, {self.z})"


class _Parameter(Structure):
    _fields_ = [("type", c_char_p), ("pointer", c_int), ("constant", c_int)]


class _Array(Structure):
    _fields_ = [
        *(("name", c_char_p), ("type", c_char_p), ("itemsize", c_int), ("writable", c_int)),
        *(("data", c_void_p), ("low", c_void_p), ("high", c_void_p), ("slot", c_void_p)),
    ]


class _Tile(Structure):
    _fields_ = [("name", c_char_p), ("low", c_void_p), ("bytes", c_size_t)]


class _Launch(Structure):
    _fields_ = [
        *(("kernel", c_void_p), ("args", c_void_p), ("grid", _Triple), ("block", _Triple)),
        *(("shared", c_size_t), ("order", c_int), ("seed", c_uint), ("watched", c_int)),
        *(("arrays", POINTER(_Array)), ("array_count", c_int)),
        *(("tiles", POINTER(_Tile)), ("tile_count", c_int)),
    ]


class _Fault(Structure):
    _fields_ = [
        *(("says", c_char * 1024), ("block", _Triple), ("thread", _Triple)),
        *(("file", c_char_p), ("line", c_int), ("pc", c_size_t)),
    ]


class Program:
    """The kernels of one `Source`."""

    def __init__(self, source):
        self.source = source

    def launch(self, kernel, grid, block, args, shared):
        """Run a kernel in the emulator on NumPy arrays, with the arguments of `Source.launch`."""
        library, tiles = self._library(_settings.watched)
        call, names, parameters = _kernel(library, self.source.path.name, kernel)
        _check(kernel, names, parameters, args)
        values = [_value(a) for a in args]
        slots = (c_void_p * max(len(args), 1))(*(ctypes.addressof(v) for v in values))
        arrays = [
            _array(a, name, p, slot)
            for a, name, p, slot in zip(args, names, parameters, slots, strict=False)
            if isinstance(a, np.ndarray)
        ]
        launch = _Launch(
            kernel=ctypes.cast(call, c_void_p),
            args=ctypes.addressof(slots),
            grid=_Triple(*grid),
            block=_Triple(*block),
            shared=shared,
            order=ORDERS.index(_settings.order),
            seed=_settings.seed,
            watched=_settings.watched,
            arrays=(_Array * len(arrays))(*arrays),
            array_count=len(arrays),
        )
        found = _Fault()
        with _turn:
            origin = library.emulated_origin()  # of this thread
            mine = [t for t in tiles if t[0] == kernel or not hasattr(library, f"emulated_call_{t[0]}")]
            mine = [_Tile(name.encode(), origin + place, size) for _, name, place, size in mine]
            launch.tiles, launch.tile_count = (_Tile * len(mine))(*mine), len(mine)
            code = library.emulated_launch(ctypes.byref(launch), ctypes.byref(found))
        if code == 2:
            raise MemoryError(f"{kernel}: no memory for the emulator's threads")
        if code:
            raise EmulatorFault(_explain(kernel, found, library._name))

    @functools.cache  # noqa: B019  programs live as long as the process
    def _library(self, watched):
        """The compiled file, and its static shared memory."""
        path = build(self.source, watched)
        library = ctypes.CDLL(str(path))
        library.emulated_origin.restype = c_void_p
        return library, tiles(path)


def _explain(kernel, found, library):
    line = (
        f"{os.path.basename(found.file.decode())}:{found.line}" if found.file else line_of(library, found.pc)
    )
    where = f"{kernel}, block {found.block}, thread {found.thread}"
    return f"{where}{f', {line}' if line else ''}: {found.says.decode()}"


def _kernel(library, file, name):
    """The address of a kernel's caller, the names of its parameters, and what they are."""
    try:
        parameters = library[f"emulated_parameters_{name}"]
        names = library[f"emulated_names_{name}"]
        call = library[f"emulated_call_{name}"]
    except AttributeError:
        raise ValueError(f"there is no kernel {name!r} in {file}") from None
    parameters.restype, names.restype = POINTER(_Parameter), c_char_p
    count = c_int()
    found = parameters(ctypes.byref(count))
    return call, [n for n in names().split(b",") if n], found[: count.value]


def _check(kernel, names, parameters, args):
    """TypeError unless the arguments are what the kernel takes, which a GPU would never notice."""
    if len(args) != len(parameters):
        raise TypeError(f"{kernel}: {len(args)} arguments, but it takes {len(parameters)}")
    for a, name, p in zip(args, names, parameters, strict=True):
        takes, array = p.type.decode(), isinstance(a, np.ndarray)
        if array and p.pointer and not p.constant and not a.flags.writeable:
            raise ValueError(f"{kernel}: {name.decode()} is read-only, and the kernel may write to it")
        if bool(p.pointer) == (array or a is None) and (a is None or takes in ("", a.dtype.str[1:])):
            continue
        given = f"an array of {a.dtype}" if array else "None" if a is None else f"np.{a.dtype}"
        wants = np.dtype(takes).name if takes else "structs"
        wants = f"an array of {wants}" if p.pointer else f"np.{wants}"
        raise TypeError(f"{kernel}: {name.decode()} is {given}, but the kernel takes {wants}")


def _value(a):
    """A place in memory that holds what the kernel gets."""
    if a is None or isinstance(a, np.ndarray):
        return c_void_p(None if a is None else a.ctypes.data)
    return np.ctypeslib.as_ctypes_type(a.dtype)(a.item())


def _array(a, name, parameter, slot):
    low, high = byte_bounds(a)
    return _Array(
        name=name,
        type=a.dtype.name.encode(),
        itemsize=a.itemsize,
        writable=not parameter.constant,
        data=a.ctypes.data,
        low=low,
        high=high,
        slot=slot,
    )
