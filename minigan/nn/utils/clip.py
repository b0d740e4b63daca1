"""Gradients of a bounded length."""

from collections.abc import Sequence

from minigan import functional as F
from minigan.arguments import Kind, checked, number
from minigan.autograd import Tensor

GRADIENTS = Kind(
    "a list of Tensors or None, as grad gives them",
    lambda value: isinstance(value, (tuple, list)) and all(g is None or isinstance(g, Tensor) for g in value),
)
EPS = 1e-6  # PyTorch's


@checked(gradients=GRADIENTS, max_norm=number(" of at least 0", lambda value: value >= 0))
def clip_grad_norm(gradients: Sequence[Tensor | None], max_norm: float) -> tuple[list[Tensor | None], Tensor]:
    """Gradients whose length, of all entries of all of them, is at most `max_norm`; and the length before.

        g · min(1, max_norm / (|g| + 1e-6))

    gradients: a list of Tensors of one floating dtype on one device, as `grad` gives them; a None stays None.
    Returns (list, Tensor without axes): new Tensors, since two of `grad`'s may share their memory. They have
    derivatives of every order where the gradients do, but for |g| = 0. What is not finite is not hidden: it
    becomes NaN. TypeError or ValueError for what is no such list or number.

    Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, Algorithm 1.
    """
    squares = [(g * g).sum() for g in gradients if g is not None]
    length = sum(squares[1:], start=squares[0]).sqrt() if squares else Tensor(0.0)
    scale = F.minimum(max_norm / (length + EPS), 1.0)
    return [g if g is None else g * scale for g in gradients], length
