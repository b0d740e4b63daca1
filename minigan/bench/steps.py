"""The training steps that are timed, and what both sides are told of them."""

from dataclasses import asdict, dataclass, field
from types import ModuleType

import numpy as np

from minigan import Generator
from minigan.gans import dcgan, gan

from .compare import LOSSES
from .minigan_side import critic

BATCHES = 4  # of data, taken in turn
WGAN_GP = {"lr": 1e-4, "beta1": 0.0, "beta2": 0.9}  # Gulrajani et al. 2017, Algorithm 1


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
        return len(self.shape) == 3 and self.model != "gan"


DCGAN_32 = Step("dcgan-32", "DCGAN, 32×32×1", "dcgan", (1, 32, 32), 64)
DCGAN_64 = Step("dcgan-64", "DCGAN, 64×64×3", "dcgan", (3, 64, 64), 32)
MLP = Step("mlp", "MLP GAN, 28×28", "gan", (1, 28, 28), 64)
POINTS = Step("points", "MLP GAN in the plane", "gan", (2,), 128, {"latent": 2})
CRITIC = Step("wgan-gp", "WGAN-GP critic, 32×32×1", "wgan-gp", (1, 32, 32), 64, WGAN_GP)
GAN_STEPS = DCGAN_32, DCGAN_64, MLP, POINTS
STEPS = *GAN_STEPS, CRITIC


def module_of(step: Step) -> ModuleType:
    """The model file with the step's Config and networks."""
    return gan if step.model == "gan" else dcgan


def job(step: Step, given: int = len(LOSSES), data: list[np.ndarray] | None = None) -> dict:
    """All that a side needs, in plain words and arrays: weights, data, and the noise of `given` steps.

    data: the batches, taken in turn; by default uniform noise. After the given steps each side draws
    its own noise, as in a run.
    """
    rng, model = np.random.default_rng(0), module_of(step)
    cfg = model.Config(batch_size=step.batch_size, **step.settings)
    shape, is_critic = (step.batch_size, *step.shape), step.model == "wgan-gp"
    names = ("data", "fakes") if is_critic else ("data",)
    batches = {name: [rng.uniform(-1, 1, shape) for _ in range(BATCHES)] for name in names}
    if data is not None:
        batches["data"] = data
    if is_critic:
        nets = {"D": critic(cfg, step.shape, Generator(1))}
        batches["noise"] = [rng.uniform(size=(step.batch_size, 1, 1, 1)) for _ in range(given)]
    else:
        nets = dict(zip("GD", model.networks(cfg, step.shape, Generator(1)), strict=True))
        batches["noise"] = [rng.normal(size=(step.batch_size, cfg.latent)) for _ in range(given)]
    return {
        "model": step.model,
        "shape": step.shape,
        "settings": asdict(cfg),
        "weights": {name: net.state_dict() for name, net in nets.items()},
        **{name: [a.astype(np.float32) for a in arrays] for name, arrays in batches.items()},
        **({"penalty": 10.0, "eps": 1e-12} if is_critic else {}),
    }
