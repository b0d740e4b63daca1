"""Convolution whose weights a style scales, in StyleGAN2 the way from a code to an image."""

import math

from minigan.autograd import Tensor
from minigan.checks import is_number, shown

from .conv import conv2d, conv_transpose2d
from .elementwise import square


def modulated_conv2d(
    x: Tensor,
    w: Tensor,
    styles: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    demodulate: bool = True,
    transposed: bool = False,
    eps: float = 1e-8,
    gain: float = 1.0,
) -> Tensor:
    """A convolution by weights of its own for each sample: x (N, C, H, W), styles (N, C) -> (N, O, OH, OW).

    w: (O, C, KH, KW); or (C, O, KH, KW) where it is `transposed`, for a convolution of that kind. In sample n
    the weights of input channel c are scaled by styles[n, c]; demodulated, those of each output channel then
    have Σ w² = 1, up to eps, so that outputs keep the spread of the inputs. No weights are made for that: the
    inputs are scaled, and the outputs by gain / √(Σ (styles · w)² + eps), and all samples share one
    convolution.
    gain: a factor for all outputs, such as √2 before a LeakyReLU.
    Derivatives of every order. ValueError for shapes that do not fit, and errors as those of `conv2d`.

    Karras et al., "Analyzing and improving the image quality of StyleGAN", 2020, section 2.2, equations 1-3.
    """
    if x.ndim != 4 or w.ndim != 4:
        raise ValueError(f"modulated_conv2d: x and w need 4 axes, got shapes {x.shape} and {w.shape}")
    if styles.shape != x.shape[:2]:
        raise ValueError(f"modulated_conv2d: styles must have shape {x.shape[:2]}, got {styles.shape}")
    if not eps >= 0:
        raise ValueError(f"modulated_conv2d: eps must be at least 0, got {eps}")
    if not is_number(gain) or not math.isfinite(gain):
        raise ValueError(f"modulated_conv2d: gain must be a finite number, got {shown(gain)}")
    conv = conv_transpose2d if transposed else conv2d
    scale = styles if demodulate else gain * styles
    y = conv(x * scale.reshape(*scale.shape, 1, 1), w, None, stride, padding)
    if not demodulate:
        return y
    squares = square(w).sum((2, 3))  # of each pair of channels
    norms = (square(styles) @ (squares if transposed else squares.T) + eps).sqrt()
    return y * (gain / norms).reshape(*norms.shape, 1, 1)
