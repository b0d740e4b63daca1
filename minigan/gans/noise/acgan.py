"""ACGAN: a discriminator that also says of what class a sample is.

Odena, Olah, Shlens, "Conditional image synthesis with auxiliary classifier GANs", 2017. G is told a label y,
D is not: of each sample it says whether it is real, the source S, and of which class, C, by one body. With

    L_S = E_x[log P(real | x)] + E_z[log P(fake | G(z, y))]                    (equation 2)
    L_C = E_x[log P(y | x)]    + E_z[log P(y | G(z, y))]                       (equation 3)

D maximises L_S + L_C, and G maximises L_C - L_S: a sample that D cannot place is a bad one, however real it
looks. Generated images take the labels of the real batch.

    latent 100, joined to the label     section 4, appendix A: 110 for CIFAR-10
    G, D: networks of `dcgan.py`        appendix A: layers of its own, dropout 1/2 and noise in D
    D's last layer                      one number for the source, one a class; of packs of several samples
                                        (`--pack`), the class of each
    -log P(real | G(z, y)) for G        as `dcgan.py`, in place of log P(fake | G(z, y))
    points: 128-128, LeakyReLU 0.2 in D, ReLU in G, as `gan.py`
    Adam 1e-3 for G, 1e-4 for D, betas 0.5, 0.999, batch 128: as `dcgan.py`; appendix A: 2e-4, batch 100
"""

from dataclasses import dataclass

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.graph import graph
from minigan.optim import Adam

from ..parts import convolutions
from ..parts.augment import augmentation
from ..parts.conditioning import Conditional, labels_of
from ..parts.latent import normal
from ..parts.mlp import mlp
from ..parts.packing import packed
from ..settings import ConvolutionSettings, LabelledSettings

TAKES = "image or point", "label"


@dataclass(frozen=True, kw_only=True)
class Config(LabelledSettings, ConvolutionSettings):
    steps: int = 1000
    batch_size: int = 128
    lr: float = 1e-3
    lr_d: float | None = 1e-4


def parts(cfg: Config, data, rng):
    """G: z (N, latent), labels (N,) or weights (N, classes) -> samples (N, *shape), images in [-1, 1].

    D: samples -> (N / pack, 1 + pack · classes), see `heads`.
    """
    channels, *pixels = data.shape
    K, values, kernels = cfg.classes, cfg.pack * channels, cfg.minibatch_features
    outputs = 1 + cfg.pack * K
    if pixels:
        G = convolutions.generator(cfg.latent + K, cfg.width, data.shape)
        D = convolutions.discriminator(cfg.width, values, data.shape, outputs=outputs, minibatch=kernels)
        for net in (G, D):
            net.apply(lambda layer: convolutions.initialise(layer, rng))
    else:  # points of the plane
        G = nn.Sequential(*mlp([cfg.latent + K, 128, 128, channels], nn.ReLU(), rng))
        D = nn.Sequential(*mlp([values, 128, 128, outputs], nn.LeakyReLU(0.2), rng, minibatch=kernels))
    G, D, (lr_g, lr_d) = Conditional(G, K), packed(D, cfg.pack), cfg.rates
    return {
        "G": G,
        "D": D,
        "opt_g": Adam(G.parameters(), lr_g, cfg.betas),
        "opt_d": Adam(D.parameters(), lr_d, cfg.betas),
    }


def inputs(n, rng, cfg: Config, label: int | None = None, truncation: float | None = None):
    """n latent vectors, and n labels.

    label: the class to make; by default every class in turn
    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    z = normal(n, cfg.latent, rng, truncation)
    return {"z": z, "labels": labels_of(n, label, cfg.classes)}


def make(z, labels, G):
    """(n, latent), and labels (n,) or weights (n, classes) -> samples (n, *shape)."""
    return G(z, labels)


def heads(said, cfg: Config):
    """(logits of being real (N / pack, 1), logits of the classes (N, classes)) of what D says of N samples.

    A pack has those of its first sample, then those of its second: `pack` joins samples N / pack apart.
    """
    source, *classes = F.split(said, [1, *[cfg.classes] * cfg.pack], axis=1)
    return source, F.concat(classes, axis=0)


def judge(x, D, cfg: Config):
    """Samples -> the logits of being real (N / pack, 1)."""
    return heads(D(x), cfg)[0]


def train(data, rng, cfg: Config, G, D, opt_g, opt_d):
    """One step of D, then one of G, on each batch (real, labels).

    Yields D's loss of the source and of the class (of both, G's), what it said of the source, and the shares
    of real and of made samples whose class it got right.
    """
    bce, T = F.binary_cross_entropy_with_logits, augmentation(cfg.augment, rng)

    @graph  # on a GPU, the whole step is one launch
    def step(real, labels):
        fake = G(Tensor(rng.normal((len(real), cfg.latent))), labels)

        d_real, class_of_real = heads(D(T(Tensor(real))), cfg)
        d_fake, class_of_made = heads(D(T(fake.detach())), cfg)
        d_loss = bce(d_real, 1.0) + bce(d_fake, 0.0)
        class_loss = F.cross_entropy(class_of_real, labels) + F.cross_entropy(class_of_made, labels)
        opt_d.step(grad(d_loss + class_loss, opt_d.params))

        source, classes = heads(D(T(fake)), cfg)
        g_loss = bce(source, 1.0) + F.cross_entropy(classes, labels)
        opt_g.step(grad(g_loss, opt_g.params))

        return {
            "d_loss": d_loss,
            "class_loss": class_loss,
            "g_loss": g_loss,
            "d_real": d_real,
            "d_fake": d_fake,
            "real_label_accuracy": right(class_of_real, labels),
            "made_label_accuracy": right(class_of_made, labels),
        }

    for real, labels in data:
        yield step(real, labels)


def right(logits, labels):
    """The share of samples whose likeliest class is their label."""
    return (logits.detach().argmax(1) == labels).mean()


def pictures(show, rng, cfg: Config, G, D):
    """A row a class, a column the same noise; and how many of them D takes for what they were asked to be."""
    K, columns = min(cfg.classes, 12), 12
    z, labels = rng.normal((columns, cfg.latent)), np.arange(K)
    made = [G(Tensor(np.repeat(row[None], K, axis=0)), labels) for row in backend.to_numpy(z)]
    text = "A row a class; the images of a column are of the same noise."
    if cfg.pack == 1:
        classes = [heads(D(x), cfg)[1].numpy().argmax(axis=1) for x in made]
        text += f" D takes {np.mean(classes == labels):.0%} of them for what they were asked to be."
    show(text, *made)
