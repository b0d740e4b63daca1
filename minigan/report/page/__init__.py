"""The page of a run, and of runs beside each other: one HTML file that needs nothing else, and no network."""

from .comparison import comparison
from .exhibits import Exhibits
from .facts import Facts
from .page import page

__all__ = ["Exhibits", "Facts", "comparison", "page"]
