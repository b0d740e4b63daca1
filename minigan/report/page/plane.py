"""The game in the plane, from the frames that a run stored: what `plane.js` plays, and its charts."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigan.data.mixtures import MIXTURES
from minigan.errors import MiniganError
from minigan.files import read_npz
from minigan.gans.settings import packs_of
from minigan.metrics import mixture_modes
from minigan.metrics.divergence import Cells

from .charts import Chart, thinned
from .facts import Facts

FRAMES = 60
OF_A_JUDGE = "surface", "arrows"  # of models that have one
UNIT = 8000  # of the whole numbers that places are told in: so many from the middle to the edge


@dataclass
class Plane:
    """data: for `plane.js`. layers: (key, what it shows). notes: sentences."""

    data: dict
    charts: list[Chart]
    layers: list[tuple[str, str]]
    notes: list[str]


def plane(facts: Facts, points: np.ndarray | None) -> Plane | None:
    """The game of a run; None for one without frames. points: all of the data, (N, 2), None if not at hand.

    MiniganError for a frame that is damaged.
    """
    steps = list(facts.frames)
    if not steps:
        return None
    kept = [steps[i] for i in thinned(len(steps), FRAMES - 1)]
    frames = [opened(facts.frames[step]) for step in kept]
    extent = float(frames[0]["extent"])
    data = {
        "steps": kept,
        "side": len(frames[0].get("surface", ())),
        "extent": extent,
        "unit": UNIT,
        "critic": facts.critic,
        "real": places(frames[0]["real"], extent),
        "frames": [
            {
                "surface": packed(frame["surface"].astype("<f4")) if "surface" in frame else None,
                "points": places(frame["points"], extent),
                "arrows": packed(frame["arrows"].astype("<f4")) if "arrows" in frame else None,
                "grids": [[places(row, extent) for row in grid] for grid in frame.get("grids", ())],
            }
            for frame in frames
        ],
    }
    charts = divergences(kept, frames, points, extent) + mode_charts(kept, frames, facts.options.data)
    return Plane(data, charts, *told(facts, frames[0], len(steps) - len(kept)))


def told(facts, frame, dropped):
    """(layers, notes)."""
    says = "the critic's number" if facts.critic else "D's probability of being real"
    judged = "surface" in frame
    layers = [
        *([("surface", f"{says}, orange low, blue high")] if judged else []),
        ("real", "real points, dark (light where the page is dark)"),
        ("generated", "generated points, yellow, always from the same noise"),
        *(
            [("arrows", "the way D's value rises at some generated points, longer where steeper")]
            if judged
            else []
        ),
    ]
    latent, notes = getattr(facts.cfg, "latent", None), []
    if "grids" in frame:
        shape = (
            "a grid of the noise between -2 and 2" if latent == 2 else "the noise between -2 and 2, a line"
        )
        layers.insert(int(judged), ("grid", f"where G takes {shape}"))
    else:
        notes.append(
            f"G's noise has {latent} dimensions: with --latent 2 the page shows where G takes a grid of it."
        )
    if facts.model.tells_labels:
        notes.append("D is told a label; what it says of a place is the mean over all of them.")
    if packs_of(facts.cfg) > 1:
        notes.append(
            f"D judges {packs_of(facts.cfg)} points together; what it says of one is the mean over some "
            "company of real ones."
        )
    if dropped:
        notes.append(f"{dropped} of the {len(facts.frames)} frames in the run are left out, evenly.")
    return layers, notes


def divergences(steps, frames, points, extent) -> list[Chart]:
    if points is None:
        return []
    cells = Cells(points, extent)
    found = [cells.divergences(frame["points"]) for frame in frames]
    _, floor = cells.divergences(points[: len(frames[0]["points"])])
    note = (
        f"Of {len(frames[0]['points']):,} generated and {len(points):,} real points, counted in "
        f"{cells.side} × {cells.side} cells of the square above and one for all outside; for KL half a point "
        "is added to each cell that has real ones."
    )
    series = [
        {"name": "KL(real ‖ generated)", "x": steps, "y": [kl for kl, _ in found]},
        {"name": "JS", "x": steps, "y": [js for _, js in found]},
    ]
    return [
        FollowingChart(
            "divergence", "How far apart", "nats", series, note, level=(floor, "JS of as many real points")
        )
    ]


def mode_charts(steps, frames, name) -> list[Chart]:
    """The charts of a mixture whose modes are known; none of other data."""
    if name not in MIXTURES:
        return []
    mixture = MIXTURES[name]
    found = [mixture_modes(frame["points"], mixture) for frame in frames]
    counts = {"name": "modes found", "x": steps, "y": [m.found for m in found]}
    good = {"name": "near a mode", "x": steps, "y": [m.high_quality for m in found]}
    modes = len(mixture.centres)
    return [
        FollowingChart(
            *("found", "Modes found", "modes", [counts], f"Those with a point within 3 σ, of {modes}."),
            range=(0, modes),
        ),
        FollowingChart(
            *("near", "Near a mode", "share of points", [good], "Generated points within 3 σ of one."),
            range=(0, 1),
        ),
    ]


class FollowingChart(Chart):
    """A chart whose cursor goes with the frame that is shown."""

    def drawn(self):
        return {**super().drawn(), "follow": True}


def opened(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a frame, see `training.frame`. MiniganError if it is damaged."""
    try:
        arrays = read_npz(path)
    except (OSError, ValueError) as error:
        raise MiniganError(f"{path} is damaged: {error}") from error
    shapes = {"points": (-1, 2), "real": (-1, 2), "arrows": (-1, 4), "surface": (-1, -1), "extent": ()}
    for name, shape in shapes.items():
        a = arrays.get(name)
        if a is None and name in OF_A_JUDGE:
            continue
        if (
            a is None
            or a.ndim != len(shape)
            or any(s not in (-1, n) for s, n in zip(shape, a.shape, strict=True))
        ):
            raise MiniganError(f"{path} is damaged: its array {name} is not one of a frame")
    return arrays


def places(points: np.ndarray, extent: float) -> str:
    """Points (N, 2) in whole parts of the extent."""
    return packed(np.clip(np.rint(points * (UNIT / extent)), -32768, 32767).astype("<i2"))


def packed(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()
