"""Activations, and their gradients as functions of their values: what goes in need not be kept."""

import numpy as np


def leaky_relu(x, slope):
    """x where it is positive, else slope·x; for a slope of 0 exactly 0 there, whatever x."""
    return np.maximum(x, x * slope if slope else 0)  # 0 · ∞ would be NaN


def leaky_relu_backward(gy, y, slope):
    """gy where the value y of `leaky_relu` is positive, else slope·gy."""
    return gy * (y > 0) if slope == 0 else gy * np.maximum(y > 0, gy.dtype.type(slope))


def sigmoid(x):
    """1 / (1 + e⁻ˣ), for any x."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))  # no exponent is positive


def tanh_backward(gy, y):
    """gy·(1 - y²), y = tanh x."""
    return gy * (1 - y * y)
