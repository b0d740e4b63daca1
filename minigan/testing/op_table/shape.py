"""Views and moves."""

import numpy as np

import minigan.functional as F

from .row import Row, alike


def unsqueeze_row(axis):
    return Row(
        f"unsqueeze, {axis}",
        lambda x: F.unsqueeze(x, axis),
        [(2, 3)],
        lambda x: np.expand_dims(x, axis),
        lambda t, x: t.unsqueeze(x, axis),
    )


def flip_row(*axes):
    return Row(
        f"flip, {axes}",
        lambda x: F.flip(x, axes if len(axes) > 1 else axes[0]),
        [(2, 3, 4)],
        lambda x: np.flip(x, axes),
        lambda t, x: t.flip(x, axes),
    )


def pad_row(widths, pairs, value=0.0):
    return Row(
        f"pad, {widths}, value {value}",
        lambda x: F.pad(x, widths, value=value),
        [(2, 3)],
        lambda x: np.pad(x, pairs, constant_values=value),
        lambda t, x: t.nn.functional.pad(x, widths, value=value),
    )


def border_row(mode, widths, shape):
    """A border that repeats entries. PyTorch has it for the last axes of images alone."""
    pairs = [(0, 0)] * (len(shape) - len(widths) // 2) + list(zip(widths[::2], widths[1::2], strict=True))[
        ::-1
    ]
    in_torch = len(widths) == 2 * len(shape) - 4
    return Row(
        f"pad, {mode}, {widths} of {shape}",
        lambda x: F.pad(x, widths, mode),
        [shape],
        lambda x: np.pad(x, pairs, {"reflect": "reflect", "replicate": "edge"}[mode]),
        (lambda t, x: t.nn.functional.pad(x, widths, mode)) if in_torch else None,
    )


def roll_row(shifts, axis):
    return Row(
        f"roll, {shifts} along {axis}",
        lambda x: F.roll(x, shifts, axis),
        [(3, 4)],
        lambda x: np.roll(x, shifts, axis),
        lambda t, x: t.roll(x, shifts, axis),
    )


def parts_row(name, call, shape=(4, 5)):
    """Parts of a tensor, joined again in another order. `call` takes the library's functions and a tensor."""

    def joined(stack, parts):
        return stack([part.reshape(-1) * (i + 1) for i, part in enumerate(parts)][::-1])

    return Row(
        name,
        lambda x: joined(F.concat, call(F, x)),
        [shape],
        torch=lambda t, x: joined(t.concat, call(t, x)),
    )


def concat_row(axis, *shapes):
    return Row(
        f"concat, axis={axis}",
        lambda *xs: F.concat(xs, axis),
        shapes,
        lambda *xs: np.concatenate(xs, axis),
        lambda t, *xs: t.concat(xs, axis),
    )


def stack_row(axis):
    return Row(
        f"stack, axis={axis}",
        lambda *xs: F.stack(xs, axis),
        [(2, 3), (2, 3)],
        lambda *xs: np.stack(xs, axis),
        lambda t, *xs: t.stack(xs, axis),
    )


SHAPES = [
    alike("reshape", lambda x: x.reshape(4, 6), [(2, 3, 4)]),
    alike("reshape, a tuple with -1", lambda x: x.reshape((3, -1)), [(2, 3, 4)]),
    alike("reshape, to a scalar", lambda x: x.reshape(()), [(1, 1)]),
    Row("flatten", F.flatten, [(2, 3, 4)], np.ravel, "flatten"),
    Row("flatten, from 1", lambda x: F.flatten(x, 1), [(2, 3, 4)], torch=lambda t, x: t.flatten(x, 1)),
    Row("permute", lambda x: F.permute(x, 2, 0, 1), [(2, 3, 4)], torch=lambda t, x: x.permute(2, 0, 1)),
    Row("permute, negative", lambda x: x.permute((-1, 0, -2)), [(2, 3, 4)], lambda x: x.transpose(2, 0, 1)),
    Row("transpose", lambda x: F.transpose(x, 0, -1), [(2, 3, 4)], lambda x: x.swapaxes(0, 2)),
    alike("transpose, T", lambda x: x.T, [(2, 3)]),
    Row("squeeze", F.squeeze, [(1, 3, 1, 2)], np.squeeze, "squeeze"),
    Row("squeeze, -2", lambda x: F.squeeze(x, -2), [(1, 3, 1, 2)], lambda x: np.squeeze(x, -2)),
    *map(unsqueeze_row, (0, 1, 2, -1, -3)),
    flip_row(0),
    flip_row(-1),
    flip_row(0, 2),
    pad_row((1, 2), [(0, 0), (1, 2)]),
    pad_row((0, 1, 2, 0), [(2, 0), (0, 1)], value=0.5),
    pad_row((0, 0, 0, 0), [(0, 0), (0, 0)]),
    *(
        border_row(mode, widths, shape)
        for mode in ("reflect", "replicate")
        for widths, shape in (
            ((1, 2), (2, 2, 4)),
            ((1, 1, 1, 1), (2, 2, 3, 4)),
            ((3, 0, 0, 2), (1, 2, 3, 4)),
            ((2, 1, 0, 1, 1, 0), (1, 1, 2, 3, 3)),
            ((0, 1, 1, 0), (2, 3)),
        )
    ),
    border_row("replicate", (5, 4), (2, 3, 2)),
    roll_row(1, 0),
    roll_row(-6, -1),
    roll_row((1, 2), (0, 1)),
    roll_row(5, None),
    roll_row(4, 1),
    Row(
        "narrow",
        lambda x: F.narrow(x, 1, 1, 2),
        [(3, 4)],
        lambda x: x[:, 1:3],
        lambda t, x: t.narrow(x, 1, 1, 2),
    ),
    Row(
        "narrow, from the end",
        lambda x: F.narrow(x, -1, -2, 2),
        [(3, 4)],
        lambda x: x[:, -2:],
        lambda t, x: t.narrow(x, -1, -2, 2),
    ),
    parts_row("split, by twos", lambda lib, x: lib.split(x, 2)),
    parts_row("split, with a rest", lambda lib, x: lib.split(x, 3, 1)),
    parts_row("split, by sizes", lambda lib, x: lib.split(x, [1, 3, 0], 0)),
    parts_row("chunk, equal", lambda lib, x: lib.chunk(x, 2)),
    parts_row("chunk, fewer than asked", lambda lib, x: lib.chunk(x, 4, -1)),
    parts_row("unbind, rows", lambda lib, x: lib.unbind(x)),
    parts_row("unbind, columns", lambda lib, x: lib.unbind(x, 1)),
    Row(
        "tile",
        lambda x: F.tile(x, 2, 3),
        [(2, 3)],
        lambda x: np.tile(x, (2, 3)),
        lambda t, x: t.tile(x, (2, 3)),
    ),
    Row(
        "tile, fewer counts",
        lambda x: F.tile(x, 2),
        [(2, 3)],
        lambda x: np.tile(x, 2),
        lambda t, x: t.tile(x, (2,)),
    ),
    Row(
        "tile, more counts",
        lambda x: F.tile(x, (2, 1, 3)),
        [(2, 3)],
        lambda x: np.tile(x, (2, 1, 3)),
        lambda t, x: t.tile(x, (2, 1, 3)),
    ),
    Row("repeat", lambda x: F.repeat(x, 2, 1, 3), [(2, 3)], torch=lambda t, x: x.repeat(2, 1, 3)),
    Row(
        "repeat_interleave",
        lambda x: F.repeat_interleave(x, 3, 1),
        [(2, 3)],
        lambda x: np.repeat(x, 3, 1),
        lambda t, x: t.repeat_interleave(x, 3, 1),
    ),
    Row(
        "repeat_interleave, of one row",
        lambda x: F.repeat_interleave(x, 2),
        [(2, 3)],
        lambda x: np.repeat(x, 2),
        lambda t, x: t.repeat_interleave(x, 2),
    ),
    Row("clone", F.clone, [(2, 3)], np.copy, "clone"),
    Row(
        "flatten, two axes",
        lambda x: F.flatten(x, 1, -2),
        [(2, 3, 2, 2)],
        lambda x: x.reshape(2, 6, 2),
        lambda t, x: t.flatten(x, 1, -2),
    ),
    Row(
        "unflatten",
        lambda x: F.unflatten(x, 1, (3, -1)),
        [(2, 6, 2)],
        lambda x: x.reshape(2, 3, 2, 2),
        lambda t, x: t.unflatten(x, 1, (3, -1)),
    ),
    concat_row(0, (1, 3), (2, 3), (3, 3)),
    concat_row(-1, (2, 1), (2, 0), (2, 4)),
    Row("concat, with itself", lambda x: F.concat([x, x]), [(2, 3)], torch=lambda t, x: t.concat([x, x])),
    *map(stack_row, (0, 1, -1)),
    Row(
        "pixel_shuffle",
        lambda x: F.pixel_shuffle(x, 2),
        [(2, 8, 3, 2)],
        torch=lambda t, x: t.nn.functional.pixel_shuffle(x, 2),
    ),
    Row(
        "pixel_shuffle, to one channel",
        lambda x: F.pixel_shuffle(x, 3),
        [(2, 9, 2, 3)],
        lambda x: x.reshape(2, 3, 3, 2, 3).transpose(0, 3, 1, 4, 2).reshape(2, 1, 6, 9),
        lambda t, x: t.nn.functional.pixel_shuffle(x, 3),
    ),
]
