"""The loss of a discriminator on logits."""

import numpy as np

from ..arrays import array_module
from .grids import THREADS, blocks_for
from .launch import Source
from .layout import in_order, new_in_order, order_of
from .reduce import add_up

LOSS = Source("loss.cu")
SOURCES = [LOSS]


def bce_with_logits(x, target, scale):
    """scale·Σ (log(1 + eˣ) - target·x), for any x; target is of x's shape, or a number.

    An array without axes; one launch for up to 1,024 logits, else two.
    """
    xp, order = array_module(x), order_of(x)
    logits, target, number = in_order(x, order), *_target(x, target, order)
    loss, blocks = xp.empty((), np.float32), blocks_for(x.size, 4) or 1
    sums = loss if blocks == 1 else xp.empty(blocks, np.float32)
    n = np.int64(x.size)
    LOSS.launch("bce_with_logits", blocks, THREADS, logits, target, number, sums, n, np.float32(scale))
    if blocks > 1:
        add_up(sums, loss, 1, blocks, 1)
    return loss


def bce_with_logits_backward(gy, x, target, scale):
    """gy·scale·(σ(x) - target): the gradient of `bce_with_logits` in x, gy being one value.

    The result is in the memory order of x.
    """
    xp, order = array_module(x), order_of(x)
    gx, logits = new_in_order(x, x.shape, order), in_order(x, order)
    target, number = _target(x, target, order)
    gy = xp.asarray(gy, np.float32)
    if gy.size != 1:
        raise ValueError(f"bce_with_logits_backward: gy is one value, got shape {gy.shape}")
    n = np.int64(x.size)
    grid = blocks_for(x.size)
    LOSS.launch(
        "bce_with_logits_backward", grid, THREADS, gy, logits, target, number, gx, n, np.float32(scale)
    )
    return gx


def _target(x, target, order):
    """The target as an array in that order and a number; the number counts where the array is None."""
    if isinstance(target, int | float | np.generic):
        return None, np.float32(target)
    xp = array_module(x)
    if target.shape not in ((), x.shape):
        raise ValueError(f"bce_with_logits: x has shape {x.shape}, target {target.shape}")
    target = xp.broadcast_to(target.astype(np.float32, copy=False), x.shape)
    return in_order(target, order), np.float32(0)
