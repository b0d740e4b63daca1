"""The metrics by their names: what each measures, of how many samples, and on which data it can."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from minigan.data.kinds import plural
from minigan.data.melodies import read_melodies
from minigan.data.mixtures import MIXTURES
from minigan.data.sentences import read_sentences
from minigan.random import Generator

from .captions import caption_accuracy
from .chimes import chimes
from .classifier import FEATURES, LOOKED_AT
from .disentanglement import disentanglement
from .evaluation_data import EvaluationData, Samples
from .films import motion, same_in_all, shuffled, two_futures
from .frechet import frechet_distance
from .kernel import kernel_distance
from .manifold import prdc
from .modes import mixture_modes, stacked_labels, stacked_modes
from .neighbours import (
    diversity,
    memorisation,
    near_duplicate_distance,
    nearest_neighbour_accuracy,
    support,
)
from .ngrams import ngram_divergence, ngram_texts
from .parzen import kmeans_centres, parzen_score
from .pictures import sharpness
from .scores import classifier_score, kl, label_accuracy, label_entropy, label_histogram, modes_present

SAMPLES = 10_000
PARZEN_TRAIN = 50_000  # training images that Parzen windows may be put around; 1,000 after them choose σ

Quantities = dict[str, float | tuple[float, float]]  # by name: a number, or one with its standard error


@dataclass(frozen=True)
class Metric:
    """measure(samples, real): the quantities, against real test samples. line: what they tell.
    refusal(data): why it cannot be had of the data, or None. more_than: samples it needs more of, real
    test samples too. at_most: where more are of no use, or the protocol has a number. floor: whether real
    training samples can be measured in place of generated ones; of the first `floor_of` only.
    floor_of_test: whether the real test samples are, of a metric that compares no samples with those.
    beside(data, n): quantities of another kind to compare with, taken once. once: whether it looks at real
    samples alone, so that other draws would say the same.
    """

    line: str
    measure: Callable[[Samples, Samples], Quantities] = field(repr=False)
    refusal: Callable[[EvaluationData], str | None] = field(repr=False)
    more_than: int = 0
    at_most: int | None = None
    floor: bool = True
    floor_of: int | None = None
    floor_of_test: bool = False
    beside: Callable[[EvaluationData, int], Quantities] | None = field(default=None, repr=False)
    once: bool = False

    def count(self, n: int | None) -> int:
        """How many samples it takes where the user asks for n."""
        asked = n or self.at_most or SAMPLES
        return min(asked, self.at_most or asked)

    def why_not(self, data: EvaluationData) -> str | None:
        """Why it cannot be had of the data, or None."""
        if reason := self.refusal(data):
            return reason
        if len(data.test) <= self.more_than:
            return f"needs more than {self.more_than} real test samples, and {data.name} has {len(data.test)}"
        return None


# Measures


def _fcd(samples, real):
    return {"fcd": frechet_distance(samples.features, real.features)}


def _kernel_distance(samples, real):
    size = min(1000, len(samples), len(real))
    return {"kernel-distance": kernel_distance(samples.features, real.features, size)[0]}


def _precision_recall(samples, real):
    return vars(prdc(real.features, samples.features))


def _classifier_score(samples, real):
    return {"classifier-score": classifier_score(samples.probabilities)[0]}


def _label_modes(samples, real):
    data = samples.data.train
    shares = label_histogram(samples.recognised, data.classes)
    return {
        "label-modes": modes_present(shares),
        "label-entropy": label_entropy(shares),
        "label-kl": kl(shares, label_histogram(data.labels, data.classes)),
    }


def _label_accuracy(samples, real):
    return {"label-accuracy": label_accuracy(samples.labels, samples.recognised)}


def _one_nn(samples, real):
    return {
        "one-nn": nearest_neighbour_accuracy(samples.values, samples.labels, real.values, real.labels),
    }


def _parzen(samples, real):
    return _parzen_row("parzen", _unit(samples.values), samples.data)


def _parzen_kmeans(data, n):
    train = _unit(data.train.batch(np.arange(PARZEN_TRAIN)))
    return _parzen_row("parzen-k-means", kmeans_centres(train, n), data)


def _parzen_row(name, windows, data):
    validation = _unit(data.train.batch(np.arange(PARZEN_TRAIN, PARZEN_TRAIN + 1000)))
    score = parzen_score(windows, validation, _unit(data.test.batch(np.arange(len(data.test)))))
    return {name: (score.mean, score.error), f"{name}-width": score.width}


def _unit(images):
    """Pixels in [0, 1] of the 28x28 images in the middle, as rows (N, 784): a black border is no feat."""
    border = (images.shape[-1] - 28) // 2
    images = images[:, :, border : border + 28, border : border + 28]
    return (images.reshape(len(images), -1) + 1) / 2


def _modes(samples, real):
    modes = mixture_modes(samples.values, MIXTURES[samples.data.name])
    return {"modes": modes.found, "high-quality": modes.high_quality, "reverse-kl": modes.reverse_kl}


def _stacked_modes(samples, real):
    found, reverse_kl = stacked_modes(stacked_labels(samples.values, samples.data.classifier))
    return {"stacked-modes": found, "stacked-kl": reverse_kl}


def _chimes(samples, real):
    return chimes(samples.values)


def _neighbours(samples, real):
    return {"memorisation": memorisation(samples.values, samples.data.learned, real.values)}


def _support(samples, real):
    found = support(samples.values, near_duplicate_distance(real.values))
    return {"support": found.size, "near-duplicates": found.pairs}


def _diversity(samples, real):
    return {"diversity": diversity(samples.values, real.values)}


def _sharpness(samples, real):
    return {"sharpness": sharpness(samples.values, real.values)}


def _disentanglement(samples, real):
    return disentanglement(real.data.encode(real.values), real.factors)


def _two_futures(samples, real):
    return two_futures(samples.values)


def _motion(samples, real):
    return motion(samples.values)


def _motion_of_shuffled(data, n):
    rng = Generator(0)
    found = motion(shuffled(data.real(data.test, n, rng).values, rng))
    return {f"{name}, shuffled": value for name, value in found.items()}


def _identity(samples, real):
    read = samples.frames_recognised
    found = {"identity": same_in_all(read)}
    return found | ({} if samples.labels is None else {"frames-as-asked": _as_asked(read, samples.labels)})


def _as_asked(read, labels):
    return float((read == labels[:, None]).mean())


def _melodies(samples, real):
    kept = read_melodies(samples.values, samples.text)
    return {f"melody-{rule}": right.mean() for rule, right in kept.items()}


def _sentences(samples, real):
    return _of_sentences(samples.values)


def _of_sentences(texts, whose=""):
    return {f"{whose}sentences-{what}": right.mean() for what, right in read_sentences(texts).items()}


def _ngrams(samples, real):
    return _divergences(samples.values, real.data)


def _trigrams(data, n):
    """The same of texts by a model of 3-grams that learned from as much."""
    return _divergences(_by_trigrams(data, n), data, "3-gram-")


def _trigram_sentences(data, n):
    return _of_sentences(_by_trigrams(data, n), "3-gram-")


def _by_trigrams(data, n):
    return ngram_texts(data.learned.batch(slice(None)), 3, n, Generator(0))


def _divergences(texts, data, whose=""):
    real = data.test.batch(slice(None))
    return {f"{whose}js-{n}": ngram_divergence(texts, real, n) for n in (1, 2, 3, 4)}


def _copies(samples, real):
    learned, made = (
        np.ascontiguousarray(of, np.uint8) for of in (samples.data.learned.batch(slice(None)), samples.values)
    )
    rows = np.dtype((np.void, made.shape[1]))
    return {"copies": np.isin(made.view(rows), learned.view(rows)).mean()}


def _captions(samples, real):
    return caption_accuracy(samples.values, samples.text, samples.data.train.text_words)


# Refusals


def _in_numbers(data):
    if data.train.kind in ("image", "point"):
        return None
    return f"is of images and points, and {data.name} has {plural(data.train.kind)}"


def _in_pixels(data):
    return None if data.images else f"is of images, and {data.name} has {plural(data.train.kind)}"


def _in_words(data):
    if data.train.words:
        return None
    return f"is of what is made of words, and {data.name} has {plural(data.train.kind)}"


def _in_texts(data):
    if data.train.kind == "text":
        return None
    return f"is of texts, and {data.name} has {plural(data.train.kind)}"


def _of_grammar(name):
    return lambda data: None if data.name == name else f"is told by the grammar of {name}, not {data.name}"


def _unseen(data):
    if reason := _in_numbers(data):
        return reason
    if data.unseen:
        return None
    return (
        f"needs data that no model has seen, and {data.name} has no test split; "
        "`minigan report` shows the nearest training images"
    )


def without_classifier(data: EvaluationData) -> str | None:
    """Why no classifier can look at the data, or None."""
    if data.train.kind not in LOOKED_AT:
        these = " and ".join(map(plural, LOOKED_AT))
        return f"looks at {these} through a classifier, and {data.name} has {plural(data.train.kind)}"
    if data.train.labels is None:
        return f"needs a classifier, which cannot learn {data.name} without labels"
    if data.train.classes < 2:
        return f"needs a classifier, which cannot learn {data.name}: all of it is of one class"
    if data.digits:
        return f"needs a classifier of {data.name}, which has 1,000 classes; there is stacked-modes"
    return None


def _encoded(data):
    if data.test.factors is None:
        return f"needs data of which all factors are known, such as factors, and {data.name} has none"
    if data.encode is None:
        return "needs a model with an encoder, whose code is a vector of numbers"
    return None


def _conditional(data):
    if data.conditional:
        return None
    return "needs a model that makes what a label asks for, or a .npz with an array `labels`"


def _captioned(data):
    if data.name != "captions":
        return f"is of captions, not {data.name}"
    return None if data.told else "needs a model that makes what a text asks for"


def _told(data):
    return _conditional(data) or without_classifier(data)


def _parzen_data(data):
    sides = set(data.train.shape[1:])
    if data.name not in ("mnist", "fashion-mnist") or len(data.train) < PARZEN_TRAIN + 1000:
        return f"follows a protocol for the 60,000 images of mnist or fashion-mnist, not for {data.name}"
    if data.train.flip:
        return "follows a protocol for images as they are, not for mirrored ones"
    if not sides <= {28, 30, 32}:
        return f"is of 28x28 pixels, with a border or without, not {'x'.join(map(str, sorted(sides)))}"
    return None


def _mixture(data):
    return None if data.name in MIXTURES else f"is counted in {' and '.join(MIXTURES)}, not {data.name}"


def _struck(data):
    return None if data.name == "chimes" else f"is heard in chimes, not {data.name}"


def _stacked(data):
    return None if data.digits else f"is counted in stacked-mnist, not {data.name}"


def _of_two_futures(data):
    return None if data.name == "two-futures" else f"is of the films of two-futures, not of {data.name}"


def _one_moves(data):
    """Films of one digit: its centre is that of the ink."""
    if data.name.partition(":")[0] != "moving-digits" or data.train.labels is None:
        return f"is of the films of moving-digits with one digit in each, not of {data.name}"
    return None


def _flies(data):
    frames = data.train.shape[0]
    return _one_moves(data) or (f"needs films of 4 frames, these have {frames}" if frames < 4 else None)


METRICS = {
    "fcd": Metric(
        "Frechet distance of the classifier's features", _fcd, without_classifier, more_than=FEATURES
    ),
    "kernel-distance": Metric(
        "squared MMD of the features", _kernel_distance, without_classifier, more_than=1
    ),
    "precision-recall": Metric(
        "precision, recall, density and coverage", _precision_recall, without_classifier, more_than=5
    ),
    "classifier-score": Metric(
        "sure of each, fond of all: from 1 to the classes", _classifier_score, without_classifier, more_than=9
    ),
    "label-modes": Metric("classes that are there, and how evenly", _label_modes, without_classifier),
    "label-accuracy": Metric("samples recognised as what was asked for", _label_accuracy, _told),
    "one-nn": Metric("accuracy of 1-NN that learned from samples", _one_nn, _conditional),
    "modes": Metric("modes of the mixture, samples within 3 sigma", _modes, _mixture, at_most=2500),
    "stacked-modes": Metric("of the 1,000 stacked digits", _stacked_modes, _stacked, at_most=26_000),
    "chimes": Metric("notes in tune, and how many of the eight are there", _chimes, _struck, at_most=2000),
    "neighbours": Metric(
        "distance to the training data; 0 is copies, 1 as new as real ones",
        _neighbours,
        _unseen,
        at_most=2000,
        floor=False,
    ),
    "support": Metric(
        "different samples, from near-duplicates", _support, _in_numbers, more_than=1, at_most=2000
    ),
    "diversity": Metric(
        "how far apart, compared with real ones", _diversity, _in_numbers, more_than=1, at_most=2000
    ),
    "sharpness": Metric(
        "strength of edges, over that of real ones", _sharpness, _in_pixels, more_than=1, at_most=2000
    ),
    "captions": Metric(
        "samples that are what their captions say", _captions, _captioned, at_most=5000, floor_of_test=True
    ),
    "disentanglement": Metric(
        "whether each number of a code is one factor",
        _disentanglement,
        _encoded,
        more_than=99,
        at_most=5000,
        floor=False,
        once=True,
    ),
    "two-futures": Metric(
        "what comes next beside both that may come", _two_futures, _of_two_futures, at_most=2000
    ),
    "motion": Metric(
        "speed, its deviation and jerk, in 1/16 of the side",
        _motion,
        _flies,
        at_most=2000,
        beside=_motion_of_shuffled,
    ),
    "identity": Metric("films in which one digit is read throughout", _identity, _one_moves, at_most=2000),
    "parzen": Metric(
        "log-likelihood of test images, in nats",
        _parzen,
        _parzen_data,
        at_most=SAMPLES,
        floor_of=PARZEN_TRAIN,
        beside=_parzen_kmeans,
    ),
    "melodies": Metric("melodies that keep each rule of the grammar", _melodies, _of_grammar("melodies")),
    "sentences": Metric(
        "sentences that are right by the grammar",
        _sentences,
        _of_grammar("sentences"),
        beside=_trigram_sentences,
    ),
    "n-grams": Metric(
        "Jensen-Shannon divergence of 1- to 4-grams, in bits", _ngrams, _in_texts, beside=_trigrams
    ),
    "copies": Metric("samples that are among the training data", _copies, _in_words, floor=False),
}
