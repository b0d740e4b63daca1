"""Damage a file of a run, and use the run: a sentence, or the very result of an undamaged one."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from minigan.training import Run, Sampler
from minigan.training.checkpoint import load_checkpoint

from .damage import WAYS
from .runs import Process, random_source, scratch, train_command, warm_up

MODEL, AT, STEPS = "gan", 8, 12  # the run is damaged at step AT, to be resumed to STEPS
FURTHEST = 40  # steps that a damaged config.toml may tell it to go
SECONDS = 60  # that no command takes
COMMANDS = "resume", "sample", "diagnose", "report", "branch", "export"


def corrupt(n: int, seed: int = 0, say=print) -> list[dict]:
    """Damage n runs, each in one file, and call a command on each; the counts of each command."""
    rng, counts = random_source(seed), {command: Counter() for command in COMMANDS}
    with scratch() as folder:
        warm_up(MODEL, folder / "warm")
        known = Known(folder)
        for i in range(n):
            run = Path(shutil.copytree(known.run, folder / "run"))
            files = sorted(p for p in run.rglob("*") if p.is_file())
            file, way = files[rng.integers(len(files))], WAYS[rng.integers(len(WAYS))]
            file.write_bytes(way(file.read_bytes(), rng))
            name = COMMANDS[i % len(COMMANDS)]
            outcome, why = known.outcome(name, run, file.relative_to(run))
            counts[name][outcome] += 1
            if outcome == "bad":
                say(f"{way.__name__} of {file.relative_to(run)}, then {name}: {why}")
            shutil.rmtree(run)
            shutil.rmtree(branch_of(run), ignore_errors=True)
    return [
        {
            "what": name,
            "damaged runs": sum(found.values()),
            "a sentence": found["sentence"],
            "unharmed": found["unharmed"],
            "recovered from the checkpoint before": found["recovered"],
            "wrong, hung or a traceback": found["bad"],
        }
        for name, found in counts.items()
    ]


class Known:
    """An undamaged run at step AT in the folder `run`, and what comes of it."""

    def __init__(self, folder: Path):
        self.run, self.log, self.out = folder / "known", folder / "log", folder / "out.npz"
        whole = folder / "whole"
        self.do(train_command(MODEL, self.run, steps=AT, diagnose_every=1))
        self.do(train_command(MODEL, whole, steps=FURTHEST, checkpoint_every=1))
        config = self.run / "config.toml"
        config.write_text(
            config.read_text(encoding="utf-8").replace(f"steps = {AT}", f"steps = {STEPS}"), encoding="utf-8"
        )
        self.checkpoints = {
            s: load_checkpoint(Run.open(whole).checkpoints.path(s)) for s in range(1, FURTHEST + 1)
        }
        self.lines = set((whole / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        self.samples = {s: Sampler.of(Run.open(whole), s)(5) for s in self.checkpoints}

    def do(self, command: list[str]):
        code = Process(command, self.log).finish()
        if code:
            raise RuntimeError(f"{command} ended with {code}:\n{self.log.read_text(encoding='utf-8')}")

    def outcome(self, name: str, run: Path, file: Path) -> tuple[str, str]:
        """(unharmed, recovered, sentence or bad, why it is bad) of a command on a damaged run."""
        command = {
            "resume": ["train", MODEL, f"--resume={run}"],
            "sample": ["sample", str(run), "--n=5", f"--out={self.out}"],
            "diagnose": ["diagnose", str(run)],
            "report": ["report", str(run)],
            "branch": ["train", MODEL, f"--from={run}:4", f"--out={branch_of(run)}"],
            "export": [
                "export",
                str(run),
                "--to=safetensors",
                f"--out={self.out.with_suffix('.safetensors')}",
            ],
        }[name]
        try:
            code = Process(command, self.log).finish(SECONDS)
        except TimeoutError as error:
            return "bad", str(error)
        said = self.log.read_text(encoding="utf-8")
        if code == 2:
            sentences = [line for line in said.splitlines() if line.startswith("minigan: ")]
            fine = len(sentences) == 1 and "Traceback" not in said
            return ("sentence", "") if fine else ("bad", said)
        if code not in (0, 3):
            return "bad", f"exit code {code}: {said}"
        why = self.wrong(name, run, file)
        return ("bad", why) if why else ("recovered" if "is taken instead" in said else "unharmed", "")

    def wrong(self, name: str, run: Path, file: Path) -> str:
        """In what the result of a command that went well is not that of an undamaged run."""
        if name == "sample":
            made = np.load(self.out)["samples"]
            right = (self.samples[step] for step in range(2, AT + 1, 2))
            return "" if any(np.array_equal(made, samples) for samples in right) else "other samples"
        if name not in ("resume", "branch"):
            return ""
        run = run if name == "resume" else branch_of(run)
        found = Run.open(run).checkpoint(say=lambda text: None)
        right = self.checkpoints[found.step]
        if found.state != right.state or any(
            a.tobytes() != right.arrays[key].tobytes() for key, a in found.arrays.items()
        ):
            return f"another checkpoint of step {found.step}"
        lines = (
            (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            if file.name != "metrics.jsonl"
            else []
        )
        strange = [line for line in lines if line not in self.lines]
        steps = [json.loads(line)["step"] for line in lines]
        if strange or (lines and steps != list(range(1, found.step + 1))):
            return f"other metrics: {strange[:1]}, steps {steps}"
        return ""


def branch_of(run: Path) -> Path:
    """The run that begins where this one was."""
    return run.with_name(f"{run.name}-branch")
