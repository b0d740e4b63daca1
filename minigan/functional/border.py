"""A border around a tensor: of one value, a mirror image, or the outermost entries drawn out."""

from collections.abc import Sequence

from minigan.autograd import Function, Tensor
from minigan.checks import shown
from minigan_kernels import array_module
from minigan_kernels.arrays import total

from .axes import in_order, memory_order

MODES = "constant", "reflect", "replicate"


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """x with a border. As in PyTorch, `pad` lists (before, after) from the last axis on.

    mode: "constant" for a border of `value`; "reflect" for what lies inside, mirrored at the outermost
    entries, which are not repeated; "replicate" for the outermost entries, repeated. Linear, so every
    derivative order is exact. ValueError for another mode, a list that does not fit x, a value with a mode
    that has none, or a border too wide for its axis: a mirror image needs an axis longer than it.
    """
    if len(pad) % 2 or len(pad) > 2 * x.ndim or min(pad, default=0) < 0:
        raise ValueError(
            f"pad: {shown(pad)} is no list of (before, after) pairs for a tensor of shape {x.shape}"
        )
    if mode not in MODES:
        raise ValueError(f"pad: mode must be 'constant', 'reflect' or 'replicate', got {shown(mode)}")
    if mode != "constant" and value != 0:
        raise ValueError(f"pad: mode {mode!r} takes no value, got value={value}")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    for n, width in zip(x.shape, widths, strict=True):
        if mode == "reflect" and max(width) >= n and any(width):
            raise ValueError(f"pad: an axis of {n} has no mirror image of {max(width)}, x is {x.shape}")
        if mode == "replicate" and n == 0 and any(width):
            raise ValueError(f"pad: there is nothing to repeat along an axis of size 0, x is {x.shape}")
    return Pad(widths, mode, float(value))(x)


class Pad(Function):
    """widths: (before, after) of each axis."""

    saves = ""

    def __init__(self, widths, mode="constant", value=0.0):
        self.widths, self.mode, self.value = widths, mode, value

    def forward(self, x):
        order, xp = memory_order(x), array_module(x)
        shape = [x.shape[axis] + sum(self.widths[axis]) for axis in order]
        fill = self.value if self.mode == "constant" else 0
        y = in_order(xp.full(shape, fill, dtype=x.dtype), order)
        y[inside(x.shape, self.widths)] = x
        if self.mode != "constant":  # one axis after the other, so that corners come out right
            for border, source in borders(x.shape, self.widths, self.mode):
                y[border] = y[source]
        return y

    def backward(self, gy):
        shape = self.shapes[0]
        if self.mode == "constant":
            return gy[inside(shape, self.widths)]
        return PadInput(shape, self.widths, self.mode)(gy)


class PadInput(Function):
    """The adjoint of a `Pad` that repeats entries: each gets what its copies were given."""

    saves = ""

    def __init__(self, shape, widths, mode):
        self.shape, self.widths, self.mode = shape, widths, mode

    def forward(self, gy):
        gy = gy.copy(order="K")
        for border, source in reversed(borders(self.shape, self.widths, self.mode)):
            part = gy[border]
            if self.mode == "replicate":
                part = total(part, [a for a, k in enumerate(border) if k != slice(None)], keepdims=True)
            gy[source] += part
        return gy[inside(self.shape, self.widths)]

    def backward(self, gx):
        return Pad(self.widths, self.mode)(gx)


def inside(shape, widths):
    """The key of what a border of `widths` lies around."""
    return tuple(slice(a, a + n) for n, (a, _) in zip(shape, widths, strict=True))


def borders(shape, widths, mode):
    """(the key of a border, the key of what it repeats) of each axis and side, in the padded tensor."""
    found = []
    for axis, (n, (a, b)) in enumerate(zip(shape, widths, strict=True)):
        first, last = a, a + n - 1
        for border, source in (
            (slice(0, a), slice(first + a, first, -1)),
            (slice(last + 1, last + 1 + b), slice(last - 1, last - 1 - b if last > b else None, -1)),
        ):
            if border.stop > border.start:
                if mode == "replicate":
                    edge = first if border.start == 0 else last
                    source = slice(edge, edge + 1)
                ahead, behind = (slice(None),) * axis, (slice(None),) * (len(shape) - axis - 1)
                found.append(((*ahead, border, *behind), (*ahead, source, *behind)))
    return found
