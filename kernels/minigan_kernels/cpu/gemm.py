"""Matrix products: the loops around the microkernel. Most of the time of a training step is spent here.

`gemm` is what other kernels call inside their parts, on the thread that runs the part. It takes any
strides, so a block of a larger matrix, or a transposed one, needs no copy. The loops, from the outside:

    rows of a       as many as the second-level cache holds with DEPTH of their columns
    k               DEPTH of them
    columns of b    those of PANELS panels, which are filled; one fits in the first-level cache
    rows of a       a tile of them: the microkernel
"""

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype
from numpy.lib.stride_tricks import as_strided

from ..arrays import in_runs
from ..reference import dense as reference
from .activation import leak, switch
from .columns import copy
from .compiling import OPTIONS, cached, dry
from .microkernel import ROWS, VECTOR, copy_row, tile_of, tile_width, transpose
from .threads import num_threads, parallel

WORTH = 1 << 20  # products of a matrix product below which a second thread costs more than it brings
HEIGHT, DEPTH = 256, 256  # of a block of a: 256 KiB of float32; a panel of DEPTH rows is 32 KiB at most
PANELS = 2  # filled together: memory gives long runs faster
LONG = 1 << 17  # terms of a sum that are added up at once, by DEPTH
FEW = 128  # rows of x, up to which x @ wᵀ is made as the transpose of w @ xᵀ

tile_8, tile_4, tile_2, tile_1 = (tile_of(R) for R in (8, 4, 2, 1))


class _ProductOf(dict):
    """product_of[dtype]: where in memory the machine code of `_multiply` for matrices of that dtype stands.

    It is long, and every kernel of products needs it. So they are given its address, and it is compiled once,
    not into each of them.
    """

    __name__ = "product_of"

    def __missing__(self, dtype):
        if dry.needed is not None:
            dry.note(self, dtype)
            return 0
        self.compile(dtype)
        return self[dtype]

    def compile(self, dtype):
        count, entries = types.intp, types.CPointer(from_dtype(dtype))
        a = b = entries, count, count
        form = (*a, *b, entries, count, entries, count, count, count, types.boolean)
        _multiply.compile(form)
        code = _multiply.overloads[form]  # which has a wrapper that C could call
        self[dtype] = code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name)


product_of = _ProductOf()


# These add nothing up: any kernel's copy of them gives the same bits, and inside of kernels they cost time.
beside = njit(**OPTIONS)


@beside
def gemm(product, a, b, c, accumulate):
    """c = a @ b, or c += a @ b: a (M, K), b (K, N), c (M, N) of one dtype; the rows of c are contiguous.

    product: `product_of` that dtype.
    """
    room = np.empty((PANELS * DEPTH + ROWS) * tile_width(c.itemsize), c.dtype)
    _call(product, a, b, c, room, accumulate)


@intrinsic
def _call(typing, product, a, b, c, room, accumulate):
    """`_multiply` the three matrices: their memory, strides and shapes."""

    def write(context, builder, signature, values):
        address, *matrices, flag = values
        matrices = [
            context.make_array(type)(context, builder, value)
            for type, value in zip(signature.args[1:5], matrices, strict=True)
        ]
        (a_row, a_step), (b_row, b_step), (c_row, _) = (
            cgutils.unpack_tuple(builder, matrix.strides) for matrix in matrices[:3]
        )
        (M, N), (_, K) = (cgutils.unpack_tuple(builder, matrices[i].shape) for i in (2, 0))
        a, b, c, room = (matrix.data for matrix in matrices)
        flag = context.get_value_as_argument(builder, types.boolean, flag)
        values = [a, a_row, a_step, b, b_row, b_step, c, c_row, room, M, N, K, flag]
        form = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(address, form.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.int64, a, b, c, room, types.boolean), write


@cached
def _multiply(a, a_row, a_step, b, b_row, b_step, c, c_row, room, M, N, K, accumulate):
    """`gemm`, given pointers and strides in bytes; `room` is for the panels and the edge of c."""
    a, b = _strided(a, M, K, a_row, a_step), _strided(b, K, N, b_row, b_step)
    n = tile_width(a.itemsize)
    c = _strided(c, M, N, c_row, a.itemsize)
    room = carray(room, ((PANELS * DEPTH + ROWS) * n,))
    panels, edge = room[: PANELS * DEPTH * n], room[PANELS * DEPTH * n :].reshape(ROWS, n)
    if K == 0 and not accumulate:
        c[:] = 0
    for top in range(0, M, HEIGHT):
        bottom = min(M, top + HEIGHT)
        for k in range(0, K, DEPTH):
            depth, add = min(DEPTH, K - k), accumulate or k > 0
            block = a[top:bottom, k : k + depth]
            for first in range(0, N, PANELS * n):
                last = min(N, first + PANELS * n)
                _fill(panels, b[k : k + depth, first:last], n)
                for left in range(first, last, n):
                    panel = panels[(left - first) * DEPTH :]
                    if left + n <= N:
                        _tiles(block, panel, c[top:bottom, left : left + n], depth, add)
                    else:
                        _edge_tiles(block, panel, c[top:bottom, left:], depth, add, edge)


# Inline: what a function calls is otherwise compiled and optimised apart before, level by level.


@njit(inline="always", **OPTIONS)
def _strided(x, M, N, row, step):
    return as_strided(carray(x, (1,)), (M, N), (row, step))


@njit(inline="always", **OPTIONS)
def _fill(panels, b, n):
    """Copy the columns of b into panels, n into each; a panel has DEPTH rows."""
    K, N = b.shape
    row, column = b.strides[0] // b.itemsize, b.strides[1] // b.itemsize
    whole = N // n * n if column == 1 else 0  # columns of full panels, whose rows are copied as they lie
    for k in range(K):
        for j in range(0, whole, n):
            copy_row(b, k * row + j, panels, j * DEPTH + k * n)
    for j in range(whole, N, n):
        _fill_panel(panels[j * DEPTH :], b[:, j : j + n], n)


@njit(inline="always", **OPTIONS)
def _fill_panel(panel, b, n):
    """Copy the columns of b into one panel, whose rows have n entries: zeros behind those of b."""
    K, N = b.shape
    row, column, lanes = b.strides[0] // b.itemsize, b.strides[1] // b.itemsize, VECTOR // b.itemsize
    first = 0
    if n == N and row == 1:
        first = K // lanes * lanes
        for k in range(0, first, lanes):
            for j in range(0, n, lanes):
                transpose(b, j * column + k, column, panel, k * n + j, n)
    for k in range(first, K):
        for j in range(N):
            panel[k * n + j] = b[k, j]
        panel[k * n + N : (k + 1) * n] = 0


@njit(inline="always", **OPTIONS)
def _tiles(a, panel, c, K, accumulate):
    """c (+)= a times the panel, tile by tile."""
    M, a_row, a_step = len(a), a.strides[0] // a.itemsize, a.strides[1] // a.itemsize
    c_row = c.strides[0] // c.itemsize
    i = 0
    while ROWS == 8 and i + 8 <= M:
        tile_8(a, i * a_row, a_row, a_step, panel, 0, c, i * c_row, c_row, K, accumulate)
        i += 8
    while i + 4 <= M:
        tile_4(a, i * a_row, a_row, a_step, panel, 0, c, i * c_row, c_row, K, accumulate)
        i += 4
    if i + 2 <= M:
        tile_2(a, i * a_row, a_row, a_step, panel, 0, c, i * c_row, c_row, K, accumulate)
        i += 2
    if i < M:
        tile_1(a, i * a_row, a_row, a_step, panel, 0, c, i * c_row, c_row, K, accumulate)


@njit(inline="always", **OPTIONS)
def _edge_tiles(a, panel, c, K, accumulate, edge):
    """The same where c ends before the panel does."""
    for i in range(0, len(a), ROWS):
        rows = min(ROWS, len(a) - i)
        _tiles(a[i : i + rows], panel, edge[:rows], K, False)
        for r in range(rows):
            for j in range(c.shape[1]):
                c[i + r, j] = edge[r, j] + (c[i + r, j] if accumulate else 0)


def matmul(a, b):
    """a @ b, as NumPy has it: (..., M, K) @ (..., K, N), broadcasting the leading axes; any dtypes.

    Here two matrices; the rest is left to `reference`.
    """
    if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.dtype not in DTYPES:
        return reference.matmul(a, b)
    return _product(a, b, NO_BIAS[a.dtype])


def linear(x, w, b, slope=None):
    """x wᵀ + b: x (N, in), w (out, in), b (out,) or None -> (N, out). slope: that of a `leaky_relu` of it."""
    if x.dtype not in DTYPES:
        return reference.linear(x, w, b, slope)
    return _product(x, w.T, NO_BIAS[x.dtype] if b is None else np.ascontiguousarray(b), slope)


DTYPES = np.dtype(np.float32), np.dtype(np.float64)
NO_BIAS = {dtype: np.empty(0, dtype) for dtype in DTYPES}


def _product(a, b, bias, slope=None):
    (M, K), N = a.shape, b.shape[1]
    if K > LONG:
        c = in_runs(matmul, a, b, LONG)
        reference.add_bias(c, bias if len(bias) else np.zeros(N, c.dtype), slope)
        return c
    (a, a_by_columns), (b, b_by_columns) = _flat(a), _flat(b)
    c, width = np.empty((M, N), a.dtype), tile_width(a.itemsize)
    mostly_zeros = N < M and width >= 8 * N  # a panel of these columns
    turned = mostly_zeros or (b_by_columns and M <= FEW and -M % width < ROWS)
    parts = min(num_threads(), max(M, N)) if M * K * N >= WORTH else 1
    matrices = a, a_by_columns, b, b_by_columns, bias, *switch(slope), c
    _product_by_parts(product_of[c.dtype], *matrices, K, turned, M >= N, parts)
    return c


def _flat(a):
    """The entries of a matrix in a row, copied unless they are; and whether column after column.

    Read-only arrays are copied too: to Numba they are of another type, that it would compile all for.
    """
    if a.flags.carray:
        return a.reshape(-1), False
    if a.T.flags.carray:
        return a.T.reshape(-1), True
    return np.array(a, order="C").reshape(-1), False


@parallel
def _product_by_parts(
    product, a, a_by_columns, b, b_by_columns, bias, slope, activate, c, K, turned, by_rows, part, parts
):
    """c = a @ b + bias, in blocks of rows of c, or of columns; activated by `leak` where that is wished.

    a and b are flat, bias may be empty. turned: make each block as its transpose. Then the panels are filled
    with a: less work where a has few rows, and b the columns of a table of weights, one after the other.
    """
    M, N = c.shape
    slope = c.dtype.type(slope)
    top, left, bottom, right = 0, 0, M, N
    if by_rows:
        top, bottom = part * M // parts, (part + 1) * M // parts
    else:
        width = tile_width(c.itemsize)
        panels = -(-N // width)
        left, right = part * panels // parts * width, min(N, (part + 1) * panels // parts * width)
    rows = _matrix(a, M, K, a_by_columns)[top:bottom]
    columns = _matrix(b, K, N, b_by_columns)[:, left:right]
    entries = c.reshape(-1)  # of whose parts the compiler knows that they are contiguous
    if turned:
        _turned(product, rows, columns, bias[left:right], entries, top * N + left, N)
    else:
        if len(bias):
            for row in range(top, bottom):
                copy(bias[left:right], entries[row * N + left : row * N + right])
        gemm(product, rows, columns, c[top:bottom, left:right], len(bias) > 0)
    if activate:
        for row in range(top, bottom):
            leak(entries[row * N + left : row * N + right], slope)


@beside
def _turned(product, a, b, bias, c, at, c_row):
    """a @ b + bias in the flat c, from `at` on, with c_row entries from row to row: by bᵀ @ aᵀ + bias."""
    M, N = len(a), b.shape[1]
    block = np.empty(min(N, HEIGHT) * M, a.dtype)
    for left in range(0, N, HEIGHT):
        n = min(HEIGHT, N - left)
        if len(bias):
            for j in range(n):
                block[j * M : (j + 1) * M] = bias[left + j]
        gemm(product, b.T[left : left + n], a.T, _matrix(block, n, M, False), len(bias) > 0)
        _transpose(block, n, M, c, at + left, c_row)


@beside
def _transpose(x, M, N, y, y_at, y_row):
    """y[y_at + j y_row + i] = x[i N + j] for i < M, j < N: squares of a vector's size, and the rest."""
    lanes = VECTOR // x.itemsize
    m, n = M // lanes * lanes, N // lanes * lanes
    for i in range(0, m, lanes):
        for j in range(0, n, lanes):
            transpose(x, i * N + j, N, y, y_at + j * y_row + i, y_row)
    for i in range(M):
        for j in range(n if i < m else 0, N):
            y[y_at + j * y_row + i] = x[i * N + j]


@beside
def _matrix(flat, M, N, by_columns):
    size = flat.itemsize
    strides = (size, M * size) if by_columns else (N * size, size)
    return as_strided(flat, (M, N), strides)
