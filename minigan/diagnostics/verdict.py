"""From what the looks saw to a verdict: rules, their thresholds, and what to try.

A rule is a sign that one look shows, a number against a threshold. It is a finding once the last PERSIST
looks showed it, where one look in between that did not is passed over: a single look is of one batch and a
handful of samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

HEALTHY = "healthy"
PERSIST = 5  # looks in a row that make a finding: a tenth of a run
YOUNG = 10  # looks, before which G has learned too little for one mode to be a collapse

# Thresholds. A discriminator that knows nothing has a loss of 2 log 2 = 1.39, and healthy runs stay below.
LOSS = 5.0  # mean |loss of D| since the look before: it is sure of itself, and wrong
WILD = 1.0  # deviation of the smoothed loss of D: it is thrown from one extreme to the other
SLOPE = 10.0  # of a critic that should have slope 1; healthy runs: below 3
VANISHED = 0.1  # G's gradient over the largest it ever had, while D rejects what G makes
SURE = 0.97  # accuracy on both kinds: two errors in a batch of 64
REJECTED = 0.05  # D's probability for half of what G makes; of a game in balance it is 1/2
SWINGS = 0.33  # deviation of the smoothed loss of D; healthy runs: below 0.26
MODES = 0.5  # share of the modes that have samples; a few may be missed by the number of samples alone
DIVERSITY = 0.5  # over that of real data
NOVELTY = 0.7  # distance to the nearest real image, over that of other real ones; healthy runs: above 1.3


@dataclass(frozen=True)
class Finding:
    """name: what is wrong. since: the step of the first look that showed it. evidence: one sentence with the
    numbers. advice: what to try."""

    name: str
    since: int
    evidence: str
    advice: str


@dataclass(frozen=True)
class Rule:
    """sign(look, looks before it): the evidence in that look, None if there is none."""

    name: str
    sign: Callable[[dict, Sequence[dict]], str | None]
    advice: str


def verdict(looks: Sequence[dict]) -> dict | None:
    """The verdict on a run, as verdict.json has it; None before there are PERSIST looks.

    The first finding, in the order of RULES, is the verdict: what comes first explains what comes later.
    """
    if len(looks) < PERSIST:
        return None
    return report(looks[-1]["step"], [finding for rule in RULES if (finding := apply(rule, looks))])


def diverged(step: int, why: str) -> dict:
    """The verdict on a run that ended at `step` because its loss or weights were not finite."""
    return report(step, [Finding("diverging", step, why, "Lower the learning rate, and begin a new run.")])


def report(step: int, findings: Sequence[Finding]) -> dict:
    """As verdict.json has it."""
    return {
        "step": step,
        "verdict": findings[0].name if findings else HEALTHY,
        "findings": [asdict(finding) for finding in findings],
    }


def apply(rule: Rule, looks: Sequence[dict]) -> Finding | None:
    """What the rule finds in the looks up to now."""
    shown, missed, since = 0, 0, None
    for i in range(len(looks) - 1, -1, -1):
        if rule.sign(looks[i], looks[:i]):
            shown, missed, since = shown + 1, 0, looks[i]["step"]
        elif missed or not shown:  # the last look has to show it, and no two in a row may fail to
            break
        else:
            missed = 1
    if shown < PERSIST:
        return None
    return Finding(rule.name, since, rule.sign(looks[-1], looks[:-1]), rule.advice)


# Signs


def diverging(look, before):
    if look.get("loss", 0.0) is None:
        return "the loss of D is not finite"
    if look.get("lipschitz", 0.0) is None or look.get("lipschitz", 0.0) > SLOPE:
        return f"the critic's slope is {look['lipschitz']}, where 1 is wanted"
    if "accuracy" in look and look.get("loss", 0.0) > LOSS:
        return f"the loss of D is {look['loss']:.3g} on average, where one that only guesses has 1.39"
    return swings_beyond(WILD, look)


def vanished(look, before):
    if "accuracy" not in look:  # a critic's gradient does not vanish as it gets better
        return None
    now = total(look["gradient_norm"]["generator"])
    most = max((total(b["gradient_norm"]["generator"]) for b in before), default=0.0)
    if now < VANISHED * most and rejected(look):
        return f"the gradient of G has norm {now:.2g}, and had {most:.2g} once"
    return None


def too_strong(look, before):
    accuracy = look.get("accuracy", {}).values()
    if not accuracy or None in accuracy:
        return None
    sure, fake = min(accuracy), look["output"]["fake"][2]
    if sure >= SURE and rejected(look):
        return f"D is right on {sure:.0%} of both kinds, and gives half of the samples less than {fake:.2g}"
    return None


def rejected(look) -> bool:
    """Whether D takes at least half of what G makes for generated, without a doubt."""
    median = look["output"]["fake"][2]
    return median is not None and median < REJECTED


def memorising(look, before):
    novelty = look.get("novelty")
    if novelty is not None and novelty < NOVELTY:
        return (
            f"samples are {novelty:.2f} times as far from the nearest training image as training images are "
            "from each other"
        )
    return None


def oscillating(look, before):
    return swings_beyond(SWINGS, look)


def swings_beyond(limit, look):
    swings = look.get("oscillation")
    if "accuracy" in look and swings is not None and swings > limit:  # a critic's loss has no scale
        return f"the smoothed loss of D swings by {swings:.2g}, where one that only guesses is at 1.39"
    return None


def collapsed(look, before):
    if len(before) < YOUNG:
        return None
    modes, diversity = look.get("modes"), look.get("diversity")
    if modes:
        found = sum(n > 0 for n in modes)
        if found <= MODES * len(modes):
            return f"{found} of {len(modes)} modes have samples"
    if diversity is not None and diversity < DIVERSITY:
        return f"the samples are {diversity:.2f} times as diverse as real data"
    return None


def total(norms: dict) -> float:
    """The norm of all parameters from those of each; infinite if one is not finite."""
    if None in norms.values():
        return float("inf")
    return sum(n * n for n in norms.values()) ** 0.5


RULES = (
    Rule(
        "diverging",
        diverging,
        "Lower --lr, and begin again: a run hardly comes back from here. A critic needs its penalty.",
    ),
    Rule(
        "generator gradient vanished",
        vanished,
        "Use --loss non-saturating, whose gradient stays while D wins, or wgan-gp.",
    ),
    Rule("memorising", memorising, "Take more data, or a smaller network, or stop earlier."),
    Rule(
        "discriminator too strong",
        too_strong,
        "Lower the learning rate of D, make D smaller or G larger, or use wgan-gp: its critic may be strong.",
    ),
    Rule("oscillating", oscillating, "Lower --lr and --beta1; a moving average (--ema 0.999) helps samples."),
    Rule(
        "mode collapse",
        collapsed,
        "Let D judge several samples together (--pack 2 or more), use wgan-gp, or lower --lr.",
    ),
)
STOPS = {"collapse": "mode collapse", "diverged": "diverging"}  # what --stop-on may be told
