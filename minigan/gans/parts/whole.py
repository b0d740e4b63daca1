"""Pictures of any size, for networks that take some sizes alone."""

from collections.abc import Callable

import numpy as np

from minigan.autograd import Tensor


def in_multiples(network: Callable[[Tensor], Tensor], x: Tensor, of: int) -> Tensor:
    """What a network that takes multiples of `of` pixels a side makes of images x (N, C, H, W) of any size.

    x is continued by its mirror image on all sides, equally far, several times if it is small; what the
    network makes of that, which may be by a whole number larger, is cropped to the place of x. A border is
    made by picking pixels, so all is differentiable to every order.
    """
    before = [-n % of // 2 for n in x.shape[2:]]
    padded = x
    for axis, (n, ahead) in enumerate(zip(x.shape[2:], before, strict=True), 2):
        if n % of:
            places = np.pad(np.arange(n), (ahead, -n % of - ahead), mode="reflect")
            padded = padded[(slice(None),) * axis + (x.device.put(places),)]
    made = network(padded)
    scale = made.shape[2] // padded.shape[2]
    rows, columns = (
        slice(scale * ahead, scale * (ahead + n)) for ahead, n in zip(before, x.shape[2:], strict=True)
    )
    return made[:, :, rows, columns]
