"""Samples that have a truth each: how near they are to it, and whether they are as sharp and as varied."""

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor, grad, no_grad
from minigan.data.facades import LABELS, read_map
from minigan.optim import Adam
from minigan.optim.lr_scheduler import CosineAnnealingLR
from minigan.random import Generator

from . import checks
from .cache import classifier_for
from .evaluate import evaluate_seen
from .pictures import psnr, sharpness, ssim

SAMPLES = 500  # of a draw
BATCH = 100


class MapReader:
    """A network that reads the map of a picture of `facades` back: the label of each pixel, from what is
    around it. Trained on real pictures and their maps; `accuracy` is its share of right pixels on others.

    train, test: `data.Pairs` of a map x and a picture y.
    """

    def __init__(self, train, test, steps: int = 500, seed: int = 0):
        rng, layers, channels = Generator(seed), [], train.y.shape[0]
        for width, dilation in ((16, 1), (16, 2), (16, 4), (16, 1)):
            layers += [
                nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation, bias=False, generator=rng),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
        self.network = nn.Sequential(*layers, nn.Conv2d(channels, len(LABELS), 1, generator=rng))
        optimizer = Adam(self.network.parameters(), 3e-3)
        schedule = CosineAnnealingLR(optimizer, steps)
        batches = train.batches(min(16, len(train)), seed)
        for _ in range(steps):
            x, y = next(batches)
            logits = F.reshape(F.permute(self.network(Tensor(y)), 0, 2, 3, 1), -1, len(LABELS))
            loss = F.cross_entropy(logits, read_map(x).reshape(-1))
            optimizer.step(grad(loss, optimizer.params))
            schedule.step()
        self.network.eval()
        x, y = test.batch(np.arange(min(SAMPLES, len(test))))
        self.accuracy = self.right(y, read_map(x))

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """int64 (N, H, W), the number in `facades.LABELS` of each pixel of pictures (N, 3, H, W)."""
        with no_grad():
            logits = (self.network(Tensor(pictures[i : i + BATCH])) for i in range(0, len(pictures), BATCH))
            return np.concatenate([x.numpy().argmax(axis=1) for x in logits])

    def right(self, pictures: np.ndarray, labels: np.ndarray) -> float:
        """The share of pixels that it reads as the map (N, H, W) has them."""
        return float((self(pictures) == labels).mean())


def colour_spread(pictures: np.ndarray, labels: np.ndarray) -> float:
    """How much the mean colour of a part differs from house to house: the deviation, the mean over the parts
    that are of any colour and the channels. pictures: (N, 3, H, W). labels: (N, H, W)."""
    found = []
    for part in ("sky", "wall", "roof", "door"):
        where = labels == [*LABELS].index(part)
        there = where.any(axis=(1, 2))
        total = (pictures * where[:, None]).sum(axis=(2, 3), dtype=np.float64)[there]
        found.append((total / where.sum(axis=(1, 2))[there][:, None]).std(axis=0).mean())
    return float(np.mean(found))


# Each gives {quantity: (value, what the truths themselves get, or None)} of what was seen, images by name:
# the input x, what was made of it, and what is true.


def _compared(quantity, how):
    return lambda seen: {quantity: (how(seen["made"], seen["true"]), None)}


def colours(seen):
    """How much colours differ from house to house, over that of the true pictures."""
    spread, true = (colour_spread(seen[name], read_map(seen["x"])) for name in ("made", "true"))
    return {"colour spread over the truth's": (spread / true, None)}


METRICS = {
    "distance": _compared("L1", lambda made, true: np.abs(made - true).mean()),
    "psnr": _compared("PSNR", psnr),
    "ssim": _compared("SSIM", ssim),
    "sharpness": _compared("sharpness over the truth's", sharpness),
}
OF_MAPS = "map", "colours"
OF_LABELLED = ("read-as-label",)
OF_PAIRS = *METRICS, *OF_MAPS, *OF_LABELLED


def names_for(data) -> list[str]:
    """The metrics that there are for pairs like these."""
    maps, labelled = data.name == "facades", data.kind == "pair" and data.y.classes > 1
    return [*METRICS, *(OF_MAPS if maps else ()), *(OF_LABELLED if labelled else ())]


def labels_of(pictures: np.ndarray, data) -> np.ndarray:
    """int64 (n,): the label of each of some pictures of the `data.Dataset`, float32 (n, C, H, W) as its
    `batch` gives them. KeyError for one that is none of them."""
    known = {}
    for start, images in zip(data.slices(), data.blocks(), strict=True):
        known |= {a.tobytes(): label for a, label in zip(images, data.labels[start], strict=True)}
    stored = np.rint((pictures + 1) * 127.5).astype(np.uint8)
    return np.array([known[a.tobytes()] for a in stored])


def evaluate_pairs(
    draw,
    train,
    test,
    names=None,
    n: int | None = None,
    draws: int = 3,
    seed: int = 0,
    say=print,
    progress=lambda words: None,
) -> dict:
    """An evaluation, in the form of `metrics.evaluate`, of samples beside their truths.

    draw(n, seed): (inputs, samples, truths), images (n, C, H, W) in [-1, 1]. train, test: the `data.Pairs`
    that are not held out, and those that are. names: of METRICS, of facades also of OF_MAPS, and where the y
    have labels of OF_LABELLED; by default all.
    n: samples of a draw, by default 500, and at most the held-out pairs.

    of maps: "map read back", the share of pixels whose label a network of ours that has seen real pictures
    alone reads as the map has it; the floor is its share on the true pictures. "colour spread over the
    truth's", see `colour_spread`.
    of labels: "read as label", the share of samples in which the classifier of the y, true pictures, sees the
    label of the truth; the floor is its share on the truths.
    MiniganError for an unknown metric.
    """
    names = checks.names(names, names_for(train), "pairs")
    n, rng, classifier = min(n or SAMPLES, len(test)), Generator(seed), None
    measures = METRICS | {"colours": colours}
    if "map" in names:
        progress("training the reader of maps")
        reader = MapReader(train, test)
        say(f"reader of maps: {reader.accuracy:.2%} of the pixels of held-out true pictures")

        def map_read_back(seen):
            labels = read_map(seen["x"])
            return {"map read back": tuple(reader.right(seen[name], labels) for name in ("made", "true"))}

        measures["map"] = map_read_back
    if "read-as-label" in names:
        classifier = classifier_for(train.y, test.y, say=say)

        def read_as_label(seen):
            labels = labels_of(seen["true"], test.y)
            right = ((classifier.labels(seen[name]) == labels).mean() for name in ("made", "true"))
            return {"read as label": tuple(right)}

        measures["read-as-label"] = read_as_label

    def see():
        return dict(zip(("x", "made", "true"), draw(n, int(rng.integers(0, 2**31))), strict=True))

    found = evaluate_seen(see, {name: measures[name] for name in names}, n, draws, say)
    return found | {"classifier": classifier and classifier.facts}
