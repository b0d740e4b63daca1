"""The matrices of Winograd's minimal filtering F(m, r): m outputs of an r-tap filter in m + r - 1 products.

Toom and Cook: multiply two polynomials by their values. Let V_k be the n by k matrix that takes the k
coefficients of a polynomial to its values at n = m + r - 1 points; the product of polynomials of m and
r coefficients has n, so

    a * g = V_n⁻¹ [(V_r g) ⊙ (V_m a)]            (full convolution, n outputs)

Filtering is the adjoint of that in a: the matrix of `a -> a * g` transposed takes n samples d to the m
outputs y_i = Σ_t d_{i+t} g_t. Transposing each factor,

    y = Aᵀ [(G g) ⊙ (Bᵀ d)],     Aᵀ = V_mᵀ,  G = F⁻¹ V_r,  Bᵀ = F V_n⁻ᵀ

where F is any diagonal matrix; F_i = Π_{j≠i} (a_i - a_j) makes Bᵀ one of whole numbers for whole
points. The last "point" is infinity: the value there is the leading coefficient, so its row of V_k is
(0, ..., 0, 1).

Winograd, "Arithmetic complexity of computations", 1980; Lavin, Gray, "Fast algorithms for convolutional
neural networks", 2016, sections 3 and 4, have the two-dimensional form Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A.
"""

from fractions import Fraction
from functools import cache

POINTS = 0, 1, -1, 2, -2, Fraction(1, 2)  # small ones first: the powers of large ones cost precision


@cache
def filtering(m, r):
    """(Aᵀ, G, Bᵀ) of F(m, r) in exact fractions, as tuples of rows: (m, n), (n, r) and (n, n)."""
    n = m + r - 1
    if m < 1 or r < 1 or n - 1 > len(POINTS):
        raise ValueError(f"F({m}, {r}) needs {n - 1} finite points, there are {len(POINTS)}")
    points = [Fraction(p) for p in POINTS[: n - 1]]
    scale = [_product(p - q for q in points if q != p) for p in points] + [Fraction(1)]
    AT = _transposed(_values(points, m))
    G = [[v / f for v in row] for row, f in zip(_values(points, r), scale, strict=True)]
    BT = [
        [f * v for v in row] for row, f in zip(_transposed(_inverse(_values(points, n))), scale, strict=True)
    ]
    return tuple(tuple(map(tuple, matrix)) for matrix in (AT, G, BT))


def _values(points, k):
    """V_k: coefficients of a polynomial of k terms -> its values at the points, infinity the last."""
    return [[p**i for i in range(k)] for p in points] + [[Fraction(i == k - 1) for i in range(k)]]


def _product(factors):
    product = Fraction(1)
    for factor in factors:
        product *= factor
    return product


def _transposed(matrix):
    return [list(column) for column in zip(*matrix, strict=True)]


def _inverse(matrix):
    """By Gauss and Jordan, in exact fractions."""
    n = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [v - rows[k][i] * p for v, p in zip(rows[k], rows[i], strict=True)]
    return [row[n:] for row in rows]
