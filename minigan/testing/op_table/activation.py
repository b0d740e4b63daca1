"""Activations."""

import numpy as np
from scipy import special

import minigan.functional as F
from minigan.random import Generator

from .row import Row, apart


def leaky_relu_row(slope):
    return Row(
        f"leaky_relu, slope {slope}",
        lambda x: F.leaky_relu(x, slope),
        [apart(3, 4)],
        lambda x: np.where(x > 0, x, slope * x),
        lambda t, x: t.nn.functional.leaky_relu(x, slope),
    )


def softmax_rows(axis):
    return [
        Row(
            f"softmax, axis={axis}",
            lambda x: F.softmax(x, axis),
            [(2, 3, 4)],
            lambda x: special.softmax(x, axis),
            lambda t, x: t.softmax(x, axis),
        ),
        Row(
            f"log_softmax, axis={axis}",
            lambda x: F.log_softmax(x, axis),
            [(2, 3, 4)],
            lambda x: special.log_softmax(x, axis),
            lambda t, x: t.log_softmax(x, axis),
        ),
    ]


UNIFORM = Generator(7).uniform((3, 4))
DROPPED = UNIFORM < 0.3

ACTIVATIONS = [
    Row("relu", F.relu, [apart(3, 4)], lambda x: np.maximum(x, 0), "relu"),
    Row("leaky_relu", F.leaky_relu, [apart(3, 4)], torch="nn.functional.leaky_relu"),
    *map(leaky_relu_row, (0, 0.2, 1)),
    Row("elu", F.elu, [apart(3, 4)], lambda x: np.where(x > 0, x, np.expm1(x)), "nn.functional.elu"),
    Row("elu, alpha", lambda x: F.elu(x, 0.7), [apart(3, 4)], torch=lambda t, x: t.nn.functional.elu(x, 0.7)),
    Row("selu", F.selu, [apart(3, 4)], torch="selu"),
    Row("tanh", F.tanh, [(3, 4)], np.tanh, "tanh"),
    Row("sigmoid", F.sigmoid, [(3, 4)], special.expit, "sigmoid"),
    Row("softplus", F.softplus, [(3, 4)], lambda x: np.log1p(np.exp(x)), "nn.functional.softplus"),
    Row("gelu", F.gelu, [(3, 4)], lambda x: x * special.ndtr(x), "nn.functional.gelu"),
    Row(
        "gelu, tanh",
        lambda x: F.gelu(x, "tanh"),
        [(3, 4)],
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    ),
    Row("silu", F.silu, [(3, 4)], lambda x: x * special.expit(x), "nn.functional.silu"),
    Row("logsigmoid", F.logsigmoid, [(3, 4)], special.log_expit, "nn.functional.logsigmoid"),
    Row("glu", F.glu, [(3, 4)], lambda x: x[:, :2] * special.expit(x[:, 2:]), "nn.functional.glu"),
    Row(
        "glu, of channels",
        lambda x: F.glu(x, 1),
        [(2, 4, 3)],
        torch=lambda t, x: t.nn.functional.glu(x, 1),
    ),
    *(
        Row(f"prelu, {weight} of {shape}", F.prelu, [apart(*shape), weight], torch="nn.functional.prelu")
        for shape, weight in (((3, 4), (4,)), ((2, 3, 2, 2), (3,)), ((2, 3, 2), (1,)), ((5,), (1,)))
    ),
    *(row for axis in (-1, 0, 1) for row in softmax_rows(axis)),
    Row("maxout", lambda x: F.maxout(x, 3), [apart(2, 6)], lambda x: x.reshape(2, 2, 3).max(2)),
    Row(
        "maxout, of images",
        lambda x: F.maxout(x, 2, axis=-3),
        [apart(2, 4, 3, 3)],
        lambda x: np.maximum(x[:, 0::2], x[:, 1::2]),
    ),
    Row(
        "dropout",
        lambda x: F.dropout(x, 0.3, generator=Generator(7)),
        [(3, 4)],
        lambda x: np.where(DROPPED, 0, x / 0.7),
    ),
    Row(
        "gumbel_softmax",
        lambda x: F.gumbel_softmax(x, 0.7, generator=Generator(7)),
        [(3, 4)],
        lambda x: special.softmax((x - np.log(-np.log(UNIFORM))) / 0.7, 1),
    ),
    Row(
        "dropout2d",
        lambda x: F.dropout2d(x, 0.3, generator=Generator(7)),
        [(3, 4, 2, 1)],
        lambda x: np.where(DROPPED[:, :, None, None], 0, x / 0.7),
    ),
    Row("dropout, not training", lambda x: F.dropout(x, 0.3, training=False), [(3, 4)], np.array),
]
