"""Trained networks for other programs: as ONNX graphs, or as weights for the same network in PyTorch."""

from .files import export
from .network import Network
from .onnx_file import difference, onnx_model

__all__ = ["Network", "difference", "export", "onnx_model"]
