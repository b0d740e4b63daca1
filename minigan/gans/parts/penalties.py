"""Penalties on the slope of a judge."""

from minigan import functional as F
from minigan.autograd import enable_grad, grad

from .packing import pack

EPS = 1e-12  # under the root of a norm: it has a slope also where the gradient is 0


def gradient_penalty(D, real, fake, u, packs=1):
    """E[(‖∇D(x̂)‖ - 1)²] at x̂ = u · real + (1 - u) · fake: a Tensor of shape (), to be differentiated.

    Gulrajani et al. 2017, equation 3. real, fake: (N, ...), taken as constants. u: (N / packs, 1, ...),
    numbers in [0, 1], one a pack. packs: how many samples D judges together; the gradient is then that in all
    of them.

    The norm is √(Σ + 1e-12), over all values of a pack. Order of derivative: any that D has.
    """
    u = F.concat([u] * packs, axis=0) if packs > 1 else u
    with enable_grad():
        mixed = (u * real.detach() + (1.0 - u) * fake.detach()).requires_grad_()
        (slope,) = grad(D(mixed).sum(), mixed, create_graph=True)
        return ((F.row_norms(pack(slope, packs), EPS) - 1.0) ** 2).mean()


def r1_penalty(D, real):
    """E[‖∇D(x)‖²] over real samples (N, ...), taken as constants: a Tensor of shape (), to be differentiated.

    Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually converge?", 2018, equation 9,
    where it is weighted by γ / 2. Order of derivative: any that D has.
    """
    with enable_grad():
        x = real.detach().requires_grad_()
        (slope,) = grad(D(x).sum(), x, create_graph=True)
        return (F.flatten(slope, 1) ** 2).sum(axis=1).mean()
