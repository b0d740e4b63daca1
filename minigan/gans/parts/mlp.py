"""Multi-layer perceptrons."""

import itertools

from minigan import nn

from .minibatch import judged


def mlp(widths, activation, rng, norm=False, minibatch=0):
    """Linear layers with activations between them; with batch norm on all but the first. minibatch: kernels
    of minibatch discrimination in front of the last one, 0 for none."""
    layers = []
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        if i:
            layers += [nn.BatchNorm1d(n)] * (norm and i > 1) + [activation]
        last = i == len(widths) - 2
        layers += judged(n, minibatch, rng, m) if last else [nn.Linear(n, m, generator=rng)]
    return layers
