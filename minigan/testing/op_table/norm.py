"""Normalisation."""

from functools import partial

import numpy as np

import minigan.functional as F

from .row import Row, like, zeros


def normalized(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


MEAN, VAR = [0.5, -1.0, 0.2], [1.5, 0.3, 2.0]


def batch_norm_rows(name, shape):
    """Batch norm with and without running statistics, and with and without an affine map."""

    def ours(x, *affine, training):
        return F.batch_norm(x, like(x, MEAN), like(x, VAR), *affine, training=training)

    def twin(torch, x, *affine, training):
        running = [torch.tensor(values, dtype=x.dtype) for values in (MEAN, VAR)]
        return torch.nn.functional.batch_norm(x, *running, *affine, training=training)

    def row(form, affine, reference=None, **training):
        inputs = [shape, *affine]
        return Row(
            f"batch_norm, {name}, {form}",
            partial(ours, **training),
            inputs,
            reference,
            partial(twin, **training),
        )

    axes, channel = (0, *range(2, len(shape))), (3,) + (1,) * (len(shape) - 2)
    mean, var = np.reshape(MEAN, channel), np.reshape(VAR, channel)

    def of_the_batch(x, w=1.0, b=0.0):
        return normalized(x, axes) * per_channel(w) + per_channel(b)

    def of_the_past(x, w=1.0, b=0.0):
        return (x - mean) / np.sqrt(var + 1e-5) * per_channel(w) + per_channel(b)

    def per_channel(a):
        return np.reshape(a, channel) if np.ndim(a) else a

    return [
        row("training", [], of_the_batch, training=True),
        row("training, affine", [(3,), (3,)], of_the_batch, training=True),
        row("evaluation", [], of_the_past, training=False),
        row("evaluation, affine", [(3,), (3,)], of_the_past, training=False),
    ]


NORMALISATION = [
    Row(
        "normalize",
        F.normalize,
        [(2, 3, 4)],
        lambda x: x / np.sqrt((x * x).sum(1, keepdims=True)),
        "nn.functional.normalize",
    ),
    Row(
        "normalize, last",
        lambda x: F.normalize(x, -1, eps=5.0),
        [(2, 3)],
        lambda x: x / 5,
        lambda t, x: t.nn.functional.normalize(x, dim=-1, eps=5.0),
    ),
    Row(
        "cosine_similarity",
        F.cosine_similarity,
        [(2, 3, 2), (2, 3, 2)],
        torch="nn.functional.cosine_similarity",
    ),
    Row(
        "cosine_similarity, broadcast",
        lambda a, b: F.cosine_similarity(a, b, -1),
        [(4, 1, 3), (2, 3)],
        torch=lambda t, a, b: t.nn.functional.cosine_similarity(a, b, -1),
    ),
    *batch_norm_rows("a table", (5, 3)),
    *batch_norm_rows("images", (2, 3, 2, 4)),
    Row("batch_norm, no running statistics", F.batch_norm, [(4, 3)], lambda x: normalized(x, 0)),
    Row(
        "batch_norm, weight of zeros",
        lambda x, w, b: F.batch_norm(x, weight=w, bias=b, training=True),
        [(4, 3), zeros(3), (3,)],
        lambda x, w, b: np.broadcast_to(b, (4, 3)),
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
    ),
    Row(
        "batch_norm, activated",
        lambda x, w, b: F.batch_norm(x, weight=w, bias=b, training=True, negative_slope=0.2),
        [(2, 3, 2, 4), (3,), (3,)],
        torch=lambda t, x, w, b: t.nn.functional.leaky_relu(
            t.nn.functional.batch_norm(x, None, None, w, b, training=True), 0.2
        ),
    ),
    Row(
        "batch_norm, evaluation, activated",
        lambda x: F.batch_norm(x, like(x, MEAN), like(x, VAR), negative_slope=0.0),
        [(5, 3)],
        lambda x: np.maximum((x - MEAN) / np.sqrt(np.add(VAR, 1e-5)), 0),
    ),
    Row(
        "batch_norm, weight alone",
        lambda x, w: F.batch_norm(x, weight=w),
        [(4, 3), (3,)],
        lambda x, w: normalized(x, 0) * w,
    ),
    Row(
        "layer_norm",
        lambda x: F.layer_norm(x, 4),
        [(2, 3, 4)],
        lambda x: normalized(x, -1),
        lambda t, x: t.nn.functional.layer_norm(x, (4,)),
    ),
    Row(
        "layer_norm, two axes, affine",
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b),
        [(2, 3, 4), (3, 4), (3, 4)],
        lambda x, w, b: normalized(x, (1, 2)) * w + b,
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (3, 4), w, b),
    ),
    Row(
        "group_norm",
        lambda x: F.group_norm(x, 2),
        [(2, 4, 3)],
        lambda x: normalized(x.reshape(2, 2, 2, 3), (2, 3)).reshape(2, 4, 3),
        lambda t, x: t.nn.functional.group_norm(x, 2),
    ),
    Row(
        "group_norm, one group, affine",
        lambda x, w, b: F.group_norm(x, 1, w, b),
        [(2, 3, 2, 2), (3,), (3,)],
        lambda x, w, b: normalized(x, (1, 2, 3)) * w[:, None, None] + b[:, None, None],
        lambda t, x, w, b: t.nn.functional.group_norm(x, 1, w, b),
    ),
    Row(
        "instance_norm",
        F.instance_norm,
        [(2, 3, 2, 4)],
        lambda x: normalized(x, (2, 3)),
        "nn.functional.instance_norm",
    ),
    Row(
        "instance_norm, affine",
        F.instance_norm,
        [(2, 3, 5), (3,), (3,)],
        torch=lambda t, x, w, b: t.nn.functional.instance_norm(x, weight=w, bias=b),
    ),
]
