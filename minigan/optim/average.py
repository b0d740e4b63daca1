"""A moving average of the weights: it makes better samples than the weights of any one step.

Yazıcı et al., "The unusual effectiveness of averaging in GAN training", 2019.
"""

import copy
from typing import Any

from minigan import backend
from minigan.checks import integer, mapping, number, read_back, shown


class ExponentialMovingAverage:
    """`module`, a copy of a network whose parameters follow those of the network.

        average = average · decay + parameters · (1 - decay)

    at each `update`, with a decay of at most (1 + n) / (10 + n) after n updates, so that the first weights
    are soon forgotten. Buffers, such as the statistics of batch norm, are copied as they are.

    network: a Module; several are averaged together as `nn.ModuleDict({"F": F, "G": G})`, and `module["G"]`
        is then the copy of G.
    decay: in [0, 1). ValueError for any other.
    """

    def __init__(self, network: Any, decay: float) -> None:
        number("ExponentialMovingAverage", "decay", decay, 0, 1)
        if isinstance(network, type) or not hasattr(network, "named_parameters"):
            raise TypeError(f"ExponentialMovingAverage: network must be a Module, got {shown(network)}")
        self.network, self.decay, self.updates = network, decay, 0
        self.module = copy.deepcopy(network).requires_grad_(False).eval()
        if "updates" in self.module.state_dict():
            raise ValueError(
                "ExponentialMovingAverage: the network calls a tensor 'updates', as the average its count"
            )

    def update(self) -> None:
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

    def state_dict(self) -> dict:
        """The averages and buffers under their names in the network, as `Module.state_dict` has them, and
        "updates", how many there were."""
        return {**self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`. ValueError, with nothing changed, if it does not fit."""
        if problems := self.misfits(state):
            raise ValueError(f"ExponentialMovingAverage: the state does not fit: {'; '.join(problems)}")
        self.updates = int(read_back(state["updates"]))
        self.module.load_state_dict(_weights(state))

    def misfits(self, state: dict) -> list[str]:
        """What hinders a state from being loaded, a sentence each."""
        who = type(self).__name__
        mapping(who, state)
        problems = self.module.misfits(_weights(state))
        if "updates" not in state:
            return [*problems, "updates is missing"]
        try:
            integer(who, "updates", read_back(state["updates"]), 0)
        except (TypeError, ValueError) as error:
            problems.append(str(error).removeprefix(f"{who}: "))
        return problems


def _weights(state):
    return {name: state[name] for name in state if name != "updates"}
