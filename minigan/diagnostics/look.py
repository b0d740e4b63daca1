"""A look at one training step: what its own passes and updates show, without taking any of them again.

The loops are generator functions, and their files say nothing of diagnosing. So the doctor listens, for the
one step it looks at, to what the networks, their layers and the optimisers do. It changes nothing.
"""

import contextlib
import math
from functools import partial

import numpy as np

from minigan import nn
from minigan.backend import beside, to_numpy
from minigan.gans.model import judges, networks, optimizers
from minigan_kernels import row_norms

QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95
SWITCHES = nn.ReLU, nn.LeakyReLU  # activations whose units are on or off


@contextlib.contextmanager
def look(parts: dict):
    """Inside the block one step of training is taken; the dict it gives is filled at the end of the block.

    parts: those of a model. The dict is JSON-able, each entry by network:

    gradient_norm     by parameter, in the last step of the network's optimiser
    update_ratio      |change of the parameter| / |parameter| in that step
    dead_units        share of the units that no sample of any batch turned on, of networks with SWITCHES
    batch_norm_drift  how far batches are from the running means, in standard deviations; of networks with
                      batch norm

    of the networks that ran, and whose optimisers took a step.

    The step must run op by op: within `minigan.graphs(False)`, on a GPU.
    """
    found, nets = {}, networks(parts)
    with contextlib.ExitStack() as hooks:
        updates = [Updates(nets, optimizer, hooks) for optimizer in optimizers(parts).values()]
        switches = {name: Switches(network, hooks) for name, network in nets.items()}
        drifts = {name: Drift(network, hooks) for name, network in nets.items()}
        yield found
    for key in ("gradient_norm", "update_ratio"):
        by_network = {name: {} for name in [*nets, "other"]}
        for update in updates:
            for (network, name), value in getattr(update, key).items():
                by_network[network][name] = value
        found[key] = {name: values for name, values in by_network.items() if values}
    for key, watched in (("dead_units", switches), ("batch_norm_drift", drifts)):
        known = {name: part.found() for name, part in watched.items() if part.ran}
        found |= {key: known} if known else {}


def judged(said: dict, critic: bool) -> dict:
    """What judges said of real samples and of generated ones, by judge; `said` has it in arrays, as x_real
    and x_fake. JSON-able:

    accuracy   share of the real and the generated samples that the judge is right on; not of a critic
    output     QUANTILES of its probability of being real, or of a critic's numbers
    entropy    its cross-entropy on both, 2 log 2 for one that only guesses; not of a critic
    """
    found = {}
    for judge in judges(said):
        real, fake = (to_numpy(said[f"{judge}_{kind}"]).ravel() for kind in ("real", "fake"))
        if critic:
            found[judge] = {"output": {"real": quantiles(real), "fake": quantiles(fake)}}
            continue
        entropy = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
        found[judge] = {
            "accuracy": {"real": float((real > 0).mean()), "fake": float((fake < 0).mean())},
            "output": {"real": quantiles(sigmoid(real)), "fake": quantiles(sigmoid(fake))},
            "entropy": rounded(float(entropy)),
        }
    return found


def quantiles(x):
    places = np.multiply(QUANTILES, len(x) - 1)  # as np.quantile, which takes longer
    return [rounded(q) for q in np.interp(places, np.arange(len(x)), np.sort(x))]


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x.astype(np.float64)))


class Updates:
    """The norm of each parameter's gradient in the last step of its optimiser, and of what that changed."""

    def __init__(self, networks, optimizer, hooks):
        names = {
            id(p): (network, name)
            for network, module in networks.items()
            for name, p in module.named_parameters()
        }
        self.names = [names.get(id(p), ("other", f"{i}")) for i, p in enumerate(optimizer.params)]
        self.gradient_norm, self.update_ratio = {}, {}
        hooks.callback(optimizer.register_step_pre_hook(self.before_step))
        hooks.callback(optimizer.register_step_post_hook(self.after_step))

    def before_step(self, optimizer, gradients):
        self.before = [p.data.copy() for p in optimizer.params]
        self.gradient_norm = {
            name: rounded(norm(g.data))
            for name, g in zip(self.names, gradients, strict=True)
            if g is not None
        }

    def after_step(self, optimizer, gradients):
        for name, p, before in zip(self.names, optimizer.params, self.before, strict=True):
            size = norm(before)
            with beside(before):
                before -= p.data
            self.update_ratio[name] = rounded(norm(before) / size) if size else None  # biases begin at 0


class Switches:
    """Which units of a network's activations any sample turned on. A unit is a column, or a channel."""

    def __init__(self, network, hooks):
        self.layers = {layer for layer in network.modules() if isinstance(layer, SWITCHES)}
        self.on, self.next = [], 0  # one entry an activation, in the order of a pass
        for layer in self.layers:
            hooks.callback(layer.register_forward_hook(self.on_layer))
        hooks.callback(network.register_forward_hook(self.on_network))

    def on_layer(self, layer, inputs, output):
        y = output.data
        with beside(y):
            channels_last = y.transpose(0, *range(2, y.ndim), 1)  # as it lies in memory
            on = channels_last.reshape(-1, y.shape[1]).max(axis=0) > 0
            if self.next == len(self.on):
                self.on.append(on)
            else:  # the same activation in another pass
                self.on[self.next] = self.on[self.next] | on
        self.next += 1

    def on_network(self, network, inputs, output):
        self.next = 0

    @property
    def ran(self):
        return bool(self.on)

    def found(self):
        on = np.concatenate([to_numpy(on) for on in self.on])
        return rounded(1 - on.mean())


class Drift:
    """How far the first batch that each batch norm saw lay from its running mean.

    The running mean moves by `momentum` times that distance, so the distance is read from the move. The
    root mean square over all channels; n values a channel alone make it about 1/√n.
    """

    def __init__(self, network, hooks):
        norms = (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d))
        self.layers = [layer for layer in norms if layer.running_mean is not None]
        self.squares = {}
        for layer in self.layers:
            mean, var = layer.running_mean.data.copy(), layer.running_var.data.copy()
            hooks.callback(layer.register_forward_hook(partial(self.on_layer, mean, var)))

    def on_layer(self, mean, var, layer, inputs, output):
        if layer not in self.squares:
            with beside(mean):
                moved = (layer.running_mean.data - mean) / layer.momentum
                self.squares[layer] = moved * moved / (var + layer.eps)

    @property
    def ran(self):
        return bool(self.squares)

    def found(self):
        squares = np.concatenate([to_numpy(a) for a in self.squares.values()])
        return rounded(math.sqrt(squares.mean()))


def norm(array) -> float:
    """The square root of the sum of the squares of an array on any device."""
    with beside(array), np.errstate(over="ignore", invalid="ignore"):
        return float(row_norms(array.reshape(1, -1), 0.0)[0])


def total(norms: dict) -> float | None:
    """The norm of all parameters from those of each; None if one is not finite."""
    if None in norms.values():
        return None
    return rounded(math.sqrt(sum(n * n for n in norms.values())))


def rounded(x) -> float | None:
    """Five digits, which is more than is known; None for what is not finite, which JSON cannot say."""
    return float(f"{x:.5g}") if math.isfinite(x) else None
