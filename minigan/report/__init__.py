"""Pictures of a run: sheets and films of samples, curves of losses."""

from .plots import save_losses
from .samples import save_gif, save_samples

__all__ = ["save_gif", "save_losses", "save_samples"]
