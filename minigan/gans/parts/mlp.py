"""Multi-layer perceptrons."""

import itertools

from minigan import nn


def mlp(widths, activation, rng, norm=False):
    """Linear layers with activations between them; with batch norm on all but the first."""
    layers = []
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        if i:
            layers += [nn.BatchNorm1d(n)] * (norm and i > 1) + [activation]
        layers += [nn.Linear(n, m, generator=rng)]
    return layers
