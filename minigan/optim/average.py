"""A moving average of the weights: it makes better samples than the weights of any one step.

Yazıcı et al., "The unusual effectiveness of averaging in GAN training", 2019.
"""

import copy

from minigan import backend
from minigan.checks import number, shown


class ExponentialMovingAverage:
    """`module`, a copy of a network whose parameters follow those of the network.

        average = average · decay + parameters · (1 - decay)

    at each `update`, with a decay of at most (1 + n) / (10 + n) after n updates, so that the first weights
    are soon forgotten. Buffers, such as the statistics of batch norm, are copied as they are.

    decay: in [0, 1). ValueError for any other.
    """

    def __init__(self, network, decay: float):
        number("ExponentialMovingAverage", "decay", decay, 0, 1)
        if isinstance(network, type) or not hasattr(network, "named_parameters"):
            raise TypeError(f"ExponentialMovingAverage: network must be a Module, got {shown(network)}")
        self.network, self.decay, self.updates = network, decay, 0
        self.module = copy.deepcopy(network).requires_grad_(False).eval()

    def update(self):
        """Follow the network's weights of now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averages = dict([*self.module.named_parameters(), *self.module.named_buffers()])
        for name, p in self.network.named_parameters():
            average = averages[name].data
            with backend.beside(average):
                average += (p.data - average) * (1 - decay)
        for name, b in self.network.named_buffers():
            with backend.beside(b.data):
                averages[name].data[...] = b.data
