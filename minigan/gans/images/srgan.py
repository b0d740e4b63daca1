"""SRGAN: a picture made larger, with the details that it may have had.

Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi, "Photo-realistic single
image super-resolution using a generative adversarial network", 2017. Many large pictures y become the same
small one x. A network that learns by the squared error alone, SRResNet, makes their mean, which is smooth. In
the second stage G plays against a D that tells made pictures from true ones, and is held to what y looks like
by the features V of another network:

    G    (perceptual distance of V(G(x)) and V(y))  +  λ (-log D(G(x)))  +  μ |G(x) - y|²       (equation 3)
    D    -log D(y) - log(1 - D(G(x)))                                                           (equation 2)

    G     SRResNet (`parts/srresnet.py`): 16 blocks of 64 channels, 9x9 at both ends in figure 4; here 4 of
          32, and a doubling halves the channels, or most of the work would be at the large end
    x     of y by cubic convolution, antialiased, in the loop                                   section 3.1
    what G makes is added to x enlarged by cubic convolution, and there is no batch norm: figure 4's, which
          `--onto nothing --norm batch` has, is decibels behind after as many minutes on a CPU
    V     `parts/perception.py`, trained in the first stage: in section 2.2.1 VGG19, trained on ImageNet
    D     PatchGAN (`parts/patchgan.py`), which takes any size; in figure 4 a dense end, for 96 pixels
    λ 1e-3 in equation 3, of another scale of the perceptual loss; no μ there: without it V, which has seen a
          few photographs, lets G sharpen more than the truth is
    D's objective halved, as in pix2pix
    Adam 1e-3, then 2e-4, falling                     section 3.2 has 1e-4, then 1e-5, in 10⁶ and 2·10⁵ steps
    batch 8 of 64 pixels                              section 3.2: 16 of 96

The first stage's G is kept as R when the second begins: SRResNet, to compare with. `--game none` is the first
stage alone.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.metrics.pictures import WINDOW, luminance, psnr, ssim
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts import convolutions
from ..parts.held_out import some_of
from ..parts.patchgan import patch_discriminator
from ..parts.perception import KINDS, Perception, difference, told_apart
from ..parts.srresnet import SRResNet, bicubic, lowered, reach
from ..settings import Settings

TAKES = ("image",)
DATA = "photographs"
MAKES = {"G(x)": "y"}
SMALLEST = 16  # pixels of a large picture that D has patches of
MEASURED, BATCH = 1000, 50  # pictures of the held-out data, at most; at once
NORMS = {"none": None, "batch": nn.BatchNorm2d}


def REACH(cfg):
    """Up to how many pixels away a pixel of x has an influence."""
    return reach(cfg.blocks, cfg.scale)


def SCALE(cfg):
    """How many pixels long a pixel of x becomes."""
    return cfg.scale


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 900
    batch_size: int = 8
    scale: Literal[2, 4] = 4
    """How many times larger pictures become, either side."""
    width: int = 32
    """Channels of G's blocks, of D's layer next to the image, and of V's."""
    blocks: int = 4
    """Residual blocks of G."""
    onto: Literal["bicubic", "nothing"] = "bicubic"
    """What G's output is added to: the picture enlarged by cubic convolution, or nothing, as in the paper."""
    norm: Literal["none", "batch"] = "none"
    """How G's layers are normalised: not at all, or over a batch, as in the paper."""
    game: Literal["bce", "none"] = "bce"
    """What the second stage plays: by cross-entropy; or there is none."""
    first: float = 0.83
    """The share of the steps that is the first stage: by squared error."""
    weight: float = 3e-2
    """λ, the weight of the game."""
    weight_pixels: float = 40.0
    """μ, the weight of the squared error in the second stage."""
    lr: float = 1e-3
    """Adam's learning rate in the first stage, falling to a tenth along a cosine."""
    lr_game: float = 2e-4
    """That of the second stage, falling alike; D's, which stays."""
    beta1: float = 0.9
    """Adam's first decay rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", "blocks", at_least=1)
        require(self, "batch_size", at_least=KINDS)
        require(self, "weight", "weight_pixels", "lr", "lr_game")
        require(self, "first", "beta1", below=1)
        if self.size is not None and (self.size < SMALLEST or self.size % self.scale):
            raise MiniganError(
                f"size must be a multiple of scale = {self.scale}, and {SMALLEST} at least, got {self.size}"
            )

    @property
    def steps_of_first(self) -> int:
        """How many steps the first stage has."""
        return self.steps if self.game == "none" else round(self.first * self.steps)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the next multiple of scale, and 16 at
        least."""
        return max(math.ceil(pixels / self.scale) * self.scale, SMALLEST)


def parts(cfg: Config, data, rng):
    """G: small pictures -> large ones. R: G as the first stage left it. D: large pictures -> a number for
    each patch. V: large pictures -> what was done to them; its features are compared."""
    C, *_ = data.shape

    def resnet():
        onto_bicubic = cfg.onto == "bicubic"
        return SRResNet(C, cfg.width, cfg.blocks, cfg.scale, NORMS[cfg.norm], onto_bicubic, rng)

    G, V, betas = resnet(), Perception(C, cfg.width, rng), (cfg.beta1, 0.999)
    opt_g, opt_v = Adam(G.parameters(), cfg.lr, betas), Adam(V.parameters(), cfg.lr, betas)
    found = {"G": G, "V": V, "opt_g": opt_g, "opt_v": opt_v}
    found["schedule"] = LambdaLR(opt_g, partial(rate, cfg))
    if cfg.game == "none":
        return found
    D = patch_discriminator(C, cfg.width, 2, nn.BatchNorm2d)
    D.apply(lambda layer: convolutions.initialise(layer, rng))
    return found | {"R": resnet(), "D": D, "opt_d": Adam(D.parameters(), cfg.lr_game, betas)}


def rate(cfg, n):
    """G's rate after n steps, over that at the start: in each stage from its own to a tenth of it."""
    first = cfg.steps_of_first
    start, taken, steps = (
        (1.0, n, first) if n < first else (cfg.lr_game / cfg.lr, n - first, cfg.steps - first)
    )
    return start * (0.55 + 0.45 * math.cos(math.pi * min(taken / max(steps, 1), 1)))


def inputs(n, rng, cfg: Config, data):
    """n small pictures, made of held-out large ones, and these."""
    y = some_of(data, n, rng)
    return {"x": lowered(Tensor(y), cfg.scale).numpy(), "y": y}


def make(x, G):
    """Small pictures -> large ones."""
    return {"G(x)": F.clip(G(x), -1.0, 1.0)}


def translate(x, G):
    """A picture of any size -> the same, larger."""
    return make(x, G)


def train(data, cfg: Config, G, V, opt_g, opt_v, schedule, R=None, D=None, opt_d=None):
    """Section 3.2: G by the squared error, and V; then the game. Yields the losses; in the second stage also
    the distance of features, and what D said of each patch."""
    bce = F.binary_cross_entropy_with_logits

    @graph  # on a GPU, the whole step is one launch
    def by_squares(y):
        y = Tensor(y)
        x = lowered(y, cfg.scale)
        g_loss = F.mse_loss(G(x), y)
        opt_g.step(grad(g_loss, opt_g.params))
        v_loss = told_apart(V, y, x, cfg.scale)
        opt_v.step(grad(v_loss, opt_v.params))
        return {"g_loss": g_loss, "squares": g_loss, "v_loss": v_loss}

    @graph
    def by_the_game(y):
        y = Tensor(y)
        fake = G(lowered(y, cfg.scale))
        d_real, d_fake = D(y), D(fake.detach())
        d_loss = 0.5 * (bce(d_real, 1.0) + bce(d_fake, 0.0))
        opt_d.step(grad(d_loss, opt_d.params))

        squares, far = F.mse_loss(fake, y), difference(fake, y, V)
        g_loss = far + cfg.weight * bce(D(fake), 1.0) + cfg.weight_pixels * squares
        opt_g.step(grad(g_loss, opt_g.params))
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            "squares": squares,
            "features": far,
            "d_real": d_real,
            "d_fake": d_fake,
        }

    for y in data:
        if R is not None and opt_g.steps == cfg.steps_of_first:
            R.load_state_dict(G.state_dict())
        seen = (by_squares if opt_g.steps < cfg.steps_of_first else by_the_game)(y)
        schedule.step()  # after the launch, which takes the rate of the day
        yield seen


def gradient(pictures):
    """The mean difference of neighbouring pixels, without its sign: blurred pictures have less."""
    return float(sum(np.abs(np.diff(pictures, axis=axis)).mean() for axis in (2, 3)))


def enlarged(x, cfg, G, R=None):
    """Small pictures enlarged in each way that there is, by name."""
    found = {"nearest": F.interpolate(x, scale_factor=cfg.scale), "bicubic": bicubic(x, cfg.scale)}
    found |= {"SRResNet": G(x)} if R is None else {"SRResNet": R(x), "SRGAN": G(x)}
    return {name: F.clip(made, -1.0, 1.0) for name, made in found.items()}


def pictures(show, data, cfg: Config, G, R=None):
    """Held-out pictures with the most detail, as in figure 2: enlarged in each way, and the truth."""
    y = data.batch(np.arange(min(MEASURED, len(data))))
    detail = [gradient(picture[None]) for picture in y]
    y = Tensor(y[np.argsort(detail)[::-1][:6]])
    ways = enlarged(lowered(y, cfg.scale), cfg, G, R)
    shown = ", ".join("pixels as blocks" if name == "nearest" else name for name in ways)
    show(f"Held-out pictures made {cfg.scale} times larger: {shown}; the truth.", *ways.values(), y)


def numbers(data, rng, cfg: Config, G, V, classifier, R=None):
    """Held-out pictures enlarged in each way, beside the truth, by section 3.1's protocol: PSNR and SSIM of
    the luminance, scale pixels shaved off each border, all pictures taken for parts of one; of the same the
    mean difference of neighbours, over the truth's; the distance of V's features; and how many are read as
    their label, where there are some."""
    n = min(MEASURED, len(data))
    y = data.batch(np.arange(n))
    made, far = {}, {}
    for i in range(0, n, BATCH):
        true = Tensor(y[i : i + BATCH], device=rng.device)
        for name, some in enlarged(lowered(true, cfg.scale), cfg, G, R).items():
            made.setdefault(name, []).append(some.numpy())
            far.setdefault(name, []).append(difference(some, true, V).item())

    def shaved(pictures):
        return luminance(pictures)[:, :, cfg.scale : -cfg.scale, cfg.scale : -cfg.scale]

    made, found, true = {name: np.concatenate(some) for name, some in made.items()}, {}, shaved(y)
    for name, pictures in made.items():
        bright = shaved(pictures)
        found[f"PSNR, {name}"] = psnr(*(a.reshape(1, 1, 1, -1) for a in (bright, true)), 255)
        if min(true.shape[2:]) >= WINDOW:
            found[f"SSIM, {name}"] = ssim(bright, true, 255)
        found[f"gradient, {name}"] = gradient(bright) / gradient(true)
        found[f"features, {name}"] = float(np.mean(far[name]))
    if classifier is not None:
        for name, pictures in {**made, "truth": y}.items():
            right = classifier.labels(pictures) == data.labels[:n]
            found[f"read as the label, {name}"] = float(right.mean())
    return {name: (value, n) for name, value in found.items()}
