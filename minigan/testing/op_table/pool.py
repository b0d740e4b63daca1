"""Pooling."""

import minigan.functional as F

from .row import Row, apart

WINDOWS: dict[str, dict] = {  # of images, sequences and clips
    "2x2": {"kernel_size": 2},
    "overlapping": {"kernel_size": 3, "stride": 2, "padding": 1},
    "with gaps": {"kernel_size": 2, "stride": 3},
    "the whole image": {"kernel_size": (6, 7)},
    "every pair unequal": {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
    "the whole sequence": {"kernel_size": (7,)},
    "frames alone": {"kernel_size": (1, 2, 2)},
    "every three unequal": {"kernel_size": (3, 2, 1), "stride": (1, 2, 3), "padding": (1, 0, 0)},
}
SHAPES = {1: (2, 2, 7), 2: (2, 2, 6, 7), 3: (1, 2, 3, 4, 5)}


def pool_row(op, shape, name, window):
    return Row(
        f"{op}, {name}",
        lambda x: getattr(F, op)(x, **window),
        [apart(*shape)],
        torch=lambda t, x: getattr(t.nn.functional, op)(x, **window),
    )


def adaptive_row(size, *shape):
    op = f"adaptive_avg_pool{len(shape) - 2}d"
    return Row(
        f"{op}, {shape} to {size}",
        lambda x: getattr(F, op)(x, size),
        [shape],
        torch=lambda t, x: getattr(t.nn.functional, op)(x, size),
    )


POOLING = [
    *(
        pool_row(f"{kind}_pool{axes}d", shape, name, window)
        for axes, shape in SHAPES.items()
        for kind in ("max", "avg")
        for name, window in WINDOWS.items()
        if not isinstance(window["kernel_size"], tuple) or len(window["kernel_size"]) == axes
    ),
    Row(
        "min_pool2d",
        lambda x: F.min_pool2d(x, 3, 2, 1),
        [apart(2, 2, 6, 7)],
        torch=lambda t, x: -t.nn.functional.max_pool2d(-x, 3, 2, 1),
    ),
    adaptive_row(3, 2, 2, 7),
    adaptive_row(1, 2, 2, 3),
    adaptive_row((2, 3), 2, 2, 4, 6),
    adaptive_row((3, 4), 1, 2, 4, 6),
    adaptive_row(5, 1, 2, 3, 4),
]
