"""How a matrix product is dealt out to the blocks of a GPU: which tile of the result each makes, and whether
several share one sum.

Large tiles read less: a block that makes BM x BN numbers reads BM + BN for each k. But a result has only so
many of them, and a GPU with 132 multiprocessors wants as many blocks. Where there are fewer, as in the weight
gradients of a DCGAN, the sum over k is split: each block adds a part of it, `parts.cu` adds the parts, always
in the same order.

`plan` weighs this by a model of a few numbers, in clock cycles of one multiprocessor. They are data sheets'
and rough; what they have to get right is an order, and on ties the larger tile and the fewer parts win.
"""

import functools
import itertools
from collections import namedtuple

import numpy as np

from ..arrays import array_module
from ..precisions import precision_name
from .launch import Source

Tile = namedtuple("Tile", "BM BN")
Plan = namedtuple("Plan", "precision tile splits slabs")  # slabs of BK that each of the splits sums over

TILES = Tile(128, 128), Tile(128, 64), Tile(64, 64), Tile(32, 32)

WARPS = {  # what each warp makes of a tile, (WM, WN)
    Tile(128, 128): {"fp32": (64, 32), "tf32": (64, 64), "bf16": (64, 32)},  # 8, 4 and 8 warps
    Tile(128, 64): dict.fromkeys(("fp32", "tf32", "bf16"), (64, 32)),  # 4
    Tile(64, 64): dict.fromkeys(("fp32", "tf32", "bf16"), (32, 32)),  # 4
    Tile(32, 32): dict.fromkeys(("fp32", "tf32", "bf16"), (16, 32)),  # 2
}
# Larger ones read shared memory less, and need more registers: of FP32, 64 sums are as many as a thread has
# room for at 16 warps a multiprocessor; BF16 keeps the numbers on their way to shared memory there too.

# As in mainloop.cuh.
BK = {"fp32": 16, "tf32": 16, "bf16": 32}
STAGES = {"fp32": 3, "tf32": 4, "bf16": 2}
ITEMSIZE = {"fp32": 4, "tf32": 4, "bf16": 2}

MULTIPLIES = {"fp32": 128, "tf32": 512, "bf16": 1024}  # a cycle, of a multiprocessor by mma.sync
READS = 8  # float32 a cycle that a multiprocessor gets from the L2 cache while all of them ask
BUSY = 4  # warps, one for each scheduler, below which a multiprocessor multiplies slower
BLOCK = 1500  # cycles before the first product of a block, and after the last
LAUNCH = 5000  # cycles of one more launch, for the sum of the parts
FEWEST_SLABS = 4  # of a part
LONGEST = {"fp32": 1 << 13, "tf32": 1 << 16, "bf16": 1 << 16}  # terms that one accumulator adds up

EMULATED_PROCESSORS = 132  # as on an H100

PARTS = Source("parts.cu")


def sources(file):
    """{(precision, tile): Source} of a .cu file on the main loop."""
    return {(precision, tile): Source(file, **macros(precision, tile)) for precision in BK for tile in TILES}


def macros(precision, tile):
    WM, WN = WARPS[tile][precision]
    return {"PRECISION": precision.upper(), **tile._asdict(), "WM": WM, "WN": WN}


def warps(precision, tile):
    WM, WN = WARPS[tile][precision]
    return tile.BM // WM * (tile.BN // WN)


def threads(plan):
    return 32 * warps(plan.precision, plan.tile)


def shared_bytes(plan, along_k):
    """Bytes of shared memory of a block; along_k: for A and for B, whether they are contiguous along k."""
    precision, tile = plan.precision, plan.tile
    itemsize, depth = ITEMSIZE[precision], BK[precision]
    stage = 0
    for size, along in zip((tile.BM, tile.BN), along_k, strict=True):
        if precision == "fp32":
            stage += depth * (size + 4)
        elif along:
            stage += size * (depth + 16 // itemsize)
        else:
            stage += depth * (size + 8)
    return STAGES[precision] * stage * itemsize


def most_shared_bytes(source):
    """The bytes of dynamic shared memory that a block of any kernel on the main loop takes at most; 0 for
    other sources, of which only `ends.cu` asks for some, within the 48 kB that every kernel has."""
    if "PRECISION" not in source.macros:
        return 0
    precision, BM, BN = (source.macros[name] for name in ("PRECISION", "BM", "BN"))
    shape = Plan(precision.lower(), Tile(BM, BN), splits=1, slabs=0)
    return max(shared_bytes(shape, along_k) for along_k in itertools.product((False, True), repeat=2))


def plan(array, M, N, K, products=1):
    """The `Plan` for `products` results of (M, N), summed over K, at this thread's precision, for the GPU
    that holds `array`.

    ValueError for a precision that this GPU does not have.
    """
    precision, (processors, capability) = precision_name(), card(array)
    if precision != "fp32" and capability < 80:
        raise ValueError(
            f"precision {precision} needs a GPU of compute capability 8.0 or later, this one has "
            f"{capability / 10}; use fp32"
        )
    return _plan(precision, M, N, K, products, processors)


@functools.lru_cache(maxsize=4096)
def _plan(precision, M, N, K, products, processors):
    slabs = -(-K // BK[precision])
    best, least = None, None
    for tile in TILES:
        blocks = -(-M // tile.BM) * -(-N // tile.BN) * products
        multiply = tile.BM * tile.BN / MULTIPLIES[precision]  # cycles for each k
        read = (tile.BM + tile.BN) / READS
        fewest = 1
        while fewest * LONGEST[precision] < K:
            fewest *= 2
        splits = fewest
        while splits == fewest or slabs >= FEWEST_SLABS * splits:
            share = -(-slabs // splits)
            rounds = -(-blocks * splits // processors)  # of blocks, on the busiest multiprocessor
            slower = max(1, BUSY / (rounds * warps(precision, tile)))
            cycles = rounds * (BLOCK + max(multiply * slower, read) * share * BK[precision])
            if splits > 1:
                cycles += LAUNCH + (splits + 1) * M * N * products / (READS * processors)
            if least is None or cycles < least:
                best, least = Plan(precision, tile, -(-slabs // share) if slabs else 1, share), cycles
            splits *= 2
    return best


def card(array):
    """(multiprocessors, compute capability) of the GPU that holds `array`; for NumPy's, as on an H100."""
    xp = array_module(array)
    return (EMULATED_PROCESSORS, 90) if xp is np else _card(xp, array.device.id)


@functools.cache
def _card(cupy, device):
    device = cupy.cuda.Device(device)
    return device.attributes["MultiProcessorCount"], int(device.compute_capability)


def address(array):
    """The address of the first entry of an array."""
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


def aligned(array, *steps):
    """Whether chunks of four float32 are aligned: those of the first entry, and all that are a multiple of
    these steps away, in entries."""
    return address(array) % 16 == 0 and all(step % 4 == 0 for step in steps)


def vector(a, b, columns):
    """What a kernel may load and store several of at once, a bit each: chunks of A and of B, if those are
    `aligned`, and pairs in rows of `columns` of the result."""
    return 1 * a + 2 * b + 4 * (columns % 2 == 0)


def room(result, splits):
    """Where the blocks write: `result` itself, or a workspace for `splits` of it."""
    return result if splits == 1 else array_module(result).empty((splits, *result.shape), np.float32)


def sum_parts(parts, result, splits, bias=None, slope=1):
    """result = leaky(Σ parts + bias), in order, `bias` one for each of the last axis, or None; nothing to do
    where there is one part."""
    if splits == 1:
        return
    blocks = min(-(-result.size // 256), 8192)
    sizes = np.int64(result.size), np.int32(splits), np.int32(result.shape[-1])
    PARTS.launch("sum_parts", blocks, 256, parts, bias, result, *sizes, np.float32(slope))
