"""What does not fit is refused in one sentence, on every engine, before any of its kernels runs."""

import re

import numpy as np
import pytest
from conformance import ENGINES, to_gpu
from engine_cases import CASES

import minigan_kernels as kernels
from minigan_kernels.engines import kernels_called


def f(*shape):
    return np.ones(shape, np.float32)


def double(*shape):
    return np.ones(shape)


def i(*shape):
    return np.zeros(shape, np.int64)


CONV, WINDOW = ((1, 1), (0, 0), (1, 1), 1), ((2, 2), (2, 2), (0, 0))
X, STATISTIC = f(64, 64), f(1, 64)
IMAGES, WEIGHT, Y = f(2, 3, 5, 5), f(4, 3, 3, 3), f(2, 4, 3, 3)
OVER_ROWS = (0,), 1e-5

REFUSED = [
    ("conv2d", (f(3, 5, 5), WEIGHT, *CONV), "x must have shape (N, C, H, W), got (3, 5, 5)"),
    ("conv2d", (IMAGES, f(4, 2, 3, 3), *CONV), "x has 3 channels, w expects 2"),
    ("conv2d", (IMAGES, double(4, 3, 3, 3), *CONV), TypeError),
    ("conv2d_input", (f(2, 4, 3), WEIGHT, (5, 5), *CONV), "images have shape (N, C, H, W), got (2, 4, 3)"),
    ("conv2d_input", (Y, f(4), (5, 5), *CONV), "images have shape (N, C, H, W), got (4,)"),
    ("conv2d_input", (Y, WEIGHT, (6, 5), *CONV), "gy has shape (2, 4, 3, 3), expected (2, 4, 4, 3)"),
    ("conv2d_weight", (IMAGES, f(1, 4, 3, 3), (3, 3), *CONV), "gy has shape (1, 4, 3, 3), expected (2, "),
    ("conv2d_weight", (IMAGES, Y, (3, 3), *CONV[:3], 0), "groups=0 must divide the channels"),
    ("max_pool2d", (f(3, 5, 5), *WINDOW), "images have shape (N, C, H, W), got (3, 5, 5)"),
    ("avg_pool2d", (IMAGES, (6, 2), *WINDOW[1:]), "a kernel that spans 6x2 pixels does not fit"),
    (
        "avg_pool2d_input",
        (f(2, 3, 3, 2), (5, 5), *WINDOW),
        "gy has shape (2, 3, 3, 2), expected (2, 3, 2, 2)",
    ),
    ("pixels_gather", (IMAGES, i(2, 4, 2, 2)), "index has shape (2, 4, 2, 2), x (2, 3, 5, 5)"),
    ("pixels_gather", (IMAGES, f(2, 3, 2, 2)), TypeError),
    (
        "pixels_scatter",
        (f(2, 3, 2, 2), i(2, 3, 4), (5, 5)),
        "index has shape (2, 3, 4), expected (2, 3, 2, 2)",
    ),
    (
        "pixels_scatter",
        (f(2, 3, 3, 2), i(2, 3, 3, 2), (5, 5), WINDOW),
        "y has shape (2, 3, 3, 2), expected (2, 3, 2, 2)",
    ),
    ("upsample2d", (f(3, 5, 5), (2, 2)), "images have shape (N, C, H, W), got (3, 5, 5)"),
    ("upsample2d", (IMAGES, (0, 2)), "factors must be two integers of at least 1, got (0, 2)"),
    ("upsample2d_input", (IMAGES, (2, 1)), "images of (5, 5) are no multiple of (2, 1)"),
    ("matmul", (f(4, 300), f(2, 4)), "a has 300 columns, b has 2 rows"),
    ("matmul", (f(3, 1), f(3, 4)), "a has 1 columns, b has 3 rows"),
    ("matmul", (f(3), f(3, 4)), "a and b must have two axes or more, got shapes (3,) and (3, 4)"),
    ("matmul", (f(2, 4, 3), f(3, 3, 4)), "the leading axes of (2, 4, 3) and (3, 3, 4) do not broadcast"),
    ("linear", (f(2, 5), f(3, 2), None), "x has 5 columns, w expects 2"),
    ("linear", (f(2, 5), f(3, 5), f(2)), "b has shape (2,), expected (3,)"),
    ("linear", (f(2, 2, 5), f(3, 5), None), "x and w must be matrices, got shapes (2, 2, 5) and (3, 5)"),
    ("linear", (f(2, 5), double(3, 5), None), TypeError),
    ("add_bias", (f(2, 5), f(2)), "b must have an entry a channel, but has shape (2,), y (2, 5)"),
    ("add_bias", (f(2), f(2)), "b must have an entry a channel, but has shape (2,), y (2,)"),
    ("add_bias", (f(2, 5), double(5)), TypeError),
    ("channel_sums", (f(3),), "y must have shape (N, C, ...), got (3,)"),
    ("bias_leaky_relu_backward", (f(3), f(3), 0.2), "y must have shape (N, C, ...), got (3,)"),
    ("bias_leaky_relu_backward", (f(2, 3), f(3, 2), 0.2), "gy has shape (2, 3), y (3, 2)"),
    ("sums", (X, (2,)), "an array of 2 axes has no axis 2"),
    ("sums", (X, (0, -2)), "the axes (0, -2) are not different"),
    ("sum_to", (f(4, 6), (2, 12)), "a sum of shape (2, 12) does not broadcast to (4, 6)"),
    ("row_norms", (f(), 1.0), "x must have shape (N, ...), got ()"),
    ("row_norms_backward", (f(4), f(5, 6), f(4)), "y has shape (4,), expected (5,)"),
    ("row_norms_backward", (f(4), f(5, 6), f(5)), "gy has shape (4,), y (5,)"),
    ("row_norms_backward", (f(5), double(5, 6), f(5)), TypeError),
    ("embedding_weight", (f(3, 4), i(2), 5), "index has shape (2,), expected (3,)"),
    ("embedding_weight", (f(3, 4), f(3), 5), TypeError),
    (
        "l1_distances",
        (f(2, 3, 4), f(2, 5, 3)),
        "x must be (B, N, C) and y (B, M, C), got shapes (2, 3, 4) and",
    ),
    ("l1_distances", (f(3, 4), f(5, 4)), "x must be (B, N, C) and y (B, M, C), got shapes (3, 4) and (5, 4)"),
    ("l1_distances", (f(2, 3, 4), double(2, 5, 4)), TypeError),
    (
        "l1_distances_backward",
        (f(2, 5, 3), f(2, 3, 4), f(2, 5, 4)),
        "gy has shape (2, 5, 3), expected (2, 3, 5)",
    ),
    ("l1_distances_backward", (double(2, 3, 5), f(2, 3, 4), f(2, 5, 4)), TypeError),
    ("l1_distances_along", (f(2, 5, 4), f(2, 3, 4), f(2, 5, 4)), "u has shape (2, 5, 4), expected (2, 3, 4)"),
    ("leaky_relu_backward", (f(2, 3), f(3, 2), 0.2), "gy has shape (2, 3), y (3, 2)"),
    ("leaky_relu_backward", (f(2, 3), double(2, 3), 0.2), TypeError),
    ("tanh_backward", (f(2, 3), f(3)), "gy has shape (2, 3), y (3,)"),
    ("bce_with_logits", (f(4, 1), f(4), 1.0), "x has shape (4, 1), target (4,)"),
    ("bce_with_logits", (f(4), double(4), 1.0), TypeError),
    ("bce_with_logits_backward", (f(), f(4, 1), f(4), 1.0), "x has shape (4, 1), target (4,)"),
    ("bce_with_logits_backward", (f(4), f(4), 1.0, 1.0), "gy has shape (4,), expected ()"),
    ("softmax", (X, 2), "an array of 2 axes has no axis 2"),
    ("softmax_backward", (X, f(64, 63), 1), "gy has shape (64, 64), y (64, 63)"),
    ("log_softmax", (X, -3), "an array of 2 axes has no axis -3"),
    ("log_softmax_backward", (X, f(64, 63), 1), "gy has shape (64, 64), y (64, 63)"),
    ("log_softmax_backward", (X, X, 2), "an array of 2 axes has no axis 2"),
    ("cross_entropy", (f(4, 3), i(3)), "x must be (N, C) and labels (N,), got shapes (4, 3) and (3,)"),
    ("cross_entropy", (f(4, 3), f(4)), TypeError),
    ("cross_entropy_backward", (f(3), f(4, 3), i(4)), "gy has shape (3,), expected (4,)"),
    ("normalize", (X, f(63), None, *OVER_ROWS), "weight of shape (63,) does not broadcast to (64, 64)"),
    (
        "normalize",
        (X, None, f(1, 1, 64), *OVER_ROWS),
        "bias of shape (1, 1, 64) does not broadcast to (64, 64)",
    ),
    ("normalize", (X, None, None, (2,), 1e-5), "an array of 2 axes has no axis 2"),
    ("normalize", (X, double(64), None, *OVER_ROWS), TypeError),
    (
        "normalize_backward",
        (f(2, 64), X, None, None, STATISTIC, STATISTIC, *OVER_ROWS),
        "gy has shape (2, 64), expected (64, 64)",
    ),
    (
        "normalize_backward",
        (X, X, None, None, f(64), STATISTIC, *OVER_ROWS),
        "mean has shape (64,), expected (1, 64)",
    ),
    (
        "normalize_double_backward",
        (X, X, X, None, STATISTIC, f(64, 1), *OVER_ROWS),
        "var has shape (64, 1), expected (1, 64)",
    ),
    (
        "normalize_double_backward",
        (f(64), X, X, None, STATISTIC, STATISTIC, *OVER_ROWS),
        "ggx has shape (64,), expected (64, 64)",
    ),
    ("move_statistics", (f(4), f(3), f(4), f(4), 0.1, 1.0), "running_var has shape (3,), expected (4,)"),
    ("move_statistics", (f(4), f(4), f(3), f(4), 0.1, 1.0), "4 running means, but shapes (3,) and (4,)"),
    ("sgd", (f(4), f(3), None, 0.1, 0.0, 0.0, 0.0, False, True), "g has shape (3,), expected (4,)"),
    ("sgd", (f(4), f(4), f(2), 0.1, 0.9, 0.0, 0.0, False, True), "buf has shape (2,), expected (4,)"),
    ("rmsprop", (f(4), f(4), f(5), 0.1, 0.9, 1e-8, 0.0), "square_avg has shape (5,), expected (4,)"),
    ("adam", (f(4), f(4), f(4), f(3), 1, 0.1, 0.9, 0.9, 1e-8, 0.0), "exp_avg_sq has shape (3,), expected"),
    ("adam", (f(4), double(4), f(4), f(4), 1, 0.1, 0.9, 0.9, 1e-8, 0.0), TypeError),
]
ONE_ARRAY = {"leaky_relu", "sigmoid"}  # of any shape: nothing to refuse
engines = [
    pytest.param("reference"),
    *(pytest.param(engine.name, marks=engine.marks) for engine in ENGINES.values()),
]


def test_every_kernel_of_two_arrays_or_of_a_shape_is_tried():
    assert {name for name, _, _ in REFUSED} | ONE_ARRAY == {*CASES, "sum_to"}


@pytest.mark.parametrize("engine", engines)
@pytest.mark.parametrize(("name", "given", "says"), REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(name, given, says, engine):
    if engine == "cuda":
        given = [to_gpu(a) if isinstance(a, np.ndarray) else a for a in given]
    error, says = (TypeError, "") if says is TypeError else (ValueError, says)
    with kernels.engine(engine), kernels_called() as called, pytest.raises(error) as refusal:
        getattr(kernels, name)(*given)
    assert re.fullmatch(f"{name}: .*{re.escape(says)}.*", str(refusal.value))
    assert called == []
