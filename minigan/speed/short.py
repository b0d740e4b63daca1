"""`minigan bench`: how fast are the training steps here, and against PyTorch where it is installed?"""

from importlib.util import find_spec

from rich.console import Console

from minigan.environment import processors
from minigan.errors import MiniganError, did_you_mean

from .compare import EAGER, LOSSES, MINIGAN, Timing, measure
from .processes import Processes
from .steps import GAN_STEPS, STEPS, Step, job

TURNS = 2


def bench(names: tuple[str, ...], threads: int | None, seconds: float, console: Console):
    """Time the steps called `names`, by default those of the GANs, and print a line on each.

    MiniganError for an unknown name or an impossible number of threads.
    """
    steps = [named(name) for name in names] or list(GAN_STEPS)
    threads, compared = checked_threads(threads), has_torch()
    sides = [MINIGAN, EAGER] if compared else [MINIGAN]
    timing = Timing(TURNS, seconds / TURNS, warm_up=seconds / TURNS / 5, least=1)

    columns = f"{'step':38} {'steps/s':>9} {'ms':>9} {'µs/image':>9}"
    console.print(columns + (f" {'PyTorch ms':>11} {'PyTorch ÷ minigan':>18}" if compared else ""))
    for step in steps:
        work = job(step) | {"variant": {}}  # the likely best
        with console.status("") as status, Processes(threads) as processes:
            measured = measure(processes, dict.fromkeys(sides, work), LOSSES, timing, status.update)
        ours = measured.seconds(MINIGAN.name)
        line = f"{f'{step.title}, batch {step.batch_size}':38} {1 / ours:9.1f} {1e3 * ours:9.1f} "
        line += f"{1e6 * ours / step.batch_size:9.0f}"
        if compared:
            line += f" {1e3 * measured.seconds(EAGER.name):11.1f} {measured.ratio:18.2f}"
        console.print(line)
    console.print(f"Threads: {threads}. Median of {TURNS} turns of {timing.seconds:g} s.")
    if not compared:
        console.print("PyTorch is not installed, so there is no comparison: pip install torch")


def named(name: str) -> Step:
    """The step of that name. MiniganError for an unknown one."""
    found = {step.name: step for step in STEPS}
    if name not in found:
        raise MiniganError(f"unknown step {name!r}; {did_you_mean(name, found)}")
    return found[name]


def checked_threads(given: int | None) -> int:
    """How many threads each side gets: by default one for each processor of this process."""
    most = processors()
    if given is not None and not 1 <= given <= most:
        raise MiniganError(f"threads must be from 1 to {most}, the processors here, got {given}")
    return given or most


def has_torch() -> bool:
    """Whether PyTorch is installed, to compare with."""
    return find_spec("torch") is not None
