"""The models, a file each. All have the same public parts:

Config              the hyper-parameters, a dataclass that the command line is made from
networks(cfg, shape, rng)   -> G, D
optimizers(cfg, G, D)       -> opt_g, opt_d
noise(cfg, n, rng)          -> n latent vectors, the input of G
train(G, D, opt_g, opt_d, data, rng, cfg)   the loop: a generator function, one `next` is one step

A conditional model's networks take labels as a second input, and its loop batches with labels. Batches
have `cfg.batch_size * cfg.pack` samples.
"""

from dataclasses import fields
from types import ModuleType

from minigan.errors import MiniganError, did_you_mean

from . import cgan, dcgan, gan, wgan_gp

MODELS = {"gan": gan, "dcgan": dcgan, "cgan": cgan, "wgan-gp": wgan_gp}


def model_named(name: str) -> ModuleType:
    """The module of the model `name`. MiniganError with the nearest name for an unknown one."""
    if name not in MODELS:
        raise MiniganError(f"unknown model {name!r}; {did_you_mean(name, MODELS)}")
    return MODELS[name]


def is_conditional(model: ModuleType) -> bool:
    """Whether the model's networks take labels."""
    return any(field.name == "classes" for field in fields(model.Config))


def is_critic(model: ModuleType) -> bool:
    """Whether the model's D is a critic: it gives numbers, not the logits of being real."""
    return any(field.name == "penalty" for field in fields(model.Config))


__all__ = ["MODELS", "cgan", "dcgan", "gan", "is_conditional", "is_critic", "model_named", "wgan_gp"]
