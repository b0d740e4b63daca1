"""Training steps in PyTorch on a GPU, eagerly or with the whole step in a CUDA graph.

The networks and the step are those of `minigan/speed/torch_side.py`.
"""

import importlib.util
import itertools
import os
from pathlib import Path

import torch
from torch import nn

FILE = Path(__file__).parents[2] / "minigan" / "speed" / "torch_side.py"
_spec = importlib.util.spec_from_file_location("torch_side", FILE)  # by its path: minigan stays outside
side = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(side)

DEVICE = "cuda"
WARM_UP = 5  # steps before a capture: cuDNN chooses its algorithms, Adam makes its state


def about():
    versions = {"PyTorch": torch.__version__, "PyTorch's CUDA": torch.version.cuda}
    versions["cuDNN"] = str(torch.backends.cudnn.version())
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "versions": versions}


def variants(job):
    """Memory formats to choose the quickest from. In float32 either can be."""
    images = len(job["shape"]) == 3 and job["model"] != "gan"
    formats = ["channels_last", "contiguous"] if images and job["precision"] == "fp32" else ["channels_last"]
    return [{"layout": layout} for layout in formats]


def prepare(job):
    """The steps of a job, each with its losses on the device; the noise of the first ones is given."""
    job = job | {"layout": "channels_last"} | job.get("variant", {})
    set_precision(job["precision"])
    nets = {name: net.to(DEVICE) for name, net in side.networks(job).items()}
    form = {"fused": True, "capturable": job["graph"]}
    optimizers = {name: side.adam(name, net, job, **form) for name, net in nets.items()}
    if job["precision"] == "bf16":
        nets = {name: Autocast(net) for name, net in nets.items()}
    step = side.step_of(job, nets, optimizers)
    batches = [tuple(x.to(DEVICE) for x in batch) for batch in side.batches(job)]
    noise = [torch.from_numpy(a).to(DEVICE) for a in job["noise"]]

    def drawn(*batch):
        return step(side.draw(job, DEVICE), *batch)

    if job["graph"]:
        start = kept(nets)
        step = graphed(step, (noise[0], *batches[0]))
        drawn = graphed(drawn, batches[0])
        restore(nets, optimizers, start)
    batches = itertools.cycle(batches)
    for z in noise:
        yield step(z, *next(batches))
    while True:
        yield drawn(*next(batches))


def set_precision(precision):
    """What the matrix products and convolutions of float32 tensors are made in; see also `Autocast`."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.benchmark = True


class Autocast(nn.Module):
    """A network that computes in BF16 where PyTorch thinks it safe, on float32 weights."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        # The cache of converted weights must not outlive a capture.
        with torch.autocast(DEVICE, torch.bfloat16, cache_enabled=False):
            return self.net(x).float()


def graphed(step, inputs):
    """`step` as a graph's replay: a function of inputs, which it copies to where the graph reads them."""
    static = [x.clone() for x in inputs]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step(*static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = step(*static)

    def replay(*given):
        for place, x in zip(static, given, strict=True):
            place.copy_(x)
        graph.replay()
        return losses

    return replay


def kept(nets):
    return {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in nets.items()}


def restore(nets, optimizers, start):
    """Back to before the warm-up, in place: the graphs know these addresses."""
    for name, net in nets.items():
        net.load_state_dict(start[name])
        for state in optimizers[name].state.values():
            for value in state.values():
                value.zero_()
