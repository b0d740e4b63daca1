"""A gradient of a gradient: what WGAN-GP asks of an autograd engine, and how to be sure of it.

    python examples/gradient_penalty.py

The penalty E[(‖∇ₓ D(x)‖ - 1)²] holds a gradient, and training needs the gradient of the penalty in
D's weights. `create_graph=True` records the first backward pass like any other computation, because
every op's backward is made of ops. The result is then compared with finite differences.
"""

import numpy as np

from minigan import Generator, Tensor, enable_grad, grad
from minigan import functional as F
from minigan.testing import check_grads


def critic(x, w1, w2):
    """A convolution, tanh, and one number per image. LeakyReLU trains better, but among thousands of
    its units some change sign within the step of a difference, and there the penalty jumps."""
    h = F.tanh(F.conv2d(x, w1, stride=2, padding=1))
    return F.flatten(h, 1) @ w2


def penalty(x, w1, w2):
    with enable_grad():  # also where the caller evaluates without recording, as the check does
        x = x.detach().requires_grad_()
        (gx,) = grad(critic(x, w1, w2).sum(), x, create_graph=True)
        return ((F.flatten(gx, 1).norm(axis=1) - 1.0) ** 2).mean()


rng = Generator(0)
images = Tensor(rng.normal((8, 3, 16, 16), dtype=np.float64))
w1 = rng.normal((16, 3, 4, 4), std=0.1, dtype=np.float64)
w2 = rng.normal((16 * 8 * 8, 1), std=0.1, dtype=np.float64)

W1, W2 = Tensor(w1, requires_grad=True), Tensor(w2, requires_grad=True)
value = penalty(images, W1, W2)
g1, g2 = grad(value, (W1, W2))
print(f"penalty {value.item():.6f}, |gradient in w1| {g1.norm().item():.6f}, in w2 {g2.norm().item():.6f}")

error = check_grads(lambda a, b: penalty(images, a, b), [w1, w2], order=1)
print(f"relative error against finite differences {error:.1e}")
