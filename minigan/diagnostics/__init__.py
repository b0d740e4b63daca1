"""The run doctor: how is the training going, by what evidence, and what to try?"""

from .doctor import Doctor, every_by_default
from .look import look
from .samples import Reference
from .verdict import HEALTHY, STOPS, Finding, diverged, verdict

__all__ = [
    "HEALTHY",
    "STOPS",
    "Doctor",
    "Finding",
    "Reference",
    "diverged",
    "every_by_default",
    "look",
    "verdict",
]
