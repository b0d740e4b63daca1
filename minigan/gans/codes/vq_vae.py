"""VQ-VAE: an autoencoder whose code is a grid of words from a codebook, and a prior of such grids.

Van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", 2017. The encoder gives a
vector z_e for each place of a small grid. It is replaced by the nearest e of K vectors, the codebook, so that
an image is as many integers as the grid has places (equations 1 and 2), and the decoder gets these vectors:

    L = -log p(x|e) + ‖sg[z_e] - e‖² + β ‖z_e - sg[e]‖²                        (equation 3)

sg stops the gradient. Choosing the nearest has none: the gradient at what the decoder got is taken for that
at z_e, straight through (section 3.2). The second term moves the codebook to what the encoder says, and can
be left to averages of that which move with the batches (appendix A.1); the third one holds the encoder to
the codebook. Each is a sum over the places of an image.

In a second stage these networks stand still, and a prior p(k) learns the grids of codes k: a PixelCNN, which
tells each code by those above and to the left (section 3.3). Samples are decoded from what it draws. Since
the encoder is sure of its code, -log p(k) is the divergence KL(q(k|x) ‖ p(k)) of equation 3's bound on
log p(x): log K a place in the first stage, while p is uniform (section 3.2).

    encoder     convolutions 4x4 of stride 2, then residual blocks: ReLU, 3x3, ReLU, 1x1; 2 and 2 of 256
                channels in section 4.1, here 32; and 1x1 to the length of a code
    decoder     the same backwards, transposed convolutions
    codebook    64 vectors of length 16; section 4.1: 512
    β 0.25      section 3.2
    decay 0.99, Laplace smoothing       appendix A.1; `--learned-by loss` is equation 3 as it stands
    log p(x|e)  pixels as coins, as in `vae.py`
    prior       `parts/pixelcnn.py`
    Adam 1e-3, batch 32                 section 4.1: 2e-4, 128

The codebook begins as vectors of the first batch, and a code that is hardly used begins again as one of the
batch of the day: without both, a codebook that moves by averages can end with a few codes in use. Images have
pixels a side that are a multiple of 2 ** halvings.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.backend import to_numpy
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts.codebook import Codebook, perplexity
from ..parts.held_out import all_of, first_of
from ..parts.likelihood import bernoulli, shown
from ..parts.pixelcnn import PixelCNN
from ..parts.residual import Residual
from ..settings import Settings

TAKES = ("image",)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 5000
    batch_size: int = 32
    width: int = 32
    """Channels of encoder and decoder."""
    halvings: int = 2
    """How often the image is halved until it is as large as the grid of codes."""
    blocks: int = 2
    """Residual blocks of the encoder, and of the decoder."""
    codes: int = 64
    """K, how many codes there are."""
    length: int = 16
    """Numbers of the vector that stands for a code."""
    learned_by: Literal["averages", "loss"] = "averages"
    """What moves the codebook: averages of what the encoder says, or the gradient of equation 3."""
    decay: float = 0.99
    """Of the moving averages: how much of them a batch leaves."""
    restart: float = 0.1
    """A code begins again when it is used less than this share of what it would be if all were used alike; 0
    for never."""
    commitment: float = 0.25
    """β, how strongly the encoder is held to the codebook."""
    lr: float = 1e-3
    """Adam's learning rate in the first stage."""
    first: float = 0.6
    """The share of the steps that is the first stage; the second is the prior's."""
    prior_width: int = 32
    """Channels of the prior."""
    prior_layers: int = 5
    """Layers of the prior."""
    lr_prior: float = 1e-3
    """Adam's learning rate in the second stage."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", "halvings", "length", "prior_width", "prior_layers", at_least=1)
        require(self, "codes", at_least=2)
        require(self, "blocks", "commitment", "lr", "lr_prior")
        require(self, "decay", "restart", "first", below=1)
        if self.size is not None and self.size % self.shrinks:
            raise MiniganError(
                f"size must be a multiple of {self.shrinks} for {self.halvings} halvings, got {self.size}"
            )

    @property
    def shrinks(self) -> int:
        """How many pixels a side a place of the grid has."""
        return 2**self.halvings

    @property
    def steps_of_first(self) -> int:
        """How many steps the first stage has."""
        return round(self.first * self.steps)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the next that the network divides,
        and 16 at least."""
        return math.ceil(max(pixels, 16) / self.shrinks) * self.shrinks


def parts(cfg: Config, data, rng):
    """encoder: images -> (N, length, h, w). codebook: integers (N, h, w) -> as much. decoder: (N, length, h,
    w) -> logits of the pixels. prior: integers (N, h, w) -> logits of these (N, codes, h, w)."""
    channels, height, width = data.shape
    places = cfg.batch_size * (height // cfg.shrinks) * (width // cfg.shrinks)
    if cfg.codes > places:
        raise MiniganError(
            f"codes must be at most the {places} places that a batch of {cfg.batch_size} images has, which "
            f"the codebook begins as, got {cfg.codes}"
        )
    codebook = Codebook(cfg.codes, cfg.length, rng)
    encoder, decoder = encoder_of(cfg, channels, rng), decoder_of(cfg, channels, rng)
    prior = PixelCNN(cfg.codes, cfg.prior_width, cfg.prior_layers, rng)
    learned = [*encoder.parameters(), *decoder.parameters()]
    learned += codebook.parameters() if cfg.learned_by == "loss" else []
    return {
        "encoder": encoder,
        "decoder": decoder,
        "codebook": codebook,
        "prior": prior,
        "opt": Adam(learned, cfg.lr),
        "opt_prior": Adam(prior.parameters(), cfg.lr_prior),
    }


def encoder_of(cfg, channels, rng):
    layers, n = [], channels
    for _ in range(cfg.halvings):
        layers += [nn.Conv2d(n, cfg.width, 4, 2, 1, generator=rng), nn.ReLU()]
        n = cfg.width
    layers += [Residual(block(n, rng)) for _ in range(cfg.blocks)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(n, cfg.length, 1, generator=rng))


def decoder_of(cfg, channels, rng):
    layers = [nn.Conv2d(cfg.length, cfg.width, 1, generator=rng)]
    layers += [Residual(block(cfg.width, rng)) for _ in range(cfg.blocks)]
    for i in range(cfg.halvings):
        m = channels if i == cfg.halvings - 1 else cfg.width
        layers += [nn.ReLU(), nn.ConvTranspose2d(cfg.width, m, 4, 2, 1, generator=rng)]
    return nn.Sequential(*layers)


def block(n, rng):
    """What a residual block adds to what it gets (section 4.1)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(n, n, 3, padding=1, generator=rng),
        nn.ReLU(),
        nn.Conv2d(n, n, 1, generator=rng),
    )


def inputs(
    n,
    rng,
    cfg: Config,
    prior,
    codes: Literal["prior", "uniform"] = "prior",
    temperature: float = 1.0,
):
    """n grids of codes.

    codes: what draws them: the prior, place by place, or all alike
    temperature: of the prior: below 1, likely codes become more likely, and samples less diverse
    """
    if not 0 < temperature < math.inf:
        raise MiniganError(f"temperature must be above 0, got {temperature}")
    side = cfg.size // cfg.shrinks
    if codes == "uniform":
        return {"codes": to_numpy(rng.integers(0, cfg.codes, (n, side, side)))}
    return {"codes": prior.draw(rng.uniform((n, side, side)), temperature)}


def make(codes, decoder, codebook):
    """Codes, integers (n, h, w) -> images (n, *shape) in [-1, 1]: the probability of each pixel."""
    return shown(decoder(codebook(codes)))


def encode(x, encoder, codebook):
    """The codes of each image, integers (N, h, w)."""
    return {"codes": codebook.nearest(encoder(x))}


def terms(x, encoder, decoder, codebook):
    """Equation 3: (log p(x|e) in nats, what the codebook and what the encoder is to be nearer to the other,
    ‖z_e - e‖²), each (N,); z_e (N, length, h, w), and its codes, integers (N, h, w).

    The first has the gradient of e's place in z_e, straight through; the second only in the codebook, the
    third only in z_e. All derivatives that there are of higher order are those of the decoder's input.
    """
    z = encoder(x)
    codes = codebook.nearest(z)
    e = codebook(codes)
    likelihood = bernoulli(decoder(F.straight_through(e, z)), x)
    return likelihood, squares(z.detach() - e), squares(z - e.detach()), z, codes


def squares(x):
    """The sum of squares of each sample, (N, ...) -> (N,)."""
    return F.flatten(x * x, 1).sum(axis=1)


def surprise(codes, prior):
    """-log p(k) of grids of codes k, integers (N, h, w): the mean in nats a grid, ()."""
    return F.cross_entropy(prior(codes), codes, reduction="sum") / len(codes)


def train(data, rng, cfg: Config, encoder, decoder, codebook, prior, opt, opt_prior):
    """Encoder, decoder and codebook by equation 3, then the prior. Yields in the first stage the loss in nats
    an image and what it consists of, how many codes the batch uses and how many began again; in the second
    the prior's surprise in nats an image."""
    by_loss = cfg.learned_by == "loss"

    @graph  # on a GPU, the whole step is one launch
    def code(x):
        likelihood, dictionary, commitment, z, codes = terms(Tensor(x), encoder, decoder, codebook)
        loss = (cfg.commitment * commitment - likelihood).mean()
        seen = {"reconstruction": -likelihood.mean(), "commitment": commitment.mean()}
        opt.step(grad(loss + dictionary.mean() if by_loss else loss, opt.params))
        codebook.follow(z, codes, cfg.decay, moves=not by_loss)
        restarted = codebook.restart(z, cfg.restart, rng)
        return {"loss": loss, **seen, "perplexity": perplexity(codes, cfg.codes), "restarted": restarted}

    @graph
    def foretell(x):
        with no_grad():
            codes = codebook.nearest(encoder(Tensor(x)))
        loss = surprise(codes, prior)
        opt_prior.step(grad(loss, opt_prior.params))
        return {"prior_loss": loss}

    for x in data:
        if opt.steps == 0:
            with no_grad():
                codebook.begin(encoder(Tensor(x)), rng)
        yield (code if opt.steps < cfg.steps_of_first else foretell)(x)


def pictures(show, data, rng, cfg: Config, encoder, decoder, codebook, prior):
    """Held-out images and what is left of them in the code; samples of both kinds of codes; the codebook."""
    x = first_of(data)
    codes = encode(x, encoder, codebook)["codes"]
    show(
        "Images of the test split, and each beside it as the decoder makes it from its codes.",
        x,
        make(codes, decoder, codebook),
    )
    for how, said in (("prior", "drawn by the prior"), ("uniform", "drawn uniformly, all alike")):
        drawn = Tensor(inputs(40, rng, cfg, prior, how)["codes"])
        show(f"Samples whose codes are {said}.", make(drawn, decoder, codebook))

    use = used(data, encoder, codebook, rng.device)
    order = np.argsort(use)[::-1]
    alone = Tensor(np.broadcast_to(order[:, None, None], (len(order), *codes.shape[1:])).copy())
    show(
        "What each code stands for: images with the same one at all places, the most used first.",
        make(alone, decoder, codebook),
    )
    show(
        f"How often each code is used in the test split, the most used first: {(use > 0).sum()} of "
        f"{cfg.codes} are. The highest bar is {use.max():.1%} of all places, the grey line 1 of {cfg.codes}.",
        bars(use[order]),
    )


def bars(use):
    """A picture of shares in falling order, (1, 1, H, W): dark bars, and a line where all would be alike."""
    H, by = 64, max(256 // len(use), 1)
    heights = np.ceil(H * use / use.max()).astype(int).repeat(by)
    rows = np.arange(H)[::-1, None]
    picture = np.where(rows < heights, -1.0, 1.0)
    picture[H - 1 - min(int(H / len(use) / use.max()), H - 1)] = 0.0
    return picture[None, None].astype(np.float32)


def used(data, encoder, codebook, device):
    """The share of all places of the held-out images at which each code is the nearest, (codes,)."""
    counts = np.zeros(len(codebook.weight), np.int64)
    with no_grad():
        for x in all_of(data, device):
            codes = encode(x, encoder, codebook)["codes"].numpy()
            counts += np.bincount(codes.ravel(), minlength=len(counts))
    return counts / counts.sum()


def numbers(data, rng, cfg: Config, encoder, decoder, codebook, prior):
    """How well held-out images are told; each in nats an image but where it says otherwise.

    bound: of log p(x), by the prior. reconstruction: -log p(x|e). kl: -log p(k), by the prior.
    bits: that in bits; bits-uniform: what all codes take if none is likelier than others.
    squared-error: the mean over pixels from -1 to 1.
    perplexity, in-use: of the codebook: how many codes are used, weighed by how often, and which share is
    used at all.
    """
    found, n = np.zeros(3), len(data)
    with no_grad():
        for x in all_of(data, rng.device):
            likelihood, *_, codes = terms(x, encoder, decoder, codebook)
            errors = F.flatten((make(codes, decoder, codebook) - x) ** 2, 1).mean(axis=1)
            each = -likelihood.mean(), surprise(codes, prior), errors.mean()
            found += [len(x) * mean.item() for mean in each]
    reconstruction, kl, error = (found / n).tolist()
    use = used(data, encoder, codebook, rng.device)
    share = use[use > 0]
    return {
        "bound": -reconstruction - kl,
        "reconstruction": reconstruction,
        "kl": kl,
        "bits": kl / math.log(2),
        "bits-uniform": (cfg.size // cfg.shrinks) ** 2 * math.log2(cfg.codes),
        "squared-error": error,
        "perplexity": math.exp(-(share * np.log(share)).sum()),
        "in-use": (use > 0).mean().item(),
    }
