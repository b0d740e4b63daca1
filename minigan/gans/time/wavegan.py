"""WaveGAN: a GAN of sounds as they are, thousands of numbers in a row.

Donahue, McAuley, Puckette, "Adversarial audio synthesis", 2019. DCGAN with its images unrolled: a kernel of
5x5 and stride 2 becomes one of length 25 and stride 4, so that G has as many weights, and a layer makes a
sound four times as long. Between the layers of D each sample is shifted a little (`parts.phase_shuffle`): G's
ripples would tell it from real sounds wherever they always stand at the same places. The game is that of
WGAN-GP, with real sounds x, made ones x̃ and x̂ between them,

    L_D = E[D(x̃)] - E[D(x)] + λ E[(‖∇D(x̂)‖ - 1)²]
    L_G = -E[D(G(z))]

or, by `--loss bce`, that of `dcgan.py`. Where the data have labels, G and D are told them: one of eight notes
is asked for, or one of five vowels. G has the label joined to z; D adds to what it says of a sound the
product of its features with a vector of the class (Miyato, Koyama, "cGANs with projection discriminator",
2018).

    layers                  appendix D: from 16 places on and to 16; kernels of 25, stride 4, widths doubling
                            inwards, ReLU in G, LeakyReLU 0.2 in D, no norm
    width 16                64 there, for 16,384 numbers and days on a GPU
    phase shuffle 2, λ 10   section 3.3, appendix D
    Adam, betas 0.5, 0.9    appendix D
    rate 1e-3, falling to 0 along a line; batch 32; 1 step of D a step of G
                            there 1e-4, 64 and 5: this gets further in minutes, and as the rate falls the
                            pitch of what is made comes to rest
    z normal, latent 100    uniform in [-1, 1] there
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
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts.conditioning import Conditional, labels_of, one_hot
from ..parts.latent import normal
from ..parts.minibatch import judged
from ..parts.packing import pack
from ..parts.penalties import gradient_penalty
from ..parts.phase_shuffle import PhaseShuffle
from ..settings import LabelledSettings, NoiseSettings, require_each_alone

TAKES = ("sound",)
DATA = "chimes"
PLACES = 16  # of the inmost layer
KERNEL, STRIDE, PADDING = 25, 4, 11  # so that a layer makes a sound exactly four times as long, or as short


@dataclass(frozen=True, kw_only=True)
class Config(LabelledSettings, NoiseSettings):
    steps: int = 4000
    batch_size: int = 32
    size: int | None = None
    """Numbers of a sound, of data that can be had at several lengths, as sounds:PATH: 64, 256, 1024, 4096 or
    16384; by default those of the data."""
    lr: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.9
    loss: Literal["wgan-gp", "bce"] = "wgan-gp"
    """The game: the Wasserstein distance with a gradient penalty, or cross-entropy."""
    n_critic: int = 1
    """Steps of D in a step, before the one of G."""
    penalty: float = 10.0
    """λ, the weight of the gradient penalty of wgan-gp."""
    shuffle: int = 2
    """n of the phase shuffle: between two layers of D, each sample is shifted by -n to n; 0 for none."""
    width: int = 16
    """Channels of the layer next to the sound; each layer inwards has twice as many."""
    conditional: bool | None = None
    """Whether G and D are told the labels; by default where the data have any."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "n_critic", "width", at_least=1)
        require(self, "penalty")
        require(self, "shuffle", below=PLACES)
        if self.loss == "wgan-gp":
            require_each_alone(self, "the gradient penalty")

    def fitted(self, data):
        layer_widths(self.width, data.shape)
        if data.classes if self.conditional is None else self.conditional:
            return replace(super().fitted(data), conditional=True)
        if self.classes is not None:
            raise MiniganError(
                f"classes = {self.classes} are of a model that is told labels, and this one is told none"
            )
        return replace(NoiseSettings.fitted(self, data), conditional=False)


def CRITIC(cfg: Config):
    """Whether D gives numbers, not logits."""
    return cfg.loss == "wgan-gp"


def BESIDE(cfg: Config):
    """The label of each sound, where the model is told it."""
    return ("label",) if cfg.conditional else ()


def layer_widths(width, shape):
    """The channels of each layer, from the sound inwards. MiniganError for sounds of a length that the layers
    cannot make."""
    length, widths = PLACES, []
    while length < shape[-1]:
        length *= STRIDE
        widths.append(width * 2 ** len(widths))
    if length != shape[-1] or not widths:
        raise MiniganError(
            f"WaveGAN makes sounds of 16 times a power of 4 numbers, as 1024, 4096 or 16384, got {shape[-1]}"
        )
    return widths


def parts(cfg: Config, data, rng):
    """G: z (N, latent), and labels (N,) or weights (N, classes) where it is told them -> sounds (N, 1, L) in
    [-1, 1]. D: sounds, and labels -> numbers, or logits of being real, (N / pack, 1)."""
    K = cfg.classes if cfg.conditional else 0
    G, D = generator(cfg.latent + K, cfg.width, data.shape, rng), Discriminator(cfg, data.shape, rng)
    G = Conditional(G, K) if K else G
    lr_g, lr_d = cfg.rates
    opt_g, opt_d = Adam(G.parameters(), lr_g, cfg.betas), Adam(D.parameters(), lr_d, cfg.betas)

    def falling(n):
        return max(1 - n / cfg.steps, 0.0)

    return {
        **{"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d},
        **{"rate_g": LambdaLR(opt_g, falling), "rate_d": LambdaLR(opt_d, falling)},
    }


def generator(values, width, shape, rng):
    """(N, values) -> sounds (N, *shape)."""
    widths = layer_widths(width, shape)[::-1]
    up = [nn.Linear(values, widths[0] * PLACES, generator=rng), nn.Unflatten(widths[0], PLACES)]
    for n, m in itertools.pairwise([*widths, shape[0]]):
        up += [nn.ReLU(), nn.ConvTranspose1d(n, m, KERNEL, STRIDE, PADDING, 1, generator=rng)]
    return nn.Sequential(*up, nn.Tanh())


class Discriminator(nn.Module):
    """Sounds (N, *shape) -> (N / pack, 1): a linear layer of the features, and with labels their product with
    a vector of the class; of packs with one of the class at each place."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        self.pack, self.classes = cfg.pack, cfg.classes if cfg.conditional else 0
        widths, down = layer_widths(cfg.width, shape), []
        for n, m in itertools.pairwise([cfg.pack * shape[0], *widths]):
            down += [nn.Conv1d(n, m, KERNEL, STRIDE, PADDING, generator=rng), nn.LeakyReLU(0.2)]
            down += [PhaseShuffle(cfg.shuffle)]
        self.features = nn.Sequential(*down[:-1], nn.Flatten())
        inner = widths[-1] * PLACES
        self.said = nn.Sequential(*judged(inner, cfg.minibatch_features, rng))
        if self.classes:
            self.of_class = nn.Linear(cfg.pack * self.classes, inner, bias=False, generator=rng)

    def forward(self, x, labels=None):
        features = self.features(pack(x, self.pack))
        said = self.said(features)
        if not self.classes:
            return said
        of_class = self.of_class(pack(one_hot(labels, self.classes).to(x.dtype), self.pack))
        return said + (of_class * features).sum(axis=1, keepdims=True)


def inputs(n, rng, cfg: Config, label: int | None = None, truncation: float | None = None):
    """n latent vectors, and n labels, where the model is told labels.

    label: the class to make; by default every class in turn
    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    z = normal(n, cfg.latent, rng, truncation)
    if cfg.conditional:
        return {"z": z, "labels": labels_of(n, label, cfg.classes)}
    if label is not None:
        raise MiniganError(f"label = {label} cannot be asked for: this model was told no labels")
    return {"z": z}


def make(z, G, labels=None):
    """(n, latent), and labels (n,) or weights (n, classes) if it is told any -> sounds (n, *shape)."""
    return G(z) if labels is None else G(z, labels)


def judge(x, D, labels=None):
    """Sounds, and labels if it is told any -> numbers (N / pack, 1), higher for what seems real."""
    return D(x, labels)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d, rate_g, rate_d):
    """Yields the losses after each step of G, and what D said in the last of its steps."""
    bce = F.binary_cross_entropy_with_logits
    for layer in D.modules():
        if isinstance(layer, PhaseShuffle):
            layer.generator = rng  # of the device, which draws there within a graph

    @graph  # on a GPU, a whole step is one launch
    def judge_step(real, *labels):
        real, fake = Tensor(real), G(Tensor(rng.normal((len(real), cfg.latent))), *labels).detach()
        d_real, d_fake = D(real, *labels), D(fake, *labels)
        if cfg.loss == "bce":
            d_loss, seen = bce(d_real, 1.0) + bce(d_fake, 0.0), {}
        else:
            u = Tensor(rng.uniform((len(real) // cfg.pack, 1, 1)))
            penalty = gradient_penalty(lambda x: D(x, *labels), real, fake, u, cfg.pack)
            wasserstein = d_real.mean() - d_fake.mean()
            d_loss = cfg.penalty * penalty - wasserstein
            seen = {"wasserstein": wasserstein, "penalty": penalty}
        opt_d.step(grad(d_loss, opt_d.params))
        return {"d_loss": d_loss, **seen, "d_real": d_real, "d_fake": d_fake}

    @graph
    def generator_step(real, *labels):
        said = D(G(Tensor(rng.normal((len(real), cfg.latent))), *labels), *labels)
        g_loss = bce(said, 1.0) if cfg.loss == "bce" else -said.mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss}

    for i, batch in enumerate(data, start=1):
        batch = batch if cfg.conditional else (batch,)
        seen = judge_step(*batch)
        if i % cfg.n_critic == 0:
            seen |= generator_step(*batch)
            rate_g.step()  # after the launch, which takes the rate of the day
            rate_d.step()
            yield seen


def pictures(show, rng, cfg: Config, G):
    """A row a class, a column the same noise."""
    if not cfg.conditional:
        return
    K, columns = min(cfg.classes, 12), 6
    z, labels = backend.to_numpy(rng.normal((columns, cfg.latent))), np.arange(K)
    made = [G(Tensor(np.repeat(row[None], K, axis=0), device=rng.device), labels) for row in z]
    show("A row a class; the sounds of a column are of the same noise.", *made)
