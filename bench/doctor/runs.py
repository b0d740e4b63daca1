"""A run of a recipe: the doctor's verdict at its end, and what the check of its own says."""

import numpy as np

from minigan.autograd import detect_anomaly
from minigan.data.mixtures import MIXTURES
from minigan.diagnostics import Doctor, diverged, every_by_default
from minigan.errors import NonFiniteError
from minigan.gans import model_named
from minigan.metrics import mixture_modes
from minigan.metrics.distances import nearest
from minigan.training import Options, Session

from .recipes import Recipe


def run(recipe: Recipe, seed: int) -> dict:
    """{"recipe", "label", "seed", "verdict", "evidence", "check", "holds"}, JSON-able."""
    cfg = model_named(recipe.model).Config(**recipe.settings)
    session = Session(recipe.model, Options(data=recipe.data, seed=seed), cfg)
    if recipe.images:
        few = session.dataset
        few.samples, few.labels = few.samples[: recipe.images], few.labels[: recipe.images]
        session.batches.load_state_dict({**session.batches.state_dict(), "samples": len(few)})
    sampler = session.sampler_of(session.parts)
    doctor = Doctor(session, sampler, every_by_default(cfg.steps))
    metrics = []
    try:
        with detect_anomaly(every_op=False):
            for _ in range(cfg.steps):
                with doctor.watching():
                    metrics.append(session.next_step())
                doctor.note(metrics[-1])
        verdict = doctor.verdict()
    except NonFiniteError as error:  # what the runner makes of it, too
        verdict = diverged(session.step + 1, str(error))
    facts = check(session, sampler, metrics)
    return {
        "recipe": recipe.name,
        "label": recipe.label,
        "seed": seed,
        "verdict": verdict["verdict"],
        "evidence": [finding["evidence"] for finding in verdict["findings"]],
        "check": facts,
        "holds": bool(recipe.holds(facts)),
    }


def check(session, sampler, metrics) -> dict:
    """Numbers that speak for the label, from 2,000 fresh samples and the losses of the last third."""
    last = metrics[-max(len(metrics) // 3, 1) :]
    found = {name: float(np.mean([m[name] for m in last])) for name in last[-1]}
    d_loss = np.array([m["d_loss"] for m in last])
    found["d_loss_deviation"] = float(d_loss.std())
    made = sampler(2000, 12345)
    found["pixel_deviation"] = float(made.std(axis=0).mean())
    if made.ndim == 4:
        found["to_nearest"] = to_nearest(made, session.batches.dataset)
    name = session.options.data
    if name in MIXTURES and np.isfinite(made).all():
        _, modes = nearest(made, MIXTURES[name].centres)
        found["modes"] = int((np.bincount(modes) > 0.01 * len(made)).sum())
        found["modes_3_sigma"] = mixture_modes(made, MIXTURES[name]).found
    return found


def to_nearest(made, dataset) -> float:
    """The mean distance of samples to the nearest of 16 images of the data, over that between these."""
    images = dataset.batch(np.arange(16)).reshape(16, -1)
    apart = np.sqrt(((images[:, None] - images) ** 2).sum(axis=2))
    return float(
        nearest(made.reshape(len(made), -1), images)[0].mean() / apart[np.triu_indices(16, 1)].mean()
    )
