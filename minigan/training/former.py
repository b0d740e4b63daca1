"""What earlier versions wrote, as this one reads it: a checkpoint held a G, a D and an optimiser of each."""

import numpy as np

from minigan.diagnostics.look import total

PARTS = {"generator": "G", "discriminator": "D"}


def checkpoint(arrays: dict[str, np.ndarray], state: dict) -> tuple[dict, dict]:
    """(arrays, state) of a checkpoint of format 1, in format 2."""
    names = PARTS | {"average": "average.G"}
    renamed = {}
    for name, a in arrays.items():
        first, _, rest = name.partition(".")
        renamed[f"{names.get(first, first)}.{rest}"] = a
    average = {"average.G": {"updates": state["averaged"]}} if "averaged" in state else {}
    parts = {name: state.get(name, {}) for name in ("opt_g", "opt_d")} | average
    now = {
        "step": state.get("step"),
        "parts": {name: values for name, values in parts.items() if values},
        "random": {"rng": state.get("random")},
        "data": state.get("data"),
    }
    return renamed, now


def config(content: dict) -> dict:
    """What config.toml says, with the fields of the data in place of the shape of a sample."""
    if not isinstance(content.get("shape"), list):
        return content
    shape = content["shape"]
    kind = "image" if len(shape) == 3 else "point"
    rest = {name: value for name, value in content.items() if name != "shape"}
    return rest | {"fields": {kind: {"kind": kind, "shape": shape, "classes": 0}}}


def look(record: dict) -> dict:
    """A line of diagnostics.jsonl."""
    if "judges" in record or "output" not in record:
        return record
    told = ("accuracy", "output", "oscillation")
    judge = {name: record[name] for name in told if name in record}
    rest = {name: _renamed(value) for name, value in record.items() if name not in (*told, "loss", "step")}
    losses = {"d_loss": record["loss"]} if "loss" in record else {}
    makers = {"G": total(rest["gradient_norm"]["G"])} if "G" in rest.get("gradient_norm", {}) else {}
    return {"step": record["step"], "losses": losses, "judges": {"d": judge}, "makers": makers, **rest}


def _renamed(value):
    known = isinstance(value, dict) and value.keys() <= PARTS.keys()
    return {PARTS[name]: of for name, of in value.items()} if known else value
