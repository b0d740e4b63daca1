"""How steep a critic is."""

import numpy as np

from minigan.autograd import Tensor, enable_grad, grad
from minigan.gans.parts.packing import pack


def steepest(D, real, fake, u, packs: int = 1) -> float:
    """The largest |∇D(x̂)| at the points x̂ = u · real + (1 - u) · fake: a lower bound of D's slope.

    real, fake: Tensors (N, ...). u: an array (N / packs, 1, ...) of numbers in [0, 1]. packs: how many
    samples D judges together; the slope is that in all of them.
    """
    u = Tensor(np.concatenate([u] * packs), device=real.device)
    with enable_grad():
        mixed = (u * real.detach() + (1.0 - u) * fake.detach()).requires_grad_()
        (slope,) = grad(D(mixed).sum(), mixed)
    rows = pack(slope.detach(), packs).numpy()
    return float(np.linalg.norm(rows.reshape(len(rows), -1), axis=1).max())
