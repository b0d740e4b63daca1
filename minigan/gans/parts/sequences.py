"""Networks of sequences, such as texts: one-dimensional convolutions in residual blocks.

Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", 2017, section 5.4.
"""

from minigan import nn

from .residual import Residual

SHARE = 0.3  # of what a block adds to its input, as in the authors' code
KERNEL = 5


def generator(latent, width, words, length, blocks, rng):
    """(N, latent) -> scores of `words` words at each of `length` places, (N, words, length)."""
    first = [nn.Linear(latent, width * length, generator=rng), nn.Unflatten(width, length)]
    return nn.Sequential(
        *first, *residual_blocks(width, blocks, rng), nn.Conv1d(width, words, 1, generator=rng)
    )


def critic(words, width, length, blocks, rng):
    """Weights of words, (N, words, length) -> (N, 1)."""
    last = [nn.Flatten(), nn.Linear(width * length, 1, generator=rng)]
    return nn.Sequential(
        nn.Conv1d(words, width, 1, generator=rng), *residual_blocks(width, blocks, rng), *last
    )


def residual_blocks(width, blocks, rng):
    """So many layers (N, width, L) -> (N, width, L)."""
    return [
        Residual(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, generator=rng),
                nn.ReLU(),
                nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, generator=rng),
            ),
            SHARE,
        )
        for _ in range(blocks)
    ]
