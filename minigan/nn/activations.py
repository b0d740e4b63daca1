"""Activations as layers, for use in Sequential. Their formulas are in `minigan.functional`."""

import inspect

from minigan import functional as F
from minigan.arguments import checked

from .module import Module


class _Activation(Module):
    """A layer without parameters: F's function of the same name, with settings."""

    function = None

    def __init__(self, **settings):
        super().__init__()
        unknown = settings.keys() - inspect.signature(type(self).function).parameters.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__}: there is no setting {', '.join(sorted(unknown))}")
        self.settings = settings

    def forward(self, x):
        return type(self).function(x, **self.settings)

    def extra_repr(self):
        return ", ".join(f"{k}={v}" for k, v in self.settings.items())


class ReLU(_Activation):
    function = F.relu
    negative_slope = 0.0


class SELU(_Activation):
    function = F.selu


class Tanh(_Activation):
    function = F.tanh


class Sigmoid(_Activation):
    function = F.sigmoid


class Softplus(_Activation):
    function = F.softplus


class LeakyReLU(_Activation):
    function = F.leaky_relu

    @checked()
    def __init__(self, negative_slope=0.01):
        super().__init__(negative_slope=negative_slope)

    @property
    def negative_slope(self):
        return self.settings["negative_slope"]


class ELU(_Activation):
    function = F.elu

    @checked()
    def __init__(self, alpha=1.0):
        super().__init__(alpha=alpha)


class GELU(_Activation):
    function = F.gelu

    @checked()
    def __init__(self, approximate="none"):
        super().__init__(approximate=approximate)


class Softmax(_Activation):
    function = F.softmax

    @checked()
    def __init__(self, axis=-1):
        super().__init__(axis=axis)


class Maxout(_Activation):
    """The largest of each `pieces` neighbouring channels: C · pieces -> C."""

    function = F.maxout

    @checked()
    def __init__(self, pieces, axis=1):
        super().__init__(pieces=pieces, axis=axis)
