"""pix2pix: from an image to another one, where pairs of both are known.

Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks", 2017. G turns a
map x into a picture y, and D judges pairs: is y a true picture of x? They play

    min_G max_D  E[log D(x, y)] + E[log(1 - D(x, G(x, z)))] + λ E[‖y - G(x, z)‖₁]          (equation 4)

The distance alone is smallest for the mean of all pictures that x may have, which is grey and blurred; the
game alone makes sharp ones that need not be of x. Together they are sharp, and of x.

    G     U-Net (section 3.2.1, `parts/unet.py`); 8 halvings for 256 pixels, here as many as leave 2 x 2
    D     PatchGAN (section 3.2.2, `parts/patchgan.py`); 70 x 70 of 256 pixels, here 34 below 128, 16 below 32
    z     dropout in the decoder (section 3.1), here as an input
    λ 20, Adam 5e-4               section 3.3 has 100 and 2e-4, which are less sharp in as few steps
    D's objective halved, betas 0.5, 0.999                      section 3.3
    weights N(0, 0.02)                                          appendix 6.2
    batch 16                                                    section 3.3 has 1 to 10
    batch norm; in evaluation by its running statistics, where section 3.3 takes the test batch's: so that a
    sample does not depend on its neighbours. `--norm instance` is theirs for batches of one.

`--game lsgan` is that of Mao et al. 2017, as CycleGAN has it: squares in place of logarithms. `--game none`
is the distance alone, `--weight 0` the game alone. `--patch 1` is the PixelGAN of section 4.4, which makes
colours and nothing that is sharp; `--patch image` the ImageGAN.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.held_out import some_of
from ..parts.patchgan import HALVINGS, image_discriminator, patch_discriminator, pixel_discriminator
from ..parts.unet import UNet
from ..parts.whole import in_multiples
from ..settings import Settings

TAKES = ("pair",)
DATA = "facades"
MAKES = {"G(x)": "y"}


def CRITIC(cfg):
    """Whether D gives numbers, not logits, as it does by least squares."""
    return cfg.game == "lsgan"


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 1800
    batch_size: int = 16
    width: int = 32
    """Channels of the layers next to the image; they double as it halves, up to eight times that."""
    patch: Literal["1", "16", "34", "70", "image"] | None = None
    """Pixels a side of the patches that D judges, each by itself, or the whole image at once; by default 34,
    of images from 128 pixels on 70, of smaller ones than 32 what fits."""
    game: Literal["bce", "lsgan", "none"] = "bce"
    """What D and G play: by cross-entropy, by least squares, or no game."""
    distance: Literal["l1", "l2"] = "l1"
    """How far G(x) is from y: |difference|, or its square."""
    weight: float = 20.0
    """λ, the weight of the distance."""
    norm: Literal["batch", "instance"] = "batch"
    """How layers are normalised: over a batch, or each channel of an image."""
    lr: float = 5e-4
    """Adam's learning rate."""
    beta1: float = 0.5
    """Adam's first decay rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", at_least=1)
        require(self, "weight", "lr")
        require(self, "beta1", below=1)
        if self.game == "none" and not self.weight:
            raise MiniganError("game = 'none' and weight = 0 leave G nothing to learn from")

    def fitted(self, data):
        cfg = super().fitted(data)
        depth_of(cfg.size)
        return replace(cfg, patch=patch_of(cfg.patch, cfg.size))


def depth_of(size: int) -> int:
    """How often images of `size` pixels are halved, to 2 x 2. MiniganError for a size that cannot be."""
    depth = int(math.log2(size)) - 1
    if size < 8 or 2 ** (depth + 1) != size:
        raise MiniganError(f"pix2pix works on images of 8, 16, 32, 64, ... pixels a side, not of {size}")
    return depth


BORDER = 2  # pixels that the first layer of D adds to a side, on both ends together


def patch_of(patch: str | None, size: int) -> str:
    """What D judges by itself of images of `size` pixels. MiniganError for patches larger than those."""
    fitting = ["image", "1", *(str(pixels) for pixels in HALVINGS if pixels <= size + BORDER)]
    if patch is None:
        return fitting[-1] if len(fitting) > 2 else "image"
    if patch not in fitting:
        raise MiniganError(
            f"patches of {patch} pixels do not fit in images of {size}; there are: {', '.join(fitting)}"
        )
    return patch


NORMS = {"batch": nn.BatchNorm2d, "instance": partial(nn.InstanceNorm2d, affine=True)}


def parts(cfg: Config, data, rng):
    """G: x, noise -> y. D, where there is a game: x, y -> a number for each patch."""
    (C, size, _), (K, _, _) = data["x"].shape, data["y"].shape
    depth, norm = depth_of(size), NORMS[cfg.norm]
    players = {"G": UNet(C, K, cfg.width, depth, size, norm)}
    if cfg.game != "none":
        players["D"] = judge_of(cfg, C + K, size, norm)
    for net in players.values():
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    betas = cfg.beta1, 0.999
    optimizers = {
        f"opt_{name.lower()}": Adam(net.parameters(), cfg.lr, betas) for name, net in players.items()
    }
    return players | optimizers


def judge_of(cfg, channels, size, norm):
    """D, for images of `channels` channels: x and y together."""
    if cfg.patch == "1":
        return pixel_discriminator(channels, cfg.width, norm)
    if cfg.patch == "image":
        return image_discriminator(channels, cfg.width, size, norm)
    return patch_discriminator(channels, cfg.width, HALVINGS[int(cfg.patch)], norm)


def inputs(n, rng, data, G):
    """n maps of the held-out pairs, their noise, and the true pictures."""
    noise = rng.uniform((n, G.noise_size))
    x, y = some_of(data, n, rng)
    return {"x": x, "noise": noise, "y": y}


def make(x, noise, G):
    """Maps, and noise -> pictures."""
    return {"G(x)": G(x, noise)}


def translate(x, rng, G):
    """A picture of a map, of any size -> one of the house, with its noise from the seed."""

    def made(x):
        return G(x, Tensor(rng.uniform((len(x), G.noise_for(*x.shape[2:])))))

    return {"G(x)": in_multiples(made, x, 2 ** len(G.down))}


def pictures(show, data, rng, G):
    """Held-out houses in large, and one map with several draws of the noise."""
    x, y = (Tensor(a) for a in data.batch(range(min(6, len(data)))))

    def made(x):
        return G(x, Tensor(rng.uniform((len(x), G.noise_size))))

    show("Held-out pairs: the input, what G makes of it, the truth.", x, made(x), y)
    again = Tensor(x.numpy()[:1].repeat(6, axis=0))
    show(
        "One input, and what G makes of it with six draws of the noise.",
        x[:1],
        *(made(again)[i : i + 1] for i in range(6)),
    )


MAPS, DRAWS = 50, 8


def numbers(data, rng, G):
    """What the noise is worth, on held-out inputs: the deviation of a pixel, which lies in [-1, 1].

    spread-of-draws: over several draws of the noise for one input. spread-of-truths: over the true pictures
        of different inputs, to compare it with.
    """
    x, y = data.batch(range(min(MAPS, len(data))))
    x = Tensor(x, device=rng.device)
    made = [G(x, Tensor(rng.uniform((len(x), G.noise_size)))).numpy() for _ in range(DRAWS)]
    spreads = {"spread-of-draws": np.std(made, axis=0), "spread-of-truths": y.std(axis=0)}
    return {name: (float(spread.mean()), len(y)) for name, spread in spreads.items()}


def train(data, rng, cfg: Config, G, opt_g, D=None, opt_d=None):
    """Section 3.3: one step of D, then one of G. Yields the losses, the distance, and what D said of each
    patch."""
    bce = F.binary_cross_entropy_with_logits
    judged = {"bce": bce, "lsgan": F.mse_loss, "none": None}[cfg.game]
    distance = {"l1": F.l1_loss, "l2": F.mse_loss}[cfg.distance]

    @graph  # on a GPU, the whole step is one launch
    def step(x, y):
        x, y = Tensor(x), Tensor(y)
        fake, seen = G(x, Tensor(rng.uniform((len(x), G.noise_size)))), {}
        if judged:
            d_real, d_fake = D(F.concat([x, y], axis=1)), D(F.concat([x, fake.detach()], axis=1))
            d_loss = 0.5 * (judged(d_real, 1.0) + judged(d_fake, 0.0))
            opt_d.step(grad(d_loss, opt_d.params))
            seen = {"d_loss": d_loss, "d_real": d_real, "d_fake": d_fake}

        far = distance(fake, y)
        g_loss = cfg.weight * far
        if judged:
            g_loss = g_loss + judged(D(F.concat([x, fake], axis=1)), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))
        return {**seen, "g_loss": g_loss, cfg.distance: far}

    for x, y in data:
        yield step(x, y)
