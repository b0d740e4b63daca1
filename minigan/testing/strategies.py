"""Hypothesis strategies for those who property-test differentiable code: arrays, shapes, networks.

    from hypothesis import given
    from minigan.testing import strategies as some

    @given(some.arrays(some.shapes(min_dims=1)))
    def test_softmax_sums_to_one(x):
        assert_close(F.softmax(Tensor(x)).sum(-1), np.ones(x.shape[:-1]), rtol=1e-12)

Values are odd multiples of 1/8 unless `offset` says otherwise: a quarter apart, and clear of the
kinks at 0, ±1/2, ±1, so that derivatives exist there and finite differences find them. Sums and
products of a few of them are exact, in float32 too. What fails is shrunk to small shapes of plain
layout, with all entries equal where that still fails.

Needs hypothesis, which minigan itself does not: ImportError without it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan import nn
from minigan.random import Generator
from minigan_kernels import out_size, transposed_size

from .layouts import LAYOUTS, fits

try:
    from hypothesis import note
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise ImportError("minigan.testing.strategies needs hypothesis: pip install hypothesis") from error

__all__ = [
    "LAYOUTS",
    "SMOOTH",
    "ConvGeometry",
    "Network",
    "PoolGeometry",
    "arrays",
    "away_from_zero",
    "broadcastable_shapes",
    "conv_geometries",
    "distinct",
    "labels",
    "networks",
    "open_unit",
    "pool_geometries",
    "positive",
    "reduction_axes",
    "shapes",
]

STEP = 0.25  # between neighbouring values
DRAWN = 24  # entries, one by one; the rest of a larger array comes from a seed


# Arrays


def arrays(
    shape: Any = None,
    dtype: npt.DTypeLike = np.float64,
    low: float = -2.0,
    high: float = 2.0,
    offset: float = 0.125,
    layouts: str | Sequence[str] = tuple(LAYOUTS),
) -> st.SearchStrategy:
    """Arrays of `shape`, of the values offset + k/4 that lie in [low, high].

    shape: a tuple, an integer, or a strategy for either; None for any of `shapes()`.
    dtype: a floating dtype. offset: what keeps two arrays from having a value in common.
    layouts: names in `LAYOUTS`, one or several; those that a shape cannot have are passed over.

    ValueError if no value lies in [low, high], or for a layout that is not known.
    """
    values = _grid(low, high, offset)
    if not values:
        raise ValueError(f"arrays: no {offset} + k/4 lies in [{low}, {high}]")
    return _arrays(shape, dtype, lambda n: _choices(values, n), _names(layouts))


def positive(
    shape: Any = None,
    dtype: npt.DTypeLike = np.float64,
    low: float = 0.5,
    high: float = 2.0,
    offset: float = 0.125,
    layouts: str | Sequence[str] = tuple(LAYOUTS),
) -> st.SearchStrategy:
    """Arrays of numbers in [low, high], not near 0: for logarithms and roots. Errors as `arrays`."""
    return arrays(shape, dtype, low, high, offset, layouts)


def open_unit(
    shape: Any = None, dtype: npt.DTypeLike = np.float64, layouts: str | Sequence[str] = tuple(LAYOUTS)
) -> st.SearchStrategy:
    """Arrays of numbers in [0.1, 0.9]: for probabilities. Errors as `arrays`."""
    return arrays(shape, dtype, 0.1, 0.9, layouts=layouts)


def away_from_zero(
    shape: Any = None,
    dtype: npt.DTypeLike = np.float64,
    least: float = 0.5,
    most: float = 2.0,
    layouts: str | Sequence[str] = tuple(LAYOUTS),
) -> st.SearchStrategy:
    """Arrays of numbers of both signs, with absolute values in [least, most]: for divisors.

    ValueError if no such value is an odd multiple of 1/8, or for a layout that is not known.
    """
    values = [v for v in _grid(-most, most, 0.125) if abs(v) >= least]
    if not values:
        raise ValueError(f"away_from_zero: no odd multiple of 1/8 lies in [{least}, {most}]")
    return _arrays(shape, dtype, lambda n: _choices(values, n), _names(layouts))


def distinct(
    shape: Any = None,
    dtype: npt.DTypeLike = np.float64,
    offset: float = 0.125,
    layouts: str | Sequence[str] = tuple(LAYOUTS),
) -> st.SearchStrategy:
    """Arrays without two equal entries, in any order, around 0: for maxima and sorts.

    n entries take n neighbouring values offset + k/4. No array is broadcast. ValueError for a layout
    that is not known.
    """
    layouts = [name for name in _names(layouts) if name != "broadcast"]
    return _arrays(shape, dtype, lambda n: _orders(n).map(lambda k: offset + STEP * (k - n // 2)), layouts)


def labels(n: int, classes: int) -> st.SearchStrategy:
    """Integer arrays of shape (n,), int64, in [0, classes)."""
    return _choices(range(classes), n)


def _grid(low, high, offset):
    """The values offset + k/4 in [low, high], the simplest first: near 0, then positive."""
    first, last = math.ceil((low - offset) / STEP), math.floor((high - offset) / STEP)
    return sorted((offset + STEP * k for k in range(first, last + 1)), key=lambda v: (abs(v), v < 0))


def _choices(values, n):
    """n of the values, as an array."""
    values = np.asarray(values)
    drawn = st.lists(st.integers(0, len(values) - 1), min_size=min(n, DRAWN), max_size=min(n, DRAWN))

    def array(first, seed):
        rest = Generator(seed).integers(0, len(values) if seed else 1, max(n - DRAWN, 0))
        return values[np.concatenate([np.asarray(first, np.int64), rest])]

    return st.builds(array, drawn, _seeds(n))


def _orders(n):
    """The integers below n in any order, as an array."""

    def array(first, seed):
        order = Generator(seed).permutation(n) if seed else np.arange(n)
        order[: len(first)] = order[list(first)]
        return order

    return st.builds(array, st.permutations(range(min(n, DRAWN))), _seeds(n))


def _seeds(n):
    """What the entries beyond the first come from; 0, the simplest, stands for plain ones."""
    return st.integers(0, 2**16 - 1) if n > DRAWN else st.just(0)


@st.composite
def _arrays(draw, shape, dtype, entries, layouts):
    """Arrays whose entries are drawn from `entries(how many)`."""
    shape = shapes() if shape is None else shape
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    names = [name for name in layouts if fits(name, len(shape))] or ["contiguous"]
    plain = draw(entries(math.prod(shape))).astype(dtype).reshape(shape)
    name = draw(st.sampled_from(names))
    if name == "contiguous":
        return plain
    axis = draw(st.integers(0, len(shape) - 1))
    note(f"an array of shape {shape}: {name}, axis {axis}")  # its repr does not show that
    return LAYOUTS[name](plain, axis)


def _names(layouts):
    """The chosen layouts in the order of LAYOUTS, the simplest first."""
    chosen = {layouts} if isinstance(layouts, str) else set(layouts)
    if unknown := sorted(chosen - LAYOUTS.keys()):
        raise ValueError(f"there are no layouts {unknown}; there are: {', '.join(LAYOUTS)}")
    return [name for name in LAYOUTS if name in chosen]


# Shapes


def shapes(min_dims: int = 0, max_dims: int = 4, max_side: int = 4, empty: bool = False) -> st.SearchStrategy:
    """Tuples of `min_dims` to `max_dims` sizes in [1, max_side]; with `empty`, in [0, max_side]."""
    sides = st.integers(0 if empty else 1, max_side)
    # Sizes of 1 first: what fails is shrunk towards them, and not towards emptiness.
    sides = sides.map(lambda n: (n + 1) % (max_side + 1)) if empty else sides
    return st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)


def broadcastable_shapes(n: int, max_dims: int = 3, max_side: int = 4) -> st.SearchStrategy:
    """Tuples of n shapes that broadcast to one; NumPy's `broadcast_shapes` tells to which."""
    return hnp.mutually_broadcastable_shapes(num_shapes=n, max_dims=max_dims, max_side=max_side).map(
        lambda drawn: drawn.input_shapes
    )


def reduction_axes(ndim: int) -> st.SearchStrategy:
    """What a reduction over `ndim` axes takes as its axis: None, an integer, or a tuple of them."""
    if ndim == 0:
        return st.none()
    one = st.integers(0, ndim - 1) | st.integers(-ndim, -1)
    return st.none() | one | hnp.valid_tuple_axes(ndim, min_size=1)


# Geometries of convolutions and pools. Every pair is rows first, and every one drawn is valid.


@dataclass(frozen=True)
class ConvGeometry:
    """A convolution x (N, C, H, W), w (O, C/groups, KH, KW) -> y (N, O, OH, OW), without the numbers.

    size: (H, W). output_padding: what the transposed convolution needs to make x_shape of y_shape.
    """

    batch: int
    in_channels: int
    out_channels: int
    size: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C, H, W) of the images."""
        return self.batch, self.in_channels, *self.size

    @property
    def w_shape(self) -> tuple[int, ...]:
        """(O, C/groups, KH, KW) of the weight."""
        return self.out_channels, self.in_channels // self.groups, *self.kernel_size

    @property
    def y_shape(self) -> tuple[int, ...]:
        """(N, O, OH, OW) of what `conv2d` gives."""
        out = out_size(self.size, self.kernel_size, self.stride, self.padding, self.dilation)
        return self.batch, self.out_channels, *out

    @property
    def kwargs(self) -> dict[str, Any]:
        """The settings of `conv2d` and `conv2d_weight`."""
        names = "stride", "padding", "dilation", "groups"
        return {name: getattr(self, name) for name in names}

    @property
    def output_padding(self) -> tuple[int, ...]:
        """The rows and columns that `conv_transpose2d` has to add for the size of x."""
        window = self.kernel_size, self.stride, self.padding, self.dilation
        smallest = transposed_size(self.y_shape[2:], *window)
        return tuple(n - m for n, m in zip(self.size, smallest, strict=True))

    @property
    def transposed_kwargs(self) -> dict[str, Any]:
        """The settings of `conv_transpose2d`."""
        return self.kwargs | {"output_padding": self.output_padding}


@dataclass(frozen=True)
class PoolGeometry:
    """A pooling x (N, C, H, W) -> y (N, C, OH, OW); the padding is at most half the kernel."""

    batch: int
    channels: int
    size: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C, H, W) of the images."""
        return self.batch, self.channels, *self.size

    @property
    def y_shape(self) -> tuple[int, ...]:
        """(N, C, OH, OW) of what the pooling gives."""
        out = out_size(self.size, self.kernel_size, self.stride, self.padding)
        return self.batch, self.channels, *out

    @property
    def kwargs(self) -> dict[str, Any]:
        """The settings of `max_pool2d` and `avg_pool2d`."""
        names = "kernel_size", "stride", "padding"
        return {name: getattr(self, name) for name in names}


@st.composite
def conv_geometries(draw: st.DrawFn, max_kernel: int = 7, max_stride: int = 4) -> ConvGeometry:
    """Convolutions of images of up to 15 by 15 pixels, as a `ConvGeometry`.

    Among them: rectangular kernels, strides beyond the kernel, kernels as large as the padded image,
    paddings beyond the kernel, dilations, groups up to depthwise, and sizes that leave an
    output_padding.
    """
    groups = draw(st.integers(1, 3))
    batch, in_channels, out_channels = (draw(st.integers(1, 2)) for _ in range(3))
    rows, columns = draw(_windows(max_kernel, max_stride)), draw(_windows(max_kernel, max_stride))
    size, kernel, stride, padding, dilation = zip(rows, columns, strict=True)
    channels = groups * in_channels, groups * out_channels
    return ConvGeometry(batch, *channels, size, kernel, stride, padding, dilation, groups)


@st.composite
def _windows(draw, max_kernel, max_stride):
    """size, kernel, stride, padding, dilation along one axis."""
    kernel, stride = draw(st.integers(1, max_kernel)), draw(st.integers(1, max_stride))
    dilation = draw(st.integers(1, min(3, max(1, 8 // max(kernel - 1, 1)))))
    padded = dilation * (kernel - 1) + 1 + draw(st.integers(0, 6))
    padding = draw(st.integers(0, min(3, (padded - 1) // 2)))
    return padded - 2 * padding, kernel, stride, padding, dilation


@st.composite
def pool_geometries(draw: st.DrawFn, max_kernel: int = 4, max_stride: int = 4) -> PoolGeometry:
    """Poolings of images of up to 10 by 10 pixels, as a `PoolGeometry`.

    Among them: windows with gaps, with overlap, of the whole image, padded by half of themselves.
    """
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 3))

    def window():
        kernel, stride = draw(st.integers(1, max_kernel)), draw(st.integers(1, max_stride))
        padded = kernel + draw(st.integers(0, 6))
        padding = draw(st.integers(0, min(kernel // 2, (padded - 1) // 2)))
        return padded - 2 * padding, kernel, stride, padding

    return PoolGeometry(batch, channels, *zip(window(), window(), strict=True))


# Networks

SMOOTH = ("Tanh", "Sigmoid", "Softplus", "GELU")
EPS = 0.1  # of the norms: with the usual one a constant image meets a slope of hundreds


@dataclass(frozen=True)
class Network:
    """A small network, and the shape of the batch of images that it takes.

    layers: what the network is made of, as (name in `minigan.nn`, *arguments). seed: of its weights.
    """

    layers: Sequence[tuple]
    input_shape: tuple[int, int, int, int]
    seed: int = 0

    @cached_property
    def module(self) -> nn.Module:
        """The network as an `nn.Sequential`, in float64 and in training mode."""
        net = nn.Sequential(*(getattr(nn, name)(*args) for name, *args in self.layers)).to(np.float64)
        generator = Generator(self.seed)
        for p in net.parameters():  # all of them, so that no norm is left with the weights 1 and 0
            nn.init.normal_(p, std=0.5, generator=generator)
        return net

    def __repr__(self) -> str:
        calls = ", ".join(f"{name}({', '.join(map(str, args))})" for name, *args in self.layers)
        return f"Network({self.input_shape} -> {calls}; seed {self.seed})"


@st.composite
def networks(
    draw: st.DrawFn,
    activations: Sequence[str] = (*SMOOTH, "LeakyReLU"),
    norms: Sequence[str] = ("batch", "layer", "instance"),
) -> Network:
    """Networks of up to two blocks of images and one of features, and a linear layer at the end.

    A block is a convolution, transposed convolution or linear layer, and then perhaps a norm and an
    activation. The output is (N, 1) or (N, 3), for N of 2 or 3.

    activations: names in `minigan.nn`; with `SMOOTH` ones the network has all derivatives.
    norms: some of "batch", "layer", "instance"; without "batch", images do not meet each other.
    """
    norms = tuple(norms)
    input_shape = draw(st.tuples(st.integers(2, 3), st.integers(1, 2), st.integers(2, 5), st.integers(2, 5)))
    layers, shape = [], input_shape[1:]
    for _ in range(draw(st.integers(0, 2))):
        convolution, shape = draw(_convolutions(shape))
        layers += [convolution, *draw(_finish(shape, activations, norms))]
    layers.append(("Flatten",))
    features = math.prod(shape)
    if draw(st.booleans()):
        hidden = draw(st.integers(2, 4))
        layers += [("Linear", features, hidden), *draw(_finish((hidden,), activations, norms))]
        features = hidden
    layers.append(("Linear", features, draw(st.sampled_from([1, 3]))))
    return Network(tuple(layers), input_shape, draw(st.integers(0, 99)))


@st.composite
def _convolutions(draw, shape):
    """A convolution of images of shape (C, H, W), or a transposed one, and the shape of its output."""
    C, *size = shape
    out, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
    transposed = draw(st.booleans()) and math.prod(size) <= 40
    kernel = draw(st.integers(1 + 2 * padding, 4) if transposed else st.integers(1, min(3, *size)))
    args = (kernel,) * 2, (stride,) * 2, (padding,) * 2
    made = (transposed_size if transposed else out_size)(size, *args, (1, 1))
    return ("ConvTranspose2d" if transposed else "Conv2d", C, out, kernel, stride, padding), (out, *made)


@st.composite
def _finish(draw, shape, activations, norms):
    """Perhaps a norm, perhaps an activation, for images (C, H, W) or features (C,)."""
    C, *size = shape
    norm = {
        "batch": ("BatchNorm2d" if size else "BatchNorm1d", C, EPS),
        "layer": ("LayerNorm", shape, EPS),
        "instance": ("InstanceNorm2d", C, EPS, True),
    }
    fitting = [norm[name] for name in norms if name != "instance" or math.prod(size) > 1]
    choices = [], *([layer] for layer in fitting), *([(name,)] for name in activations)
    both = [[layer, (name,)] for layer in fitting for name in activations]
    return draw(st.sampled_from([*choices, *both]))
