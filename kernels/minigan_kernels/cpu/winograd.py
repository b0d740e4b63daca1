"""Winograd convolution, ordinary and polyphase: fewer products than the definition has.

With a stride S, y[i] = Σ_p Σ_t x̂[S(i + t) + p] w[St + p]: a filter of S·r taps is a sum of S filters of
r taps, each on every S-th sample. All are of stride 1, so each takes F(m, r) (see `toom_cook`), and their
sum may be taken before the last transform. In two dimensions, with S² phases as S²·C channels,

    V = tiles(x, Bᵀ)      (n, n, tiles, S²C)      n = m + r - 1
    U = tiles(w, G)       (n, n, O, S²C)
    M = V Uᵀ              n² matrix products
    y = tilesᵀ(M, A)      (n, n, tiles, O) back to images

`tiles` cuts windows out of images and applies a matrix along both axes. It is linear, as is the product
in either factor, and so the gradients are the same three parts, transposed:

    conv2d_input     x' = tilesᵀ(M' U, Bᵀ)      M' = tiles(y', A)
    conv2d_weight    w' = tilesᵀ(M'ᵀ V, G)

n² products stand for (m·r)²: for 4x4 kernels of stride 2, F(4, 2) makes 25 where the definition makes
64. float32 only. The price is precision. Root mean square of the error, against float64 and relative to
the result, over layers of 64 to 512 channels, the worst of the three maps:

    patches    F(2, 2)    F(3, 2)    F(4, 2)    F(2, 3)    F(4, 3)
    3e-7       6e-7       5e-7       2e-6       5e-7       3e-6
"""

from functools import cache

import numpy as np
from numba.extending import overload

from .columns import clear, copy
from .compiling import INLINED
from .gemm import gemm, product_of
from .threads import num_threads, parallel
from .toom_cook import filtering
from .workspace import workspace

OUTPUT, WEIGHT, DATA = range(3)
U = np.uint64  # Numba looks for negative indices, which hides from LLVM that a loop is a vector loop


def conv2d(x, w, out, S, P, m):
    """x (N, H, W, C), w (O, KH, KW, C), all contiguous -> y (N, OH, OW, O)."""
    grid = Grid(w.shape, out, S, P, m)
    y = np.empty((len(x), *out, len(w)), x.dtype)
    U = grid.weight(w).swapaxes(1, 2)
    for images in grid.runs(len(x)):
        V = grid.data(x[images])
        grid.from_output(_products(V, U, "M"), y[images])
    return y


def conv2d_input(gy, w, size, S, P, m):
    """gy (N, OH, OW, O), w (O, KH, KW, C) -> gx (N, H, W, C)."""
    grid = Grid(w.shape, gy.shape[1:3], S, P, m)
    gx = np.empty((len(gy), *size, w.shape[3]), gy.dtype)
    U = grid.weight(w)
    for images in grid.runs(len(gy)):
        M = grid.output(gy[images])
        grid.from_data(_products(M, U, "V"), gx[images])
    return gx


def conv2d_weight(x, gy, kernel, S, P, m):
    """x (N, H, W, C), gy (N, OH, OW, O) -> gw (O, KH, KW, C)."""
    gw = np.empty((gy.shape[3], *kernel, x.shape[3]), x.dtype)
    grid = Grid(gw.shape, gy.shape[1:3], S, P, m)
    V, M = grid.data(x), grid.output(gy)
    grid.from_weight(_products(M.swapaxes(1, 2), V, "U"), gw)
    return gw


class Grid:
    """The tiles of a convolution by weights of shape `w`, and its six transforms."""

    def __init__(self, w, out, S, P, m):
        O, KH, _, C = w
        self.S, self.P, self.m = S, P, m
        self.r = -(-KH // S)
        self.tiles = -(-out[0] // m), -(-out[1] // m)
        self.width = (m + self.r - 1) ** 2 * (S * S * C + O)  # entries of V and M for one tile

    def runs(self, N):
        """Runs of images, few enough for the caches to hold their tiles, and enough for long products."""
        tiles = self.tiles[0] * self.tiles[1]
        most = max(RUN // (self.width * tiles), -(-LEAST // tiles), 1)
        runs = -(-N // most)
        return [slice(i * N // runs, (i + 1) * N // runs) for i in range(runs)]

    def data(self, x):
        return _tiles("V", _matrix(self.m, self.r, DATA), x, self.S, self.P, self.m, self.tiles)

    def output(self, gy):
        return _tiles("M", _matrix(self.m, self.r, OUTPUT), gy, 1, 0, self.m, self.tiles)

    def weight(self, w):
        return _tiles("U", _matrix(self.m, self.r, WEIGHT), w, self.S, 0, self.r, (1, 1))

    def from_data(self, V, x):
        _from_tiles(_matrix(self.m, self.r, DATA), V, x, self.S, self.P, self.m, self.tiles)

    def from_output(self, M, y):
        _from_tiles(_matrix(self.m, self.r, OUTPUT), M, y, 1, 0, self.m, self.tiles)

    def from_weight(self, U, w):
        _from_tiles(_matrix(self.m, self.r, WEIGHT), U, w, self.S, 0, self.r, (1, 1))


RUN = 1 << 20  # entries of V and M together: 4 MiB
LEAST = 64  # rows of a product, below which it is slow


def _tiles(name, matrix, x, S, P, step, tiles):
    n, C = _constant(len(matrix)).shape[0], x.shape[3]
    y = workspace(name, (n * n, len(x) * tiles[0] * tiles[1], S * S * C), x.dtype)
    parts = min(len(x), num_threads())
    to_tiles(matrix, x.reshape(-1), *x.shape, S, P, step, *tiles, y.reshape(-1), parts)
    return y


def _from_tiles(matrix, y, x, S, P, step, tiles):
    parts = min(len(x), num_threads())
    from_tiles(matrix, y.reshape(-1), *x.shape, S, P, step, *tiles, x.reshape(-1), parts)


def _products(a, b, name):
    c = workspace(name, (len(a), a.shape[1], b.shape[2]), a.dtype)
    stacked(product_of[c.dtype], a, b, c, num_threads())
    return c


FORMS = [(m, r, kind) for m in (2, 3, 4) for r in (2, 3) for kind in (OUTPUT, WEIGHT, DATA)]


@cache
def _matrix(m, r, kind):
    """One of the three matrices of F(m, r), as compiled code takes it: in the type of an argument.

    Numba compiles once for each type, so loops over that matrix are unrolled and its zeros cost
    nothing. The length of a tuple is a part of its type, and Numba is quick to tell it.
    """
    return (0,) * (1 + FORMS.index((m, r, kind)))


def apply_along(matrix, x, x_step, y, y_step, length, accumulate):
    """y[i] (+)= Σ_a L[i, a] x[a], for vectors of `length` that stand x_step and y_step apart."""
    raise NotImplementedError("to be called in compiled code")


def apply_transposed(matrix, x, x_step, y, y_step, length, accumulate):
    """y[i] (+)= Σ_a L[a, i] x[a], for vectors of `length` that stand x_step and y_step apart."""
    raise NotImplementedError("to be called in compiled code")


@overload(apply_along, jit_options=INLINED)
def _apply_along(matrix, x, x_step, y, y_step, length, accumulate):
    return _apply(_constant(matrix.count))


@overload(apply_transposed, jit_options=INLINED)
def _apply_transposed(matrix, x, x_step, y, y_step, length, accumulate):
    return _apply(np.ascontiguousarray(_constant(matrix.count).T))


@cache
def _constant(length):
    """The matrix that takes a window to its n values: Bᵀ, A or G."""
    m, r, kind = FORMS[length - 1]
    L = np.array(filtering(m, r)[kind], dtype=np.float64).astype(np.float32)
    return np.ascontiguousarray(L.T) if kind == OUTPUT else L


def _apply(L):
    """Compiled code for a product with the constant L: unrolled, without its zeros."""
    rows, columns = U(L.shape[0]), U(L.shape[1])

    def product(matrix, x, x_step, y, y_step, length, accumulate):
        x_step, y_step = U(x_step), U(y_step)
        if accumulate:
            for c in range(U(length)):
                for i in range(rows):
                    s = y[i * y_step + c]
                    for a in range(columns):
                        if L[i, a] != 0:
                            s += L[i, a] * x[a * x_step + c]
                    y[i * y_step + c] = s
        else:
            for c in range(U(length)):
                for i in range(rows):
                    s = np.float32(0)
                    for a in range(columns):
                        if L[i, a] != 0:
                            s += L[i, a] * x[a * x_step + c]
                    y[i * y_step + c] = s

    return product


@parallel
def to_tiles(matrix, x, N, H, W, C, S, P, step, TH, TW, y, part, parts):
    """y[i, j, tile, (p, q), c] = Σ_ab L[i, a] L[j, b] x̂[image, S(step·th + a) + p, S(step·tw + b) + q, c]

    with x̂ = x behind P rows and columns of zeros, and tile = (image, th, tw). x and y are flat.
    """
    n, window = _shape(matrix)
    PH, PW = S * (step * (TH - 1) + window), S * (step * (TW - 1) + window)
    K, line = S * S * C, PW * C
    plane = N * TH * TW * K
    padded = np.zeros(PH * line, x.dtype)
    half = np.empty(n * line, x.dtype)
    for image in range(part * N // parts, (part + 1) * N // parts):
        for h in range(min(H, PH - P)):
            first, count = (image * H + h) * W * C, min(W, PW - P) * C
            at = (h + P) * line + P * C
            copy(x[first : first + count], padded[at : at + count])
        for th in range(TH):
            for p in range(S):
                rows = padded[(S * step * th + p) * line :]
                apply_along(matrix, rows, S * line, half, line, line, False)
                for tw in range(TW):
                    tile = (image * TH + th) * TW + tw
                    for q in range(S):
                        for a in range(n):
                            pixels = half[a * line + (S * step * tw + q) * C :]
                            at = a * n * plane + tile * K + (p * S + q) * C
                            apply_along(matrix, pixels, S * C, y[at:], plane, C, False)


@parallel
def from_tiles(matrix, y, N, H, W, C, S, P, step, TH, TW, x, part, parts):
    """The adjoint of `to_tiles`: where windows meet, their values add."""
    n, window = _shape(matrix)
    PH, PW = S * (step * (TH - 1) + window), S * (step * (TW - 1) + window)
    K, line = S * S * C, PW * C
    plane = N * TH * TW * K
    padded = np.empty(PH * line, x.dtype)
    half = np.empty(n * line, x.dtype)
    for image in range(part * N // parts, (part + 1) * N // parts):
        clear(padded)
        for th in range(TH):
            for p in range(S):
                clear(half)
                for tw in range(TW):
                    tile = (image * TH + th) * TW + tw
                    for q in range(S):
                        for a in range(n):
                            pixels = half[a * line + (S * step * tw + q) * C :]
                            entries = y[a * n * plane + tile * K + (p * S + q) * C :]
                            apply_transposed(matrix, entries, plane, pixels, S * C, C, True)
                rows = padded[(S * step * th + p) * line :]
                apply_transposed(matrix, half, line, rows, S * line, line, True)
        for h in range(H):
            first, count = (image * H + h) * W * C, max(0, min(W, PW - P)) * C
            at = (h + P) * line + P * C
            if h + P < PH:
                copy(padded[at : at + count], x[first : first + count])
                clear(x[first + count : first + W * C])
            else:
                clear(x[first : first + W * C])


def _shape(matrix):
    """(n, window): what the matrix makes, of how much."""
    raise NotImplementedError("to be called in compiled code")


@overload(_shape, jit_options=INLINED)
def _shape_of(matrix):
    n, window = _constant(matrix.count).shape
    return lambda matrix: (n, window)


@parallel
def stacked(product, a, b, c, part, parts):
    """c[f] = a[f] @ b[f] for each f. A part is a run of rows of the whole stack."""
    F, M = c.shape[:2]
    row, last = part * F * M // parts, (part + 1) * F * M // parts
    while row < last:
        f, first = row // M, row % M
        end = min(M, first + last - row)
        gemm(product, a[f, first:end], b[f], c[f, first:end], False)
        row += end - first
