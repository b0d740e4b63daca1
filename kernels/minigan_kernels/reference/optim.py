"""One step of each optimiser, in place, in PyTorch's order of operations.

p, g and the state arrays are flat and of one shape and floating dtype; the settings are Python
floats, so that nothing is rounded before it meets the array.
"""

from ..arrays import array_module


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    if weight_decay:
        g = g + weight_decay * p
    if momentum:
        if first:
            buf[:] = g
        else:
            buf *= momentum
            buf += (1 - dampening) * g
        g = g + momentum * buf if nesterov else buf
    p -= lr * g


def rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay):
    if weight_decay:
        g = g + weight_decay * p
    square_avg *= alpha
    square_avg += (1 - alpha) * g * g
    p -= lr * (g / (array_module(p).sqrt(square_avg) + eps))


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    if weight_decay:
        g = g + weight_decay * p
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * g * g
    step_size, root = lr / (1 - beta1**step), (1 - beta2**step) ** 0.5
    if not isinstance(step, int):  # an array of one integer, as on a GPU: round as numbers are rounded
        step_size, root = step_size.astype(p.dtype), root.astype(p.dtype)
    denom = array_module(p).sqrt(exp_avg_sq) / root + eps
    p -= step_size * (exp_avg / denom)
