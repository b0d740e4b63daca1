"""What every run shares: its folder, the runner, checkpoints, progress, samples, evaluation."""

from .branch import branch
from .evaluation import evaluate_archive, evaluate_run
from .interpolate import interpolate
from .options import Options
from .page import write_comparison, write_page
from .run import Run
from .runner import resume, train
from .sampler import Sampler
from .session import Session
from .translation import check_translates, tiles_of, translate

__all__ = [
    "Options",
    "Run",
    "Sampler",
    "Session",
    "branch",
    "check_translates",
    "evaluate_archive",
    "evaluate_run",
    "interpolate",
    "resume",
    "tiles_of",
    "train",
    "translate",
    "write_comparison",
    "write_page",
]
