"""Distances of all pairs of two sets of points."""

import math

import minigan_kernels as kernels
from minigan.autograd import Function, Tensor
from minigan.checks import shown


def cdist(x1: Tensor, x2: Tensor, p: float = 1.0) -> Tensor:
    """d[i, j] = Σ_c |x1[i, c] - x2[j, c]|: x1 (..., N, C), x2 (..., M, C) -> (..., N, M), the L1 distance of
    each pair of points; of as many sets of them as the leading axes say.

    p: 1, the only norm there is. No array of all differences is made. Where two coordinates are equal, the
    slope is 0, as in PyTorch. Derivatives of every order, of which all in x1 and x2 twice are 0.
    ValueError for another p, or shapes that do not fit; TypeError for mixed dtypes.
    """
    if p != 1:
        raise ValueError(f"cdist: p must be 1, the only norm there is, got {shown(p)}")
    a, b = x1.shape, x2.shape
    if len(a) < 2 or len(b) < 2 or a[:-2] != b[:-2] or a[-1] != b[-1]:
        raise ValueError(f"cdist: x1 must be (..., N, C) and x2 (..., M, C), got shapes {a} and {b}")
    if len(a) == 3:
        return L1Distances()(x1, x2)
    sets = math.prod(a[:-2])
    d = L1Distances()(x1.reshape(sets, *a[-2:]), x2.reshape(sets, *b[-2:]))
    return d.reshape(*a[:-1], b[-2])


class L1Distances(Function):
    """x (B, N, C), y (B, M, C) -> (B, N, M)."""

    def forward(self, x, y):
        return kernels.l1_distances(x, y)

    def backward(self, gy):
        x, y = self.inputs
        gx = L1DistancesBackward()(gy, x, y) if self.wanted[0] else None
        # d[i, j] of x and y is d[j, i] of y and x.
        return gx, L1DistancesBackward()(gy.transpose(1, 2), y, x) if self.wanted[1] else None


class L1DistancesBackward(Function):
    """The gradient in x: linear in gy, and in x and y made of steps, which have none."""

    def forward(self, gy, x, y):
        return kernels.l1_distances_backward(gy, x, y)

    def backward(self, ggx):
        _, x, y = self.inputs
        return L1DistancesAlong()(ggx, x, y) if self.wanted[0] else None, None, None


class L1DistancesAlong(Function):
    """The change of the distances where x moves along u: the adjoint of `L1DistancesBackward` in gy."""

    def forward(self, u, x, y):
        return kernels.l1_distances_along(u, x, y)

    def backward(self, gd):
        _, x, y = self.inputs
        return L1DistancesBackward()(gd, x, y) if self.wanted[0] else None, None, None
