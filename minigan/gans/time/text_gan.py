"""Text by a GAN: characters, of which a critic sees how likely each is.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", 2017, section 5.4. A
text is discrete, and no gradient flows through a choice. So G gives scores of characters at all places at
once, and the critic sees their softmax beside real texts as 0 and 1: it is defined there too, and bounded in
its slope by the penalty of `wgan_gp.py`, so that softness alone costs little and its gradient says which
character is missing:

    L_D = E[D(softmax G(z))] - E[D(x)] + λ E[(‖∇D(x̂)‖ - 1)²],     L_G = -E[D(softmax G(z))]

The other way, `--choice gumbel`, is to draw a character by these chances and to show the critic 0 and 1, with
the gradient of the softmax that the draw came from, straight through (Jang, Gu, Poole, "Categorical
reparameterization with Gumbel-softmax", 2017). A sample is the likeliest character at each place, either way.

    z 64, layers 64 wide, 2 blocks      section 5.4: 128 and 512, 5 blocks, for 32 characters of a billion
                                        words; kernels of 5, a block adds 0.3 of what it makes, as there
    λ 10                                Algorithm 1
    1 step of D a step of G, Adam 1e-3  Algorithm 1, the authors' code: 10 steps, 1e-4, betas 0.5, 0.9; a
    for G, 2e-3 for D, betas 0.5, 0.9   higher rate for D stands for its steps (Heusel et al. 2017)
    τ 1 of Gumbel-softmax               a lower one is nearer to the draw, and rougher
"""

from dataclasses import dataclass

import numpy as np

from minigan import backend
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.graph import graph
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts import sequences
from ..parts.latent import normal, slerp
from ..parts.packing import packed
from ..parts.penalties import gradient_penalty
from ..parts.rates import whole_then_falling
from ..parts.words import as_weights, chosen
from ..settings import WordSettings

TAKES = ("text",)
DATA = "sentences"
CRITIC = True  # D gives numbers, not the logits of being real


@dataclass(frozen=True, kw_only=True)
class Config(WordSettings):
    steps: int = 5000
    batch_size: int = 32
    latent: int = 64
    lr: float = 1e-3
    """The learning rate of G; it falls to 0 in the second half of the steps, and that of D alike."""
    lr_d: float | None = 2e-3
    beta2: float = 0.9


def parts(cfg: Config, data, rng):
    """G: z (N, latent) -> scores of characters (N, characters, L). D: weights of them, of that shape,
    -> numbers (N / pack, 1)."""
    (length,), characters = data.shape, len(data.first.words)
    G = sequences.generator(cfg.latent, cfg.width, characters, length, cfg.blocks, rng)
    D = packed(sequences.critic(cfg.pack * characters, cfg.width, length, cfg.blocks, rng), cfg.pack)
    lr_g, lr_d = cfg.rates
    opt_g, opt_d = Adam(G.parameters(), lr_g, cfg.betas), Adam(D.parameters(), lr_d, cfg.betas)

    falling = whole_then_falling(cfg.steps)
    rates = {"rate_g": LambdaLR(opt_g, falling), "rate_d": LambdaLR(opt_d, falling)}
    return {"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d, **rates}


def inputs(n, rng, cfg: Config, truncation: float | None = None):
    """n latent vectors.

    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    return {"z": normal(n, cfg.latent, rng, truncation)}


def make(z, G):
    """(n, latent) -> texts, numbers of characters (n, L)."""
    return F.argmax(G(z), axis=1)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d, rate_g, rate_d):
    """n_critic steps of D, then one of G. Yields the losses, and what D said in the last of its steps."""

    def made(n):
        return chosen(G(Tensor(rng.normal((n, cfg.latent)))), cfg, rng)

    @graph
    def critic_step(texts):
        fake = made(len(texts)).detach()
        real = as_weights(texts, fake)
        u = Tensor(rng.uniform((len(texts) // cfg.pack, 1, 1)))

        penalty = gradient_penalty(D, real, fake, u, cfg.pack)
        d_real, d_fake = D(real), D(fake)
        wasserstein = d_real.mean() - d_fake.mean()
        d_loss = cfg.penalty * penalty - wasserstein
        opt_d.step(grad(d_loss, opt_d.params))
        said = {"d_real": d_real, "d_fake": d_fake}
        return {"d_loss": d_loss, "wasserstein": wasserstein, "penalty": penalty, **said}

    @graph
    def generator_step(texts):
        g_loss = -D(made(len(texts))).mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss}

    for i, texts in enumerate(data, start=1):
        seen = critic_step(texts)
        if i % cfg.n_critic == 0:
            seen |= generator_step(texts)
            rate_g.step()  # after the launch, which takes the rate of the day
            rate_d.step()
            yield seen


def pictures(show, rng, cfg: Config, G):
    """Texts on the way from one to another."""
    a, b = np.split(backend.to_numpy(rng.normal((2, cfg.latent))), 2)
    steps = [slerp(a, b, t).astype(np.float32) for t in np.linspace(0, 1, 12)]
    show("From one noise to another, in equal steps.", make(Tensor(np.concatenate(steps)), G))
