"""LAPGAN: a small image from noise, then a GAN for each enlargement, which adds what that lacks.

Denton, Chintala, Szlam, Fergus, "Deep generative image models using a Laplacian pyramid of adversarial
networks", 2015. Of a pyramid of images I_0, ..., I_K (`parts/pyramid.py`) the smallest is made of noise
alone, Ĩ_K = G_K(z_K), and a G a level adds the details that the enlarged image l = u(Ĩ_{k+1}) lacks:

    Ĩ_k = l + G_k(z_k, l)                                                      (equation 5)

In training each level is a game of its own, which goes out from the true image below it (section 2.3):

    min_{G_k} max_{D_k}  E[log D_k(l + h_k)] + E[log(1 - D_k(l + G_k(z_k, l)))],   l = u(I_{k+1})

D_k gets the sum of the enlarged image and the true details, or made ones, with equal probability. No game is
as hard as that of the whole image, and none waits for another: all levels learn in one step.

    levels of 8, 16, 32, 64 pixels, or 7, 14, 28    section 3 has 8, 14, 28, and 8, 16, 32, 64, 96
    G_K, D_K: DCGAN's convolutions    section 3.1 has dense layers, whose 1,000 steps give few kinds of digits
    G_k, D_k: 3 and 2 layers of convolution, z_k a plane beside l    section 3.2; here of strides that halve
                                      the image first: l has nothing finer, and it costs a quarter
    batch norm                        section 3.3 has it for large images alone
    z: 100 numbers, normal            section 3.1, uniform
    Adam 1e-3 for G, 3e-4 for D, betas 0.5, 0.999    section 3 has SGD, 0.02 falling
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.latent import normal
from ..parts.pyramid import expanded, gaussian_pyramid, sides_of
from ..settings import Settings

TAKES = ("image",)
COARSEST = 8  # pixels a side of the smallest images, or just below that


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 2000
    batch_size: int = 64
    levels: int | None = None
    """Levels of the pyramid: images of 8, 16 and 32 pixels are three. By default so many that the coarsest
    has 8 pixels, or just below."""
    latent: int = 100
    """Length of the noise vector that the coarsest image is made of."""
    coarse_width: int = 64
    """Channels next to the image in the networks of the coarsest level."""
    width: int = 48
    """Channels next to the image in the networks of the finer levels."""
    lr: float = 1e-3
    """Adam's learning rate for G."""
    lr_d: float = 3e-4
    """Adam's learning rate for D."""
    beta1: float = 0.5
    """Adam's first decay rate, that of the momentum."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "levels", at_least=2)
        require(self, "latent", "coarse_width", "width", at_least=1)
        require(self, "lr", "lr_d")
        require(self, "beta1", below=1)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: three levels, or four."""
        return 32 if pixels <= 32 else 64

    def fitted(self, data):
        cfg = super().fitted(data)
        levels = self.levels or max(math.ceil(math.log2(cfg.size / COARSEST)), 1) + 1
        sides_of(cfg.size, levels)
        return replace(cfg, levels=levels)

    @property
    def sides(self) -> list[int]:
        """The pixels a side of each level, from the coarsest on."""
        return sides_of(self.size, self.levels)

    @property
    def details(self) -> int:
        """How many numbers of noise the finer levels take for an image."""
        return sum(side**2 for side in self.sides[1:])


def parts(cfg: Config, data, rng):
    """A G and a D a level, by its pixels a side, from the coarsest on: {"8": ..., "16": ..., "32": ...}.

    G: z (N, latent) -> images; the finer ones: images and one more plane, of noise, -> details. D: images ->
    logits (N, 1).
    """
    (C, *_), (coarsest, *finer) = data.shape, cfg.sides
    G = {f"{coarsest}": coarse_generator(cfg.latent, cfg.coarse_width, C, coarsest)}
    D = {f"{coarsest}": coarse_discriminator(cfg.coarse_width, C, coarsest)}
    for side in finer:
        G[f"{side}"] = detail_generator(cfg.width, C)
        D[f"{side}"] = detail_discriminator(cfg.width, C, side)
    for net in (*G.values(), *D.values()):
        net.apply(lambda layer: convolutions.initialise(layer, rng))

    def adam(net, lr):
        return Adam(net.parameters(), lr, (cfg.beta1, 0.999))

    return {
        "G": G,
        "D": D,
        "opt_g": {side: adam(net, cfg.lr) for side, net in G.items()},
        "opt_d": {side: adam(net, cfg.lr_d) for side, net in D.items()},
    }


def half_window(side):
    """(kernel, stride, padding) of a convolution from `side` pixels to half of them, rounded up; and back."""
    return 3 + (side + 1) % 2, 2, 1


def coarse_generator(latent, width, channels, side):
    """(N, latent) -> images (N, channels, side, side) in [-1, 1]."""
    return nn.Sequential(
        nn.Unflatten(latent, 1, 1),
        nn.ConvTranspose2d(latent, 2 * width, (side + 1) // 2, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, *half_window(side), bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, channels, 3, 1, 1),
        nn.Tanh(),
    )


def coarse_discriminator(width, channels, side):
    """Images (N, channels, side, side) -> (N, 1)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 1, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, *half_window(side), bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, (side + 1) // 2),
        nn.Flatten(),
    )


def detail_generator(width, channels):
    """Enlarged images and a plane of noise (N, channels + 1, H, W) -> details (N, channels, H, W)."""
    return nn.Sequential(
        nn.Conv2d(channels + 1, width, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1),
    )


def detail_discriminator(width, channels, side):
    """Images (N, channels, side, side), with true details or made ones, -> (N, 1)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width * (side // 4) ** 2, 1),
    )


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors, and the noise of all finer levels.

    truncation: keep the noise of the coarsest level within this distance of 0: below 2, say, samples are
        better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation), "noise": rng.normal((n, cfg.details))}


def make(z, noise, G):
    """(n, latent), and the noise of the finer levels -> images (n, *shape)."""
    return levels_of(z, noise, G)[-1]


def levels_of(z, noise, G):
    """The images of all levels, from the coarsest on."""
    return refined(next(iter(G.values()))(z), noise, G)


def refined(x, noise, G):
    """The images of all levels, from those of the coarsest, x, on. noise: (n, numbers of all finer ones)."""
    images = [x]
    for side in [*G][1:]:
        plane, noise = noise[:, : int(side) ** 2], noise[:, int(side) ** 2 :]
        images.append(F.clip(with_details(expanded(images[-1]), plane, G[side]), -1.0, 1.0))
    return images


def with_details(low, noise, net):
    """Equation 5: l + G_k(z_k, l), of enlarged images l (n, C, H, W) and noise (n, H · W)."""
    n, _, H, W = low.shape
    return low + net(F.concat([low, F.reshape(noise, n, 1, H, W)], axis=1))


def judge(x, D):
    """Images -> the logits of being real (N, 1), by the D of their size."""
    return D[f"{x.shape[-1]}"](x)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """Section 2.3: of each level one step of D, then one of G. Yields the losses of each, and what its D
    said."""
    bce = F.binary_cross_entropy_with_logits

    @graph  # on a GPU, the whole step is one launch
    def step(real):
        n, seen = len(real), {}
        images = gaussian_pyramid(Tensor(real), cfg.levels)[::-1]  # from the coarsest on
        for k, side in enumerate(G):
            if k == 0:
                fake = G[side](Tensor(rng.normal((n, cfg.latent))))
            else:
                noise = Tensor(rng.normal((n, int(side) ** 2)))
                fake = with_details(expanded(images[k - 1]), noise, G[side])

            d_real, d_fake = D[side](images[k]), D[side](fake.detach())
            d_loss = 0.5 * (bce(d_real, 1.0) + bce(d_fake, 0.0))
            opt_d[side].step(grad(d_loss, opt_d[side].params))

            g_loss = bce(D[side](fake), 1.0)
            opt_g[side].step(grad(g_loss, opt_g[side].params))

            seen |= {f"d{side}_loss": d_loss, f"g{side}_loss": g_loss}
            seen |= {f"d{side}_real": d_real, f"d{side}_fake": d_fake}
        return seen

    for real in data:
        yield step(real)


def pictures(show, data, rng, cfg: Config, G):
    """Samples level by level, and what the finer levels make of true images of the coarsest one."""
    z, noise = (Tensor(rng.normal((16, size))) for size in (cfg.latent, cfg.details))
    show(
        f"Samples from the coarsest level to the finest: {', '.join(G)} pixels a side.",
        *(magnified(x, cfg.size) for x in levels_of(z, noise, G)),
    )
    true = Tensor(data.batch(range(min(16, len(data)))))
    small, n = gaussian_pyramid(true, cfg.levels)[-1], len(true)
    show(
        f"Held-out images reduced to {cfg.sides[0]} pixels, what the finer levels make of them, the truth.",
        magnified(small, cfg.size),
        refined(small, noise[:n], G)[-1],
        true,
    )
    again = Tensor(small.numpy()[:1].repeat(8, axis=0))
    show(
        "One small image, and what the finer levels make of it with eight draws of their noise.",
        magnified(small[:1], cfg.size),
        *(x[None] for x in refined(again, noise[:8], G)[-1].numpy()),
    )


def magnified(x, size):
    """Images (n, C, H, H) with their pixels as blocks: an array (n, C, size, size)."""
    times = size // x.shape[-1]
    return x.numpy().repeat(times, axis=2).repeat(times, axis=3)


CHOOSING, MEASURED = 50, 100  # held-out images that choose the widths of windows, and those after them
WINDOWS, DRAWS = 2000, 100  # samples that windows are put around: of the coarsest level; of details, an image
READ = 1000  # images for the classifier


def numbers(data, rng, cfg: Config, G, classifier=None):
    """Parzen windows on the pyramid (section 4.1), and what the finer levels keep of the class.

    parzen-8, parzen-16, ...: the log-likelihood of held-out images, in nats an image: of their coarsest level
        under windows around samples, of the details of each finer one under windows around details that are
        made for the true image below it. parzen-pyramid: their sum, that of the whole image.
    parzen-whole: the same under windows around whole samples, as of a model without levels. All pixels count.
    refined-as-label, expanded-as-label: where the data has labels, the shares of held-out images, reduced to
        the coarsest level, that the classifier reads as their label: with the details of the finer levels,
        and enlarged without.
    """
    found = likelihoods(data, rng, cfg, G)
    if classifier is None or data.labels is None:
        return found
    right, n = {"refined-as-label": 0, "expanded-as-label": 0}, min(READ, len(data))
    for first in range(0, n, DRAWS):
        some = slice(first, min(first + DRAWS, n))
        x = gaussian_pyramid(Tensor(data.batch(some), device=rng.device), cfg.levels)[-1]
        made = refined(x, Tensor(rng.normal((x.shape[0], cfg.details))), G)[-1]
        for _ in cfg.sides[1:]:
            x = expanded(x)
        for name, image in zip(right, (made, x), strict=True):
            right[name] += int((classifier.labels(image.numpy()) == data.labels[some]).sum())
    return found | {name: (count / n, n) for name, count in right.items()}


def likelihoods(data, rng, cfg, G):
    """The log-likelihoods that `numbers` gives."""
    from minigan.metrics import parzen_score, pyramid_scores
    from minigan.metrics.parzen import PYRAMID_WIDTHS

    samples = [[] for _ in G]
    for _ in range(WINDOWS // DRAWS):
        z, noise = (Tensor(rng.normal((DRAWS, size))) for size in (cfg.latent, cfg.details))
        for level, x in zip(samples, levels_of(z, noise, G), strict=True):
            level.append(in_unit(x))

    def made_for(side):
        """Samples of a level for a true image of the one below."""

        def samples_for(low):
            x = Tensor(2 * low[None].repeat(DRAWS, axis=0) - 1, device=rng.device)
            noise = Tensor(rng.normal((DRAWS, int(side) ** 2)))
            return in_unit(F.clip(with_details(expanded(x), noise, G[side]), -1.0, 1.0))

        return samples_for

    n = min(CHOOSING + MEASURED, len(data))
    choosing = max(n * CHOOSING // (CHOOSING + MEASURED), 1)
    images = in_unit(Tensor(data.batch(slice(n))))
    coarsest, *_, finest = (np.concatenate(level) for level in samples)
    scores = pyramid_scores(images, coarsest, [made_for(side) for side in [*G][1:]], choosing)
    pixels, windows = images.reshape(n, -1), finest.reshape(len(finest), -1)
    whole = parzen_score(windows, pixels[:choosing], pixels[choosing:], PYRAMID_WIDTHS)
    found = {f"parzen-{side}": score.mean for side, score in zip(G, scores, strict=True)}
    found |= {"parzen-pyramid": sum(found.values()), "parzen-whole": whole.mean}
    return {name: (value, n - choosing) for name, value in found.items()}


def in_unit(x):
    """Images in [-1, 1] as an array of pixels in [0, 1]."""
    return (x.numpy() + 1) / 2
