"""The training steps that are timed, and what both sides are told of them."""

from dataclasses import asdict, dataclass, field

import numpy as np

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.model import networks
from minigan.gans.parts.penalties import EPS

from .compare import LOSSES

BATCHES = 4  # of data, taken in turn
SEED = 1  # of the noise


@dataclass(frozen=True)
class Step:
    """A step of one model on samples of one shape. `settings` are those of its Config."""

    name: str
    title: str
    model: str
    shape: tuple[int, ...]
    batch_size: int
    settings: dict = field(default_factory=dict, hash=False)

    @property
    def layouts(self) -> bool:
        """Whether PyTorch has a choice between memory layouts here."""
        return len(self.shape) >= 3 and self.model != "gan"


DCGAN_32 = Step("dcgan-32", "DCGAN, 32×32×1", "dcgan", (1, 32, 32), 64)
DCGAN_64 = Step("dcgan-64", "DCGAN, 64×64×3", "dcgan", (3, 64, 64), 32)
MLP = Step("mlp", "MLP GAN, 28×28", "gan", (1, 28, 28), 64)
POINTS = Step("points", "MLP GAN in the plane", "gan", (2,), 128, {"latent": 2})
CRITIC = Step("wgan-gp", "WGAN-GP critic, 32×32×1", "wgan-gp", (1, 32, 32), 64)
FILMS = Step("next-frame", "Next frame, 6 frames of 16×16×1", "next-frame", (6, 1, 16, 16), 16)
GAN_STEPS = DCGAN_32, DCGAN_64, MLP, POINTS
STEPS = *GAN_STEPS, CRITIC, FILMS


def job(
    step: Step, given: int = len(LOSSES), data: list[np.ndarray] | None = None, device: str = "cpu"
) -> dict:
    """All that a side needs, in plain words and arrays: weights, data, and the noise of `given` steps.

    data: the batches, taken in turn; by default uniform noise. The given noise is what minigan's loop draws
    by itself; after it the others draw their own, as in a run.
    """
    rng, noise, model = np.random.default_rng(0), Generator(SEED), model_named(step.model)
    cfg = model.Config(batch_size=step.batch_size, **step.settings).fitted(fields_of(step.shape))
    shape, is_critic = (step.batch_size, *step.shape), step.model == "wgan-gp"
    names = ("data", "fakes") if is_critic else ("data",)
    batches = {name: [rng.uniform(-1, 1, shape).astype(np.float32) for _ in range(BATCHES)] for name in names}
    if data is not None:
        batches["data"] = data
    nets = networks(model.parts(cfg, fields_of(step.shape), Generator(1)))
    if is_critic:
        del nets["G"]
        batches |= {"noise": [noise.uniform((step.batch_size, 1, 1, 1)) for _ in range(given)], "eps": EPS}
    else:
        vectors = step.batch_size
        if step.model == "next-frame":  # some for each frame that has enough before it
            vectors *= cfg.draws * (step.shape[0] - cfg.past)
        batches["noise"] = [noise.normal((vectors, cfg.latent)) for _ in range(given)]
    return {
        "model": step.model,
        "shape": step.shape,
        "settings": asdict(cfg),
        "weights": {name: net.state_dict() for name, net in nets.items()},
        **batches,
        **{"seed": SEED, "device": device, "precision": "fp32", "graph": True},
    }


def fields_of(shape) -> Fields:
    """The fields of a dataset of clips, images or points of one shape: (T, C, H, W), (C, H, W) or (n,)."""
    kind = {4: "clip", 3: "image", 1: "point"}[len(shape)]
    return Fields({kind: Field(kind, tuple(shape))})
