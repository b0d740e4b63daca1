"""Files of a folder that each belong to a step: step-001000.png."""

import re
from pathlib import Path

OF_A_STEP = re.compile(r"step-(\d+)\.\w+")


def of_step(folder: Path, step: int, suffix: str) -> Path:
    """The file of that step."""
    return folder / f"step-{step:06d}{suffix}"


def by_step(folder: Path, suffix: str = ".*") -> list[tuple[int, Path]]:
    """All such files in the folder with their steps, in order."""
    named = ((OF_A_STEP.fullmatch(path.name), path) for path in folder.glob(f"step-*{suffix}"))
    return sorted((int(name[1]), path) for name, path in named if name)
