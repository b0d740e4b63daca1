"""The loss of a discriminator."""

import numpy as np

from ..arrays import total
from .activation import sigmoid


def bce_with_logits(x, target, scale):
    """scale·Σ (log(1 + eˣ) - target·x), for any x; target is of x's shape, or a number."""
    return total(np.logaddexp(0, x) - target * x) * scale


def bce_with_logits_backward(gy, x, target, scale):
    """gy·scale·(σ(x) - target): the gradient of `bce_with_logits` in x, gy being one value."""
    return (sigmoid(x) - target) * (gy * scale)
