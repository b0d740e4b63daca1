"""InfoGAN: a GAN whose noise has parts with a meaning, found without labels.

Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel, "InfoGAN: interpretable representation learning by
information maximizing generative adversarial nets", 2016. Beside the noise z, G gets codes c: a category, and
numbers in [-1, 1]. Nothing would hinder it from ignoring them, so the game V of `gan.py` gets a term for what
a sample tells of its codes, the mutual information I:

    min_G max_D  V(D, G) - λ I(c; G(z, c))                                    (equation 3)

I needs the posterior of c, which nobody knows. With any distribution Q(c|x) in its place there is a lower
bound, which is reached where Q is the posterior (equations 4 and 5), and is made as large as can be:

    I(c; G(z, c))  ≥  H(c) + E[log Q(c|G(z, c))]

The entropies H are known: log K of K equal categories, log 2 of a number between -1 and 1. For the category
Q gives logits, for each number the mean of a normal distribution with σ = 1: then only what is plain to see
pays, and the bound stays below 0, at log 2 - ½ log 2π or less a code. With `--spread learned` Q gives log σ²
as well, and reads numbers off what no eye sees. Q shares all but its last layers with D (section 6), so that
it costs next to nothing.

    z 62, a category of 10, 2 codes         appendix C.1
    λ 1 for the category and for codes      section 6: 1, for codes less; the authors' code: 1, σ = 1
    D: 4x4 convolutions of stride 2, 64 and 128 channels, then 1024 units; Q from there 128 units;
       LeakyReLU 0.1                        appendix C.1; here half as many by default, `--width 64` has these
    G: 1024 units, 7x7x128, then 4x4 convolutions of stride 2, 64 channels and the image; ReLU
    batch norm on all but the ends          appendix C.1; weights N(0, 0.02), γ N(1, 0.02)
    Adam 1e-3 for G, 2e-4 for D and Q       appendix C.1
    betas 0.5, 0.999, batch 64              the authors' code has batches of 128

As in the authors' code, D's optimiser moves body, D and Q, by D's loss and the bound; G's moves G, by its own
loss and the bound.

Images have 16, 28 or 32 pixels a side, which two halvings leave 4, 7 or 8 of, or 64, with one halving more.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.augment import augmentation
from ..parts.held_out import all_of
from ..parts.latent import normal
from ..parts.minibatch import judged
from ..settings import NoiseSettings

TAKES = ("image",)
SIZES = 16, 28, 32, 64
MOST = 4  # codes that may be asked for by name
REACH = 2.0  # of a code in a picture, to both sides of 0: twice as far as in training


@dataclass(frozen=True, kw_only=True)
class Config(NoiseSettings):
    steps: int = 3000
    batch_size: int = 64
    latent: int = 62
    lr: float = 1e-3
    lr_d: float | None = 2e-4
    size: Literal[16, 28, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in, 64 for a folder."""
    width: int = 32
    """Channels of the convolutions next to the image; inwards there are twice as many, then 16 times as many
    units."""
    categories: int = 10
    """How many values the category has."""
    codes: int = 2
    """How many continuous codes there are, up to 4."""
    weight: float = 1.0
    """λ of the category: how much its mutual information counts."""
    weight_codes: float = 1.0
    """λ of the continuous codes."""
    spread: Literal["unit", "learned"] = "unit"
    """The deviation of Q for a continuous code: 1, or learned."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", at_least=1)
        require(self, "categories", at_least=2)
        require(self, "codes", below=MOST + 1)
        require(self, "weight", "weight_codes")
        if self.pack != 1:
            raise MiniganError(f"pack must be 1: Q reads the codes off single images, got {self.pack}")

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return next((s for s in SIZES if s >= pixels), SIZES[-1])


def parts(cfg: Config, data, rng):
    """G: z, category and codes, joined (N, latent + categories + codes), -> images (N, *shape) in [-1, 1].
    D: images -> logits (N, 1). Q: what D's body gives of images -> (N, categories + codes), and as many again
    as codes where their spread is learned."""
    channels, side, _ = data.shape
    if data.shape[1] != data.shape[2] or side not in SIZES:
        raise MiniganError(f"infogan makes images of 16, 28, 32 or 64 pixels a side, not {data.shape}")
    widths = [cfg.width * 2**i for i in range(3 if side > 32 else 2)]
    entry = cfg.latent + cfg.categories + cfg.codes
    G = generator(entry, 16 * cfg.width, widths[::-1], channels, side)
    D = Discriminator(widths, 16 * cfg.width, channels, side, cfg.minibatch_features)
    said = cfg.categories + cfg.codes * (2 if cfg.spread == "learned" else 1)
    Q = nn.Sequential(
        nn.Linear(16 * cfg.width, 128, bias=False),
        nn.BatchNorm1d(128),
        nn.LeakyReLU(0.1),
        nn.Linear(128, said),
    )
    for net in (G, D, Q):
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    lr_g, lr_d = cfg.rates
    return {
        "G": G,
        "D": D,
        "Q": Q,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam([*D.parameters(), *Q.parameters()], lr_d, cfg.betas),
    }


def generator(entry, units, widths, channels, side):
    """(N, entry) -> images (N, channels, side, side). units: of the first layer. widths: of the convolutions,
    from the middle to the image."""
    inner = side // 2 ** len(widths)
    layers = [nn.Linear(entry, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]
    middle = widths[0] * inner**2
    layers += [nn.Linear(units, middle, bias=False), nn.BatchNorm1d(middle), nn.ReLU()]
    layers += [nn.Unflatten(widths[0], inner, inner)]
    for n, m in itertools.pairwise(widths):
        layers += [nn.ConvTranspose2d(n, m, 4, 2, 1, bias=False), nn.BatchNorm2d(m), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())


class Discriminator(nn.Module):
    """Images -> logits (N, 1). `body`, which Q shares: images -> (N, units); `real`: what D makes of that.

    widths: of the convolutions, from the image inwards. minibatch: kernels of minibatch discrimination.
    """

    def __init__(self, widths, units, channels, side, minibatch):
        super().__init__()
        layers = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.1)]
        for n, m in itertools.pairwise(widths):
            layers += [nn.Conv2d(n, m, 4, 2, 1, bias=False), nn.BatchNorm2d(m), nn.LeakyReLU(0.1)]
        inner = widths[-1] * (side // 2 ** len(widths)) ** 2
        layers += [nn.Flatten(), nn.Linear(inner, units, bias=False), nn.BatchNorm1d(units)]
        self.body = nn.Sequential(*layers, nn.LeakyReLU(0.1))
        self.real = nn.Sequential(*judged(units, minibatch))

    def forward(self, x):
        return self.real(self.body(x))


def inputs(
    n,
    rng,
    cfg: Config,
    category: int | None = None,
    code1: float | None = None,
    code2: float | None = None,
    code3: float | None = None,
    code4: float | None = None,
    truncation: float | None = None,
):
    """n latent vectors, categories as rows of weights (n, categories), and continuous codes (n, codes).

    category: the category to make; by default every one in turn
    code1: the value of the first continuous code; by default drawn from [-1, 1], as in training
    code2: that of the second
    code3: that of the third
    code4: that of the fourth
    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    z, K = normal(n, cfg.latent, rng, truncation), cfg.categories
    if category is not None and not 0 <= category < K:
        raise MiniganError(f"category {category} is not one of the {K} categories, 0 to {K - 1}")
    which = np.arange(n) % K if category is None else np.full(n, category)
    made = {"z": z, "category": np.eye(K, dtype=np.float32)[which]}
    codes = backend.to_numpy(rng.uniform((n, MOST), -1.0, 1.0))
    for i, value in enumerate((code1, code2, code3, code4)):
        if value is None:
            continue
        if not math.isfinite(value):
            raise MiniganError(f"code{i + 1} must be a finite number, got {value}")
        if i >= cfg.codes:
            there = ", ".join(f"code{k + 1}" for k in range(cfg.codes)) or "none"
            raise MiniganError(f"the model has no code{i + 1}; its continuous codes: {there}")
        codes[:, i] = value
    return made | ({"codes": codes[:, : cfg.codes].copy()} if cfg.codes else {})


def make(z, category, G, codes=None):
    """(n, latent), weights of categories (n, categories), codes (n, codes) -> images (n, *shape)."""
    return G(F.concat([z, category] + ([] if codes is None else [codes]), axis=1))


def judge(x, D):
    """Images -> the logits of being real (N, 1)."""
    return D(x)


def information(said, category, codes, cfg):
    """The bound of the mutual information, in nats, for the category and for the codes together: (), ().

    said: what Q gives (N, ...). category: integers (N,). codes: (N, codes). Order of derivative: any.
    """
    K, C = cfg.categories, cfg.codes
    of_category = math.log(K) - F.cross_entropy(said[:, :K], category)
    mean = said[:, K : K + C]
    log_var = said[:, K + C :] if cfg.spread == "learned" else 0.0 * mean
    surprise = 0.5 * (math.log(2 * math.pi) + log_var + (codes - mean) ** 2 * F.exp(-log_var))
    return of_category, C * math.log(2) - surprise.sum(axis=1).mean()


def train(data, rng, cfg: Config, G, D, Q, opt_g, opt_d):
    """One step of D and Q, then one of G, on each batch. Yields the losses of each step, what D said, and the
    bounds of the mutual information in nats."""
    bce, T = F.binary_cross_entropy_with_logits, augmentation(cfg.augment, rng)
    K, C = cfg.categories, cfg.codes

    def told(fake, category, codes):
        """What D says of images, and the two bounds of what these tell of their codes."""
        h = D.body(fake)
        of_category, of_codes = information(Q(h), category, codes, cfg)
        return D.real(h), of_category, of_codes, cfg.weight * of_category + cfg.weight_codes * of_codes

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        z = Tensor(rng.normal((len(real), cfg.latent)))
        category, codes = rng.integers(0, K, len(real)), Tensor(rng.uniform((len(real), C), -1.0, 1.0))
        fake = make(z, F.one_hot(category, K, z.dtype), G, codes)

        d_real = D(T(Tensor(real)))
        d_fake, *_, gained = told(T(fake.detach()), category, codes)
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss - gained, opt_d.params))

        says, of_category, of_codes, gained = told(T(fake), category, codes)
        g_loss = bce(says, 1.0)
        opt_g.step(grad(g_loss - gained, opt_g.params))

        seen = {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}
        return {**seen, "category_information": of_category, **({"codes_information": of_codes} if C else {})}

    for real in data:
        yield step(real)


def pictures(show, rng, cfg: Config, G):
    """A row a category with the same noise in a column; and each code along a row."""
    K, rows = cfg.categories, min(cfg.categories, 12)
    found = inputs(rows, rng, cfg)
    category, codes = Tensor(np.eye(K, dtype=np.float32)[:rows]), found.get("codes")
    z, ticks = backend.to_numpy(found["z"]), np.linspace(-REACH, REACH, 9, dtype=np.float32)

    def made(z, codes):
        return make(Tensor(z), category, G, None if codes is None else Tensor(codes))

    def repeated(array, i):
        return None if array is None else np.repeat(array[i : i + 1], rows, axis=0)

    show(
        "A row a category; a column has the same noise and codes in all of them.",
        *(made(repeated(z, i), repeated(codes, i)) for i in range(rows)),
    )
    for i in range(cfg.codes):
        moved = [codes.copy() for _ in ticks]
        for array, tick in zip(moved, ticks, strict=True):
            array[:, i] = tick
        show(
            f"Along a row code {i + 1} goes from {-REACH:g} to {REACH:g}, twice as far as in training, and "
            "all else stays; a row a category.",
            *(made(z, array) for array in moved),
        )


def numbers(data, rng, cfg: Config, G, D, Q):
    """What the codes came to mean.

    assignment-error: where the data has labels, the share of held-out images whose label is not that of the
        category that Q sees, categories and labels being paired as well as can be.
    slant-code1, width-code1, ...: the correlation of a code with the slant, or the width, of the images made
        with it, within the categories. slant, width: the largest of them, in size.
    """
    from minigan.metrics import assignment_error, correlation_within, slant_and_width

    found = {}
    if data.labels is not None:
        seen = categories_of(data, D, Q, cfg, rng.device)
        found["assignment-error"] = assignment_error(seen, data.labels), len(data)
    if not cfg.codes:
        return found
    drawn, made = inputs(MADE, rng, cfg), []
    for first in range(0, MADE, 500):
        chunk = {name: Tensor(a[first : first + 500], device=rng.device) for name, a in drawn.items()}
        made.append(make(**chunk, G=G).numpy())
    which = drawn["category"].argmax(axis=1)
    for name, measured in zip(("slant", "width"), slant_and_width(np.concatenate(made)), strict=True):
        each = [correlation_within(code, measured, which) for code in drawn["codes"].T]
        found[name] = max(map(abs, each)), MADE
        found |= {f"{name}-code{i}": (value, MADE) for i, value in enumerate(each, start=1)}
    return found


MADE = 5000


def categories_of(data, D, Q, cfg, device):
    """The most likely category of each image of a dataset, by Q, which lies on `device`: int64 (N,)."""
    seen = []
    for x in all_of(data, device):
        seen.append(Q(D.body(x)).numpy()[:, : cfg.categories].argmax(axis=1))
    return np.concatenate(seen)
