"""The same convolution in PyTorch: the forward op, or its backward op with only one output asked for."""

import os

import torch
from torch.nn import functional as F

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def about():
    return {"threads": torch.get_num_threads(), "versions": {"PyTorch": torch.__version__}}


def prepare(job):
    """The same result again and again."""
    if "product" in job:
        a, b = map(torch.from_numpy, job["product"])
        return repeat(lambda: a @ b)
    x, w, gy = (
        torch.from_numpy(job[name]).contiguous(memory_format=FORMATS[job["layout"]])
        for name in ("x", "w", "gy")
    )
    stride, padding, transposed = job["stride"], job["padding"], job["transposed"]
    if job["direction"] == "forward":
        op = F.conv_transpose2d if transposed else F.conv2d
        return repeat(lambda: op(x, w, None, stride, padding))
    backward = torch.ops.aten.convolution_backward.default  # as torch.nn.grad's helpers, with less overhead
    mask = [job["direction"] == "input", job["direction"] == "weight", False]
    geometry, which = (stride, padding, (1, 1), transposed, (0, 0), 1), mask.index(True)
    return repeat(lambda: backward(gy, x, w, None, *geometry, mask)[which])


@torch.inference_mode()
def repeat(function):
    while True:
        yield function()
