"""Matrix products, by BLAS, on parts of matrices: the one call that most of the time is spent in.

`gemm` is what other kernels call inside their parts. It takes any matrices whose entries are
neighbours along one of the two axes, so a block of a larger matrix, or a transposed one, needs no
copy. The library is the one that Numba itself links `np.dot` to: SciPy's.
"""

import numpy as np
from numba import njit, prange, types
from numba.extending import overload

from .compiling import OPTIONS
from .threads import num_threads, parallel

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


@parallel
def gemm_rows(a, b, c, accumulate, parts):
    """c = a @ b, or c += a @ b, by blocks of rows."""
    for i in prange(parts):
        part = np.int64(i)
        first, last = part * len(c) // parts, (part + 1) * len(c) // parts
        gemm(a[first:last], b, c[first:last], accumulate)


@parallel
def gemm_columns(a, b, c, accumulate, parts):
    """c = a @ b, or c += a @ b, by blocks of columns."""
    for i in prange(parts):
        part = np.int64(i)
        N = c.shape[1]
        first, last = part * N // parts, (part + 1) * N // parts
        gemm(a, b[:, first:last], c[:, first:last], accumulate)


def matmul(a, b):
    """a @ b of two matrices, on all threads."""
    a, b = _matrix(a), _matrix(b)
    (M, K), N = a.shape, b.shape[1]
    c = np.empty((M, N), a.dtype)
    many = num_threads() if M * K * N >= WORTH else 1
    if M >= N:
        gemm_rows(a, b, c, False, min(many, max(M, 1)))
    else:
        gemm_columns(a, b, c, False, min(many, N))
    return c


def _matrix(a):
    """`a`, copied unless its rows, or its columns, are contiguous and do not overlap."""
    (M, N), (row, column), size = a.shape, a.strides, a.itemsize
    by_rows = column == size and row >= N * size
    by_columns = row == size and column >= M * size
    return a if by_rows or by_columns else np.ascontiguousarray(a)
