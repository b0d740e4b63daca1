"""The innermost loop of a matrix product, in vector registers: written in LLVM's intermediate code.

A core multiplies and adds a whole vector in one instruction and starts one or two of those each cycle; but
each takes four cycles to end, and every number that comes from memory costs a load. So a tile of the
product, a few rows of two vectors, stays in registers while k runs. Each k takes a column of a and a row of
b: for a tile of R rows, R + 2 loads make 2R vector products, on as many sums, so that none waits for the
one before.

The row of b comes from a panel, a copy of as many columns of b as a tile has: loads in order, from the
first-level cache, while all rows of a pass by. Filling it is the work of `copy_row`, or of `transpose` where
it is the columns of b that are contiguous.

Numba has no vectors of its own. With `intrinsic` a function writes LLVM's code itself, and LLVM gives out the
registers. Goto, van de Geijn, "Anatomy of high-performance matrix multiplication", 2008; Van Zee, van de
Geijn, "BLIS: a framework for rapidly instantiating BLAS functionality", 2015, figure 1: the two inner loops.

Arrays are of one dtype, of any strides, and taken as flat memory from their first entry on: places and steps
are counted in entries.
"""

import contextlib
import functools

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

FEATURES = binding.get_host_cpu_features()
VECTOR = 64 if FEATURES.get("avx512f") else 32 if FEATURES.get("avx2") else 16  # bytes
WIDTH = 2  # vectors of a row of a tile
ROWS = 8 if VECTOR == 64 or FEATURES.get("neon") else 4  # of the largest tile: those have 32 registers


@register_jitable
def tile_width(itemsize):
    """The columns of a tile, and of a panel: the entries of the vectors of a row."""
    return WIDTH * VECTOR // itemsize


INT, FLAG, LANE = types.int64, types.boolean, ir.IntType(32)


def tile_of(R):
    """The intrinsic for tiles of R rows: for i < R, and j < n, the entries of two vectors,

    c[c_at + i c_row + j] (+)= Σ_k a[a_at + i a_row + k a_step] b[b_at + k n + j]        k < K
    """

    @intrinsic
    def tile(typing, a, a_at, a_row, a_step, b, b_at, c, c_at, c_row, K, accumulate):
        def code(do, a, a_at, a_row, a_step, b, b_at, c, c_at, c_row, K, accumulate):
            rows = [do.at(a, a_at, (a_row, i)) for i in range(R)]
            c = do.at(c, c_at)
            with do.tile(R, c, c_row, accumulate) as add, cgutils.for_range(do.builder, K) as k:
                column = [do.at(row, (k.index, a_step)) for row in rows]
                add(column, do.at(b, b_at, (k.index, WIDTH * do.lanes)))

        signature = types.void(a, INT, INT, INT, b, INT, c, INT, INT, INT, FLAG)
        return signature, written_by(code)

    return tile


def window_tile_of(R):
    """The intrinsic for tiles of R rows, whose sums run over a window: for i < R, and j as above,

    c[c_at + (row + i) c_row + j] (+)= Σ_kl a[place + k a_far + l a_step] b[b_at + k b_far + l b_step + j]

    with k < K, l < L and place = a_at + rows[row + i].
    """

    @intrinsic
    def tile(
        typing, row, a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate
    ):
        def code(
            do, row, a, a_at, rows, a_far, a_step, b, b_at, b_far, b_step, c, c_at, c_row, K, L, accumulate
        ):
            starts = [do.at(a, a_at, do.builder.load(do.at(rows, row, i))) for i in range(R)]
            c = do.at(c, c_at, (row, c_row))
            with do.tile(R, c, c_row, accumulate) as add, cgutils.for_range(do.builder, K) as k:
                far = [do.at(start, (k.index, a_far)) for start in starts]
                b = do.at(b, b_at, (k.index, b_far))
                with cgutils.for_range(do.builder, L) as l:
                    add([do.at(start, (l.index, a_step)) for start in far], do.at(b, (l.index, b_step)))

        signature = types.void(INT, a, INT, rows, *[INT] * 2, b, *[INT] * 3, c, *[INT] * 4, FLAG)
        return signature, written_by(code)

    return tile


@intrinsic
def copy_row(typing, x, x_at, y, y_at):
    """y[y_at + j] = x[x_at + j] for j < n, the entries of two vectors."""

    def code(do, x, x_at, y, y_at):
        pointers = zip(do.vectors(do.at(x, x_at), WIDTH), do.vectors(do.at(y, y_at), WIDTH), strict=True)
        for source, target in pointers:
            do.store(do.load(source), target)

    return types.void(x, INT, y, INT), written_by(code)


@intrinsic
def transpose(typing, x, x_at, x_row, y, y_at, y_row):
    """y[y_at + j y_row + i] = x[x_at + i x_row + j] for i and j below the entries of a vector.

    Exchange the quarters off the diagonal of the square; then those of each quarter; and so on.
    """

    def code(do, x, x_at, x_row, y, y_at, y_row):
        rows = [do.load(do.at(x, x_at, (x_row, i))) for i in range(do.lanes)]
        half = do.lanes // 2
        while half:
            upper = [j if not j & half else do.lanes + j - half for j in range(do.lanes)]
            lower = [j + half if not j & half else do.lanes + j for j in range(do.lanes)]
            for i in range(do.lanes):
                if not i & half:
                    pair = rows[i], rows[i + half]
                    rows[i], rows[i + half] = do.shuffle(*pair, upper), do.shuffle(*pair, lower)
            half //= 2
        for j, row in enumerate(rows):
            do.store(row, do.at(y, y_at, (y_row, j)))

    return types.void(x, INT, INT, y, INT, INT), written_by(code)


def written_by(code):
    """What Numba asks of an intrinsic: `code`, given a Writer, and arrays as pointers to their entries."""

    def write(context, builder, signature, arguments):
        dtype = next(type.dtype for type in signature.args if isinstance(type, types.Array))
        arguments = [
            cgutils.create_struct_proxy(type)(context, builder, value).data
            if isinstance(type, types.Array)
            else value
            for type, value in zip(signature.args, arguments, strict=True)
        ]
        code(Writer(builder, context.get_data_type(dtype), dtype.bitwidth // 8), *arguments)
        return context.get_dummy_value()

    return write


class Writer:
    """LLVM instructions on vectors of one dtype."""

    def __init__(self, builder, dtype, itemsize):
        self.builder, self.itemsize, self.lanes = builder, itemsize, VECTOR // itemsize
        self.Vector = ir.VectorType(dtype, self.lanes)

    def at(self, pointer, *places):
        """The pointer moved by each place: a number of entries, or two whose product that is."""
        for place in places:
            factors = place if isinstance(place, tuple) else (place,)
            factors = [ir.Constant(ir.IntType(64), f) if isinstance(f, int) else f for f in factors]
            pointer = self.builder.gep(pointer, [functools.reduce(self.builder.mul, factors)])
        return pointer

    @contextlib.contextmanager
    def tile(self, R, c, c_row, accumulate):
        """Inside the block the sums of a tile of R rows are registers; add_products(column, row) adds to them
        the products of R entries by those of WIDTH vectors. At its end they are written, or added, to c."""
        places = [self.vectors(self.at(c, (c_row, i)), WIDTH) for i in range(R)]
        sums = [[cgutils.alloca_once(self.builder, self.Vector) for _ in range(WIDTH)] for _ in range(R)]
        cells = [(i, j) for i in range(R) for j in range(WIDTH)]
        for i, j in cells:
            self.builder.store(self.Vector([0.0] * self.lanes), sums[i][j])

        def add_products(column, row):
            row = [self.load(pointer) for pointer in self.vectors(row, WIDTH)]
            for i in range(R):
                x = self.spread(self.builder.load(column[i]))
                for j in range(WIDTH):
                    sum = self.multiply_add(x, row[j], self.builder.load(sums[i][j]))
                    self.builder.store(sum, sums[i][j])

        yield add_products
        with self.builder.if_then(accumulate):  # after the sum: fewer roundings at the size of c
            for i, j in cells:
                sum = self.builder.fadd(self.builder.load(sums[i][j]), self.load(places[i][j]))
                self.builder.store(sum, sums[i][j])
        for i, j in cells:
            self.store(self.builder.load(sums[i][j]), places[i][j])

    def vectors(self, pointer, n):
        """Pointers to n vectors that follow one another."""
        return [self.at(pointer, j * self.lanes) for j in range(n)]

    def load(self, pointer):
        return self.builder.load(self.builder.bitcast(pointer, self.Vector.as_pointer()), align=self.itemsize)

    def store(self, value, pointer):
        pointer = self.builder.bitcast(pointer, self.Vector.as_pointer())
        self.builder.store(value, pointer, align=self.itemsize)

    def multiply_add(self, x, y, sum):
        product = self.builder.fmul(x, y, flags=("contract",))  # one instruction where there is one
        return self.builder.fadd(product, sum, flags=("contract",))

    def spread(self, x):
        """A vector of x."""
        first = self.builder.insert_element(ir.Constant(self.Vector, ir.Undefined), x, LANE(0))
        return self.shuffle(first, first, [0] * self.lanes)

    def shuffle(self, x, y, order):
        """The entries at the places of `order`, counted through x and then y, as one vector."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(LANE, len(order)), order))
