"""The convolutions of the two DCGANs, one by one, in their three directions."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import minigan_kernels as kernels
from minigan import Generator, nn
from minigan.gans.noise import dcgan
from minigan.speed.compare import CHANNELS_LAST, EAGER, MINIGAN
from minigan.speed.processes import Side
from minigan.speed.steps import DCGAN_32, DCGAN_64, Step, fields_of
from minigan_kernels import out_size, transposed_size

HERE = Path(__file__).parent
SIDES = [
    Side(MINIGAN.name, HERE / "layers_minigan.py"),
    Side(EAGER.name, HERE / "layers_torch.py", EAGER.options),
    Side(CHANNELS_LAST.name, HERE / "layers_torch.py", CHANNELS_LAST.options),
]
RTOL = (1e-4,)  # of the one result, relative to its largest entry

DIRECTIONS = {"forward": "forward", "input": "input gradient", "weight": "weight gradient"}


@dataclass(frozen=True)
class Layer:
    """A convolution, transposed or not, on a batch, and the direction that is timed."""

    network: str
    label: str
    transposed: bool
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    stride: tuple[int, int]
    padding: tuple[int, int]
    direction: str

    @property
    def name(self) -> str:
        return f"{self.network}/{self.label}/{self.direction}"

    @property
    def title(self) -> str:
        x, y = ("{1}@{2}×{3}".format(*shape) for shape in (self.x, self.y))
        return f"{self.network} {self.label} {x} → {y}, {DIRECTIONS[self.direction]}"

    @property
    def batch_size(self) -> int:
        return self.x[0]

    @property
    def flop(self) -> int:
        """Of the direct convolution, taps on the padding included: the same in all directions."""
        small = self.x if self.transposed else self.y
        return 2 * math.prod(self.w) * small[0] * small[2] * small[3]


def layers_of(step: Step) -> list[Layer]:
    """Every convolution of the step's two networks, G's first, in every direction."""
    cfg = dcgan.Config(batch_size=step.batch_size, **step.settings)
    with kernels.engine("reference"):  # of the networks only the shapes are wanted
        parts = dcgan.parts(cfg, fields_of(step.shape), Generator())
    found = []
    for letter, size in (("G", (1, 1)), ("D", step.shape[1:])):
        number = itertools.count(1)
        for layer in parts[letter]:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                one = _geometry(layer, step.batch_size, size)
                label, size = f"{letter}{next(number)}", one["y"][2:]
                found += [Layer(step.name, label, direction=d, **one) for d in DIRECTIONS]
    return found


def _geometry(layer, N, size):
    stride, padding = ((layer.settings[name],) * 2 for name in ("stride", "padding"))
    w, transposed = layer.weight.shape, layer.transposed
    C, O = (w[0], w[1]) if transposed else (w[1], w[0])
    if transposed:
        out = transposed_size(size, w[2:], stride, padding)
    else:
        out = out_size(size, w[2:], stride, padding, (1, 1))
    shapes = {"x": (N, C, *size), "w": w, "y": (N, O, *out)}
    return shapes | {"stride": stride, "padding": padding, "transposed": transposed}


LAYERS = [layer for step in (DCGAN_32, DCGAN_64) for layer in layers_of(step)]


def job(layer: Layer) -> dict:
    """What both sides are told: the arrays and the geometry."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(getattr(layer, name), np.float32) for name in ("x", "w")}
    gy = rng.standard_normal(layer.y, np.float32)
    geometry = {name: getattr(layer, name) for name in ("stride", "padding", "transposed", "direction")}
    return arrays | {"gy": gy} | geometry


def product(n: int) -> dict:
    """The job of one n×n matrix product: what the machine can do at most."""
    rng = np.random.default_rng(0)
    return {"product": [rng.standard_normal((n, n), np.float32) for _ in range(2)]}
