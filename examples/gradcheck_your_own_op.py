"""An op of your own, and proof that its gradients are right: the first, and the gradient of the gradient.

    python examples/gradcheck_your_own_op.py

SiLU, x·σ(x) (Elfwing et al. 2018), is written as an op in two ways that give the same first derivative.
`check_op` accepts one and rejects the other, and says what is wrong with it.
"""

import numpy as np
from scipy.special import expit

from minigan import Function, Generator
from minigan import functional as F
from minigan.testing import check_op


class SiLU(Function):
    """x σ(x)."""

    def forward(self, x):  # arrays in, array out
        return x / (1 + np.exp(-x))

    def backward(self, gy):  # tensors in, tensors out: what is made of ops has a gradient in its turn
        (x,) = self.inputs
        s = F.sigmoid(x)
        return gy * (s + x * s * (1 - s))


class HastySiLU(SiLU):
    """The same, but the slope is worked out ahead. To the second derivative it is a constant."""

    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        self.slope = s + x * s * (1 - s)
        return x * s

    def backward(self, gy):
        return gy * self.slope


x = Generator(0).normal((4, 5), std=2.0, dtype=np.float64)

error = check_op(lambda x: SiLU()(x), [x], reference=lambda x: x * expit(x), broadcasts=True)
print(f"SiLU is right to second order; the largest relative error is {error:.1e}")

error = check_op(lambda x: HastySiLU()(x), [x], order=1)
print(f"HastySiLU is right to first order; the largest relative error is {error:.1e}")

try:
    check_op(lambda x: HastySiLU()(x), [x])
except AssertionError as caught:
    print(f"To second order: {caught}")
