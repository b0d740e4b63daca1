"""One convolution in one direction by minigan's kernels, on channels-last arrays."""

from minigan.bench.minigan_side import about, channels_last
from minigan_kernels import conv2d, conv2d_input, conv2d_weight

__all__ = ["about", "prepare"]


def prepare(job):
    """The same result again and again."""
    if "product" in job:
        a, b = job["product"]
        return repeat(lambda: a @ b)
    x, w, gy = (channels_last(job[name]) for name in ("x", "w", "gy"))
    geometry = job["stride"], job["padding"], (1, 1), 1
    if job["transposed"]:  # the input gradient of a convolution that leads from gy to x
        calls = {
            "forward": lambda: conv2d_input(x, w, gy.shape[2:], *geometry),
            "input": lambda: conv2d(gy, w, *geometry),
            "weight": lambda: conv2d_weight(gy, x, w.shape[2:], *geometry),
        }
    else:
        calls = {
            "forward": lambda: conv2d(x, w, *geometry),
            "input": lambda: conv2d_input(gy, w, x.shape[2:], *geometry),
            "weight": lambda: conv2d_weight(x, gy, w.shape[2:], *geometry),
        }
    return repeat(calls[job["direction"]])


def repeat(function):
    while True:
        yield function()
