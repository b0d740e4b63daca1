"""What every run shares: its folder, the runner, checkpoints, progress."""

from .options import Options
from .run import Run
from .runner import resume, train
from .session import Session, generate, load_generator

__all__ = ["Options", "Run", "Session", "generate", "load_generator", "resume", "train"]
