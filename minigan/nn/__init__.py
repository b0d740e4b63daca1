"""Networks: modules that own parameters, and ways to initialise them."""

from . import init
from .activations import ELU, GELU, SELU, LeakyReLU, Maxout, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .layers import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    Flatten,
    GroupNorm,
    Identity,
    InstanceNorm2d,
    LayerNorm,
    Linear,
    Sequential,
    Unflatten,
    Upsample,
)
from .module import Module, Parameter, functional_call

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Identity",
    "InstanceNorm2d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Maxout",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Unflatten",
    "Upsample",
    "functional_call",
    "init",
]
