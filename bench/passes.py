"""What an activation in the pass of the layer before it saves: `python -m bench.passes`.

Each pass is made as one kernel and as two, after a check that both give the same bits; the two take turns,
and the table has the medians. Shapes are those of layers of the models, images channels-last. A bias is added
in place: so both times include a copy.
"""

import argparse
import statistics
import sys
from functools import partial
from time import perf_counter

import numpy as np

import minigan_kernels as kernels

SLOPE, EPS = 0.2, 1e-5
TURNS, CALLS = 15, 20
LAYERS = {
    "MLP GAN, D1": (64, 512),
    "DCGAN-32, D2": (64, 128, 8, 8),
    "DCGAN-32, D1": (64, 64, 16, 16),
    "DCGAN-64, D1": (32, 64, 32, 32),
}


def arrays(shape, n):
    """n arrays of normal numbers, images channels-last in memory."""
    rng = np.random.default_rng(0)
    if len(shape) == 2:
        return list(rng.standard_normal((n, *shape)).astype(np.float32))
    N, C, H, W = shape
    return [a.transpose(0, 3, 1, 2) for a in rng.standard_normal((n, N, H, W, C)).astype(np.float32)]


def passes(shape):
    """By name, a pass in two kernels and in one; each returns arrays."""
    x, gy = arrays(shape, 2)
    C, axes = shape[1], (0, *range(2, len(shape)))
    w, b = np.random.default_rng(1).standard_normal((2, 1, C, *(1,) * (len(shape) - 2))).astype(np.float32)
    bias, sums = b.reshape(-1), kernels.channel_sums
    y, mean, var = kernels.normalize(x, w, b, axes, EPS, SLOPE)

    def add_bias(slope=None):
        y = x.copy(order="K")
        kernels.add_bias(y, bias, slope)
        return y

    def back(gy):
        return kernels.leaky_relu_backward(gy, y, SLOPE)

    def norm_back(gy, slope=None):
        return kernels.normalize_backward(gy, x, w, b, mean, var, axes, EPS, slope)

    norm = partial(kernels.normalize, x, w, b, axes, EPS)
    found = {
        "bias": (lambda: [kernels.leaky_relu(add_bias(), SLOPE)], lambda: [add_bias(SLOPE)]),
        "its gradient": (
            lambda: [g := back(gy), sums(g)],
            lambda: kernels.bias_leaky_relu_backward(gy, y, SLOPE),
        ),
        "batch norm": (lambda: [kernels.leaky_relu(norm()[0], SLOPE)], lambda: [norm(SLOPE)[0]]),
        "its gradients": (lambda: norm_back(back(gy)), lambda: norm_back(gy, SLOPE)),
    }
    if len(shape) == 2:
        (images,), (weights,) = arrays((shape[0], 784), 1), arrays((C, 784), 1)
        product = partial(kernels.linear, images, weights, bias)
        found["product and bias"] = (
            lambda: [kernels.leaky_relu(product(), SLOPE)],
            lambda: [product(SLOPE)],
        )
    return found


def microseconds(function):
    start = perf_counter()
    for _ in range(CALLS):
        function()
    return 1e6 * (perf_counter() - start) / CALLS


def main(arguments: list[str] | None = None):
    argparse.ArgumentParser(prog="python -m bench.passes", description=__doc__).parse_args(arguments)
    print(f"{kernels.num_threads()} threads, float32, LeakyReLU; microseconds, medians of {TURNS} turns\n")
    print(f"{'layer':14}{'pass':18}{'two kernels':>12}{'one':>8}{'one ÷ two':>11}")
    for layer, shape in LAYERS.items():
        for name, (apart, together) in passes(shape).items():
            for a, b in zip(apart(), together(), strict=True):
                if not np.array_equal(a, b):
                    sys.exit(f"{layer}, {name}: the two differ")
            turns = [(microseconds(apart), microseconds(together)) for _ in range(TURNS)]
            two, one = map(statistics.median, zip(*turns, strict=True))
            print(f"{layer:14}{name:18}{two:12.0f}{one:8.0f}{one / two:11.2f}")


if __name__ == "__main__":
    main()
