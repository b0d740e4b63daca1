"""Small runs in processes of their own, and what makes two of them the same.

A process is forked from this one, which has imported everything and compiled the kernels: it begins at once.
"""

import io
import os
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from minigan.cli import main
from minigan.training import Run
from minigan.training.checkpoint import load_checkpoint

STEPS = 24
SHORT = {"steps": STEPS, "batch-size": 8, "seed": 7}
SHORT |= {"checkpoint-every": 2, "sample-every": 6, "diagnose-every": 3}
TINY = SHORT | {"latent": 4}
IMAGES = {"width": 4, "ema": 0.9}
SETTINGS = {
    "gan": TINY | {"data": "ring8", "pack": 2},
    "dcgan": TINY | IMAGES,
    "cgan": TINY | IMAGES,
    "acgan": TINY | IMAGES,
    "lsgan": TINY | IMAGES,
    "wgan": TINY | IMAGES | {"n-critic": 2, "n-critic-first": 3},
    "wgan-gp": TINY | IMAGES | {"n-critic": 2},
    "stylegan": TINY | IMAGES | {"mapping": 1, "r1-every": 4, "path-weight": 2.0, "path-every": 3},
    "lapgan": TINY | IMAGES | {"coarse-width": 8},
    "unrolled": TINY | {"data": "ring8", "unroll": 2},
    "infogan": TINY | IMAGES,
    "ae": TINY | {"hidden": 16, "masked": 0.2, "ema": 0.9},
    "vae": TINY | {"hidden": 16, "draws": 3, "binarise": True, "lr-last": 1e-4},
    "beta-vae": TINY | {"data": "digits", "width": 4, "hidden": 16, "capacity": 3.0},
    "vq-vae": SHORT | {"width": 4, "codes": 16, "length": 4, "prior-width": 4, "first": 0.5},
    "vae-gan": TINY | IMAGES,
    "pix2pix": SHORT | {"width": 2},
    "cyclegan": SHORT | {"batch-size": 2, "width": 2, "blocks": 1, "pool": 7},
    "srgan": SHORT | {"width": 2, "blocks": 1, "size": 16},
    "dvdgan": TINY | {"width": 2, "width-d": 4, "ema": 0.9},
    "next-frame": TINY | {"width": 4},
    "wavegan": TINY | {"width": 2, "ema": 0.9, "n-critic": 2},
    "melody-gan": TINY | {"width": 4, "noise": 2, "hidden": 8, "n-critic": 2, "ema": 0.9},
    "text-gan": TINY | {"width": 4, "blocks": 1, "choice": "gumbel"},
    "text2image": TINY | IMAGES | {"size": 16, "embedding": 8, "condition": 4},
}
MODELS = (*SETTINGS,)


def train_command(model: str, path: Path, **changes) -> list[str]:
    """Train in the folder `path`; changes: settings by their names, with _ in the place of -."""
    settings = SETTINGS[model] | {name.replace("_", "-"): value for name, value in changes.items()}
    return ["train", model, *(f"--{name}={value}" for name, value in settings.items()), f"--out={path}"]


def next_command(model: str, path: Path) -> list[str]:
    """What a user types after a kill: resume, or begin anew where there is nothing to resume."""
    if path.exists() and Run(path, {}).checkpoints.steps():
        return ["train", model, f"--resume={path}"]
    shutil.rmtree(path, ignore_errors=True)
    return train_command(model, path)


class Process:
    """`minigan COMMAND` in a forked process; its output is in the file `log`."""

    def __init__(self, command: list[str], log: Path):
        self.log, self.began = log, time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            self._run(command)

    def _run(self, command):
        code = 70  # of a traceback
        try:
            with (
                open(self.log, "w", buffering=1, encoding="utf-8") as out,
                redirect_stdout(out),
                redirect_stderr(out),
            ):
                code = told(command, out)
        except KeyboardInterrupt:  # before or after the command
            code = 130
        finally:
            os._exit(code)

    def wait(self, seconds: float, until=lambda: False) -> int | None:
        """The exit code, negative for a signal's number; None if it still runs after `seconds`, or when
        `until()` comes true."""
        end = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end or until():
                return None
            time.sleep(0.0005)

    def send(self, number: signal.Signals):
        os.kill(self.pid, number)

    def finish(self, seconds=120) -> int:
        """The exit code. TimeoutError, and the process killed, if it hangs."""
        code = self.wait(seconds)
        if code is None:
            self.send(signal.SIGKILL)
            self.wait(10)
            raise TimeoutError(
                f"still running after {seconds} s; its output:\n{self.log.read_text(encoding='utf-8')}"
            )
        return code


def told(command: list[str], out) -> int:
    """Run a command; the exit code, 70 for an exception, whose traceback goes to `out`."""
    import traceback

    try:
        return main(command)
    except SystemExit as ended:  # of a Ctrl-C that cyclopts took
        return ended.code
    except Exception:
        traceback.print_exc(file=out)
        return 70


def call(command: list[str]) -> tuple[int, str]:
    """The same in this process: (exit code, output)."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        return told(command, out), out.getvalue()


def warm_up(model: str, path: Path):
    """Train once in this process, so that what it forks finds all imported and compiled."""
    code, output = call(train_command(model, path))
    if code:
        raise RuntimeError(f"training ended with {code}:\n{output}")


def unlike(path: Path, whole: Path) -> list[str]:
    """What distinguishes a finished run from the unbroken one: nothing, it is to be hoped."""
    one, other = (load_checkpoint(Run.open(p).checkpoints.latest()) for p in (path, whole))
    found = [] if (one.step, one.state) == (other.step, other.state) else ["state"]
    if one.arrays.keys() != other.arrays.keys():
        found.append("names of arrays")
    else:
        found += [name for name, a in one.arrays.items() if a.tobytes() != other.arrays[name].tobytes()]
    for name in ("metrics.jsonl", "diagnostics.jsonl", f"samples/step-{STEPS:06d}.png"):
        if (path / name).read_bytes() != (whole / name).read_bytes():
            found.append(name)
    return found


@contextmanager
def scratch():
    """A folder for the runs, in memory where the system has such."""
    with tempfile.TemporaryDirectory(prefix="minigan-faults-") as folder:
        yield Path(folder)


def random_source(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
