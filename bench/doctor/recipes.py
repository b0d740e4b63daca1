"""Runs whose verdict is known by how they were made, and by a check of their own.

A recipe is a model, data, and settings that make a run well or ill. `holds` is asked whether the run did
become what its label says, of 2,000 fresh samples and of the losses of the last third of the steps
(`runs.check`). It uses none of the doctor's looks and thresholds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recipe:
    """label: the verdict that is right. why: how the recipe makes it so. holds: of the facts of `runs.check`.
    settings: the model's. images: learn from this many images only."""

    name: str
    label: str
    model: str
    data: str
    why: str
    holds: Callable[[dict], bool]
    settings: dict = field(default_factory=dict)
    images: int | None = None


def in_balance(c):
    """D's loss is neither 0 nor above that of guessing, and samples differ."""
    return 0.2 < c["d_loss"] < 1.45 and c["pixel_deviation"] > 0.3


RECIPES = (
    Recipe(
        "points",
        "healthy",
        "gan",
        "grid25",
        "batch 128 finds most of the 25 modes",
        lambda c: c["modes"] >= 15,
        {"steps": 1500, "batch_size": 128, "lr": 1e-3},
    ),
    Recipe(
        "perceptrons",
        "healthy",
        "gan",
        "digits",
        "the usual settings",
        in_balance,
        {"steps": 400, "size": 16},
    ),
    Recipe(
        "convolutions",
        "healthy",
        "dcgan",
        "digits",
        "the paper's rates, narrow",
        in_balance,
        {"steps": 500, "width": 8, "lr": 2e-4, "lr_d": 2e-4},
    ),
    Recipe(
        "critic",
        "healthy",
        "wgan-gp",
        "digits",
        "the usual settings, narrow; one step of D",
        lambda c: c["penalty"] < 1 and c["pixel_deviation"] > 0.2,
        {"steps": 400, "width": 8, "n_critic": 1, "lr": 5e-4},
    ),
    Recipe(
        "labels",
        "healthy",
        "cgan",
        "digits",
        "the usual settings, narrow, of convolutions",
        in_balance,
        {"steps": 400, "width": 8, "batch_size": 64, "lr": 2e-4, "lr_d": 2e-4},
    ),
    Recipe(
        "packs of four",
        "healthy",
        "gan",
        "ring8",
        "D judges four points at once, and G finds all of the ring",
        lambda c: c["modes"] >= 7,
        {"steps": 2000, "pack": 4, "batch_size": 128, "lr": 1e-3},
    ),
    Recipe(
        "ring",
        "mode collapse",
        "gan",
        "ring8",
        "the usual GAN hops from mode to mode on the ring",
        lambda c: c["modes"] <= 4,
        {"steps": 2000},
    ),
    Recipe(
        "weak D",
        "mode collapse",
        "dcgan",
        "digits",
        "G learns 100 times as fast as D, and finds the one image that D likes most",
        lambda c: c["pixel_deviation"] < 0.25,
        {"steps": 400, "width": 8, "lr": 2e-3, "lr_d": 2e-5},
    ),
    Recipe(
        "labels of perceptrons",
        "mode collapse",
        "cgan",
        "digits",
        "the usual settings: a picture or two of each digit",
        lambda c: c["pixel_deviation"] < 0.25,
        {"steps": 400, "size": 16, "net": "mlp", "batch_size": 64, "lr": 2e-4, "lr_d": 2e-4},
    ),
    Recipe(
        "strong D",
        "discriminator too strong",
        "dcgan",
        "digits",
        "D learns 20 times as fast as G",
        lambda c: c["d_real"] > 0.98 and c["d_fake"] < 0.02,
        {"steps": 400, "width": 8, "lr": 5e-5, "lr_d": 1e-3},
    ),
    Recipe(
        "strong D with labels",
        "discriminator too strong",
        "cgan",
        "digits",
        "D learns 20 times as fast as G",
        lambda c: c["d_real"] > 0.98 and c["d_fake"] < 0.02,
        {"steps": 300, "width": 8, "batch_size": 64, "lr": 5e-5, "lr_d": 1e-3},
    ),
    Recipe(
        "minimax",
        "generator gradient vanished",
        "gan",
        "digits",
        "log(1 - D(G(z))) is flat where D is sure, and D learns 100 times as fast",
        lambda c: abs(c["g_loss"]) < 0.01,
        {"steps": 400, "size": 16, "loss": "minimax", "lr": 1e-5, "lr_d": 1e-3},
    ),
    Recipe(
        "minimax at 28 pixels",
        "generator gradient vanished",
        "gan",
        "digits",
        "the same in larger networks, where D learns 50 times as fast",
        lambda c: abs(c["g_loss"]) < 0.01,
        {"steps": 300, "size": 28, "loss": "minimax", "lr": 2e-5, "lr_d": 1e-3},
    ),
    Recipe(
        "great steps",
        "diverging",
        "gan",
        "grid25",
        "a learning rate of 0.05",
        lambda c: c["d_loss_deviation"] > 2,
        {"steps": 1500, "lr": 0.05, "batch_size": 128},
    ),
    Recipe(
        "no penalty",
        "diverging",
        "wgan-gp",
        "ring8",
        "a critic without a penalty has no bound",
        lambda c: c["penalty"] > 20,
        {"steps": 600, "penalty": 0.0, "lr": 2e-3, "n_critic": 1},
    ),
    Recipe(
        "no penalty on images",
        "diverging",
        "wgan-gp",
        "digits",
        "the same of images",
        lambda c: c["penalty"] > 20,
        {"steps": 300, "width": 8, "n_critic": 1, "penalty": 0.0, "lr": 2e-3},
    ),
    Recipe(
        "momentum",
        "oscillating",
        "gan",
        "ring8",
        "momentum 0.95 and a learning rate of 0.005",
        lambda c: 0.4 < c["d_loss_deviation"] < 2,
        {"steps": 2000, "beta1": 0.95, "lr": 5e-3},
    ),
    Recipe(
        "hare and tortoise",
        "oscillating",
        "gan",
        "digits",
        "D learns 50 times as fast, G gets away from it all the same, and is caught again",
        lambda c: 0.4 < c["d_loss_deviation"] < 2,
        {"steps": 400, "size": 16, "lr": 2e-5, "lr_d": 1e-3},
    ),
    Recipe(
        "few images",
        "memorising",
        "gan",
        "digits",
        "16 images are all there is to learn",
        lambda c: c["to_nearest"] < 0.5,
        {"steps": 1000, "size": 16, "batch_size": 16, "lr": 1e-3},
        images=16,
    ),
)
