"""What an evaluation compares with: real data, and the classifier of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from minigan.data import Dataset, has_test, load
from minigan.data.batches import as_seen
from minigan.errors import MiniganError

from . import checks
from .cache import classifier_for, place_of, splits
from .classifier import BATCH, SETTINGS, Classifier, build, softmax, train_classifier
from .films import frames_of


@dataclass(eq=False)
class EvaluationData:
    """train: the training data. learned: what the model learned from, where that is a few of those.
    test: real samples that it is compared with; unseen: whether it did not learn from those. conditional:
    whether the model makes what a label asks for; told: whether it makes what a text asks for, and its
    sampler gives that text with the samples. encode: of a model that has a vector for each sample,
    samples (n, *shape) -> codes (n, d).

    `EvaluationData.load(name)` makes one of a dataset's name. The classifier is trained, or read from the
    cache, when the first metric asks for it. MiniganError for a conditional model of data without labels, one
    that is told a text of data without it, or train and test of different shapes.
    """

    train: Dataset
    test: Dataset
    conditional: bool = False
    unseen: bool = True
    given_classifier: Classifier | None = field(default=None, repr=False)
    digits: tuple[Dataset, Dataset] | None = field(default=None, repr=False)
    learned: Dataset = field(default=None, repr=False)  # type: ignore[assignment]  # set in __post_init__
    say: Callable[[str], None] = field(default=print, repr=False)
    encode: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    told: bool = False

    def __post_init__(self):
        self.learned = self.train if self.learned is None else self.learned
        if self.train.shape != self.test.shape:
            raise MiniganError(
                f"train has samples of shape {self.train.shape}, test has samples of shape {self.test.shape}"
            )
        if self.conditional and self.train.labels is None:
            raise MiniganError(f"a conditional model needs labels, {self.train.name} has none")
        if self.told and self.train.text is None:
            raise MiniganError(f"a model that is told a text needs one, {self.train.name} has none")

    @classmethod
    def load(
        cls,
        name: str,
        size=None,
        data_dir=None,
        conditional=False,
        channels=None,
        flip=False,
        samples=None,
        say=print,
    ) -> "EvaluationData":
        """The dataset `name`, its arguments as of `minigan.data.load`: its train and test split, and the
        samples that a run learned from. Where it has no test split, every fifth sample is taken as the test;
        but a run learned from all."""
        how = {"channels": channels, "flip": flip}
        train, test = splits(name, size, data_dir, **how)
        learned = None if samples is None else load(name, size, data_dir, samples=samples, **how)
        # MNIST at the same size labels the channels of stacked digits.
        digits = splits("mnist", train.shape[-1], data_dir) if name == "stacked-mnist" else None
        return cls(train, test, conditional, has_test(name), digits=digits, learned=learned, say=say)

    @property
    def name(self) -> str:
        """The name of the training data."""
        return self.train.name

    @property
    def images(self) -> bool:
        """Images, not points of the plane or anything else."""
        return self.train.kind == "image"

    @cached_property
    def classifier(self) -> Classifier:
        """A classifier of the data, trained or read from the cache; for stacked digits that of MNIST, for one
        channel, and of clips one of their frames."""
        return self.given_classifier or classifier_for(*self._read(), say=self.say)

    def _read(self):
        """(train, test) of what the classifier looks at."""
        if self.train.kind == "clip":
            return frames_of(self.train), frames_of(self.test)
        return self.digits or (self.train, self.test)

    def untrained(self) -> Classifier:
        """One like that, of no use but to see what it needs: after a step of training where it is not kept
        yet."""
        train, test = self._read()
        if place_of(train, test)[0].exists():
            return Classifier(build(train, SETTINGS), train.name, train.shape, train.classes, train.lowest)
        return train_classifier(train, test.part(slice(BATCH)), replace(SETTINGS, steps=1))

    def classifier_facts(self) -> dict | None:
        """Which classifier was used, JSON-able; None if none was."""
        if "classifier" not in self.__dict__:
            return None
        return self.classifier.facts

    def real(self, data: Dataset, n: int, rng, among: int | None = None) -> "Samples":
        """At most n real samples of `data`, or of the first `among` of it, each once; mirrored by chance, if
        that has `flip`."""
        chosen = rng.permutation(min(len(data), among or len(data)))[:n]
        labels = None if data.labels is None else data.labels[chosen]
        factors = None if data.factors is None else data.factors[chosen]
        text = None if data.text is None else data.text[chosen].astype(np.int64)
        return Samples(as_seen(data, chosen, rng), labels, self, factors, text)

    def samples(self, values, labels=None, text=None) -> "Samples":
        """Samples that a model made, and the labels and texts that it was told. MiniganError for another
        shape, dtype or range than the data's."""
        if self.train.words:
            checks.numbers_of_words("the samples", values, self.train.shape, self.train.words)
        else:
            checks.samples("the samples", values, self.train.shape, self.lowest)
        return Samples(values, labels, self, text=text)

    @cached_property
    def lowest(self) -> float:
        """The darkest pixel of the training images, in [-1, 1]."""
        return self.train.lowest

    def labels_to_make(self, n: int, rng) -> np.ndarray:
        """int64 (n,), as often as in what the model learned from."""
        return self.learned.labels[rng.integers(0, len(self.learned), n)]


class Samples:
    """Samples to be measured, and what the classifier sees in them, computed when asked for.

    values: float32 (N, *shape), or integers, numbers of words. labels: int64 (N,) or None. factors: int64
    (N, k) or None. text: integers (N, L), what the samples were asked for by, or what is said of real ones;
    or None.
    """

    def __init__(self, values, labels, data: EvaluationData, factors=None, text=None):
        self.values, self.labels, self.data, self.factors, self.text = values, labels, data, factors, text

    def __len__(self):
        return len(self.values)

    def first(self, n: int) -> "Samples":
        """The first n of them."""
        if n >= len(self):
            return self
        known = (None if of is None else of[:n] for of in (self.labels, self.factors, self.text))
        labels, factors, text = known
        part = Samples(self.values[:n], labels, self.data, factors, text)
        if "features" in self.__dict__:
            part.features = self.features[:n]
        return part

    @cached_property
    def features(self) -> np.ndarray:
        """The classifier's: (N, 64)."""
        return self.data.classifier.features(self.values)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """What the classifier says of each sample, (N, classes)."""
        return softmax(self.data.classifier.logits_of(self.features))

    @property
    def recognised(self) -> np.ndarray:
        """int64 (N,): the classes that the classifier sees."""
        return self.probabilities.argmax(axis=1)

    @property
    def frames_recognised(self) -> np.ndarray:
        """int64 (N, T): the classes that the classifier sees in each frame of clips."""
        T = self.values.shape[1]
        frames = self.values.reshape(-1, *self.values.shape[2:])
        return self.data.classifier.labels(frames).reshape(-1, T)
