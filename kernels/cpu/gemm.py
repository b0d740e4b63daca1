"""Matrix products, by BLAS, on parts of matrices: the one call that most of the time is spent in.

`gemm` is what other kernels call inside their parts. It takes any matrices whose entries are
neighbours along one of the two axes, so a block of a larger matrix, or a transposed one, needs no
copy. The library is the one that Numba itself links `np.dot` to: SciPy's.
"""

import numpy as np
from numba import njit, prange, types
from numba.extending import overload
from numpy.lib.stride_tricks import as_strided

from ..reference import dense as reference
from .compiling import OPTIONS
from .threads import BLAS_ARCHITECTURE, num_threads, parallel

WORTH = 1 << 20  # products of a matrix product below which a second thread costs more than it brings


def gemm(a, b, c, accumulate):
    """c = a @ b, or c += a @ b: a (M, K), b (K, N), c (M, N); the rows of c are contiguous."""
    raise NotImplementedError("to be called in compiled code")


def _blas(dtype):
    pointer, size = types.CPointer(dtype), types.intp
    signature = types.intc(
        *(types.char, types.char, types.char),  # kind, transa, transb
        *(size, size, size),  # m, n, k
        *(pointer, pointer, size, pointer, size),  # alpha, a, lda, b, ldb
        *(pointer, pointer, size),  # beta, c, ldc
    )
    return types.ExternalFunction("numba_xxgemm", signature)


SMALL_KERNELS = BLAS_ARCHITECTURE in ("SkylakeX", "Cooperlake", "SapphireRapids")
SMALL_BLOCK = 32, 128, 240  # below the 100³ products up to which OpenBLAS uses them

PLAIN, TRANSPOSED = (np.int8(ord(letter)) for letter in "nt")
BLAS = {  # the product, the letter, and 0 and 1 of each dtype
    types.float32: (_blas(types.float32), np.int8(ord("s")), np.array([0, 1], np.float32)),
    types.float64: (_blas(types.float64), np.int8(ord("d")), np.array([0, 1], np.float64)),
}


@njit(**OPTIONS)
def _layout(a, itemsize):
    """BLAS's letter for a matrix, and the distance of its rows, or columns, in entries."""
    if a.strides[1] == itemsize:
        return PLAIN, max(a.strides[0] // itemsize, a.shape[1])
    return TRANSPOSED, max(a.strides[1] // itemsize, a.shape[0])


@overload(gemm, jit_options=OPTIONS)
def _gemm(a, b, c, accumulate):
    xxgemm, kind, scalars = BLAS[c.dtype]
    itemsize = c.dtype.bitwidth // 8

    def product(a, b, c, accumulate):
        # BLAS reads columns first: to it, these arrays are cᵀ = bᵀ aᵀ.
        ta, lda = _layout(a, itemsize)
        tb, ldb = _layout(b, itemsize)
        ldc = max(c.strides[0] // itemsize, c.shape[1])
        if c.size and a.shape[1]:
            alpha, beta = scalars[1:], scalars[1:] if accumulate else scalars[:1]
            xxgemm(
                *(kind, tb, ta, c.shape[1], c.shape[0], a.shape[1]),
                *(alpha.ctypes, b.ctypes, ldb, a.ctypes, lda, beta.ctypes, c.ctypes, ldc),
            )
        elif not accumulate:
            c[:] = 0

    return product


@njit(**OPTIONS)
def gemm_in_blocks(a, b, c, accumulate, small):
    """`gemm`, in blocks of up to SMALL_BLOCK if `small`.

    OpenBLAS packs its operands before it multiplies, which a matrix of few rows does not pay back. For
    AVX-512 it has kernels that read small matrices where they are, unless b is transposed.
    """
    if not small or b.strides[1] != b.itemsize:
        gemm(a, b, c, accumulate)
        return
    (M, N), K = c.shape, a.shape[1]
    rows, columns, depth = SMALL_BLOCK
    for n in range(0, N, columns):
        for m in range(0, M, rows):
            for k in range(0, max(K, 1), depth):
                block = c[m : m + rows, n : n + columns]
                gemm(
                    a[m : m + rows, k : k + depth],
                    b[k : k + depth, n : n + columns],
                    block,
                    accumulate or k > 0,
                )


def matmul(a, b):
    """As in `reference`; here two matrices, the rest is left to that."""
    if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.dtype not in DTYPES:
        return reference.matmul(a, b)
    return _product(a, b, NO_BIAS[a.dtype])


def linear(x, w, b):
    """As in `reference`: x (N, in), w (out, in), b (out,) or None -> (N, out)."""
    if x.dtype != w.dtype or x.dtype not in DTYPES:
        return reference.linear(x, w, b)
    return _product(x, w.T, NO_BIAS[x.dtype] if b is None else np.ascontiguousarray(b, x.dtype))


DTYPES = np.dtype(np.float32), np.dtype(np.float64)
NO_BIAS = {dtype: np.empty(0, dtype) for dtype in DTYPES}


def _product(a, b, bias):
    (M, K), N = a.shape, b.shape[1]
    c = np.empty((M, N), a.dtype)
    parts = min(num_threads(), max(M, N)) if M * K * N >= WORTH else 1
    _product_by_parts(*_flat(a), *_flat(b), bias, c, K, M >= N, SMALL_KERNELS, parts)
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
def _product_by_parts(a, a_by_columns, b, b_by_columns, bias, c, K, by_rows, small, parts):
    """c = a @ b + bias, in blocks of rows of c, or of columns. a and b are flat, bias may be empty."""
    M, N = c.shape
    for i in prange(parts):
        part = np.int64(i)
        m, n, rows, columns = 0, 0, M, N
        if by_rows:
            m, rows = part * M // parts, (part + 1) * M // parts
        else:
            n, columns = part * N // parts, (part + 1) * N // parts
        left, right = _matrix(a, M, K, a_by_columns), _matrix(b, K, N, b_by_columns)
        block = c[m:rows, n:columns]
        if len(bias):
            block[:] = bias[n:columns]
        gemm_in_blocks(left[m:rows], right[:, n:columns], block, len(bias) > 0, small)


@njit(**OPTIONS)
def _matrix(flat, M, N, by_columns):
    size = flat.itemsize
    strides = (size, M * size) if by_columns else (N * size, size)
    return as_strided(flat, (M, N), strides)
