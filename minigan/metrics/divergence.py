"""How far the points that a model makes are from real ones, by counting both in cells of the plane."""

import math

import numpy as np

from .scores import kl

SIDE = 25


class Cells:
    """Real points (N, 2), counted in `side` × `side` cells of the square of half-width `extent` about 0, and
    in one for all points outside."""

    def __init__(self, real: np.ndarray, extent: float, side: int = SIDE):
        self.extent, self.side = extent, side
        self.real = self.count(real) / len(real)

    def count(self, points) -> np.ndarray:
        """How many of the points lie in each cell: (side² + 1,)."""
        edges = np.linspace(-self.extent, self.extent, self.side + 1)
        inside, _, _ = np.histogram2d(points[:, 0], points[:, 1], (edges, edges))
        return np.append(inside.ravel(), len(points) - inside.sum())

    def divergences(self, points: np.ndarray) -> tuple[float, float]:
        """(KL(real ‖ points), JS) in nats, 0 for the same shares in each cell; JS is log 2 at most.

        For KL half a point is added to each cell that has real ones, or it would be infinite as soon as one
        of them is missed.
        """
        counts, there = self.count(points), self.real > 0
        more = counts + 0.5 * there
        q = counts / len(points)
        middle = (self.real + q) / 2
        js = (kl(self.real, middle) + kl(q, middle)) / 2
        return kl(self.real, more / more.sum()), min(js, math.log(2))
