"""Unrolled GAN: G plays against the D that would answer it.

Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled generative adversarial networks", 2017. In the game

    min_G max_D  f(G, D) = E_x[log D(x)] + E_z[log(1 - D(G(z)))]              (equation 1)

G should be moved against the best D for it, but is moved against the D of the moment: so it goes where that D
is wrong, D follows, and G goes on to the next place. Here G is moved against a D that has answered for k
steps, θ_D being D's weights, U a step of its optimiser on the same batch:

    θ⁰ = θ_D,   θⁱ⁺¹ = U(θⁱ, ∂f(G, θⁱ)/∂θⁱ),   f_k(G, θ_D) = f(G, θᵏ)         (equations 7, 8)

The gradient of f_k in G goes through the steps as well: how would D react to a change of G? `create_graph`
records the gradients that the steps are made of, and `Optimizer.unroll` takes the steps in ops. D itself
takes one ordinary step, and forgets the others. Here it takes it first, and the further ones begin where that
ends. k = 0 is the ordinary game.

    k 5                             section 3.1 has 0, 1, 5 and 10
    U: Adam, from the moments       section 2.2, where equation 7 is gradient descent (`--inner sgd`)
      that D's has, and its rate
    G's loss: f_k, all of it        appendix A; at θᵏ the real samples' term depends on G, too
    points: G 256-128-128-2, D 2-128-1, ReLU, orthogonal weights with gain 0.8      appendix A
    Adam 1e-3 for both, betas 0.5, 0.999, batch 128         appendix A has 1e-4, the authors' example 1e-3 for
                                                            G, batch 512
    images: networks, first weights and rates of `dcgan.py`

While D's steps are taken ahead, its batch norm goes by the statistics of the batch, as in training, and these
are differentiated as well; the running ones, which no training looks at, do not move.
"""

from dataclasses import dataclass, replace
from typing import Literal

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.nn import init
from minigan.optim import SGD, Adam

from ..parts import convolutions
from ..parts.augment import augmentation
from ..parts.held_out import first_of
from ..parts.latent import normal
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..parts.ranking import ranked
from ..settings import ConvolutionSettings

TAKES = ("image or point",)
DATA = "ring8"


@dataclass(frozen=True, kw_only=True)
class Config(ConvolutionSettings):
    steps: int = 8000
    batch_size: int = 128
    latent: int = 256
    lr: float = 1e-3
    lr_d: float | None = None
    """The learning rate of D; by default that of G for points, 1e-4 for images."""
    unroll: int = 5
    """k, the steps of D that G looks ahead; 0 is the ordinary game."""
    inner: Literal["adam", "sgd"] = "adam"
    """Which steps these are: those of D's Adam, from the moments that it has, or gradient descent."""
    inner_lr: float | None = None
    """Their rate; by default that of D for Adam, 0.1 for gradient descent."""
    loss: Literal["minimax", "non-saturating"] = "minimax"
    """What G minimises at the D ahead: the value of the game, or -log D(G(z))."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "unroll", "inner_lr")

    def fitted(self, data):
        cfg = super().fitted(data)
        return replace(cfg, lr_d=1e-4) if cfg.lr_d is None and len(data.shape) == 3 else cfg


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> samples (N, *shape), images in [-1, 1]. D: samples -> logits (N / pack, 1)."""
    channels, *pixels = data.shape
    values, kernels = cfg.pack * channels, cfg.minibatch_features
    if pixels:
        G = convolutions.generator(cfg.latent, cfg.width, data.shape)
        D = convolutions.discriminator(cfg.width, values, data.shape, minibatch=kernels)
        initialise = convolutions.initialise
    else:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent, 128, 128, channels], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([values, 128, 1], nn.ReLU(), rng, minibatch=kernels))
        initialise = orthogonal
    D, (lr_g, lr_d) = packed(D, cfg.pack), cfg.rates
    for net in (G, D):
        net.apply(lambda layer: initialise(layer, rng))
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def orthogonal(layer, rng):
    """Appendix A."""
    if isinstance(layer, nn.Linear):
        init.orthogonal_(layer.weight, 0.8, rng)
        init.zeros_(layer.bias)


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, G):
    """(n, latent) -> samples (n, *shape)."""
    return G(z)


def judge(x, D):
    """Samples -> the logits of being real (N / pack, 1)."""
    return D(x)


def game(d_real, d_fake):
    """-f of what D said, logits: the loss of D."""
    bce = F.binary_cross_entropy_with_logits
    return bce(d_real, 1.0) + bce(d_fake, 0.0)


def look_ahead(D, opt, real, fake, steps, lr=None):
    """What D would say of real and fake, (N / pack, 1) each, after so many further steps of `opt` on the two.

    opt: an optimiser of D's parameters; lr: the rate of these steps, by default its own. Neither it nor D
    moves, nor do running statistics. Order of derivative: any that D has, in `real` and `fake`, through the
    steps.
    """
    names = [name for name, _ in D.named_parameters()]
    spare = {name: Tensor(b.data.copy()) for name, b in D.named_buffers()}

    def said(ahead):
        tensors = dict(zip(names, ahead.params, strict=True)) | spare
        return [nn.functional_call(D, tensors, x) for x in (real, fake)]

    ahead = opt.unroll(lr)
    for _ in range(steps):
        ahead = ahead.step(grad(game(*said(ahead)), ahead.params, create_graph=True))
    return said(ahead)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """One step of D, then one of G, on each batch. Yields the losses of each step, what D said, and what it
    would say."""
    inner, rate, T = opt_d, cfg.inner_lr, augmentation(cfg.augment, rng)
    if cfg.inner == "sgd":
        inner = SGD(D.parameters(), 0.1 if rate is None else rate)  # takes no steps of its own
    generator_loss = {
        "minimax": lambda real, fake: -game(real, fake),
        "non-saturating": lambda real, fake: F.binary_cross_entropy_with_logits(fake, 1.0),
    }[cfg.loss]

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        real, fake = T(Tensor(real)), T(G(Tensor(rng.normal((len(real), cfg.latent)))))

        d_real, d_fake = D(real), D(fake.detach())
        d_loss = game(d_real, d_fake)
        opt_d.step(grad(d_loss, opt_d.params))

        ahead = look_ahead(D, inner, real, fake, cfg.unroll, rate)
        g_loss = generator_loss(*ahead)
        opt_g.step(grad(g_loss, opt_g.params))

        seen = {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}
        return {**seen, "d_ahead_loss": game(*ahead)}

    for real in data:
        yield step(real)


def pictures(show, data, rng, cfg: Config, G, D):
    """Samples, and held-out images, in the order that D puts them in."""
    if cfg.pack > 1 or not cfg.judges_each_alone:  # what D says of a sample depends on those beside it
        return
    made = G(Tensor(rng.normal((40, cfg.latent))))
    ranked(show, D, made, first_of(data))
