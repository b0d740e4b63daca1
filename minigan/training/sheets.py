"""samples/ of a run folder: see `Sheets`."""

from pathlib import Path

from .by_step import by_step, of_step


class Sheets:
    """Pictures of what is made of the same inputs through training, step-001000.png, and real.png of real
    data; of a run in the plane a frame beside each, step-001000.npz: see `frame`."""

    def __init__(self, folder: Path):
        self.folder, self.real = folder, folder / "real.png"

    def path(self, step: int) -> Path:
        """Where the picture of that step is, or is to be."""
        return of_step(self.folder, step, ".png")

    def frame(self, step: int) -> Path:
        """What belongs to that picture in a run in the plane."""
        return of_step(self.folder, step, ".npz")

    def all(self) -> dict[int, Path]:
        """The pictures by their steps, in order."""
        return dict(by_step(self.folder, ".png"))

    def paths(self) -> list[Path]:
        """The pictures, in order."""
        return [*self.all().values()]

    def up_to(self, step: int) -> list[Path]:
        """Pictures and frames that are of no later step."""
        return [path for s, path in by_step(self.folder) if s <= step]

    def forget_after(self, step: int):
        """Drop the pictures and frames of later steps."""
        for s, path in by_step(self.folder):
            if s > step:
                path.unlink()
