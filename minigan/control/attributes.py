"""What can be measured of a sample without a classifier, by the kind of the data, as functions of a Tensor
through which gradients flow.

An attribute is a function of samples alone: of pictures, how their ink lies. Data whose samples have other
properties get a line in ATTRIBUTES of their own.
"""

from minigan.autograd import Tensor
from minigan.metrics.shapes import slants_and_widths


def of_pictures(x: Tensor) -> dict[str, Tensor]:
    """ink: the mean pixel. slant, width: see `minigan.metrics.slant_and_width`. x: (N, C, H, W) -> (N,)
    each."""
    slant, width = slants_and_widths(x)
    return {"ink": x.mean(axis=(1, 2, 3)), "slant": slant, "width": width}


ATTRIBUTES = {"image": (("ink", "slant", "width"), of_pictures)}  # of the kind of a field: (names, function)
