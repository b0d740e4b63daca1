"""From what the looks saw to a verdict: rules, their thresholds, and what to try.

A rule is a sign that one look shows, a number against a threshold: of the networks, of a judge, or of the
samples. It is a finding once the last PERSIST looks showed it, where one look in between that did not is
passed over: a single look is of one batch and a handful of samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TypedDict

HEALTHY = "healthy"
PERSIST = 5  # looks in a row that make a finding: a tenth of a run
YOUNG = 10  # looks, before which G has learned too little for one mode to be a collapse

# Thresholds. A discriminator that knows nothing has a loss of 2 log 2 = 1.39, and healthy runs stay below.
LOSS = 5.0  # mean |loss of D| since the look before, and its cross-entropy: it is sure of itself, and wrong
WILD = 1.0  # deviation of the smoothed loss of D: it is thrown from one extreme to the other
SLOPE = 10.0  # of a critic that should have slope 1; healthy runs: below 3
VANISHED = 0.1  # G's gradient over the largest it ever had, while D rejects what G makes
EXPLODED = 10.0  # a loss over what it was at first
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
    """sign(look, looks before it): the evidence in that look, None if there is none. With `of_judge` it is
    sign(look, looks before it, judge), for each judge there is."""

    name: str
    sign: Callable[..., str | None]
    advice: str
    of_judge: bool = False


class Verdict(TypedDict):
    """What verdict.json holds: of which step it is, the first finding's name or HEALTHY, and all findings."""

    step: int
    verdict: str
    findings: list[Finding]


def verdict(looks: Sequence[dict]) -> dict | None:
    """The verdict on a run, as verdict.json has it; None before there are PERSIST looks.

    The first finding, in the order of RULES, is the verdict: what comes first explains what comes later.
    """
    if len(looks) < PERSIST:
        return None
    findings = []
    for rule in RULES:
        if rule.name not in {finding.name for finding in findings}:
            findings += found_by(rule, looks)
    return report(looks[-1]["step"], findings)


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


def found_by(rule: Rule, looks: Sequence[dict]) -> list[Finding]:
    """What the rule finds in the looks up to now, of each judge that shows it."""
    signs = [rule.sign]
    if rule.of_judge:
        signs = [partial(rule.sign, judge=judge) for judge in looks[-1].get("judges", {})]
    found = [apply(replace(rule, sign=sign), looks) for sign in signs]
    return [finding for finding in found if finding]


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


# Signs of any network


def not_finite(look, before):
    for network, norms in look["gradient_norm"].items():
        if None in norms.values():
            return f"a gradient of {network} is not finite"
    for name, size in look.get("losses", {}).items():
        if size is None:
            return f"{name} is not finite"
    return None


def exploding(look, before):
    """Which loss of a model without judges is far beyond what it was at first; None if none is."""
    if look.get("judges"):
        return None
    for name, now in look.get("losses", {}).items():
        first = next(filter(None, (b.get("losses", {}).get(name) for b in before)), None)
        if first and now and now > EXPLODED * first:
            return f"{name} is {now:.3g} on average, and was {first:.3g} at first"
    return None


# Signs of a judge


def diverging(look, before, judge):
    seen, D = look["judges"].get(judge, {}), judge.upper()
    if "accuracy" not in seen:  # a critic's loss has no scale
        return None
    loss = look.get("losses", {}).get(f"{judge}_loss") or 0.0
    entropy = seen.get("entropy", loss)  # an earlier version saw the loss alone
    if entropy is not None and min(loss, entropy) > LOSS:
        return f"the loss of {D} is {loss:.3g} on average, where one that only guesses has 1.39"
    return swings_beyond(WILD, seen, D)


def too_steep(look, before):
    slope = look.get("lipschitz", 0.0)
    if slope is None or slope > SLOPE:
        return f"the critic's slope is {slope}, where 1 is wanted"
    return None


def vanished(look, before, judge):
    seen = look["judges"].get(judge, {})
    if "accuracy" not in seen:  # a critic's gradient does not vanish as it gets better
        return None
    for maker, now in look.get("makers", {}).items():
        known = (b.get("makers", {}).get(maker) for b in before)
        most = max((norm for norm in known if norm is not None), default=0.0)
        if now is not None and now < VANISHED * most and rejected(seen):
            return f"the gradient of {maker} has norm {now:.2g}, and had {most:.2g} once"
    return None


def too_strong(look, before, judge):
    seen = look["judges"].get(judge, {})
    accuracy = seen.get("accuracy", {}).values()
    if not accuracy or None in accuracy:
        return None
    sure, fake = min(accuracy), seen["output"]["fake"][2]
    if sure >= SURE and rejected(seen):
        return (
            f"{judge.upper()} is right on {sure:.0%} of both kinds, and gives half of the samples less than "
            f"{fake:.2g}"
        )
    return None


def rejected(seen) -> bool:
    """Whether a judge takes at least half of what is made for generated, without a doubt."""
    median = seen["output"]["fake"][2]
    return median is not None and median < REJECTED


def oscillating(look, before, judge):
    return swings_beyond(SWINGS, look["judges"].get(judge, {}), judge.upper())


def swings_beyond(limit, seen, D):
    swings = seen.get("oscillation")
    if "accuracy" in seen and swings is not None and swings > limit:  # a critic's loss has no scale
        return f"the smoothed loss of {D} swings by {swings:.2g}, where one that only guesses is at 1.39"
    return None


# Signs of the samples


def memorising(look, before):
    novelty = look.get("novelty")
    if novelty is not None and novelty < NOVELTY:
        return (
            f"samples are {novelty:.2f} times as far from the nearest training image as training images are "
            "from each other"
        )
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


LOWER = "Lower --lr, and begin again: a run hardly comes back from here."
RULES = (
    Rule("diverging", not_finite, LOWER),
    Rule("diverging", exploding, LOWER),
    Rule("diverging", too_steep, f"{LOWER} A critic needs its penalty."),
    Rule("diverging", diverging, LOWER, of_judge=True),
    Rule(
        "generator gradient vanished",
        vanished,
        "Use --loss non-saturating, whose gradient stays while D wins, or wgan-gp.",
        of_judge=True,
    ),
    Rule("memorising", memorising, "Take more data, or a smaller network, or stop earlier."),
    Rule(
        "discriminator too strong",
        too_strong,
        "Lower the learning rate of D, make D smaller or G larger, or use wgan-gp: its critic may be strong.",
        of_judge=True,
    ),
    Rule(
        "oscillating",
        oscillating,
        "Lower --lr and --beta1; a moving average (--ema 0.999) helps samples.",
        of_judge=True,
    ),
    Rule(
        "mode collapse",
        collapsed,
        "Let D judge several samples together (--pack 2 or more), use wgan-gp, or lower --lr.",
    ),
)
STOPS = {"collapse": "mode collapse", "diverged": "diverging"}  # what --stop-on may be told
