"""What steering looks at: a classifier's answers and attributes, as one scale for all of them."""

import copy
import math

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor, no_grad
from minigan.backend import device
from minigan.data import Dataset
from minigan.errors import MiniganError, did_you_mean
from minigan.metrics import Classifier
from minigan.random import Generator

from .attributes import ATTRIBUTES

REAL = 2000  # training samples that an attribute's deviation is measured on
CHUNK = 500  # samples at once


def network_at(classifier: Classifier, place):
    """A copy of a classifier's network on a device."""
    return copy.deepcopy(classifier.network).eval().to(place)


class Eyes:
    """A classifier, and the attributes of the data's kind in deviations of the real samples.

    data: the training data. classifier: of them, or None where they have no labels. place: where samples lie.
    names: of the attributes. scale: {name: (mean, deviation)} among real samples. present: the classes that
    the classifier saw.
    MiniganError for data of a kind without attributes, or a classifier of samples of another shape.
    """

    def __init__(self, data: Dataset, classifier: Classifier | None, place="cpu"):
        if data.kind not in ATTRIBUTES:
            raise MiniganError(f"steering looks at pictures, {data.name} has {data.kind}s")
        if classifier is not None and classifier.shape != data.shape:
            raise MiniganError(
                f"steering needs a classifier of what {data.name} shows, {data.shape}; there is one of "
                f"{classifier.data}, {classifier.shape}"
            )
        self.data, self.classifier, self.device = data.name, classifier, device(place)
        self.network = classifier and network_at(classifier, self.device)
        self.present = () if data.labels is None else tuple(np.unique(data.labels).tolist())
        self.names, self._measure = ATTRIBUTES[data.kind]
        chosen = np.sort(Generator(0).permutation(len(data))[:REAL])
        values = self._in_chunks(self._measured, data.batch(chosen))
        deviation = values.std(axis=0)
        self.mean, self.deviation = values.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        self.scale = {
            name: (float(m), float(s))
            for name, m, s in zip(self.names, self.mean, self.deviation, strict=True)
        }

    def _measured(self, x):
        return F.stack([*self._measure(x).values()], axis=1)

    def attributes_of(self, x: Tensor) -> Tensor:
        """Samples -> (N, attributes), in deviations of the real samples from their mean."""
        mean, deviation = (Tensor(a.astype(x.dtype), device=self.device) for a in (self.mean, self.deviation))
        return (self._measured(x) - mean) / deviation

    def odds_of(self, x: Tensor, labels) -> Tensor:
        """log p - log(1 - p) of the class labels[i] in sample i, (N,): 0 where the classifier gives it a
        half. labels: integers (N,)."""
        logits = self.network(x)
        own = Tensor(np.eye(logits.shape[1], dtype=bool)[labels], device=self.device)
        others = F.masked_fill(logits, own, -math.inf)
        return F.where(own, logits, 0.0).sum(axis=1) - F.logsumexp(others, axis=1)

    def attributes(self, samples: np.ndarray) -> np.ndarray:
        """`attributes_of` arrays of any length."""
        return self._in_chunks(self.attributes_of, samples)

    def odds(self, samples: np.ndarray, label: int) -> np.ndarray:
        """`odds_of` one class in arrays of any length."""
        return self._in_chunks(lambda x: self.odds_of(x, np.full(len(x), label)), samples)

    def labels(self, samples: np.ndarray) -> np.ndarray:
        """int64 (N,): the likeliest class of each."""
        return self._in_chunks(self.network, samples).argmax(axis=1)

    def _in_chunks(self, function, samples):
        with no_grad(), self.device.active():
            return np.concatenate(
                [
                    function(Tensor(samples[i : i + CHUNK], device=self.device)).numpy()
                    for i in range(0, len(samples), CHUNK)
                ]
            )

    def check_class(self, label: int):
        """MiniganError unless it is a class that the classifier saw."""
        if self.classifier is None:
            raise MiniganError(
                f"{self.data} has no labels, so that no classifier knows a class {label}; what can be "
                f"measured without: {', '.join(self.names)}"
            )
        if label not in self.present:
            known = ", ".join(map(str, self.present[:20]))
            raise MiniganError(f"the classifier of {self.data} never saw a class {label}; it saw {known}")


class Aim:
    """What a picture is to come to, and what of it is to stay, seen from the pictures `before`.

    towards: a class, "7", or an attribute, "slant"; then by: how many deviations of the real data it is to
    rise. sure: the probability that the classifier has to give a class.
    MiniganError for what is neither, a class that the classifier never saw, by = 0, or a `by` for a class.
    """

    def __init__(self, eyes: Eyes, before: np.ndarray, towards: str, by: float | None, sure: float):
        self.eyes, self.name = eyes, str(towards)
        self.label = int(towards) if str(towards).isdecimal() else None
        if not 0.5 <= sure < 1:
            raise MiniganError(f"sure must be a probability from 0.5 to below 1, got {sure}")
        self.odds = math.log(sure / (1 - sure)) or 1.0
        self.enough = math.log(sure / (1 - sure)) / self.odds
        if self.label is None:
            if self.name not in eyes.names:
                known = [*map(str, eyes.present), *eyes.names] if eyes.classifier else eyes.names
                raise MiniganError(
                    f"cannot steer towards {towards!r}: it is no class and no attribute of {eyes.data}; "
                    f"{did_you_mean(self.name, known)}"
                )
            self.by = 1.5 if by is None else by
            if not (self.by and math.isfinite(self.by)):
                raise MiniganError(f"by must be a number of deviations that is not 0, got {by}")
        else:
            eyes.check_class(self.label)
            if by is not None:
                raise MiniganError(f"by is for an attribute; class {self.label} is there or not, got {by}")
        self.others = [i for i, name in enumerate(eyes.names) if name != self.name]
        self.attributes = eyes.attributes(before)
        self.labels = None if eyes.classifier is None else eyes.labels(before)

    def missing(self, x: Tensor, which) -> Tensor:
        """How much of it pictures lack that came from those of numbers `which`, (n,): none where it is at
        most 0. Of a class in units of the log-odds asked for, of an attribute in deviations."""
        if self.label is not None:
            asked = np.full(len(x), self.label)
            return self.enough - self.eyes.odds_of(x, asked) / self.odds
        j = self.eyes.names.index(self.name)
        wanted = Tensor(self.attributes[which, j] + np.float32(self.by), device=x.device)
        return (wanted - self.eyes.attributes_of(x)[:, j]) * float(np.sign(self.by))

    def answers(self, samples: np.ndarray) -> np.ndarray:
        """How much of it arrays of any length show, (n,); of a class no more than is asked for, nor less than
        its opposite."""
        if self.label is None:
            return self.eyes.attributes(samples)[:, self.eyes.names.index(self.name)] * np.sign(self.by)
        return self.eyes.odds(samples, self.label).clip(-self.odds, self.odds)

    def rest(self, x: Tensor, which) -> Tensor:
        """What is to stay, (n, k): the other attributes, in deviations; of an attribute also the class that
        the classifier saw before, 1 where it is sure of it and -1 where it is sure of another one."""
        kept = self.eyes.attributes_of(x)[:, self.others]
        if self.label is not None or self.labels is None:
            return kept
        certainty = F.clip(self.eyes.odds_of(x, self.labels[which]) / self.odds, -1.0, 1.0)
        return F.concat([kept, certainty[:, None]], axis=1)
