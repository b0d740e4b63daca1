"""Hypothesis drives ops at any geometry, ours and PyTorch's: values, first and second derivatives."""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigan.functional as F
from minigan import Tensor, grad
from minigan.testing import assert_close
from minigan.testing import strategies as some

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
pytestmark = pytest.mark.torch
T = torch.nn.functional

often = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def derivatives(f, leaves, u, directions, grad):
    """f(x), g = ∇ₓ⟨u, f(x)⟩, and the gradients of Σ⟨direction, g⟩ in x and u; 0 where there is none."""
    y = f(*leaves)
    first = grad(y, leaves, u, create_graph=True)
    slope = sum((v * g).sum() for v, g in zip(directions, first, strict=True))
    second = grad(slope, [*leaves, u], allow_unused=True)
    return [y, *first, *(0 * x if g is None else g for x, g in zip([*leaves, u], second, strict=True))]


def compare(ours, theirs, arrays):
    """Check that the two functions and their derivatives agree at the arrays, to 1e-10."""
    u = np.random.default_rng(0).standard_normal(ours(*map(Tensor, arrays)).shape)
    directions = [np.cos(np.arange(a.size)).reshape(a.shape) for a in arrays]

    def all_by(f, tensor, grad):
        leaves, seed = [tensor(a, requires_grad=True) for a in arrays], tensor(u, requires_grad=True)
        return derivatives(f, leaves, seed, [tensor(v) for v in directions], grad)

    def tensor(array, requires_grad=False):  # PyTorch knows no negative strides
        return torch.tensor(array.copy(), requires_grad=requires_grad)

    pairs = zip(all_by(ours, Tensor, grad), all_by(theirs, tensor, torch.autograd.grad), strict=True)
    for found, expected in pairs:
        expected = expected.numpy(force=True)
        assert_close(found, expected, atol=1e-10 * max(1, np.abs(expected).max(initial=0)))


@often
@given(some.conv_geometries(), st.data())
@pytest.mark.slow
def test_conv2d(g, data):
    arrays = [data.draw(some.arrays(shape)) for shape in (g.x_shape, g.w_shape, g.out_channels)]
    compare(partial(F.conv2d, **g.kwargs), partial(T.conv2d, **g.kwargs), arrays)


@often
@given(some.conv_geometries(), st.data())
@pytest.mark.slow
def test_conv_transpose2d(g, data):
    arrays = [data.draw(some.arrays(shape)) for shape in (g.y_shape, g.w_shape, g.in_channels)]
    settings = g.transposed_kwargs
    compare(partial(F.conv_transpose2d, **settings), partial(T.conv_transpose2d, **settings), arrays)


@often
@given(some.pool_geometries(), st.data())
def test_max_pool2d(g, data):
    x = data.draw(some.distinct(g.x_shape))
    compare(partial(F.max_pool2d, **g.kwargs), partial(T.max_pool2d, **g.kwargs), [x])


@often
@given(some.pool_geometries(), st.data())
def test_avg_pool2d(g, data):
    x = data.draw(some.arrays(g.x_shape))
    compare(partial(F.avg_pool2d, **g.kwargs), partial(T.avg_pool2d, **g.kwargs), [x])


@often
@given(some.shapes(min_dims=2), st.sampled_from([1e-3, 0.1, 1.0]), st.booleans(), st.data())
@pytest.mark.slow
def test_batch_norm(shape, eps, training, data):
    shape = (shape[0] + 1, *shape[1:])  # more than one value a channel
    arrays = [data.draw(some.arrays(n)) for n in (shape, shape[1], shape[1])]
    mean, var = data.draw(some.arrays(shape[1])), data.draw(some.positive(shape[1]))

    def ours(x, w, b):
        return F.batch_norm(x, Tensor(mean.copy()), Tensor(var.copy()), w, b, training, eps=eps)

    def theirs(x, w, b):
        return T.batch_norm(x, torch.tensor(mean.copy()), torch.tensor(var.copy()), w, b, training, eps=eps)

    compare(ours, theirs, arrays)


@often
@given(some.arrays(some.shapes(min_dims=1)), st.data())
def test_softmax_and_log_softmax(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    compare(partial(F.softmax, axis=axis), partial(T.softmax, dim=axis), [x])
    compare(partial(F.log_softmax, axis=axis), partial(T.log_softmax, dim=axis), [x])


@often
@given(some.broadcastable_shapes(2, max_dims=2), st.tuples(*[st.integers(1, 4)] * 3), st.data())
def test_matmul(leads, sizes, data):
    M, K, N = sizes
    row, column = data.draw(st.booleans()), data.draw(st.booleans())  # a vector on the left, on the right
    a = data.draw(some.arrays((K,) if row else (*leads[0], M, K)))
    b = data.draw(some.arrays((K,) if column else (*leads[1], K, N)))
    compare(F.matmul, torch.matmul, [a, b])


@often
@given(
    some.arrays(st.tuples(*(st.integers(1, n) for n in (2, 2, 6, 6)))),
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.sampled_from(["nearest", "corners", "areas"]),
)
def test_interpolate(x, size, how):
    settings = {"size": size, "mode": "nearest" if how == "nearest" else "bilinear"}
    if how != "nearest":
        settings["align_corners"] = how == "corners"
    compare(partial(F.interpolate, **settings), partial(T.interpolate, **settings), [x])
