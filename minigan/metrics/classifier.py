"""A small convolutional classifier: the eye of the metrics that look at what an image shows, or a sound says.

FID looks through a network trained on photographs, which sees little in grey digits. This one is trained on
the very data that the GAN learns. It makes numbers of different data incomparable, so every number is shown
with the classifier's test accuracy and hash.

    of sounds, their `spectrograms`
    4x4 convolutions, stride 2, until at most 4 pixels are left; 32 channels, then twice as many, up to 128
    batch norm and LeakyReLU 0.1 after each
    64 features (linear, batch norm, LeakyReLU), dropout, one logit a class
"""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.data import Batches, Dataset
from minigan.data.kinds import plural
from minigan.errors import MiniganError
from minigan.optim import Adam
from minigan.optim.lr_scheduler import CosineAnnealingLR
from minigan.random import Generator

from . import checks
from .spectrograms import FORMAT, PICTURE, spectrograms

LOOKED_AT = "image", "sound"  # the kinds of data
FEATURES = 64
BATCH = 500  # images at once in evaluation


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained; with the data, what its cached file is found by."""

    steps: int = 4000
    batch_size: int = 64
    width: int = 32
    lr: float = 2e-3
    dropout: float = 0.5
    seed: int = 0


SETTINGS = Settings()


class Classifier:
    """A trained network and what is known of it.

    shape: (C, H, W) of the images, or (1, L) of sounds. classes: how many. accuracy: share of the test
    samples it is right on. data: the name of the dataset. lowest: the darkest pixel of that, -1 of sounds.
    hash: 8 hex digits of the weights.

    The methods take float images (N, C, H, W) or sounds (N, 1, L) in [-1, 1], any number of them, and give
    NumPy arrays. MiniganError for samples of another shape or range.
    """

    def __init__(self, network, data: str, shape, classes: int, lowest: float, accuracy: float = 0.0):
        self.network, self.data, self.accuracy = network.eval(), data, accuracy
        self.shape, self.classes, self.lowest = tuple(shape), classes, lowest
        self.hash = weights_hash(network)

    @property
    def facts(self) -> dict:
        """Which classifier it is, JSON-able."""
        return {"accuracy": self.accuracy, "hash": self.hash, "data": self.data}

    def features(self, images) -> np.ndarray:
        """float32 (N, 64), what the last layer decides from."""
        return self._batched(self.network[:-2], images, FEATURES)

    def logits(self, images) -> np.ndarray:
        """float32 (N, classes)."""
        return self._batched(self.network, images, self.classes)

    def probabilities(self, images) -> np.ndarray:
        """float64 (N, classes), rows that sum to 1."""
        return softmax(self.logits(images))

    def labels(self, images) -> np.ndarray:
        """int64 (N,), the likeliest class of each."""
        return self.logits(images).argmax(axis=1)

    def logits_of(self, features) -> np.ndarray:
        """The logits of images whose features are known."""
        with no_grad():
            return self.network[-1](Tensor(features)).numpy()

    def _batched(self, network, images, width):
        what = "the images" if len(self.shape) == 3 else "the sounds"
        checks.samples(what, images, self.shape, self.lowest)
        out = np.empty((len(images), width), np.float32)
        network.eval()
        with no_grad():
            for i in range(0, len(images), BATCH):
                out[i : i + BATCH] = network(Tensor(seen(images[i : i + BATCH]))).numpy()
        return out


def train_classifier(train: Dataset, test: Dataset, settings: Settings = SETTINGS, progress=None):
    """A Classifier of `train`, its accuracy measured on `test`: Adam, the rate falling along a cosine.

    progress: called with (step, steps) after each step. The same settings give the same bits.
    MiniganError for data that are neither images nor sounds, have no labels or one class, or fewer samples
    than a batch norm needs.
    """
    network = build(train, settings)
    batches = Batches(train, min(settings.batch_size, len(train)), settings.seed, labels=True)
    optimizer = Adam(network.parameters(), settings.lr)
    schedule = CosineAnnealingLR(optimizer, settings.steps)
    network.train()
    for step in range(1, settings.steps + 1):
        images, labels = next(batches)
        loss = F.cross_entropy(network(Tensor(seen(images))), labels)
        optimizer.step(grad(loss, optimizer.params))
        schedule.step()
        if progress:
            progress(step, settings.steps)
    classifier = Classifier(network, train.name, train.shape, train.classes, train.lowest)
    classifier.accuracy = _accuracy(classifier, test)
    return classifier


def build(data: Dataset, settings: Settings) -> nn.Sequential:
    """The untrained network for `data`; [:-2] gives the features. MiniganError: see train_classifier."""
    if data.kind not in LOOKED_AT:
        these = " and ".join(map(plural, LOOKED_AT))
        raise MiniganError(f"a classifier looks at {these}, {data.name} has {plural(data.kind)}")
    if data.labels is None:
        raise MiniganError(f"a classifier learns from labels, {data.name} has none")
    if data.classes < 2 or len(data) < 2:
        raise MiniganError(f"a classifier needs samples of two classes, {data.name} has {data.classes}")
    rng = Generator(settings.seed)
    channels, height, width = data.shape if data.kind == "image" else PICTURE
    layers, wide = [], settings.width
    while max(height, width) > 4:
        layers += [nn.Conv2d(channels, wide, 4, 2, 1, bias=False, generator=rng)]
        layers += [nn.BatchNorm2d(wide), nn.LeakyReLU(0.1)]
        channels, height, width = wide, height // 2, width // 2
        wide = min(2 * wide, 4 * settings.width)
    inputs = channels * height * width
    layers += [nn.Flatten(), nn.Linear(inputs, FEATURES, bias=False, generator=rng)]
    layers += [nn.BatchNorm1d(FEATURES), nn.LeakyReLU(0.1)]
    layers += [nn.Dropout(settings.dropout, rng), nn.Linear(FEATURES, data.classes, generator=rng)]
    return nn.Sequential(*layers)


def weights_hash(network) -> str:
    """8 hex digits of the weights and running statistics."""
    digest = hashlib.sha256()
    for name, array in sorted(network.state_dict().items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()[:8]


def description(settings: Settings, kind: str = "image") -> dict:
    """What a classifier of some data of a kind depends on, JSON-able."""
    looks = {"spectrograms": FORMAT} if kind == "sound" else {}
    return {"architecture": 1, "features": FEATURES, **looks, **asdict(settings)}


def softmax(logits) -> np.ndarray:
    """Probabilities of logits (N, C), in float64."""
    logits = np.asarray(logits, np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _accuracy(classifier, test):
    right = 0
    for i in range(0, len(test), 4 * BATCH):
        batch = np.arange(i, min(i + 4 * BATCH, len(test)))
        right += int((classifier.logits(test.batch(batch)).argmax(axis=1) == test.labels[batch]).sum())
    return right / len(test)


def seen(samples):
    """What the network sees of images (N, C, H, W), or of sounds (N, 1, L): float32, channels-last in memory,
    the order that convolutions work in."""
    pictures = samples if samples.ndim == 4 else spectrograms(samples)
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1), np.float32).transpose(0, 3, 1, 2)
