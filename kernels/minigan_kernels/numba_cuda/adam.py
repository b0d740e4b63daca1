"""One step of Adam over flat arrays: every number is read once and written once.

    reads p, g, m, v, writes p, m, v: 28 bytes an entry, and about 15 operations. Bound by memory.

Kingma, Ba, "Adam", 2015, Algorithm 1.
"""

import math

import numpy as np
from numba import cuda

from ..arrays import array_module
from ..reference import optim as reference
from .launch import THREADS, blocks_for, launch


@cuda.jit
def adam_entries(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay):
    """m and v move towards g and g², p by their quotient. `step` and `lr`, (1,) each, are in the memory of
    the GPU, where they can change without the host.

    The corrections of m and v are powers, in float64: 1 - β₂ᵗ in float32 would have lost four digits of
    seven. A GPU has few units for float64, so one thread of a block works them out for all.
    """
    rates = cuda.shared.array(2, np.float32)
    if cuda.threadIdx.x == 0:
        rates[0] = lr[0] / (1 - beta1 ** step[0])
        rates[1] = math.sqrt(1 - beta2 ** step[0])
    cuda.syncthreads()  # until that thread has written, for the others to read
    step_size, root = rates[0], rates[1]
    share1, decay2, share2 = np.float32(1 - beta1), np.float32(beta2), np.float32(1 - beta2)

    for i in range(cuda.grid(1), p.size, cuda.gridsize(1)):
        d = g[i] + weight_decay * p[i] if weight_decay else g[i]
        m[i] += share1 * (d - m[i])
        v[i] = decay2 * v[i] + share2 * d * d
        p[i] -= step_size * (m[i] / (math.sqrt(v[i]) / root + eps))


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    """Kingma, Ba, "Adam", 2015, Algorithm 1; weight decay is added to g.

    step: an integer, or an int64 array of one on the device of p; lr: a number, or a float64 array of one
    there. Arrays of two dtypes are left to `reference`.
    """
    if any(a.dtype != p.dtype for a in (g, exp_avg, exp_avg_sq)):
        reference.adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay)
        return
    step, lr = (
        number.reshape(1) if isinstance(number, type(p)) else array_module(p).full(1, number, dtype)
        for number, dtype in ((step, np.int64), (lr, np.float64))
    )
    launch(
        *(adam_entries, blocks_for(p.size), (THREADS,), p, g, exp_avg, exp_avg_sq, step, lr),
        *(float(beta1), float(beta2), np.float32(eps), np.float32(weight_decay)),
    )
