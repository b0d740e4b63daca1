"""The next frame: a G that foretells a film from its last frames.

Lotter, Kreiman, Cox, "Unsupervised learning of visual structure using predictive generative networks", 2015.
By the squared error alone G makes the mean of all frames that may follow, which is none of them where two are
as likely: a blur. A D that sees the last frames x and the next one y tells it from a true one; against it, G
has to decide. The paper adds both:

    G    λ |G(x, z) - y|²  +  (game)         D    real (x, y) from made (x, G(x, z))       section 3.3

    --game none         the squared error alone
    --weight 0          the game alone
    by default          both, and the squared error is that of the mean over several draws of z

With the last, G may decide, and the mean of what it decides is still the mean of what may follow. With one
draw (`--draws 1`) the squared error asks of every film for the same blur, the game for a decision, and G
makes one, but always the same: it no longer looks at z. The mean over draws is from Ravuri et al., "Skilful
precipitation nowcasting using deep generative models of radar", 2021, whose forecast is DVD-GAN's.

    G     the last P = 4 frames as channels, and z; halved, a residual block, doubled, and a skip
          (convolutions; in the paper an LSTM between an encoder and a decoder, and no z)
    D     convolutions of P + 1 frames, with spectral norm
    λ 4, four draws, hinge loss    the paper: λ 1 beside 2e-4 of the cross-entropy of rotated faces
    Adam 1e-3 for G, in the second half of the steps falling to nothing, 1e-4 for D, betas 0.5, 0.999
    batch 16 films, every frame from the fifth on of each

Several frames ahead are made by feeding back: what was made is among the last frames of the next. Samples
are films that begin with the first frames of held-out ones.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.metrics.pictures import gradient_energy
from minigan.nn.utils.parametrizations import spectral_norm
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts.conditioning import join
from ..parts.held_out import some_of
from ..parts.rates import whole_then_falling
from ..settings import Settings

TAKES = ("clip",)
DATA = "two-futures"
CRITIC = True  # D gives numbers, above 1 and below -1
LEAK = 0.2  # slope of the LeakyReLUs


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 1200
    batch_size: int = 16
    past: int = 4
    """P, how many frames G sees."""
    game: Literal["hinge", "none"] = "hinge"
    """The game against D: by the hinge loss; or there is none."""
    weight: float = 4.0
    """λ, the weight of the squared error; with none of it, the game is played alone."""
    draws: int = 4
    """Over how many draws of z the squared error takes the mean; of the squared error alone there is one."""
    latent: int = 4
    """Length of the noise vector z of a frame."""
    width: int = 32
    """Channels of the maps next to the frames; half as large, they are twice as many."""
    lr: float = 1e-3
    """Adam's learning rate of G: in the first half of the steps, then falling to nothing."""
    lr_d: float = 1e-4
    """That of D."""
    beta1: float = 0.5
    """Adam's first decay rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "past", "draws", "latent", "width", at_least=1)
        require(self, "weight", "lr", "lr_d")
        require(self, "beta1", below=1)
        if self.game == "none" and not self.weight:
            raise MiniganError("with no game, and no weight of the squared error, G has nothing to learn by")

    def fitted(self, data):
        if data.shape[0] <= self.past:
            raise MiniganError(
                f"G is to see {self.past} frames before the next one, and these films have {data.shape[0]}"
            )
        cfg = super().fitted(data)
        if cfg.size % 4:
            raise MiniganError(f"size must be a multiple of 4, got {cfg.size}")
        return cfg

    def default_size(self, pixels: int) -> int:
        """The size to train at on data of `pixels` pixels a side: the next multiple of 4."""
        return -(-pixels // 4) * 4


def parts(cfg: Config, data, rng):
    """G: frames (N, P·C, S, S), z (N, latent) -> the next ones (N, C, S, S). D: frames (N, (P + 1)·C, S, S)
    -> numbers (N, 1)."""
    channels, betas = data.shape[1], (cfg.beta1, 0.999)
    G = Predictor(cfg, channels, rng)
    opt_g = Adam(G.parameters(), cfg.lr, betas)
    found = {"G": G, "opt_g": opt_g, "schedule": LambdaLR(opt_g, whole_then_falling(cfg.steps))}
    if cfg.game == "none":
        return found
    D = judge_of(cfg, channels, rng)
    return found | {"D": D, "opt_d": Adam(D.parameters(), cfg.lr_d, betas)}


class Predictor(nn.Module):
    """G. Whatever size the frames have, a multiple of 2; a pixel sees 13 around it."""

    def __init__(self, cfg, channels, rng):
        super().__init__()
        w, z = cfg.width, cfg.latent
        self.head = convolved(cfg.past * channels + z, w, 3, 1, rng)
        self.down = convolved(w, 2 * w, 4, 2, rng)
        self.inner = nn.Sequential(
            *convolved(2 * w + z, 2 * w, 3, 1, rng), *convolved(2 * w, 2 * w, 3, 1, rng)
        )
        up = nn.ConvTranspose2d(2 * w, w, 4, 2, 1, generator=rng)
        self.up = nn.Sequential(up, nn.LeakyReLU(LEAK))
        self.tail = nn.Conv2d(2 * w, channels, 3, padding=1, generator=rng)

    def forward(self, past, z):
        near = self.head(join(past, z))
        far = self.down(near)
        far = far + self.inner(join(far, z))
        return F.tanh(self.tail(F.concat([self.up(far), near], axis=1)))


def convolved(n, m, k, stride, rng):
    """A convolution and its LeakyReLU."""
    return nn.Sequential(nn.Conv2d(n, m, k, stride, 1, generator=rng), nn.LeakyReLU(LEAK))


def judge_of(cfg, channels, rng):
    """D: it halves frames twice."""
    w, places = cfg.width, (cfg.size // 4) ** 2
    layers = []
    for n, m, k, stride in (
        ((cfg.past + 1) * channels, w, 4, 2),
        (w, 2 * w, 4, 2),
        (2 * w, 4 * w, 3, 1),
    ):
        layer = spectral_norm(nn.Conv2d(n, m, k, stride, 1, generator=rng), generator=rng)
        layers += [layer, nn.LeakyReLU(LEAK)]
    last = spectral_norm(nn.Linear(4 * w * places, 1, generator=rng), generator=rng)
    return nn.Sequential(*layers, nn.Flatten(), last)


def inputs(n, rng, cfg: Config, data, ahead: int | None = None):
    """The first frames of n held-out films, and noise for each frame that is to follow.

    ahead: how many frames to foretell; by default as many as the data's films go on
    """
    ahead = data.shape[0] - cfg.past if ahead is None else ahead
    if ahead < 1:
        raise MiniganError(f"ahead is how many frames to foretell, 1 at least, got {ahead}")
    return {"past": some_of(data, n, rng)[:, : cfg.past], "noise": rng.normal((n, ahead, cfg.latent))}


def make(past, noise, G):
    """The first frames (n, P, C, S, S), noise (n, frames, latent) -> films (n, P + frames, C, S, S)."""
    film = F.unbind(past, 1)
    for t in range(noise.shape[1]):
        film = [*film, G(F.concat(film[-past.shape[1] :], axis=1), noise[:, t])]
    return F.stack(film, axis=1)


def windows(films, P):
    """Films (N, T, C, S, S) -> (P frames each, as channels, the next ones): from every place in them, those
    from the first place of all films first."""
    T = films.shape[1]
    past = [films[:, t - P : t].reshape(len(films), -1, *films.shape[3:]) for t in range(P, T)]
    return F.concat(past, axis=0), F.concat([films[:, t] for t in range(P, T)], axis=0)


def train(data, rng, cfg: Config, G, opt_g, schedule, D=None, opt_d=None):
    """One step of D, if there is one, then one of G, on all frames of a batch of films that have enough of
    them before. Yields the losses, the squared error and what D said."""
    draws = 1 if cfg.game == "none" else cfg.draws

    @graph  # on a GPU, the whole step is one launch
    def step(films):
        past, following = windows(Tensor(films), cfg.past)
        n = len(past)
        made = G(F.concat([past] * draws, axis=0), Tensor(rng.normal((draws * n, cfg.latent))))
        squares = F.mse_loss(F.unflatten(made, 0, (draws, n)).mean(axis=0), following)
        seen, g_loss = {"squares": squares}, cfg.weight * squares

        if D is not None:
            real, fake = F.concat([past, following], axis=1), F.concat([past, made[:n]], axis=1)
            d_real, d_fake = D(real), D(fake.detach())
            d_loss = F.hinge_loss(d_real, 1.0) + F.hinge_loss(d_fake, -1.0)
            opt_d.step(grad(d_loss, opt_d.params))
            g_loss = g_loss - D(fake).mean()
            seen |= {"d_loss": d_loss, "d_real": d_real, "d_fake": d_fake}

        opt_g.step(grad(g_loss, opt_g.params))
        return seen | {"g_loss": g_loss}

    for films in data:
        seen = step(films)
        schedule.step()  # after the launch, which takes the rate of the day
        yield seen


def pictures(show, data, rng, cfg: Config, G):
    """Held-out films, and what G makes of their first frames, twice."""
    films = data.batch(np.arange(min(8, len(data))))
    ahead = films.shape[1] - cfg.past
    ways = [
        make(Tensor(films[:, : cfg.past]), Tensor(rng.normal((len(films), ahead, cfg.latent))), G)
        for _ in range(2)
    ]
    show(
        f"Held-out films, and twice what is made of their first {cfg.past} frames, with other noise.",
        films,
        *ways,
    )


def numbers(data, rng, cfg: Config, G):
    """Each frame ahead of held-out films, by feeding back: its PSNR, and how sharp it is, over the truth."""
    n = min(1000, len(data))
    films = data.batch(np.arange(n))
    ahead = films.shape[1] - cfg.past
    made = make(
        Tensor(films[:, : cfg.past], device=rng.device), Tensor(rng.normal((n, ahead, cfg.latent))), G
    )
    made, found = backend.to_numpy(made.data), {}
    for t in range(cfg.past, films.shape[1]):
        errors = ((made[:, t] - films[:, t]).astype(np.float64) ** 2).mean(axis=(1, 2, 3))
        name = f"{t - cfg.past + 1} ahead"
        found[f"PSNR, {name}"] = float((10 * np.log10(4 / np.maximum(errors, 1e-12))).mean())
        found[f"gradient, {name}"] = gradient_energy(made[:, t]) / gradient_energy(films[:, t])
    return {name: (value, n) for name, value in found.items()}
