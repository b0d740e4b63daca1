"""Pictures of a run: sheets and films of samples, curves of losses, the surface of D."""

from .plots import save_losses
from .samples import save_gif, save_samples
from .surface import surface

__all__ = ["save_gif", "save_losses", "save_samples", "surface"]
