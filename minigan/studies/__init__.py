"""Studies: rows of settings, each with several seeds, and the table of what they reach."""

from .jobs import Job, jobs_of
from .results import save_results
from .study import Row, Study
from .workers import run_jobs

__all__ = ["Job", "Row", "Study", "jobs_of", "run_jobs", "save_results"]
