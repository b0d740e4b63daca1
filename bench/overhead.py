"""Where the microseconds of a small step go: to kernels, to autograd, to the rest of Python.

A clock with accounts is wound into minigan: its time always goes to one account, that of the innermost
function that is timed, and stands still while the clock keeps its books. What remains of the timers, a call
and a reading of the clock, is measured on a function that does nothing, and subtracted.

The file is a side too (see `minigan/speed/serve.py`): each of its steps gives what that step spent.
"""

import statistics
from collections import Counter
from functools import wraps
from itertools import chain
from pathlib import Path
from time import perf_counter

import numpy as np

import minigan_kernels as kernels
from minigan.autograd import Function
from minigan.gans.noise import gan
from minigan.optim import Optimizer
from minigan.speed import minigan_side
from minigan.speed.minigan_side import about
from minigan.speed.processes import Side, Worker
from minigan.speed.steps import POINTS, job

__all__ = ["about", "prepare"]

STEPS = 400
PARTS = "forward", "backward", "optimiser", "else"  # of a step
KINDS = "kernels", "autograd", "rest"


class Clock:
    """Seconds by account, a part of the step and a kind of work, and calls by part and name."""

    before = after = 0.0  # what a timer adds to the account of the caller, and to that of the function

    def __init__(self):
        self.accounts = [("else", "rest")]  # a stack
        self.start()

    def start(self):
        self.seconds, self.calls, self.last = Counter(), Counter(), perf_counter()

    def timed(self, function, name, kind, part=None):
        """The function, timed. part: that of a call which lies in no other part."""

        @wraps(function)
        def timer(*args, **settings):
            self.charge(self.before)
            now = self.accounts[-1][0]
            now = part if part and now == "else" else now
            self.calls[now, name] += 1
            self.accounts.append((now, kind))
            self.last = perf_counter()
            try:
                return function(*args, **settings)
            finally:
                self.charge(self.after)
                self.accounts.pop()
                self.last = perf_counter()

        return timer

    def charge(self, timer=0.0):
        self.seconds[self.accounts[-1]] += perf_counter() - self.last - timer

    def calibrate(self, n=20_000):
        """Measure what a timer adds."""

        def loop(function):
            self.start()
            for _ in range(n):
                function()
            self.charge()
            return [self.seconds[account] / n for account in (("else", "rest"), ("else", "empty"))]

        def empty():
            pass

        timer = self.timed(empty, "empty", "empty")
        call, outside, inside = [], [], []
        for _ in range(5):
            call.append(loop(empty)[0])
            a, b = loop(timer)
            outside.append(a)
            inside.append(b)
        self.after = max(0.0, min(inside) - min(call))
        self.before = max(0.0, min(outside))


def wind_in(clock):
    """Time the kernels of the engine, the ops and what they are made of, `grad`, and the optimisers."""
    engine = kernels.engine_for(np.zeros(1, np.float32))
    for name, kernel in vars(engine).items():
        setattr(engine, name, clock.timed(kernel, "kernel", "kernels"))
    for op in subclasses(Function):
        for name, called in {"forward": "work", "backward": "gradient", "first_order": "gradient"}.items():
            if callable(vars(op).get(name)):
                setattr(op, name, clock.timed(vars(op)[name], called, "rest"))
    Function.__call__ = clock.timed(Function.__call__, "op", "autograd", "forward")
    gan.grad = clock.timed(gan.grad, "grad", "autograd", "backward")
    Optimizer.step = clock.timed(Optimizer.step, "step", "rest", "optimiser")


def subclasses(base):
    return set(chain.from_iterable(({c} | subclasses(c)) for c in base.__subclasses__()))


def prepare(job):
    """Steps without timers at first, as many as the job says, each giving its seconds; then with them."""
    steps, clock = minigan_side.prepare(job), Clock()
    for _ in range(job["plain"]):
        start = perf_counter()
        next(steps)
        yield perf_counter() - start
    clock.calibrate()
    wind_in(clock)
    while True:
        clock.start()
        next(steps)
        clock.charge()
        yield {"seconds": clock.seconds, "calls": clock.calls}


def measure(threads: int, step=POINTS, steps: int | None = None) -> dict:
    """Microseconds of a step's parts, medians over the steps: for each, by kind of work, with its calls.

    `us` is the step without timers: what the parts should add up to.
    """
    steps = steps or STEPS
    with Worker(Side("minigan", Path(__file__)), threads) as worker:
        worker.prepare(job(step) | {"plain": 2 * steps})
        plain = worker.take(2 * steps)[steps:]  # the first of them wake the machine up
        timed = worker.take(steps)

    def calls(part, name):
        return timed[-1]["calls"][part, name]

    def microseconds(part, kind):
        return 1e6 * statistics.median(one["seconds"][part, kind] for one in timed)

    counted = {"forward": "op", "backward": "gradient", "optimiser": "step"}
    parts = {
        part: {kind: microseconds(part, kind) for kind in KINDS}
        | {"calls": calls(part, counted.get(part)), "kernel_calls": calls(part, "kernel")}
        for part in PARTS
    }
    title = f"{step.title}, batch {step.batch_size}"
    return {"title": title, "us": 1e6 * statistics.median(plain), "parts": parts}
