"""StyleGAN: a generator whose layers are told what to do, each by a style.

Karras, Laine, Aila, "A style-based generator architecture for generative adversarial networks", 2019, and
Karras et al., "Analyzing and improving the image quality of StyleGAN", 2020. Noise z is not where the image
begins. A perceptron maps it to a code w; the image begins with a learned constant, and w gives each layer a
style: the spread and the mean of each channel. What is in w need not be distributed as z is, and so it can be
straight where z is bent. Noise of its own for each layer makes what is left to chance. Coarse layers decide
what is in large, fine ones the rest, so that the styles of two images can be mixed.

D and G play the logistic game, G's part of it not saturating, and D's slope at real images is penalised
(Mescheder et al. 2018):

    L_D = E[-log D(x)] + E[-log(1 - D(G(z)))] + γ/2 E[‖∇D(x)‖²],    L_G = E[-log D(G(z))]

    --synthesis demodulation      2020, section 2.2: w scales the weights, which are then normed
    --synthesis adain             2019, section 2: w scales the normalised images
    G, D: two layers a resolution                               2019, figure 1b, appendix C; `parts/style.py`
    mapping of 8 layers, of a rate times 0.01                   2019, appendix C
    styles mixed for 90 % of the images                         2019, section 3.1
    γ 1, each 16th step; path lengths each 8th, off             2020, appendix B; γ 10 at 1024 pixels
    Adam 2e-3, betas 0, 0.99                                    2020, appendix B
    latent 64, batch 32, width 32                               there 512, 32, 512 at the coarsest
    samples by the last weights; `--ema 0.999` averages them    there always by an average

Penalties have steps of their own, of Adam too (2020, section 3.1): they are weighted by as many steps as they
come after, and with k of the others between them Adam has c times its rate, and its betas to the power of c,
c = k / (k + 1).

With `--augment`, of Zhao et al. 2020, D sees T(x) and T(G(z)) in place of x and G(z).

`--path-weight 2` adds the path length regulariser (2020, section 3.2): steps in w of one length are to change
images by as much everywhere, whatever the direction.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import backend
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam
from minigan.random import Generator

from ..parts import convolutions
from ..parts.augment import augmentation
from ..parts.latent import lerp, slerp
from ..parts.penalties import path_lengths, r1_penalty
from ..parts.style import MovingMean, StyleGenerator, crossover, style_discriminator
from ..settings import JudgedSettings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(JudgedSettings):
    steps: int = 1500
    batch_size: int = 32
    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in, 64 for a folder."""
    synthesis: Literal["demodulation", "adain"] = "demodulation"
    """How a style acts: on the weights (2020), or on normalised images (2019)."""
    latent: int = 64
    """Length of z, and of w."""
    mapping: int = 8
    """Layers from z to w."""
    width: int = 32
    """Channels of the layers next to the image; they double as it halves, up to four times that."""
    mixing: float = 0.9
    """Share of the images whose finer layers, from a random one on, get the styles of another w."""
    r1: float = 1.0
    """γ, the weight of the penalty on D's slope at real images."""
    r1_every: int = 16
    """Steps from one of that penalty to the next."""
    path_weight: float = 0.0
    """The weight of the path length regulariser; 0 for none, 2 in the authors' code."""
    path_every: int = 8
    """Steps from one of that regulariser to the next."""
    lr: float = 2e-3
    """Adam's learning rate."""
    beta1: float = 0.0
    """Adam's first decay rate, that of the momentum."""
    beta2: float = 0.99
    """Adam's second decay rate, that of the squared gradients."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "mapping", "width", "r1_every", "path_every", at_least=1)
        require(self, "r1", "path_weight", "lr")
        require(self, "beta1", "beta2", below=1)
        if not 0 <= self.mixing <= 1:
            raise MiniganError(f"mixing is a share, from 0 to 1, got {self.mixing}")

    @property
    def judges_each_alone(self):
        return False  # D sees how much the samples of a batch differ

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return convolutions.default_size(pixels)


def parts(cfg: Config, data, rng):
    """G: z (N, latent), noise (N, noise_size) -> images (N, *shape), not bounded. D: images -> logits (N, 1).
    path_mean: that of path lengths."""
    G = StyleGenerator(cfg.latent, cfg.mapping, cfg.width, data.shape, cfg.synthesis, rng)
    D = style_discriminator(cfg.width, data.shape, rng)

    def adam(net, penalty, every):
        c = every / (every + 1) if penalty else 1.0
        return Adam(net.parameters(), c * cfg.lr, (cfg.beta1**c, cfg.beta2**c))

    return {
        "G": G,
        "D": D,
        "opt_g": adam(G, cfg.path_weight, cfg.path_every),
        "opt_d": adam(D, cfg.r1, cfg.r1_every),
        "path_mean": MovingMean((), 0.01),
    }


def inputs(
    n,
    rng,
    cfg: Config,
    G,
    truncation: float | None = None,
    mix: str | None = None,
    layers: str | None = None,
):
    """n latent vectors, and the noise of all layers.

    truncation: ψ, what is left of the way from the average w to each: less is better and less diverse
    mix: two seeds, 3,8: the coarse layers of the samples of the first, the others of those of the second
    layers: which layers are the coarse ones of --mix, 0-2; by default half of all
    """
    made = {"z": rng.normal((n, cfg.latent)), "noise": rng.normal((n, G.noise_size))}
    if mix is not None:
        coarse, fine = (Generator(seed).normal((n, cfg.latent)) for seed in seeds_of(mix))
        made |= {"z": coarse, "other": fine, "fine": np.tile(1 - coarse_layers(layers, G.layers), (n, 1))}
    elif layers is not None:
        raise MiniganError("layers are those of --mix SEED,SEED, which is not given")
    if truncation is not None:
        if not math.isfinite(truncation):
            raise MiniganError(f"truncation must be a finite number, got {truncation}")
        made["psi"] = np.full((n, 1), truncation, np.float32)
    return made


def seeds_of(mix: str) -> list[int]:
    """Two seeds in a text. MiniganError for anything else."""
    words = [word.strip() for word in mix.split(",")]
    if len(words) != 2 or not all(word.isdecimal() and int(word) < 2**64 for word in words):
        raise MiniganError(f"--mix takes two seeds, as in 3,8, got {mix!r}")
    return [int(word) for word in words]


def coarse_layers(layers: str | None, count: int) -> np.ndarray:
    """Which of `count` layers a text such as "0-2" means, the first half where it is None: 1 for those, 0 for
    others. MiniganError for layers that are not there."""
    first, dash, last = (f"0-{count // 2 - 1}" if layers is None else layers).partition("-")
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < count):
        raise MiniganError(f"the generator has layers 0-{count - 1}, --layers asks for {layers!r}")
    index = np.arange(count)
    return ((int(first) <= index) & (index <= int(last))).astype(np.float32)


def code(z, G):
    """z (n, latent) -> w (n, latent), which walks go through."""
    return G.mapping(z)


def make(noise, G, z=None, code=None, psi=None, other=None, fine=None):
    """z, or its code w, (n, latent) -> images (n, *shape). psi: see `inputs`. other: z of the layers where
    fine (n, layers) is 1."""
    w = [G.mapping(z) if code is None else code] + ([] if other is None else [G.mapping(other)])
    if psi is not None:
        w = [G.mapping.truncated(one, psi) for one in w]
    return F.clip(G.synthesis(G.styles(*w, fine=fine), noise), -1.0, 1.0)


def judge(x, D):
    """Images -> the logits of being real (N, 1)."""
    return D(x)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d, path_mean):
    """One step of D, then one of G, on each batch; and now and then one of a penalty. Yields the losses, and
    what D said."""
    bce, T = F.binary_cross_entropy_with_logits, augmentation(cfg.augment, rng)

    def noise_of(n):
        return Tensor(rng.normal((n, G.noise_size)))

    def styles_of(n):
        """w of each layer, mixed."""
        w = G.mapping(Tensor(rng.normal((n, cfg.latent))))
        G.mapping.average.follow(w)
        if not cfg.mixing:
            return G.styles(w)
        other = G.mapping(Tensor(rng.normal((n, cfg.latent))))
        return G.styles(w, other, crossover(rng.uniform((n, 1)), G.layers, cfg.mixing))

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        fake = G.synthesis(styles_of(len(real)), noise_of(len(real)))

        d_real, d_fake = D(T(Tensor(real))), D(T(fake.detach()))
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = bce(D(T(fake)), 1.0)
        opt_g.step(grad(g_loss, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    @graph
    def step_of_r1(real):
        penalty = r1_penalty(lambda x: D(T(x)), Tensor(real))
        opt_d.step(grad(cfg.r1_every * cfg.r1 / 2 * penalty, opt_d.params, allow_unused=True))
        return {"r1": penalty}

    @graph
    def step_of_path(real):
        n = max(len(real) // 2, 1)  # as the authors' code: it takes much memory
        w, noise = styles_of(n), noise_of(n)
        lengths = path_lengths(lambda w: G.synthesis(w, noise), w, Tensor(rng.normal((n, *real.shape[1:]))))
        path_mean.follow(lengths)
        penalty = F.square(lengths - path_mean.mean).mean()
        opt_g.step(grad(cfg.path_every * cfg.path_weight * penalty, opt_g.params, allow_unused=True))
        return {"path_length": lengths.mean(), "path_penalty": penalty}

    def due(opt, every):
        """Whether the optimiser took so many steps since the last one of its penalty."""
        return opt.steps % (every + 1) == every

    for real in data:
        seen = step(real)
        if cfg.r1 and due(opt_d, cfg.r1_every):
            seen = {**seen, **step_of_r1(real)}
        if cfg.path_weight and due(opt_g, cfg.path_every):
            seen = {**seen, **step_of_path(real)}
        yield seen


SOURCES = 6  # a row, and a column, of the grid of mixed styles


def pictures(show, rng, cfg: Config, G):
    """Figure 3 of 2019: the styles of two images mixed; and figure 8: truncation."""
    n = 2 * SOURCES
    z, noise = Tensor(rng.normal((n, cfg.latent))), Tensor(rng.normal((n, G.noise_size)))
    images = make(noise, G, z).numpy()
    fine = Tensor(np.tile(1 - coarse_layers(None, G.layers), (SOURCES, 1)))
    grid = [np.ones_like(images[:1]), images[:SOURCES]]  # a white corner, and the head of each column
    for i in range(SOURCES, n):
        of_row = F.expand(z[i : i + 1], SOURCES, cfg.latent)
        mixed = make(noise[:SOURCES], G, of_row, other=z[:SOURCES], fine=fine)
        grid += [images[i : i + 1], mixed.numpy()]
    show(
        f"Styles mixed: layers 0 to {G.layers // 2 - 1}, the coarse ones, are told by the image at the left "
        "of the row, the others by the image at the head of the column.",
        np.concatenate(grid),
    )
    show(
        "From an image to the average one, and beyond it: ψ = 1, 0.7, 0.5, 0, -0.5.",
        *(make(noise[:8], G, z[:8], psi=psi) for psi in (1.0, 0.7, 0.5, 0.0, -0.5)),
    )


EPSILON = 1e-4  # a step of a path
PATHS, CHUNK = 2000, 500  # how many are measured, and at once


def numbers(rng, cfg: Config, G, classifier=None):
    """Perceptual path lengths in z and in w (2019, section 4.1), and what mixing leaves of the class.

    How much images change a step of length ε, E[d(G(t), G(t + ε)) / ε²], on the way from a random z to
    another, or straight from the w of the one to that of the other. d is the squared distance of the features
    of our classifier of the data, not of VGG: the numbers compare models of the same data alone. The mean is
    of all paths, where the authors' code leaves out the longest and the shortest.

    Of mixes of two images of different classes, the shares that the classifier takes for the class of the
    parent of the coarse, and of the fine layers.
    """
    if classifier is None:
        return {}
    found = [measured(rng, cfg, G, classifier) for _ in range(PATHS // CHUNK)]
    values = {name: np.concatenate([some[name] for some in found]) for name in found[0]}
    return {name: (float(some.mean()), len(some)) for name, some in values.items() if len(some)}


def measured(rng, cfg, G, classifier):
    """What `numbers` are the means of, of some pairs of z."""
    z, t = (backend.to_numpy(a) for a in (rng.normal((2, CHUNK, cfg.latent)), rng.uniform((CHUNK, 1))))
    t = t * (1.0 - EPSILON)
    noise, fine = Tensor(rng.normal((CHUNK, G.noise_size))), 1 - coarse_layers(None, G.layers)

    def image(**how):
        return make(noise, G, **{name: Tensor(a, device=rng.device) for name, a in how.items()}).numpy()

    def lengths(image_at):
        before, after = (classifier.features(image_at(at)) for at in (t, t + EPSILON))
        return ((after - before) ** 2).sum(axis=1) / EPSILON**2

    w = [G.mapping(Tensor(end, device=rng.device)).numpy() for end in z]
    mixed = image(z=z[0], other=z[1], fine=np.tile(fine, (CHUNK, 1)))
    of_coarse, of_fine, label = (classifier.labels(x) for x in (image(z=z[0]), image(z=z[1]), mixed))
    differ = of_coarse != of_fine
    return {
        "path-length-z": lengths(lambda at: image(z=slerp(*z, at))),
        "path-length-w": lengths(lambda at: image(code=lerp(*w, at))),
        "label-of-coarse": (label == of_coarse)[differ],
        "label-of-fine": (label == of_fine)[differ],
    }
