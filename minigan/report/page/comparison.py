"""Runs beside each other on one page."""

from minigan import metrics
from minigan.report.plots import names_in

from .charts import Chart, line, present, smoothed, window
from .facts import Facts
from .page import Section, rendered
from .pictures import film

FRAMES = 24  # of the film of a run
FILMS = 3_000_000  # bytes of all films, about


def comparison(runs: list[Facts]) -> str:
    """The page of several runs, HTML."""
    tell_apart(runs)
    films = {i: film(facts.sheets, FRAMES, FILMS // len(runs)) for i, facts in enumerate(runs)}
    films = {i: pictures for i, pictures in films.items() if pictures}
    sections = [
        Section("training", "Training", losses(runs)),
        Section("metrics-over-time", "Metrics over time", evaluations(runs)),
    ]
    return rendered(
        "compare.html",
        {
            "charts": {chart.id: chart.drawn() for section in sections for chart in section.charts},
            "film": films,
            "plane": None,
        },
        title=f"{len(runs)} runs beside each other",
        kind="A comparison by minigan",
        runs=runs,
        film=films,
        frames=FRAMES,
        sections=sections,
        tables=[measured(runs), differences(runs)],
    )


def tell_apart(runs):
    """Call runs of one name by their paths."""
    names = [facts.name for facts in runs]
    for facts in runs:
        if names.count(facts.name) > 1:
            facts.name = str(facts.run.path)


def losses(runs) -> list[Chart]:
    """Each quantity of metrics.jsonl, a curve a run."""
    note = f"Means over a fiftieth of each run: {', '.join(f'{window(f.metrics):,}' for f in runs)} steps."
    return [
        Chart(f"metric-{i}", name, "", series_of(runs, "metrics", name, smooth), note)
        for i, name in enumerate(names_of(runs, "metrics"))
    ]


def evaluations(runs) -> list[Chart]:
    """Each quantity of evaluations.jsonl, a curve a run."""
    return [
        chart
        for i, name in enumerate(names_of(runs, "evaluations"))
        for chart in present(f"evaluation-{i}", name, "", series_of(runs, "evaluations", name, plain))
    ]


def names_of(runs, attribute) -> list[str]:
    """The quantities in the lines of all runs, each once."""
    return names_in([line for facts in runs for line in getattr(facts, attribute)])


def series_of(runs, attribute, name, curve) -> list[dict]:
    """A curve of each run; an empty one of a run without, so that each keeps its colour."""
    found = []
    for facts in runs:
        lines = getattr(facts, attribute)
        there = any(name in line for line in lines)
        found.append({**curve(lines if there else [], name), "name": facts.name})
    return found


def smooth(lines, name):
    drawn = smoothed(lines, name)
    return {"x": drawn["x"], "y": drawn["y"]}


def plain(lines, name):
    return line(lines, name, name)


def measured(runs):
    """(id, title, text, rows) of the table of what `minigan evaluate` said."""
    tables = [dict_of(facts) for facts in runs]
    rows = [
        (quantity, *(table.get(quantity, "–") for table in tables))
        for quantity in dict.fromkeys(quantity for table in tables for quantity in table)
    ]
    without = [facts.name for facts in runs if not facts.evaluation]
    text = (
        f"Not evaluated: {', '.join(without)}; minigan evaluate does."
        if without
        else "By minigan evaluate, ± error."
    )
    return "metrics", "Metrics", text, [("quantity", *(facts.name for facts in runs)), *rows]


def dict_of(facts) -> dict[str, str]:
    if not facts.evaluation:
        return {}
    _, *rows = metrics.table(facts.evaluation)
    return {quantity: f"{value} ± {error}" if error else value for quantity, value, error, *_ in rows}


def differences(runs):
    """(id, title, text, rows) of the settings that are not the same in all runs."""
    settings = [facts.settings() for facts in runs]
    rows = [
        (name, *values)
        for name in dict.fromkeys(name for one in settings for name in one)
        if len(set(values := [str(one.get(name, "–")) for one in settings])) > 1
    ]
    text = "All others are the same." if rows else "All settings are the same."
    return "settings", "Settings that differ", text, [("setting", *(facts.name for facts in runs)), *rows]
