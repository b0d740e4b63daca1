"""Pictures of a run: sheets and films of samples, curves of losses, the surface of D."""

from .captions import save_captioned
from .plots import save_losses
from .samples import readable, save_gif, save_samples
from .shown import SHOWN, save_all, save_each, save_shown, save_walks
from .surface import surface

__all__ = [
    "SHOWN",
    "readable",
    "save_all",
    "save_captioned",
    "save_each",
    "save_gif",
    "save_losses",
    "save_samples",
    "save_shown",
    "save_walks",
    "surface",
]
