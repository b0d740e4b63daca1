"""Pictures of a run: sheets and films of samples, curves of losses."""

from .plots import save_losses
from .samples import save_each, save_gif, save_samples, save_walks

__all__ = ["save_each", "save_gif", "save_losses", "save_samples", "save_walks"]
