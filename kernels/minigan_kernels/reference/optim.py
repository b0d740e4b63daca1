"""One step of each optimiser, in place, in PyTorch's order of operations.

p, g and the state arrays are flat and of one shape and floating dtype; the settings are Python
floats, so that nothing is rounded before it meets the array. lr and step may be arrays of one number.
"""

from ..arrays import array_module


def sgd(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first):
    """g += weight_decay·p; buf = momentum·buf + (1 - dampening)·g (g itself at the `first` step); p -=
    lr·buf, or lr·(g + momentum·buf) with nesterov. buf is None without momentum."""
    if weight_decay:
        g = g + weight_decay * p
    if momentum:
        if first:
            buf[:] = g
        else:
            buf *= momentum
            buf += (1 - dampening) * g
        g = g + momentum * buf if nesterov else buf
    p -= _meeting(p, lr) * g


def rmsprop(p, g, square_avg, lr, alpha, eps, weight_decay):
    """square_avg = alpha·square_avg + (1 - alpha)·g²; p -= lr·g / (√square_avg + eps)."""
    if weight_decay:
        g = g + weight_decay * p
    square_avg *= alpha
    square_avg += (1 - alpha) * g * g
    p -= _meeting(p, lr) * (g / (array_module(p).sqrt(square_avg) + eps))


def adam(p, g, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, weight_decay):
    """Kingma, Ba, "Adam", 2015, Algorithm 1; weight decay is added to g."""
    if weight_decay:
        g = g + weight_decay * p
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * g * g
    step_size, root = lr / (1 - beta1**step), (1 - beta2**step) ** 0.5
    denom = array_module(p).sqrt(exp_avg_sq) / _meeting(p, root) + eps
    p -= _meeting(p, step_size) * (exp_avg / denom)


def _meeting(p, number):
    """A number as it meets p: one in an array, as on a GPU, is rounded as a Python float is."""
    return number if isinstance(number, (int, float)) else number.astype(p.dtype)
