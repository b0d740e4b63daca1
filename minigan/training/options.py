"""What a run of any model can be told; the model's own settings are its `Config`."""

from dataclasses import dataclass, replace
from pathlib import Path

from minigan.errors import require


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run of any model can be told."""

    data: str = "digits"
    """What to learn: digits, mnist, fashion-mnist, ring8, grid25 or folder:PATH."""
    data_dir: Path | None = None
    """Folder with the files of mnist or fashion-mnist; otherwise they are looked for in
    MINIGAN_DATA_DIR and the cache, and downloaded."""
    seed: int = 0
    """Where all random numbers start from; the same seed gives the same bits."""
    sample_every: int | None = None
    """Steps between two sample sheets; by default a fiftieth of the run."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    detect_anomaly: bool = False
    """Check every op for NaN and infinity, to find the first; slow."""

    def with_absolute_paths(self) -> "Options":
        """The same, with paths that hold wherever the run is resumed from."""
        kind, _, path = self.data.partition(":")
        data = f"folder:{Path(path).expanduser().resolve()}" if kind == "folder" and path else self.data
        return replace(self, data=data, data_dir=self.data_dir and self.data_dir.expanduser().resolve())

    def __post_init__(self):
        require(self, "seed", below=2**64)
        require(self, "sample_every", "checkpoint_every", at_least=1)
