"""Putting a page together: facts, charts and pictures into the templates beside this file."""

import json
import platform
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from minigan import __version__, metrics

from . import charts
from .charts import Chart
from .exhibits import Exhibits
from .facts import Facts
from .pictures import embedded, film, opened
from .plane import plane

TEMPLATES = Path(__file__).parent


@dataclass
class Section:
    """A part of the page: charts, and below them a table, its head first, that `text` introduces."""

    id: str
    title: str
    charts: list[Chart]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    text: str = ""


def page(facts: Facts, exhibits: Exhibits) -> str:
    """The page of a run, HTML."""
    looks, critic = facts.looks, facts.critic
    game = plane(facts, exhibits.points)
    pictures = None if game else film(facts.sheets)
    sections = [
        Section("training", "Training", charts.losses(facts.metrics, critic)),
        Section("judges", "The critic" if critic else "The discriminator", charts.outputs(looks, critic)),
        Section("variety", "Variety of the samples", charts.samples(looks)),
        Section(
            "gradients",
            "Gradients, updates and units",
            charts.gradients(looks) + charts.health(looks, critic),
        ),
        measured(facts),
    ]
    drawn = [chart for section in sections for chart in section.charts] + (game.charts if game else [])
    return rendered(
        "report.html",
        {
            "charts": {chart.id: chart.drawn() for chart in drawn},
            "film": pictures and {"sheets": pictures},
            "plane": game and game.data,
        },
        title=facts.title,
        kind=f"A run of minigan, {facts.name}",
        facts=facts,
        game=game,
        film=pictures,
        real=embedded(opened(facts.real)) if facts.real.exists() and not game else None,
        sections=sections,
        exhibits=exhibits,
        absent=absent(facts),
        versions={
            f"Trained by minigan {facts.run.config.get('minigan', 'unknown')}, page made by": __version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
        },
    )


def measured(facts) -> Section:
    """What was measured while training, and by `minigan evaluate`."""
    section = Section("metrics", "Metrics", charts.evaluations(facts.evaluations, facts.evaluation))
    if facts.evaluation:
        of = facts.evaluation.get("checkpoint", "this run")
        section.rows = metrics.table(facts.evaluation)
        section.text = f"By minigan evaluate, of {of}. Real data: what as many real samples get."
    return section


def absent(facts) -> list[str]:
    """What the page has not, and why, in sentences."""
    lines = []
    if not facts.metrics:
        lines.append("There are no losses yet.")
    if not facts.looks:
        lines.append("The doctor has not looked at this run: there is no diagnostics.jsonl.")
    if not facts.evaluations:
        lines.append("Nothing was measured while training; --evaluate-every does.")
    if not facts.evaluation:
        lines.append("There is no evaluation.json; minigan evaluate writes it.")
    return lines


def rendered(template: str, data: dict, **variables) -> str:
    """The template with its variables, and with `data` as JSON for the scripts."""
    written = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return templates().get_template(template).render(data=written, **variables)


@cache
def templates():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only a page needs it

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
