"""DVD-GAN: films of a class, made whole, by a G that plays against a judge of frames and a judge of motion.

Clark, Donahue, Simonyan, "Adversarial video generation on complex datasets", 2019. A judge of the whole film
would be large. So there are two: D_S looks at k frames of it at full size, each by itself, and D_T at all of
them at half the size. Both are told the class y, and play by the hinge loss (section 3.2):

    min_D  E[max(0, 1 - D(x, y))] + E[max(0, 1 + D(G(z, y), y))]     of D_S and of D_T, each by itself
    min_G  -E[D_S(G(z, y), y) + D_T(G(z, y), y)]

Without D_T (`--judges frames`) nothing is wrong with any order of good frames, and G has no reason to move
them as the data do.

    G     a linear layer of [z, y] to 4 x 4, the same for all frames; then at each size a ConvGRU over the
          frames, and a transposed convolution that doubles them          figure 3: residual blocks
          batch norm over the frames of all films, scaled and shifted by [z, y]               section 3.1
          two frames before the first one, which nobody sees: its state would be like no other's
    D_S   convolutions that halve; the mean over k frames, drawn anew     section 3.2: k = 8, and their sum
    D_T   frames averaged to half the size, 3-D convolutions, then 2-D ones; the mean over the frames
    y     in both judges by projection, in their last layer: Miyato, Koyama, "cGANs with projection
          discriminator", 2018
    spectral norm of D's convolutions         section 3.1 has it of all weights, G's too; without it on the
                                              last layer the class is learned sooner
    Adam 1e-3 for G, 2e-3 for D, betas 0, 0.999     appendix B: 1e-4 and 5e-4, and two steps of D for one of G
    batch 32, films of 8 frames of 16 pixels, latent 32     section 4: 512, 12 to 48 frames of 64 to 256
"""

import itertools
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.nn.utils.parametrizations import spectral_norm
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.conditioning import labels_of, one_hot
from ..parts.latent import normal
from ..parts.recurrent import ConvGRU, in_frames
from ..settings import LabelledSettings

TAKES = "clip", "label"
DATA = "moving-digits"
CRITIC = True  # D gives numbers, above 1 and below -1
UNSEEN = 2  # frames before the first one: a ConvGRU begins with a state of zeros, which is like no other


@dataclass(frozen=True, kw_only=True)
class Config(LabelledSettings):
    steps: int = 1500
    batch_size: int = 32
    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in."""
    judges: Literal["both", "frames", "motion"] = "both"
    """Who judges: D_S, which sees frames, D_T, which sees the motion, or both."""
    seen: int = 4
    """k, how many frames of a film D_S sees; fewer where a film has fewer."""
    latent: int = 32
    """Length of the noise vector z."""
    width: int = 24
    """Channels of G's maps that are half as large as the frames; they double as it halves."""
    width_d: int = 64
    """The same of D_S's maps; D_T, whose frames are half as large, has half as many."""
    lr: float = 1e-3
    """Adam's learning rate of G."""
    lr_d: float = 2e-3
    """That of both judges."""
    beta1: float = 0.0
    """Adam's first decay rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "seen", "latent", "width", at_least=1)
        require(self, "width_d", at_least=2)
        require(self, "lr", "lr_d")
        require(self, "beta1", below=1)

    def fitted(self, data):
        if data.shape[0] < 2:
            raise MiniganError(f"a film has two frames at least, and these have {data.shape[0]}")
        return replace(super().fitted(data), seen=min(self.seen, data.shape[0]))

    def default_size(self, pixels: int) -> int:
        """The size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return convolutions.default_size(pixels)


def parts(cfg: Config, data, rng):
    """G: z (N, latent), labels (N,) or weights (N, classes) -> films (N, T, C, S, S) in [-1, 1]. D_S: frames
    of films, labels -> numbers (N, 1). D_T: films, labels -> numbers (N, 1)."""
    shape = (*data.shape[:2], cfg.size, cfg.size)
    betas = cfg.beta1, 0.999
    G = Generator(cfg, shape, rng)
    found = {"G": G, "opt_g": Adam(G.parameters(), cfg.lr, betas)}
    if cfg.judges != "motion":
        found["D_S"] = FrameJudge(cfg, shape, rng)
    if cfg.judges != "frames":
        found["D_T"] = MotionJudge(cfg, shape, rng)
    of_judges = [p for name in ("D_S", "D_T") if name in found for p in found[name].parameters()]
    return found | {"opt_d": Adam(of_judges, cfg.lr_d, betas)}


class Generator(nn.Module):
    """z (N, latent), labels (N,) or weights (N, classes) -> films (N, *shape)."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        self.frames, self.classes = shape[0], cfg.classes
        widths, said = convolutions.layer_widths(cfg.width, shape[1:])[::-1], cfg.latent + cfg.classes
        self.first = nn.Linear(said, widths[0] * 16, generator=rng)
        self.memories = nn.ModuleList(ConvGRU(n, n, rng) for n in widths)
        self.larger = nn.ModuleList(
            nn.ConvTranspose2d(n, m, 4, 2, 1, generator=rng) for n, m in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(ToldNorm(n, said, rng) for n in widths)
        self.last = nn.ConvTranspose2d(widths[-1], shape[1], 4, 2, 1, generator=rng)

    def forward(self, z, labels):
        said = F.concat([z, one_hot(labels, self.classes)], axis=1)
        h = F.unflatten(self.first(said), 1, (-1, 4, 4))
        h = F.stack([h] * (UNSEEN + self.frames), axis=1)
        for larger, memory, norm in zip([None, *self.larger], self.memories, self.norms, strict=True):
            h = h if larger is None else in_frames(larger, h)
            h = F.relu(norm(memory(h), said))
        return F.tanh(in_frames(self.last, h[:, UNSEEN:]))


class ToldNorm(nn.Module):
    """Batch norm of the frames of films, (N, T, C, H, W), scaled and shifted by what is said of each film."""

    def __init__(self, channels, said, rng):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = (nn.Linear(said, channels, generator=rng) for _ in range(2))

    def forward(self, x, said):
        scale, shift = (F.reshape(f(said), len(x), 1, -1, 1, 1) for f in (self.scale, self.shift))
        return in_frames(self.norm, x) * (1 + scale) + shift


class FrameJudge(nn.Module):
    """D_S: k frames of each film (N, k, C, S, S), labels -> (N, 1), the mean of what it says of each."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        widths = [shape[1], *convolutions.layer_widths(cfg.width_d, shape[1:])]
        self.image = features(widths, rng)
        self.said = Projection(2 * widths[-1], cfg.classes, rng)

    def forward(self, frames, labels):
        return mean_over_time(self.image, self.said, frames, labels)


class MotionJudge(nn.Module):
    """D_T: films (N, T, C, S, S), labels -> (N, 1). It sees frames of half the size, and of these what passes
    within five of them."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        w, C, halvings = cfg.width_d // 2, shape[1], len(convolutions.layer_widths(1, shape[1:])) - 2
        self.film = nn.Sequential(
            normed(nn.Conv3d(C, w, (3, 4, 4), (1, 2, 2), 1, generator=rng), rng),
            nn.LeakyReLU(0.2),
            normed(nn.Conv3d(w, 2 * w, 3, 1, 1, generator=rng), rng),
            nn.LeakyReLU(0.2),
        )
        widths = [2 * w * 2**i for i in range(halvings + 1)]
        self.image = features(widths, rng)
        self.said = Projection(2 * widths[-1], cfg.classes, rng)

    def forward(self, films, labels):
        x = in_frames(lambda frames: F.avg_pool2d(frames, 2), films)
        x = F.permute(self.film(F.permute(x, 0, 2, 1, 3, 4)), 0, 2, 1, 3, 4)
        return mean_over_time(self.image, self.said, x, labels)


def mean_over_time(image, said, films, labels):
    """What a judge says, (N, 1): the mean over frames, each told the label of its film."""
    N, T = films.shape[:2]
    h = F.unflatten(image(F.flatten(films, 0, 1)), 0, (N, T))
    return said(h.mean(axis=1), labels)


def features(widths, rng):
    """Images -> features (N, 2 · widths[-1]): halved to 4 x 4, then all places together."""
    layers = []
    for n, m in itertools.pairwise(widths):
        layers += [normed(nn.Conv2d(n, m, 4, 2, 1, generator=rng), rng), nn.LeakyReLU(0.2)]
    last = normed(nn.Conv2d(widths[-1], 2 * widths[-1], 4, generator=rng), rng)
    return nn.Sequential(*layers, last, nn.LeakyReLU(0.2), nn.Flatten())


class Projection(nn.Module):
    """Features (N, n), labels -> what a judge says, (N, 1): a linear layer of the features, and their product
    with what is learned of the class."""

    def __init__(self, n, classes, rng):
        super().__init__()
        self.classes, self.linear = classes, nn.Linear(n, 1, generator=rng)
        self.of_class = nn.Linear(classes, n, bias=False, generator=rng)

    def forward(self, h, labels):
        of_class = self.of_class(one_hot(labels, self.classes))
        return self.linear(h) + (h * of_class).sum(axis=1, keepdims=True)


def normed(layer, rng):
    """The layer, its weights divided by their largest singular value."""
    return spectral_norm(layer, generator=rng)


def inputs(n, rng, cfg: Config, label: int | None = None, truncation: float | None = None):
    """n latent vectors, and n labels.

    label: the class to make; by default every class in turn
    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation), "labels": labels_of(n, label, cfg.classes)}


def make(z, labels, G):
    """(n, latent), and labels (n,) or weights (n, classes) -> films (n, T, C, S, S)."""
    return G(z, labels)


def some_frames(films, k, rng):
    """k frames of each film (N, T, C, H, W), in random order, each once: (N, k, C, H, W). By a product with
    0 and 1, exact in float32, of numbers drawn as arrays: so a captured step draws new ones each time."""
    N, T = films.shape[:2]
    drawn = rng.uniform((N, T), dtype=films.dtype)
    with films.device.active():
        rank = (drawn[:, None, :] < drawn[:, :, None]).sum(axis=2)
        chosen = (rank[:, None, :] == films.device.xp.arange(k)[:, None]).astype(films.dtype)
    return F.unflatten(Tensor(chosen) @ F.flatten(films, 2), 2, films.shape[2:])


def train(data, rng, cfg: Config, G, opt_g, opt_d, D_S=None, D_T=None):
    """One step of the judges, then one of G, on each batch (films, labels). Yields the losses of each step,
    and what each judge said: of frames as d_real and d_fake, of motion as motion_real and motion_fake."""

    def said(films, labels):
        """What each judge says, by name."""
        found = {}
        if D_S is not None:
            found["d"] = D_S(some_frames(films, cfg.seen, rng), labels)
        if D_T is not None:
            found["motion"] = D_T(films, labels)
        return found

    @graph  # on a GPU, the whole step is one launch
    def step(real, labels):
        fake = G(Tensor(rng.normal((len(real), cfg.latent))), labels)

        of_real, of_fake = said(Tensor(real), labels), said(fake.detach(), labels)
        d_loss = sum(F.hinge_loss(of_real[name], 1.0) + F.hinge_loss(of_fake[name], -1.0) for name in of_real)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss = -sum(score.mean() for score in said(fake, labels).values())
        opt_g.step(grad(g_loss, opt_g.params))

        seen = {"d_loss": d_loss, "g_loss": g_loss}
        for name in of_real:
            seen |= {f"{name}_real": of_real[name], f"{name}_fake": of_fake[name]}
        return seen

    for real, labels in data:
        yield step(real, labels)


def pictures(show, rng, cfg: Config, G):
    """A film of each class, of the same noise."""
    K = min(cfg.classes, 10)
    z = np.repeat(backend.to_numpy(rng.normal((1, cfg.latent))), K, axis=0)
    show("A row a class, from frame to frame; all are of the same noise.", G(Tensor(z), np.arange(K)))
