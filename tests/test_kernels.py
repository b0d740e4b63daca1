"""The kernels: convolution against its definition and its adjoints, pools, norms, Philox, engines."""

import importlib
import inspect
import os
import pickle
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

import minigan.functional as F
import minigan_kernels as kernels
from minigan import Tensor, grad
from minigan.testing import assert_close
from minigan_kernels import engines, reference
from minigan_kernels.engines import _kernels_of, engine_name, kernels_in
from minigan_kernels.reference.philox import rounds

many = settings(max_examples=200, deadline=None)


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


# Convolution


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometries(draw):
    """Shapes of x and w that fit, and (stride, padding, dilation, groups)."""
    groups = draw(st.integers(1, 3))
    CG, OG, N = (draw(st.integers(1, 3)) for _ in range(3))
    size, kernel = draw(pairs(1, 9)), draw(pairs(1, 4))
    window = draw(pairs(1, 3)), draw(pairs(0, 3)), draw(pairs(1, 3))
    assume(min(kernels.out_size(size, kernel, *window)) >= 1)
    return (N, CG * groups, *size), (OG * groups, CG, *kernel), (*window, groups)


@pytest.mark.slow
@many
@given(geometries())
def test_the_convolutions_are_each_others_adjoints(geometry):
    x_shape, w_shape, how = geometry
    x, w = normal(x_shape, 0), normal(w_shape, 1)
    y = kernels.conv2d(x, w, *how)
    gy = normal(y.shape, 2)
    gx = kernels.conv2d_input(gy, w, x_shape[2:], *how)
    gw = kernels.conv2d_weight(x, gy, w_shape[2:], *how)
    assert (gx.shape, gw.shape) == (x_shape, w_shape)
    product, size = (y * gy).sum(), np.abs(y * gy).sum()
    assert_close((x * gx).sum(), product, atol=1e-12 * size)
    assert_close((w * gw).sum(), product, atol=1e-12 * size)


@pytest.mark.slow
@many
@given(geometries())
def test_conv2d_is_its_definition(geometry):
    """Pixel by pixel, by SciPy: without a stride, and on a kernel that is stretched by zeros."""
    x_shape, w_shape, how = geometry
    (SH, SW), (PH, PW), (DH, DW), groups = how
    x, w = normal(x_shape, 0), normal(w_shape, 1)
    y = kernels.conv2d(x, w, *how)

    padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))
    O, CG, KH, KW = w_shape
    stretched = np.zeros((O, CG, DH * (KH - 1) + 1, DW * (KW - 1) + 1))
    stretched[:, :, ::DH, ::DW] = w
    n, o = x_shape[0] - 1, O - 1  # one image and one filter stand for all
    first = o // (O // groups) * CG
    expected = sum(correlate2d(padded[n, first + c], stretched[o, c], "valid") for c in range(CG))
    assert_close(y[n, o], expected[::SH, ::SW], atol=1e-12)


@pytest.mark.slow
@many
@given(pairs(1, 9), pairs(1, 4), pairs(1, 3), pairs(0, 3), pairs(1, 3))
def test_transposed_size_inverts_out_size(size, kernel, stride, padding, dilation):
    out = kernels.out_size(size, kernel, stride, padding, dilation)
    assume(min(out) >= 1)
    smallest = kernels.transposed_size(out, kernel, stride, padding, dilation)
    rest = tuple(np.subtract(size, smallest).tolist())
    assert all(0 <= r < s for r, s in zip(rest, stride, strict=True))
    assert kernels.transposed_size(out, kernel, stride, padding, dilation, rest) == size


def test_float32_stays_float32_in_every_convolution():
    x, w = normal((2, 3, 5, 5), 0).astype(np.float32), normal((4, 3, 3, 3), 1).astype(np.float32)
    how = (1, 1), (1, 1), (1, 1), 1
    y = kernels.conv2d(x, w, *how)
    gx, gw = kernels.conv2d_input(y, w, (5, 5), *how), kernels.conv2d_weight(x, y, (3, 3), *how)
    assert {a.dtype for a in (y, gx, gw)} == {np.dtype(np.float32)}


# Pooling


@st.composite
def poolings(draw):
    size, kernel = draw(pairs(1, 9)), draw(pairs(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    window = kernel, draw(pairs(1, 3)), padding
    assume(min(kernels.out_size(size, *window)) >= 1)
    return (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *size), window


@pytest.mark.slow
@many
@given(poolings())
def test_average_pooling_and_its_adjoint(pooling):
    shape, window = pooling
    x = normal(shape, 0)
    y = kernels.avg_pool2d(x, *window)
    gy = normal(y.shape, 1)
    gx = kernels.avg_pool2d_input(gy, shape[2:], *window)
    assert_close((x * gx).sum(), (y * gy).sum(), atol=1e-12 * np.abs(y * gy).sum())


@many
@given(poolings())
def test_average_pooling_is_a_convolution(pooling):
    shape, (kernel, stride, padding) = pooling
    x, mean = normal(shape, 0), np.full((shape[1], 1, *kernel), 1 / np.prod(kernel))
    expected = kernels.conv2d(x, mean, stride, padding, (1, 1), shape[1])
    assert_close(kernels.avg_pool2d(x, kernel, stride, padding), expected, atol=1e-12)


@pytest.mark.slow
@many
@given(poolings())
def test_max_pooling_finds_the_first_of_the_largest(pooling):
    shape, (kernel, stride, padding) = pooling
    x = (
        np.random.default_rng(0).integers(-3, 3, shape).astype(float)
    )  # with ties, and below the zeros of a padding
    y, index = kernels.max_pool2d(x, kernel, stride, padding)
    assert index.dtype == np.int64
    np.testing.assert_array_equal(kernels.pixels_gather(x, index), y)

    H, W = shape[2:]
    for i, j in np.ndindex(y.shape[2:]):
        top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
        rows, cols = slice(max(top, 0), top + kernel[0]), slice(max(left, 0), left + kernel[1])
        window = x[:, :, rows, cols].reshape(*shape[:2], -1)
        places = np.arange(H * W).reshape(H, W)[rows, cols].ravel()
        np.testing.assert_array_equal(y[:, :, i, j], window.max(-1))
        np.testing.assert_array_equal(index[:, :, i, j], places[window.argmax(-1)])


@pytest.mark.slow
@many
@given(poolings())
def test_gathering_and_scattering_pixels_are_adjoint(pooling):
    shape, window = pooling
    x = normal(shape, 0)
    y, index = kernels.max_pool2d(x, *window)
    gy = normal(y.shape, 1)
    gx = kernels.pixels_scatter(gy, index, shape[2:])
    assert_close((x * gx).sum(), (y * gy).sum(), atol=1e-12 * np.abs(y * gy).sum())


# Normalisation

NORMS = {
    "batch, table": lambda x, w, b: F.batch_norm(x[:, :, 0, 0], weight=w, bias=b),
    "batch, images": lambda x, w, b: F.batch_norm(x, weight=w, bias=b),
    "layer": lambda x, w, b: F.layer_norm(x.permute(0, 2, 3, 1), 3, w, b),
    "instance": F.instance_norm,
    "instance, plain": lambda x, w, b: F.instance_norm(x) * w.sum() + b.sum(),
}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_the_fused_gradient_of_a_norm_is_the_differentiable_one(norm, scale):
    arrays = scale * normal((4, 3, 2, 5), 0), normal(3, 1), normal(3, 2)
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    y = norm(*leaves)
    u = normal(y.shape, 3)
    for fused, rule in zip(grad(y, leaves, u), grad(y, leaves, u, create_graph=True), strict=True):
        assert_close(fused, rule, atol=1e-12 * np.abs(rule.numpy()).max())


@pytest.mark.parametrize("axes", [(0,), (0, 2, 3), (1, 2, 3), (2, 3)])
def test_normalize_gives_mean_0_and_variance_1(axes):
    x = 5 + 3 * normal((4, 3, 2, 5), 0)
    y, mean, var = kernels.normalize(x, None, None, axes, 0.0)
    assert_close(mean, x.mean(axes, keepdims=True), rtol=1e-12)
    assert_close(var, x.var(axes, keepdims=True), rtol=1e-12)
    assert_close(y.mean(axes), np.zeros_like(y.mean(axes)), atol=1e-12)
    assert_close(y.var(axes), np.ones_like(y.var(axes)), rtol=1e-12)


def test_a_large_mean_does_not_spoil_the_variance():
    x = (1e4 + normal((1000, 1), 0)).astype(np.float32)
    _, _, var = kernels.normalize(x, None, None, (0,), 0.0)
    assert_close(var.ravel(), x.astype(np.float64).var(0), rtol=1e-3)


# Dense layers, activations and losses

ORDERS = {
    "a table": lambda a: a[:, :, 0, 0].copy(),
    "a transposed table": lambda a: a[:, :, 0, 0].T.copy().T,
    "images": lambda a: a,
    "images, channels-last": lambda a: a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
    "every second image": lambda a: a[::2],
}
in_any_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def memory_order(a):
    return sorted(range(a.ndim), key=lambda axis: (-abs(a.strides[axis]), axis))


@floats
@in_any_order
def test_entry_by_entry_kernels(order, dtype):
    x, gy = (order(normal((6, 3, 4, 5), seed).astype(dtype)) for seed in (0, 1))
    tanh = np.tanh(x)
    made = [
        (kernels.tanh_backward(gy, tanh), gy * (1 - tanh.astype(np.float64) ** 2)),
        *(
            pair
            for slope in (0.0, 0.2, 1.0)
            for y in [kernels.leaky_relu(x, slope)]
            for pair in [
                (y, np.where(x > 0, x, dtype(slope) * x)),
                (kernels.leaky_relu_backward(gy, y, slope), np.where(x > 0, gy, dtype(slope) * gy)),
            ]
        ),
    ]
    for y, expected in made:
        assert y.dtype == dtype
        assert memory_order(y) == memory_order(x)
        assert_close(y, expected, rtol=1e-6, atol=1e-6)


@floats
def test_the_sigmoid_is_exact_in_both_tails(dtype):
    x = np.array([-np.inf, -1e4, -80, -20, -1, 0, 1, 20, 1e4, np.inf], dtype)
    wide = x.astype(np.longdouble)
    with np.errstate(over="ignore"):
        expected = (1 / (1 + np.exp(-wide))).astype(dtype)
    y = kernels.sigmoid(x)
    assert y.dtype == dtype
    assert_close(y, expected, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert np.isnan(kernels.sigmoid(np.array([np.nan], dtype)))


def test_a_slope_of_0_makes_0_of_minus_infinity():
    x = np.array([-np.inf, np.inf], np.float32)
    assert kernels.leaky_relu(x, 0.0).tolist() == [0, np.inf]


@floats
@in_any_order
def test_a_bias_and_its_gradient_are_adjoint(order, dtype):
    y, b = order(normal((6, 3, 4, 5), 0).astype(dtype)), normal(3, 1).astype(dtype)
    kept = y.copy()
    kernels.add_bias(y, b)
    assert_close(y - kept, np.broadcast_to(b.reshape(3, *(1,) * (y.ndim - 2)), y.shape), atol=1e-6)
    sums = kernels.channel_sums(kept)
    assert (sums.shape, sums.dtype) == ((3,), dtype)
    assert_close(sums, kept.astype(np.float64).sum((0, *range(2, y.ndim))), rtol=1e-5, atol=1e-5)


@floats
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_its_definition(bias, dtype):
    x, w, b = (normal(shape, i).astype(dtype) for i, shape in enumerate([(7, 5), (3, 5), 3]))
    expected = np.einsum("ni,oi->no", x.astype(np.float64), w) + (b if bias else 0)
    for a in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        y = kernels.linear(a, w, b if bias else None)
        assert y.dtype == dtype
        assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((4, 5), (5, 3)),
        ((2, 4, 5), (5, 3)),
        ((4, 5), (2, 5, 3)),
        ((2, 1, 4, 5), (3, 5, 2)),
        ((0, 5), (5, 3)),
        ((4, 1), (1, 3)),
        ((2, 4, 1), (1, 3)),
    ],
)
def test_matmul_broadcasts_and_takes_transposed_views(a, b):
    a, b = normal(a, 0), normal(b, 1)
    expected = np.einsum("...ij,...jk->...ik", a, b)
    assert_close(kernels.matmul(a, b), expected, atol=1e-12)
    assert_close(
        kernels.matmul(b.swapaxes(-1, -2), a.swapaxes(-1, -2)), expected.swapaxes(-1, -2), atol=1e-12
    )


@floats
def test_the_loss_on_logits_and_its_gradient(dtype):
    x = np.array([[-200.0, -20, -1, 0], [0.5, 3, 20, 200]], dtype)
    for target in (0.0, 1.0, 0.9, np.linspace(0, 1, 8, dtype=dtype).reshape(2, 4)):
        wide = x.astype(np.float64)
        loss = kernels.bce_with_logits(x, target, 0.125)
        assert_close(loss, (np.logaddexp(0, wide) - target * wide).mean(), rtol=1e-6)
        gx = kernels.bce_with_logits_backward(np.ones((), dtype), x, target, 0.125)
        assert gx.dtype == dtype
        assert_close(gx, (0.5 + 0.5 * np.tanh(wide / 2) - target) / 8, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: kernels.linear(x, np.ones((3, 5)), None),
        lambda x: kernels.linear(x, np.ones((3, 5), np.float32), np.ones(3)),
        lambda x: kernels.add_bias(x, np.ones(5)),
    ],
)
def test_mixed_dtypes_are_refused(call):
    with pytest.raises(TypeError, match="must share one floating dtype"):
        call(np.ones((7, 5), np.float32))


# Philox

KNOWN_ANSWERS = [
    # counter, key, words: Random123, kat_vectors, "philox4x32 10"
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter, key, expected):
    made = rounds(*(np.array([word], np.uint64) for word in words(counter)), *words(key))
    assert [int(word[0]) for word in made] == words(expected)


def test_a_key_and_counter_of_64_bits_reach_the_right_words():
    key, counter = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    low, high, zero = (np.array([word], np.uint64) for word in (0x76543210, 0xFEDCBA98, 0))
    expected = rounds(low, high, zero, zero, 0x89ABCDEF, 0x01234567)
    assert kernels.philox(key, counter, 4).tolist() == [int(word[0]) for word in expected]


@many
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 50), st.integers(0, 10))
def test_any_part_of_the_stream_can_be_made_by_itself(key, counter, n, skip):
    whole = kernels.philox(key, counter, 4 * skip + n)
    part = kernels.philox(key, (counter + skip) % 2**64, n)
    assert whole.dtype == np.uint32
    np.testing.assert_array_equal(whole[4 * skip :], part)


def test_uniform_and_normal_are_made_of_the_same_words():
    key, counter = 3, 5
    w = kernels.philox(key, counter, 8).astype(np.uint64)
    u = kernels.uniform(key, counter, 4, np.float64)
    assert kernels.uniform(key, counter, 8, np.float32).tolist() == ((w >> 8) * 2.0**-24).tolist()
    assert u.tolist() == (((w[0::2] << 32 | w[1::2]) >> 11) * 2.0**-53).tolist()
    radius, angle = np.sqrt(-2 * np.log(1 - u[0::2])), 2 * np.pi * u[1::2]
    z = kernels.normal(key, counter, 4, np.float64)
    assert_close(z[0::2], radius * np.cos(angle), rtol=1e-12)
    assert_close(z[1::2], radius * np.sin(angle), rtol=1e-12)


# Engines


def test_the_reference_defines_every_kernel():
    helpers = {"array_module", "out_size", "sum_to", "transposed_size"}
    helpers |= {"ENGINES", "conv_algorithm", "engine", "engine_missing", "engine_name", "engines_here"}
    helpers |= {"PRECISIONS", "precision", "precision_name", "set_precision"}
    helpers |= {
        "compile_ahead",
        "layout_copies",
        "num_threads",
        "on_compile",
        "set_num_threads",
        "vector_bits",
    }
    assert set(kernels.__all__) - helpers == kernels_in(reference).keys()


@pytest.mark.parametrize("module", ["reference", "cpu", "cuda", "numba_cuda"])
def test_a_kernel_of_an_engine_says_what_it_computes(module):
    own = kernels_in(importlib.import_module(f"minigan_kernels.{module}"))
    assert own.keys() <= kernels_in(reference).keys()
    for name, kernel in own.items():
        said = " ".join(inspect.getdoc(kernel).split())
        meaning = " ".join(inspect.getdoc(getattr(kernels, name)).partition("\n\n")[0].split())
        assert said.startswith(meaning), f"{name}: {said!r} does not open with {meaning!r}"


def test_an_unknown_engine_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'cud'; there are: .*reference"), kernels.engine("cud"):
        pass


@pytest.mark.slow
def test_the_environment_forces_an_engine():
    code = (
        "import numpy, minigan_kernels as k; k.avg_pool2d(numpy.ones((1, 1, 2, 2)), (2, 2), (2, 2), (0, 0))"
    )
    run = [sys.executable, "-c", code]
    for name, says in (("", ""), ("reference", ""), ("cud", "no kernel engine is called 'cud'")):
        done = subprocess.run(
            run, env=os.environ | {"MINIGAN_ENGINE": name}, capture_output=True, encoding="utf-8"
        )
        assert bool(done.returncode) == bool(says)
        assert says in done.stderr


@pytest.fixture
def other_engine(monkeypatch):
    """One more engine, of one kernel."""
    engine = types.ModuleType("minigan_kernels.other")
    engine.sigmoid = lambda x: "by the other engine"
    monkeypatch.setattr("minigan_kernels.engines.ENGINES", ("reference", "other"))
    monkeypatch.setitem(sys.modules, engine.__name__, engine)
    _kernels_of.cache_clear()
    yield "other"
    _kernels_of.cache_clear()


def test_kernels_run_on_the_chosen_engine(other_engine):
    with kernels.engine("other"):
        assert kernels.sigmoid(np.ones(1)) == "by the other engine"


def test_the_reference_runs_what_an_engine_leaves_out(other_engine):
    x = np.ones((1, 1, 2, 2))
    with kernels.engine("other"):
        assert kernels.avg_pool2d(x, (2, 2), (2, 2), (0, 0)).item() == 1


def test_engine_choices_nest_and_restore(other_engine):
    x = np.ones(1)
    default = engine_name(x)
    with kernels.engine("other"):
        assert engine_name(x) == other_engine
        with kernels.engine("reference"):
            assert engine_name(x) == "reference"
        assert engine_name(x) == other_engine
    assert engine_name(x) == default


def test_an_engine_choice_ends_with_an_error(other_engine):
    with pytest.raises(KeyError), kernels.engine("other"):
        raise KeyError
    assert engine_name(np.ones(1)) != other_engine


def test_engine_choices_belong_to_their_thread(other_engine):
    x = np.ones(1)
    default = engine_name(x)
    with ThreadPoolExecutor(1) as pool, kernels.engine("other"):
        assert pool.submit(engine_name, x).result() == default


@pytest.mark.skipif(bool(os.environ.get("MINIGAN_ENGINE")), reason="an engine is forced")
def test_the_array_picks_the_engine():
    assert engine_name(np.ones(1, np.float32)) == "cpu"
    assert engine_name(np.ones(1)) == "reference"
    assert engine_name(pickle.loads(pickle.dumps(np.ones(1, np.float32)))) == "cpu"  # another dtype object


def test_arrays_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="NumPy or CuPy array, got list"):
        kernels.array_module([1.0])


class OnGpu:
    """As much of a CuPy array as it takes to pick an engine."""

    __cuda_array_interface__: ClassVar[dict] = {}

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)


@pytest.mark.skipif(bool(os.environ.get("MINIGAN_ENGINE")), reason="an engine is forced")
def test_arrays_on_a_gpu_pick_theirs():
    assert engine_name(OnGpu(np.float32)) == "cuda"
    assert engine_name(OnGpu(np.float64)) == "reference"


@pytest.mark.parametrize("forced", ["cuda", "cuda-emulated", "numba-cuda"])
def test_an_engine_for_float32_leaves_other_dtypes_to_the_reference(forced, monkeypatch):
    monkeypatch.setattr(engines._choice, "forced", forced)
    assert engine_name(np.ones(1)) == "reference"
    assert engine_name(np.ones(1, np.float32) if forced != "cuda" else OnGpu(np.float32)) == forced
    assert engines.engine_for_new(np, np.float64).normal is reference.normal


@pytest.mark.parametrize(
    ("forced", "array", "says"),
    [
        ("cuda", np.ones(1, np.float32), "the engine 'cuda' takes CuPy arrays, and this one lies on the CPU"),
        (
            "cuda-emulated",
            OnGpu(np.float32),
            "'cuda-emulated' takes NumPy arrays, and this one lies on a GPU",
        ),
        ("cpu", OnGpu(np.float64), "'cpu' takes NumPy arrays, and this one lies on a GPU"),
    ],
)
def test_an_engine_that_cannot_reach_an_array_says_so(forced, array, says, monkeypatch):
    monkeypatch.setattr(engines._choice, "forced", forced)
    with pytest.raises(ValueError, match=says):
        engine_name(array)


def test_every_engine_is_here_or_says_why_not():
    here = kernels.engines_here()
    assert {"reference", "cpu"} <= set(here)
    for name in set(kernels.ENGINES) - set(here):
        with pytest.raises(ValueError, match=f"the engine '{name}' cannot run here: "), kernels.engine(name):
            pass
    with pytest.raises(ValueError, match="no kernel engine is called 'other'"):
        kernels.engine_missing("other")
