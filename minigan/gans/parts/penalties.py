"""Penalties on slopes: of a judge at samples, of a generator in its code."""

import math

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


def r1_penalty(D, real, packs=1):
    """E[‖∇D(x)‖²] over real samples (N, ...), taken as constants: a Tensor of shape (), to be differentiated.

    Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually converge?", 2018, equation 9,
    where it is weighted by γ / 2. packs: how many samples D judges together; the gradient is then that in all
    of them. Order of derivative: any that D has.
    """
    with enable_grad():
        x = real.detach().requires_grad_()
        (slope,) = grad(D(x).sum(), x, create_graph=True)
        slope = F.square(pack(slope, packs))
        return slope.sum(axis=tuple(range(1, slope.ndim))).mean()


def path_lengths(make, w, y):
    """‖Jᵀ y‖ of the images make(w), J their derivative in w: (N,), to be differentiated.

    w: (N, layers, latent); the mean is taken of the squares of its layers. y: noise of the images' shape,
    which is divided by the root of their pixels, H · W. Order of derivative: any that `make` has.

    Karras et al., "Analyzing and improving the image quality of StyleGAN", 2020, section 3.2 and appendix B.
    """
    with enable_grad():
        images = make(w)
        (slope,) = grad((images * y).sum() / math.sqrt(math.prod(y.shape[2:])), w, create_graph=True)
        return F.sqrt(F.square(slope).sum(axis=2).mean(axis=1))
