"""Images of two domains that were turned into each other: where the data know the truth, numbers against it.

What a model of domains makes is called "G(x)", which is to be as the y are, "F(y)", and on the way back
"F(G(x))" and "G(F(y))".
"""

import numpy as np

from minigan.data.animals import COATS, read_coats, read_silhouettes
from minigan.random import Generator

from . import checks
from .cache import classifier_for
from .codes import assignment_error
from .evaluate import evaluate_seen

SAMPLES = 500  # of each domain, of a draw


# Each gives {quantity: (value, what real images get, or None)} of what was seen, images by name.


def cycle(seen):
    """How far images are from themselves after the way there and back."""
    return {
        f"L1 of {made}": (np.abs(seen[made] - seen[own]).mean(), None) for own, made in BACK_AGAIN.items()
    }


def coats(seen):
    """Which share of the animals has the coat of the domain, as `read_coats` sees it; and on which share of
    real brown ones it sees stripes."""
    found = {}
    for coat, domain, made in (("striped", "y", "G(x)"), ("brown", "x", "F(y)")):
        for name in (made, BACK_AGAIN[domain]):
            found[f"{coat} {name}"] = _share(seen[name], coat), _share(seen[domain], coat)
    return found | {"striped x": (_share(seen["x"], "striped"), None)}


def _share(pictures, coat):
    return (read_coats(pictures) == COATS.index(coat)).mean()


def meadow(seen):
    """How much a pixel changes that is not of the animal: the mean of |difference|, of images in [-1, 1]."""
    found = {}
    for own, made in THERE.items():
        change = np.abs(seen[made] - seen[own]).mean(axis=1)
        found[f"meadow's change in {made}"] = change[~read_silhouettes(seen[own])].mean(), None
    return found


def pose(seen):
    """How well the silhouette of an animal covers that of the one it was made of: the pixels that both have
    over those that either has, the mean over the animals."""
    found = {}
    for own, made in THERE.items():
        before, after = read_silhouettes(seen[own]), read_silhouettes(seen[made])
        both, either = (f(before, after).sum(axis=(1, 2)) for f in (np.logical_and, np.logical_or))
        found[f"overlap of {made}"] = (both / either).mean(), None
    return found


class Labels:
    """Whether an image that was turned into the other domain has the label that it had, as a classifier of
    that domain reads it, which has seen real ones alone.

    train, test: `data.Domains` with labels in both.
    """

    def __init__(self, train, test, say):
        halves = ((getattr(train, domain), getattr(test, domain)) for domain in THERE)
        self.readers = dict(zip(THERE, (classifier_for(*both, say=say) for both in halves), strict=True))

    def __call__(self, seen):
        found = {}
        for own, made in THERE.items():
            (reader,) = (reader for domain, reader in self.readers.items() if domain != own)
            read = reader.labels(seen[made].clip(reader.lowest, 1))
            labels = seen[f"labels of {own}"]
            found[f"label kept in {made}"] = (read == labels).mean(), reader.accuracy
            found[f"label kept or renamed in {made}"] = 1 - assignment_error(read, labels), None
        return found


THERE = {"x": "G(x)", "y": "F(y)"}
BACK_AGAIN = {"x": "F(G(x))", "y": "G(F(y))"}
METRICS = {"cycle": cycle}
OF_ANIMALS = {"coats": coats, "meadow": meadow, "pose": pose}
OF_DOMAINS = *METRICS, *OF_ANIMALS, "labels"


def names_for(data) -> list[str]:
    """The metrics that there are for domains like these."""
    labels = data.x.labels is not None and data.y.labels is not None
    return [*METRICS, *(OF_ANIMALS if data.name == "animals" else ()), *(["labels"] if labels else ())]


def evaluate_domains(
    make,
    train,
    test,
    names=None,
    n: int | None = None,
    draws: int = 3,
    seed: int = 0,
    say=print,
    progress=lambda words: None,
) -> dict:
    """An evaluation, in the form of `metrics.evaluate`, of images that were turned into the other domain.

    make(images): of {"x", "y"}, images (n, C, H, W) in [-1, 1], what was made of them by name: "G(x)",
    "F(y)", "F(G(x))", "G(F(y))". train, test: the `data.Domains` that were learned from and are held out.
    names: by default all of `names_for`.
    n: images of each domain in a draw, by default 500, and at most the held-out ones of the smaller domain.

    cycle: "L1 of F(G(x))", how far an image is from itself after the way there and back; so for y.
    coats, of animals: "striped G(x)", the share that has stripes, "brown F(y)" that became brown, so on the
    way back; the floor is the share of real ones that is seen as such, "striped x" that of real brown ones.
    meadow, of animals: "meadow's change in G(x)", how much a pixel behind the animal changes. pose, of
    animals: "overlap of G(x)", of its silhouette and the one before.
    labels: "label kept in G(x)", by a classifier of y that has seen real ones alone, whose share on real ones
    is the floor; "kept or renamed" where labels may be swapped, as well as can be.
    MiniganError for an unknown metric.
    """
    names = checks.names(names, names_for(train), "domains")
    n = min(n or SAMPLES, len(test.x), len(test.y))
    measures, rng = METRICS | OF_ANIMALS, Generator(seed)
    if "labels" in names:
        progress("the classifiers of both domains")
        measures["labels"] = Labels(train, test, say)

    def see():
        halves = {domain: getattr(test, domain) for domain in THERE}
        halves = {name: half.part(rng.permutation(len(half))[:n]) for name, half in halves.items()}
        seen = {name: half.batch(slice(None)) for name, half in halves.items()}
        return seen | {f"labels of {name}": half.labels for name, half in halves.items()} | make(seen)

    return evaluate_seen(see, {name: measures[name] for name in names}, n, draws, say)
