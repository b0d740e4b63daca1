"""text2image: pictures that are what a sentence says.

Reed, Akata, Yan, Logeswaran, Schiele, Lee, "Generative adversarial text to image synthesis", 2016. A network
reads the text t, φ(t); G makes a picture of noise and of that, and D is given both, picture and text. Beside
real pictures with their text, s_r, and made ones, s_f, it sees real pictures with the text of another, s_w:
so it has to read, where it could else have told the two apart by how real they look (GAN-CLS, Algorithm 1):

    L_D = -log s_r - (log(1 - s_w) + log(1 - s_f)) / 2
    L_G = -log s_f + λ KL(N(μ, σ²) ‖ N(0, 1)) / numbers of c

G has c = μ + σ ε, μ and σ a layer of φ(t), in place of φ(t) itself: conditioning augmentation (Zhang et al.,
"StackGAN", 2017, section 3.2). Sentences that are near each other overlap, so those between are known, too.

    φ(t), `--encoder mean`              the mean of the words' vectors: a word says the same in all sentences,
                                        so that new ones are read like those of the training
    φ(t), `--encoder gru`               the mean of the states of a GRU that reads them, for texts in which
                                        the order matters: section 4 of Reed et al., "Learning deep
                                        representations of fine-grained visual descriptions", 2016. There it
                                        is learned before, with names of classes; here φ is learned by L_D
    D, `--judge projection`             D(x, t) = a·h(x) + h(x)·Vφ(t): Miyato, Koyama, "cGANs with projection
                                        discriminator", 2018. Each feature of x meets each of t
    D, `--judge joined`                 Vφ(t) as channels of the last 4x4 features: figure 2 of the paper
    G, D: networks of `dcgan.py`        as the paper, section 4.1
    c 32 numbers, λ 0.1                 StackGAN: 128, λ 1
    `--attention`                       each place of the picture looks for its words before the last layer:
                                        Xu et al., "AttnGAN", 2018, equation 2
    Adam 1e-3 for G, 5e-4 for D, betas 0.5, 0.999; falling to 0 in the second half. The paper: 2e-4

`--ema 0.995` averages the weights.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad
from minigan.errors import require
from minigan.graph import graph
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts import convolutions
from ..parts.conditioning import join
from ..parts.gaussian import divergences, drawn, mean_and_log_var
from ..parts.rates import whole_then_falling
from ..parts.reading import TextEncoder, WordAttention
from ..settings import Settings

TAKES = "image", "text"
DATA = "captions"


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 2000
    batch_size: int = 64
    size: Literal[16, 32, 64] | None = None
    """Pixels a side; by default the smallest that the data fits in."""
    latent: int = 32
    """Length of the noise vector z."""
    width: int = 32
    """Channels of the layer next to the image; each layer inwards has twice as many."""
    encoder: Literal["mean", "gru"] = "mean"
    """How a text is read: as a bag of words, or one word after the other."""
    embedding: int = 64
    """Length of the vectors of words and of texts."""
    condition: int = 32
    """Length of c, which G is given of a text."""
    kl: float = 0.1
    """λ, the weight of what keeps c near N(0, 1)."""
    judge: Literal["projection", "joined"] = "projection"
    """How D meets the text: as an inner product with its features, or as channels joined to them."""
    mismatched: bool = True
    """Whether D is shown real pictures with the text of another, as a third kind."""
    attention: bool = False
    """Whether each place of a picture looks for its words, at half the picture's size."""
    lr: float = 1e-3
    """Adam's learning rate of G; it falls to 0 in the second half of the steps."""
    lr_d: float = 5e-4
    """Adam's learning rate of D and of the encoder; it falls alike."""
    beta1: float = 0.5
    """Adam's first decay rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "latent", "width", "embedding", "condition", at_least=1)
        require(self, "kl", "lr", "lr_d")
        require(self, "beta1", below=1)

    def default_size(self, pixels: int) -> int:
        """The image size to train at on data of `pixels` pixels a side: the smallest it fits in."""
        return convolutions.default_size(pixels)


def parts(cfg: Config, data, rng):
    """E: texts (N, L) -> what it read. G: noise and that -> images in [-1, 1]. D: images and that ->
    logits (N, 1)."""
    text = data["text"]
    E = TextEncoder(text.words, text.shape[0], cfg.embedding, cfg.encoder, rng)
    G, D = Generator(cfg, data.shape, rng), Judge(cfg, data.shape, rng)
    opt_g = Adam(G.parameters(), cfg.lr, (cfg.beta1, 0.999))
    opt_d = Adam([*D.parameters(), *E.parameters()], cfg.lr_d, (cfg.beta1, 0.999))

    falling = whole_then_falling(cfg.steps)
    return {
        **{"E": E, "G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d},
        **{"rate_g": LambdaLR(opt_g, falling), "rate_d": LambdaLR(opt_d, falling)},
    }


class Generator(nn.Module):
    """z (N, latent), noise (N, condition), and what E read -> (images (N, *shape), μ and log σ² of c)."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        net = convolutions.generator(cfg.latent + cfg.condition, cfg.width, shape)
        net.apply(lambda layer: convolutions.initialise(layer, rng))
        self.inner, self.last = net[:-2], net[-2:]
        self.condition = nn.Linear(cfg.embedding, 2 * cfg.condition, generator=rng)
        self.attention = WordAttention(cfg.width, cfg.embedding, rng) if cfg.attention else None

    def forward(self, z, noise, sentence, of_words, there):
        mean, log_var = mean_and_log_var(self.condition(sentence))
        h = self.inner(F.concat([z, drawn(mean, log_var, noise)], axis=1))
        if self.attention is not None:
            h = h + self.attention(h, of_words, there)
        return self.last(h), mean, log_var


class Judge(nn.Module):
    """(images, φ) -> logits (N, 1). An image is looked at once, by `see`, however many texts it is to meet in
    `meet`."""

    def __init__(self, cfg, shape, rng):
        super().__init__()
        self.joined, m = cfg.judge == "joined", convolutions.layer_widths(cfg.width, shape)[-1]
        body = convolutions.discriminator(cfg.width, shape[0], shape)[:-2]
        if self.joined:
            mixed = nn.Conv2d(m + cfg.condition, m, 1, bias=False), nn.BatchNorm2d(m), nn.LeakyReLU(0.2)
            self.see, self.score = body, nn.Sequential(*mixed, nn.Conv2d(m, 1, 4), nn.Flatten())
        else:
            features = 2 * cfg.embedding
            self.see = nn.Sequential(*body, nn.Conv2d(m, features, 4), nn.Flatten(), nn.LeakyReLU(0.2))
            self.score = nn.Linear(features, 1)
        self.apply(lambda layer: convolutions.initialise(layer, rng))
        self.text = (
            nn.Sequential(nn.Linear(cfg.embedding, cfg.condition, generator=rng), nn.LeakyReLU(0.2))
            if self.joined
            else nn.Linear(cfg.embedding, features, bias=False, generator=rng)
        )

    def meet(self, seen, sentence):
        """What `see` gave of images, and φ -> logits (N, 1)."""
        text = self.text(sentence)
        if self.joined:
            return self.score(join(seen, text))
        return self.score(seen) + (seen * text).sum(axis=1, keepdims=True)

    def forward(self, x, sentence):
        return self.meet(self.see(x), sentence)


def inputs(n, rng, cfg: Config, data, E, caption: str | None = None):
    """n latent vectors, as much noise for c, and n texts.

    caption: what the pictures are to be, in words of the training texts; by default texts of held-out data
    """
    if caption is None:
        text = data.text[rng.integers(0, len(data), n)].astype(np.int64)
    else:
        text = np.tile(E.numbers(caption), (n, 1))
    return {"z": rng.normal((n, cfg.latent)), "noise": rng.normal((n, cfg.condition)), "text": text}


def make(z, noise, text, E, G):
    """(n, latent), (n, condition), and numbers of words (n, L) -> images (n, C, H, W)."""
    made, _, _ = G(z, noise, *E(text))
    return made


def train(data, rng, cfg: Config, E, G, D, opt_g, opt_d, rate_g, rate_d):
    """One step of D and of the encoder, then one of G, on each batch (real, text). The wrong text of a
    picture is that of its neighbour.

    Yields the losses, the divergence of a number of c, what D said of real and of made pictures with their
    text, and of real ones with a wrong text for how likely it takes these to be right.
    """
    bce = F.binary_cross_entropy_with_logits

    @graph  # on a GPU, the whole step is one launch
    def step(real, text):
        N = len(real)
        z, noise = Tensor(rng.normal((N, cfg.latent))), Tensor(rng.normal((N, cfg.condition)))
        sentence, of_words, there = E(text)
        known = sentence.detach()
        fake, mean, log_var = G(z, noise, known, of_words.detach(), there)

        seen = D.see(Tensor(real))
        d_real, d_fake = D.meet(seen, sentence), D(fake.detach(), sentence)
        d_loss, wrong = bce(d_real, 1.0), {}
        if cfg.mismatched:
            d_wrong = D.meet(seen, F.roll(sentence, 1, axis=0))
            d_loss = d_loss + 0.5 * (bce(d_wrong, 0.0) + bce(d_fake, 0.0))
            wrong = {"wrong_text": F.sigmoid(d_wrong.detach()).mean()}
        else:
            d_loss = d_loss + bce(d_fake, 0.0)
        opt_d.step(grad(d_loss, opt_d.params))

        g_loss, kl = bce(D(fake, known), 1.0), divergences(mean, log_var).mean()
        opt_g.step(grad(g_loss + cfg.kl * kl, opt_g.params))

        return {"d_loss": d_loss, "g_loss": g_loss, "kl": kl, "d_real": d_real, "d_fake": d_fake, **wrong}

    for real, text in data:
        seen = step(real, text)
        rate_g.step()  # after the launch, which takes the rate of the day
        rate_d.step()
        yield seen


def pictures(show, rng, cfg: Config, data, E, G):
    """Some texts of held-out data, and what is made of each, with the same noise for all."""
    n, z, noise = 8, rng.normal((8, cfg.latent)), rng.normal((8, cfg.condition))
    for text in data.text[:6].astype(np.int64):
        made = make(Tensor(z), Tensor(noise), np.tile(text, (n, 1)), E, G)
        show(f"{E.sentence(text).capitalize()}.", *(made[i : i + 1] for i in range(n)))
