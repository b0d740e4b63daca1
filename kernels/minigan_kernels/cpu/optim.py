"""Optimiser steps as one pass over the flat arrays: every number is read once and written once.

The operations and their order are those of `reference`, with each setting rounded to the dtype of the
arrays as NumPy rounds a Python float; the results differ by fused multiply-adds, in the last bit or two.
Arrays that are not contiguous, or of several dtypes, are left to `reference`.

A moving average of a gradient that has become 0 shrinks until it is below the smallest normal number. For
such a subnormal one a processor takes a hundred times as long, and the average would stay one for good: so
it is set to 0, as on a GPU.
"""

import math

import numpy as np

from ..reference import optim as reference
from .compiling import helper
from .threads import parallel, parts_of


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    """g += weight_decay·p; buf = momentum·buf + (1 - dampening)·g (g itself at the `first` step); p -=
    lr·buf, or lr·(g + momentum·buf) with nesterov. buf is None without momentum.

    All arrays are flat, of one length.
    """
    if not _plain(p, g, *([buf] if momentum else [])):
        reference.sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first)
    elif momentum:
        numbers = float(lr), float(momentum), 1.0 - dampening, float(weight_decay)
        _sgd_momentum(p, g, buf, *numbers, bool(nesterov), bool(first), _tiny(p), parts_of(p.size))
    else:
        _sgd(p, g, float(lr), float(weight_decay), parts_of(p.size))


def rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay):
    """square_avg = alpha·square_avg + (1 - alpha)·g²; p -= lr·g / (√square_avg + eps).

    All arrays are flat, of one length.
    """
    if not _plain(p, g, square_avg):
        reference.rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay)
        return
    numbers = float(lr), float(alpha), 1.0 - alpha, float(eps), float(weight_decay), _tiny(p)
    _rmsprop(p, g, square_avg, *numbers, parts_of(p.size))


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    """Kingma, Ba, "Adam", 2015, Algorithm 1; weight decay is added to g.

    All arrays are flat, of one length.
    """
    if not _plain(p, g, exp_avg, exp_avg_sq):
        reference.adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay)
        return
    step_size, root = lr / (1 - beta1**step), math.sqrt(1 - beta2**step)
    numbers = 1.0 - beta1, float(beta2), 1.0 - beta2, float(step_size), root, float(eps), float(weight_decay)
    _adam(p, g, exp_avg, exp_avg_sq, *numbers, _tiny(p), parts_of(p.size))


def _tiny(p):
    return np.finfo(p.dtype).tiny


def _plain(*arrays):
    p = arrays[0]
    return p.dtype.kind == "f" and all(
        a.flags.carray and a.ndim == 1 and a.dtype == p.dtype and a.size == p.size for a in arrays
    )


@helper
def _normal(x, tiny):
    """x, or 0 where it is below the smallest normal number."""
    return tiny - tiny if abs(x) < tiny else x  # a zero of their dtype


# In the kernels, `first` and `last` bound the entries of a part, and all loops are over slices that start
# at 0: what a vector loop needs. A weight decay of 0 leaves g as it is, also where p is infinite.


@parallel
def _sgd(p, g, lr, weight_decay, part, parts):
    number = p.dtype.type
    lr, weight_decay = number(lr), number(weight_decay)
    first, last = part * len(p) // parts, (part + 1) * len(p) // parts
    p_, g_ = p[first:last], g[first:last]
    for k in range(len(p_)):
        d = g_[k] + weight_decay * p_[k] if weight_decay else g_[k]
        p_[k] -= lr * d


@parallel
def _sgd_momentum(p, g, buf, lr, momentum, share, weight_decay, nesterov, start, tiny, part, parts):
    number = p.dtype.type
    lr, momentum, share = number(lr), number(momentum), number(share)
    weight_decay, tiny = number(weight_decay), number(tiny)
    first, last = part * len(p) // parts, (part + 1) * len(p) // parts
    p_, g_, buf_ = p[first:last], g[first:last], buf[first:last]
    for k in range(len(p_)):
        d = g_[k] + weight_decay * p_[k] if weight_decay else g_[k]
        b = d if start else _normal(momentum * buf_[k] + share * d, tiny)
        buf_[k] = b
        p_[k] -= lr * (d + momentum * b if nesterov else b)


@parallel
def _rmsprop(p, g, square_avg, lr, alpha, share, eps, weight_decay, tiny, part, parts):
    number = p.dtype.type
    lr, alpha, share, eps = number(lr), number(alpha), number(share), number(eps)
    weight_decay, tiny = number(weight_decay), number(tiny)
    first, last = part * len(p) // parts, (part + 1) * len(p) // parts
    p_, g_, square_ = p[first:last], g[first:last], square_avg[first:last]
    for k in range(len(p_)):
        d = g_[k] + weight_decay * p_[k] if weight_decay else g_[k]
        s = _normal(alpha * square_[k] + share * d * d, tiny)
        square_[k] = s
        p_[k] -= lr * (d / (np.sqrt(s) + eps))


@parallel
def _adam(
    p, g, exp_avg, exp_avg_sq, share1, beta2, share2, step_size, root, eps, weight_decay, tiny, part, parts
):
    number = p.dtype.type
    share1, beta2, share2, tiny = number(share1), number(beta2), number(share2), number(tiny)
    step_size, root, eps, weight_decay = number(step_size), number(root), number(eps), number(weight_decay)
    first, last = part * len(p) // parts, (part + 1) * len(p) // parts
    p_, g_, m_, v_ = p[first:last], g[first:last], exp_avg[first:last], exp_avg_sq[first:last]
    for k in range(len(p_)):
        d = g_[k] + weight_decay * p_[k] if weight_decay else g_[k]
        m = _normal(m_[k] + share1 * (d - m_[k]), tiny)
        v = _normal(beta2 * v_[k] + share2 * d * d, tiny)
        m_[k], v_[k] = m, v
        p_[k] -= step_size * (m / (np.sqrt(v) / root + eps))
