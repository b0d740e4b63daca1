"""The models, a file each. All have the same public parts:

Config              the hyper-parameters, a dataclass that the command line is made from
default_size(n)     the image size to train at on data of n pixels
networks(cfg, shape, rng)   -> G, D
optimizers(cfg, G, D)       -> opt_g, opt_d
noise(cfg, n, rng)          -> n inputs of G
train(G, D, opt_g, opt_d, data, rng, cfg)   the loop: a generator function, one `next` is one step
"""

from types import ModuleType

from minigan.errors import MiniganError, did_you_mean

from . import dcgan, gan

MODELS = {"gan": gan, "dcgan": dcgan}


def model_named(name: str) -> ModuleType:
    """The module of the model `name`. MiniganError with the nearest name for an unknown one."""
    if name not in MODELS:
        raise MiniganError(f"unknown model {name!r}; {did_you_mean(name, MODELS)}")
    return MODELS[name]


__all__ = ["MODELS", "dcgan", "gan", "model_named"]
