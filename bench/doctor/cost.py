"""What a look costs: `python -m bench.doctor.cost`, with the models' default steps."""

import argparse
import time

import numpy as np

from minigan.diagnostics import Doctor, every_by_default
from minigan.gans import model_named
from minigan.training import Options, Session

RUNS = (
    ("gan", "ring8", {}),
    ("gan", "digits", {}),
    ("dcgan", "digits", {"width": 32}),
    ("cgan", "digits", {"width": 32}),
    ("wgan-gp", "digits", {"width": 32}),
    ("wgan-gp", "ring8", {}),
)
SECONDS = 10.0  # for each run
STEPS = 5  # between two looks: they take turns, so that what else the machine does falls on both


def cost(model: str, data: str, settings: dict) -> str:
    """A row: the time of a step, of what a look adds, and its share of a run's time."""
    session = Session(model, Options(data=data), model_named(model).Config(**settings))
    doctor = Doctor(session, session.sampler_of(session.parts), every=10**9)
    plain, looked = [], []
    doctor.due = lambda step: step % (STEPS + 1) == 0
    for kind in (plain, looked):  # warms up what either needs
        timed(session, doctor, kind, STEPS + 1)
    plain.clear()
    looked.clear()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        timed(session, doctor, plain, STEPS)
        timed(session, doctor, looked, 1)
    step, more = np.median(plain), np.median(looked) - np.median(plain)
    every, name = every_by_default(session.cfg.steps), f"{model} {data} {settings or ''}"
    times = f"step {1e3 * step:7.2f} ms   look {1e3 * more:6.2f} ms more"
    return f"{name:32} {times}, every {every} steps: {more / every / step:.1%}"


def timed(session, doctor, times, n):
    for _ in range(n):
        begin = time.perf_counter()
        with doctor.watching():
            metrics = session.next_step()
        doctor.note(metrics)
        times.append(time.perf_counter() - begin)


def main(arguments: list[str] | None = None):
    argparse.ArgumentParser(prog="python -m bench.doctor.cost", description=__doc__).parse_args(arguments)
    for run in RUNS:
        print(cost(*run), flush=True)


if __name__ == "__main__":
    main()
