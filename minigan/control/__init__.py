"""A trained model made to do what one wants: codes that are moved until a feature is there, and codes of
pictures."""

from .encoding import encode, read_pictures, walk_between
from .search import nearest, searched
from .steering import WAYS, Steered, eyes_of, steer

__all__ = [
    "WAYS",
    "Steered",
    "encode",
    "eyes_of",
    "nearest",
    "read_pictures",
    "searched",
    "steer",
    "walk_between",
]
