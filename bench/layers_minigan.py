"""One convolution in one direction by minigan's kernels, on channels-last arrays."""

import minigan_kernels as kernels
from minigan.speed.minigan_side import about, channels_last

__all__ = ["about", "prepare"]


def prepare(job):
    """The same result again and again."""
    if "product" in job:
        a, b = job["product"]
        return repeat(lambda: kernels.matmul(a, b))
    x, w, gy = (channels_last(job[name]) for name in ("x", "w", "gy"))
    kernel = getattr(kernels, kernel_of(job["transposed"], job["direction"]))
    arguments = arguments_of(kernel.__name__, x, w, gy, job["transposed"], job["stride"], job["padding"])
    return repeat(lambda: kernel(*arguments))


def kernel_of(transposed, direction):
    """The kernel's name. A transposed convolution is the input gradient of one that leads from y to x."""
    if direction == "weight":
        return "conv2d_weight"
    return "conv2d" if (direction == "forward") != transposed else "conv2d_input"


def arguments_of(kernel, x, w, gy, transposed, stride, padding):
    x, y = (gy, x) if transposed else (x, gy)
    arrays = {
        "conv2d": (x, w),
        "conv2d_input": (y, w, x.shape[2:]),
        "conv2d_weight": (x, y, w.shape[2:]),
    }
    return *arrays[kernel], stride, padding, (1, 1), 1


def repeat(function):
    while True:
        yield function()
