"""The loss of a discriminator."""

import numpy as np

from ..arrays import total
from .activation import sigmoid


def bce_with_logits(x, target, scale):
    return total(np.logaddexp(0, x) - target * x) * scale


def bce_with_logits_backward(gy, x, target, scale):
    return (sigmoid(x) - target) * (gy * scale)
