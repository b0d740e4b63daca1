"""Steering: the codes of samples are moved until a feature is there, and what else has changed is measured.

Ways to move a code z0:

gradient    to the nearest code whose sample has the feature, with a penalty on what else changes: `nearest`,
            which begins where `direction` arrives, or else where `line` does: from z0 itself a classifier's
            gradient often leads to codes far out that show nothing
plain       the same without the penalty
direction   along the direction in which a linear fit of the feature to random codes says that it rises
line        along the straight line to a random code whose sample has the feature

Each stops at the first of its codes that has arrived. Of a class, whether a sample arrived is then said by
another classifier than the one that steered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from minigan.errors import MiniganError
from minigan.metrics import Classifier, classifier_for
from minigan.metrics.classifier import SETTINGS
from minigan.random import Generator
from minigan.training import Run, Sampler
from minigan.training.evaluation import evaluation_data

from .eyes import Aim, Eyes
from .lines import FAR, FITTED, direction, first_there, random_ends
from .made import Made, check_moves
from .search import STEPS, nearest

WAYS = "gradient", "plain", "direction", "line"
CHANGED = 0.5  # deviations from which on an attribute counts as changed
JUDGE = 1  # the seed of the classifier that judges; the one that steers has that of the metrics


@dataclass(frozen=True)
class Steered:
    """What became of n samples.

    towards: the class or the attribute. way: how the codes were moved that `after` is made of.
    before, after: float32 (n, *shape). start, end: codes (n, d). judged: (classes, probabilities) of the
    judge, (n,) each, before and after; None without a judge.
    rows: what was measured of each way, by its name:
        n          samples that had not arrived from the start; all numbers are of those
        steered    share that arrived, for the classifier that steered, or the attribute itself
        reached    share that arrived: of a class by the judge
        distance   ‖z - z0‖ / ‖z0‖, the mean of those that arrived
        length     ‖z‖ / ‖z0‖, so too
        changes    {attribute: the mean change in deviations of the real data, and its mean absolute value}
        changed    share of the other attributes that changed by more than half a deviation
        class_kept share whose class is the one before, by the judge; None where a class is steered to
        fit        R² of the linear fit; of the direction alone
    The mean of none is None.
    """

    towards: str
    way: str
    made: Made
    before: np.ndarray
    after: np.ndarray
    start: np.ndarray
    end: np.ndarray
    judged: tuple | None
    rows: dict[str, dict]

    def film(self, frames: int = 24, n: int = 64) -> np.ndarray:
        """The first n samples on the way from the code before to the code after, in equal steps: float32
        (n, frames, *shape)."""
        n = min(n, len(self.start))
        t = np.linspace(0, 1, frames, dtype=np.float32)[:, None]
        walked = self.start[:n, None] + t * (self.end - self.start)[:n, None]
        which = np.repeat(np.arange(n), frames)
        pictures = self.made.pictures(walked.reshape(n * frames, -1), which)
        return pictures.reshape(n, frames, *pictures.shape[1:])


def eyes_of(run: Run, sampler: Sampler, say=print) -> tuple[Eyes, Classifier | None]:
    """(what steers, the classifier that judges) for a run: two classifiers of its data, of different seeds,
    from the cache or trained now. Without labels there are none.

    MiniganError for a model without noise, or for data that are no pictures.
    """
    check_moves(sampler.model)
    data = evaluation_data(sampler, run.options(), say)
    labelled = data.images and data.train.labels is not None
    eyes = Eyes(data.train, data.classifier if labelled else None, sampler.device)
    if not labelled:
        return eyes, None
    return eyes, classifier_for(data.train, data.test, replace(SETTINGS, seed=JUDGE), say=say)


def steer(
    sampler: Sampler,
    eyes: Eyes,
    towards: str,
    *,
    judge: Classifier | None = None,
    n: int = 64,
    seed: int = 0,
    by: float | None = None,
    keep: float = 1.0,
    sure: float = 0.999,
    along: str = "gradient",
    ways: tuple[str, ...] = WAYS,
    through: str = "z",
    steps: int = STEPS,
    say: Callable[[str], None] = lambda line: None,
    **asked,
) -> Steered:
    """Move the codes of n random samples until they show `towards`.

    towards: a class, "7", or one of `eyes.names`; by: how many deviations of the real data that is to rise,
        1.5 by default, below 0 to fall. judge: the classifier that says of a class whether it is reached.
    keep: the weight of the penalty on what else changes, of the gradient. sure: the probability that the
        steering classifier has to give a class. along: the way whose pictures are given, beside `ways`, which
        are measured. through: "z", or "code". steps: of a search. say: told what is done.
    asked: what the model's `inputs` may be asked for; a conditional model keeps the labels it was asked for.
    The same seed gives the same codes. MiniganError for what cannot be asked for: see `Aim`, `Made`,
    `nearest`.
    """
    if along not in WAYS:
        raise MiniganError(f"along must be one of {', '.join(WAYS)}, got {along!r}")
    if n < 1:
        raise MiniganError(f"n must be at least 1, got {n}")
    made = Made(sampler, sampler.inputs(n, Generator(seed), **asked), through)
    start, before = made.codes, made.pictures(made.codes)
    aim = Aim(eyes, before, towards, by, sure)
    place = sampler.device
    _, already = first_there(start, np.zeros_like(start), made, aim.missing, place, steps=1)

    def draw(k, of=n):
        return Made(sampler, sampler.inputs(of, Generator(seed + 1 + k), **asked), through)

    @cache
    def along_direction():
        fitted = draw(0, FITTED)
        rising, fit = direction(fitted.codes, aim.answers(fitted.pictures(fitted.codes)))
        lengths = np.linalg.norm(start, axis=1, keepdims=True)
        return *first_there(start, FAR * lengths * rising, made, aim.missing, place), fit

    @cache
    def along_line():
        ends, _ = random_ends(lambda k: draw(k).codes, start, made, aim.missing, place)
        return *first_there(start, ends - start, made, aim.missing, place), None

    def by_gradient(weight):
        (there, arrived, _), (other, _, _) = along_direction(), along_line()
        begin = np.where(arrived[:, None], there, start), other, start
        how = {"keep": weight, "steps": steps, "begin": begin, "place": place}
        return *nearest(start, made, aim.missing, aim.rest, **how), None

    moves = {
        "gradient": lambda: by_gradient(keep),
        "plain": lambda: by_gradient(0.0),
        "direction": along_direction,
        "line": along_line,
    }
    rows, ends = {}, {}
    for way in dict.fromkeys((along, *ways)):
        say(way)
        end, there, fit = moves[way]()
        rows[way] = measured(aim, judge, before, made.pictures(end), start, end, there, already)
        rows[way] |= {} if fit is None else {"fit": fit}
        ends[way] = end
    after = made.pictures(ends[along])
    judged = judge and tuple(_answers(judge, x) for x in (before, after))
    return Steered(aim.name, along, made, before, after, start, ends[along], judged, rows)


def measured(aim, judge, before, after, start, end, there, already) -> dict:
    """The row of a way, see `Steered`."""
    moved, (was, now) = ~already, (judge and judge.labels(as_shown(x)) for x in (before, after))
    reached = there if aim.label is None or judge is None else now == aim.label
    arrived = moved & reached
    changes = (aim.eyes.attributes(after) - aim.attributes)[arrived]
    lengths = np.linalg.norm(start, axis=1)
    distance = np.linalg.norm(end - start, axis=1) / lengths
    return {
        "n": int(moved.sum()),
        "steered": _mean(there[moved]),
        "reached": _mean(reached[moved]),
        "distance": _mean(distance[arrived]),
        "length": _mean((np.linalg.norm(end, axis=1) / lengths)[arrived]),
        "changes": {
            name: (_mean(changes[:, i]), _mean(np.abs(changes[:, i])))
            for i, name in enumerate(aim.eyes.names)
        },
        "changed": _mean(np.abs(changes[:, aim.others]) > CHANGED),
        "class_kept": None if aim.label is not None or was is None else _mean((was == now)[arrived]),
    }


def as_shown(samples: np.ndarray) -> np.ndarray:
    """Pictures as they are seen: those of a model may go beyond [-1, 1], and more so where it is steered."""
    return samples.clip(-1, 1)


def _mean(values):
    return float(np.mean(values)) if np.size(values) else None


def _answers(judge, samples):
    probabilities = judge.probabilities(as_shown(samples))
    return probabilities.argmax(axis=1), probabilities.max(axis=1)
