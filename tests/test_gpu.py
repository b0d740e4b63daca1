"""What only a GPU can show: whole training steps there, graphs, memory, errors. Its kernels one by one are in
`test_engines.py`.

These tests need numpy, cupy, numba, pytest and hypothesis alone, and run where minigan is not installed:
`python -m bench.gpu --parts tests`.
"""

import itertools

import numpy as np
import pytest
from others import Others

import minigan_kernels as kernels
from bench.gpu import kernel_side, rows
from minigan import Generator, Tensor, backend, grad, graph, no_grad
from minigan import functional as F
from minigan.data import Field, Fields
from minigan.errors import DeviceError, MiniganError
from minigan.gans import model_named
from minigan.gans.model import owners
from minigan.graph import WARM_UP, graphs
from minigan.nn import Parameter
from minigan.optim import SGD, Adam, AdamW, RMSprop, lr_scheduler
from minigan.speed.minigan_side import critic_steps
from minigan.speed.steps import fields_of
from minigan.testing import assert_close

pytestmark = pytest.mark.gpu

REPLAYS = 5
STEPS = WARM_UP + REPLAYS


@pytest.fixture
def cupy():
    import cupy

    return cupy


# Whole steps. Each maker gives the arrays that a step changes, and a function that takes the step.


def gan_run(name, fields, place, **settings):
    model = model_named(name)
    cfg = model.Config(**settings).fitted(fields)
    parts = placed(model.parts(cfg, fields, Generator(1)), place)
    data = (worded if fields.first.words else batches)(place, cfg.batch_size, fields.shape)
    if "y" in fields:
        data = zip(data, batches(place, cfg.batch_size, fields["y"].shape, seed=4), strict=True)
    if known := [known_beside(name, fields, cfg.batch_size, place) for name in model.beside(cfg)]:
        data = zip(data, *known, strict=True)
    loop = model.train(parts, data, Generator(2, place), cfg)
    return [*parts.values()], lambda: numbers(next(loop))


def known_beside(name, fields, n, place):
    """What a batch holds beside the samples, endlessly: labels, factors or texts."""
    if name == "factors":
        return batches(place, n, fields[name].shape, seed=5)
    if name == "label":
        return itertools.repeat(backend.device(place).put(np.arange(n) % fields.classes))
    return worded(place, n, fields[name].shape, seed=6)


def placed(parts, place):
    with kernels.engine("reference"):  # what happens on the CPU
        for owner in owners(parts).values():
            if hasattr(owner, "to"):
                owner.to(place)
    return parts


def numbers(seen):
    """Those of a step; of what D said of each sample, the mean probability."""
    with no_grad():
        return {name: (F.sigmoid(x).mean() if x.ndim else x).item() for name, x in seen.items()}


def points(place):
    return gan_run("gan", fields_of((2,)), place, batch_size=33, latent=2)


def mlp(place):
    return gan_run("gan", fields_of((1, 9, 9)), place, batch_size=17, latent=10)


def images(place):
    return gan_run("dcgan", fields_of((3, 32, 32)), place, batch_size=9, latent=12, width=8)


def augmented(place):
    settings = {"augment": "colour,shift,cutout,flip", "r1": 1.0, "smoothing": 0.1}
    return gan_run("dcgan", fields_of((3, 16, 16)), place, batch_size=9, latent=12, width=8, **settings)


def whole_batches(place):
    settings = {"minibatch_features": 7, "loss": "feature-matching"}
    return gan_run("dcgan", fields_of((1, 16, 16)), place, batch_size=9, latent=12, width=8, **settings)


def labelled(place):
    fields = Fields({"image": Field("image", (1, 16, 16)), "label": Field("label", (), 3)})
    return gan_run("cgan", fields, place, batch_size=9, latent=12, width=8)


def wasserstein(place):
    return gan_run("wgan-gp", fields_of((1, 16, 16)), place, batch_size=9, latent=12, width=8, n_critic=2)


def clipping(place):
    quick = {"batch_size": 9, "latent": 12, "width": 8, "n_critic": 2, "n_critic_first": 3}
    return gan_run("wgan", fields_of((1, 16, 16)), place, **quick)


def squares(place):
    settings = {"batch_size": 9, "latent": 12, "width": 8, "batch_norm": "D"}
    return gan_run("lsgan", fields_of((1, 16, 16)), place, **settings)


def two_heads(place):
    fields = Fields({"image": Field("image", (1, 16, 16)), "label": Field("label", (), 3)})
    return gan_run("acgan", fields, place, batch_size=9, latent=12, width=8)


def ahead(place):
    return gan_run("unrolled", fields_of((2,)), place, batch_size=33, latent=7, unroll=2)


def ahead_of_images(place):
    return gan_run("unrolled", fields_of((1, 16, 16)), place, batch_size=9, latent=12, width=8, unroll=1)


def pyramid(place):
    settings = {"batch_size": 9, "latent": 12, "coarse_width": 8, "width": 4}
    parts, step = gan_run("lapgan", fields_of((3, 28, 28)), place, **settings)
    return [*owners(dict(enumerate(parts))).values()], step


def coded(place):
    return gan_run("infogan", fields_of((1, 28, 28)), place, batch_size=9, latent=12, width=8)


def weighted(place):
    """Whose images and codes are drawn in the step, at a rate that falls."""
    settings = {
        "draws": 3,
        "binarise": True,
        "layers": 2,
        "activation": "tanh",
        "lr_last": 1e-4,
        "centred": True,
    }
    return gan_run("vae", fields_of((1, 9, 9)), place, batch_size=7, latent=5, hidden=11, **settings)


def of_normal_pixels(place):
    small = {"batch_size": 7, "latent": 5, "hidden": 11, "likelihood": "gaussian"}
    return gan_run("vae", fields_of((3, 9, 9)), place, **small)


def made_whole(place):
    """Whose codes a normal distribution follows."""
    settings = {"masked": 0.3, "sparse": 0.1}
    return gan_run("ae", fields_of((3, 9, 9)), place, batch_size=7, latent=5, hidden=11, **settings)


def three_networks(place):
    return gan_run("vae-gan", fields_of((1, 16, 16)), place, batch_size=9, latent=5, width=4, gamma=0.1)


def styled(place):
    """Whose penalties come at every step."""
    small = {"batch_size": 8, "latent": 12, "mapping": 2, "width": 8}
    lazy = {"r1_every": 1, "path_every": 1, "path_weight": 2.0}
    return gan_run("stylegan", fields_of((1, 16, 16)), place, **small, **lazy)


def both_ways(place):
    """Whose judges see what was made before, at a rate that falls from the fourth step on."""
    image = Field("image", (3, 16, 16))
    small = {"batch_size": 3, "width": 4, "blocks": 1, "pool": 4, "steps": STEPS}
    return gan_run("cyclegan", Fields({"x": image, "y": image}), place, **small)


def enlarging(place):
    small = {"batch_size": 8, "width": 8, "blocks": 1, "first": 0.99}
    return gan_run("srgan", fields_of((3, 16, 16)), place, **small)


def enlarging_in_a_game(place):
    small = {"batch_size": 8, "width": 8, "blocks": 1, "first": 0.0}
    return gan_run("srgan", fields_of((1, 16, 16)), place, **small)


def waves(place):
    """Whose phases are shuffled by what is drawn in the step, at rates that fall."""
    fields = Fields({"sound": Field("sound", (1, 256), rate=1000), "label": Field("label", (), 3)})
    return gan_run("wavegan", fields, place, batch_size=9, latent=12, width=8, n_critic=2, steps=STEPS)


def waves_by_logits(place):
    sound = Fields({"sound": Field("sound", (1, 256), rate=1000)})
    return gan_run("wavegan", sound, place, batch_size=9, latent=12, width=8, loss="bce", steps=STEPS)


def told_in_words(place, **settings):
    """At a rate that falls from the fourth step on."""
    words = ("", "a", "red", "blue", "disc")
    fields = Fields({"image": Field("image", (3, 16, 16)), "text": Field("text", (4,), words=words)})
    small = {"batch_size": 9, "latent": 5, "width": 4, "embedding": 6, "condition": 3, "steps": STEPS}
    return gan_run("text2image", fields, place, **small, **settings)


def looking_for_words(place):
    return told_in_words(place, encoder="gru", judge="joined", attention=True)


CODES = {"batch_size": 9, "width": 8, "codes": 8, "length": 4, "restart": 0.9}


def quantising(place):
    """Codes begin again at any step: few are used as often as they are to be."""
    return gan_run("vq-vae", fields_of((3, 16, 16)), place, **CODES, first=0.99)


def quantising_by_loss(place):
    return gan_run("vq-vae", fields_of((1, 16, 16)), place, **CODES, learned_by="loss", first=0.99)


def foretelling(place):
    """The codes of networks that stand still after a single step."""
    return gan_run("vq-vae", fields_of((1, 16, 16)), place, **CODES, steps=100, first=0.01)


def one_factor_each(place):
    factors = Field("factors", (2,), values={"x": 3, "y": 4})
    fields = Fields({"image": Field("image", (1, 16, 16)), "factors": factors})
    small = {"batch_size": 9, "latent": 5, "width": 8, "hidden": 12}
    return gan_run("beta-vae", fields, place, **small, total_correlation=2.0, supervision=0.5)


def with_more_room(place):
    """Whose capacity rises with every step."""
    small = {"batch_size": 9, "latent": 5, "width": 8, "hidden": 12, "steps": STEPS}
    return gan_run("beta-vae", fields_of((3, 16, 16)), place, **small, capacity=4.0, gamma=10.0)


def film(place, **settings):
    fields = Fields({"clip": Field("clip", (5, 1, 16, 16)), "label": Field("label", (), 3)})
    return gan_run("dvdgan", fields, place, batch_size=6, latent=5, width=4, width_d=8, seen=3, **settings)


def film_without_motion(place):
    return film(place, judges="frames")


def next_frames(place):
    fields = Fields({"clip": Field("clip", (6, 3, 16, 16))})
    return gan_run("next-frame", fields, place, batch_size=3, latent=2, width=4, draws=2)


def next_frames_by_squares(place):
    fields = Fields({"clip": Field("clip", (6, 1, 16, 16))})
    return gan_run("next-frame", fields, place, batch_size=3, latent=2, width=4, game="none")


def penalty(place):
    model, fields = model_named("wgan-gp"), fields_of((1, 16, 16))
    cfg = model.Config(batch_size=5, latent=12, width=8).fitted(fields)
    parts = placed(model.parts(cfg, fields, Generator(1)), place)
    data = batches(place, cfg.batch_size, (1, 16, 16))
    loop = critic_steps(zip(data, data, strict=True), Generator(2, place), cfg, parts)
    return [parts["D"], parts["opt_d"]], lambda: numbers(next(loop))


def spelling(place):
    fields = Fields({"text": Field("text", (9,), words=("", "a", "b"))})
    small = {"batch_size": 7, "latent": 5, "width": 8, "blocks": 1, "steps": STEPS}
    return gan_run("text-gan", fields, place, **small)


def singing(place):
    """Of notes that are drawn."""
    line = Field("text", (6,), words=("", "u", "|"))
    fields = Fields({"melody": Field("melody", (8,), words=("-", ".", "c4")), "text": line})
    small = {"batch_size": 7, "latent": 5, "noise": 2, "hidden": 8, "width": 8, "blocks": 1, "steps": STEPS}
    return gan_run("melody-gan", fields, place, **small, n_critic=2)


def worded(place, n, shape, seed=3):
    """Batches of numbers of three words."""
    rng = np.random.default_rng(seed)
    return itertools.cycle([backend.device(place).put(rng.integers(0, 3, (n, *shape))) for _ in range(4)])


def batches(place, n, shape, seed=3):
    rng = np.random.default_rng(seed)
    some = [rng.uniform(-1, 1, (n, *shape)).astype(np.float32) for _ in range(4)]
    return itertools.cycle([backend.device(place).put(a) for a in some])


RUNS = [
    points,
    mlp,
    images,
    augmented,
    whole_batches,
    labelled,
    wasserstein,
    clipping,
    squares,
    two_heads,
    ahead,
    ahead_of_images,
    pyramid,
    coded,
    weighted,
    of_normal_pixels,
    made_whole,
    three_networks,
    styled,
    both_ways,
    enlarging,
    enlarging_in_a_game,
    told_in_words,
    looking_for_words,
    quantising,
    quantising_by_loss,
    foretelling,
    one_factor_each,
    with_more_room,
    film,
    film_without_motion,
    next_frames,
    next_frames_by_squares,
    waves,
    waves_by_logits,
    spelling,
    singing,
    penalty,
]
every_run = pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)


def arrays(parts):
    """Copies of all arrays, on the CPU."""
    states = [part.state_dict() for part in parts]
    found = {
        (i, name): a for i, state in enumerate(states) for name, a in state.items() if hasattr(a, "shape")
    }
    return {name: np.array(backend.to_numpy(a)) for name, a in found.items()}


def taken(run, place, steps=STEPS, between=lambda: None):
    """The losses of some steps, and the arrays after them."""
    parts, step = run(place)
    losses = []
    for _ in range(steps):
        losses.append(step())
        between()
    return losses, arrays(parts)


@every_run
def test_steps_are_those_of_the_cpu(run):
    """The first three: a gradient that is 0 but for rounding moves its parameter as far as any, by Adam, so
    two right runs part, and are soon far apart."""
    losses, _ = taken(run, "gpu", steps=3)
    with kernels.engine("reference"):
        expected, _ = taken(run, "cpu", steps=3)
    for i, (a, b) in enumerate(zip(losses, expected, strict=True)):
        for name in b:
            assert a[name] == pytest.approx(b[name], rel=1e-5 if i == 0 else 2e-2, abs=1e-5), (i, name)


@every_run
def test_replays_equal_eager_steps_bit_for_bit(run):
    replayed, after = taken(run, "gpu")
    with graphs(False):
        eager, expected = taken(run, "gpu")
    assert replayed == eager
    assert after.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(after[name], expected[name], err_msg=str(name))


@every_run
def test_a_run_twice_gives_the_same_bits(run):
    first, second = taken(run, "gpu"), taken(run, "gpu")
    assert first[0] == second[0]
    for name, a in first[1].items():
        np.testing.assert_array_equal(a, second[1][name], err_msg=str(name))


def beside(others, run, **how):
    """`taken`, with others on the card that write to what is free, and must find it untouched."""

    def between():
        others.check()
        others.write(**how)

    found = taken(run, "gpu", between=between)
    others.check()
    return found


@every_run
def test_memory_that_others_write_to_between_replays_does_no_harm(run, cupy, monkeypatch):
    losses, after = beside(Others(cupy, monkeypatch), run)
    expected, untouched = taken(run, "gpu")
    assert losses == expected
    for name in untouched:
        np.testing.assert_array_equal(after[name], untouched[name], err_msg=str(name))


@every_run
def test_a_graph_without_memory_of_its_own_would_do_harm(run, cupy, monkeypatch):
    """A planted fault: what the capture gave back belongs to others by then."""
    monkeypatch.setattr(cupy.cuda, "MemoryPool", cupy.get_default_memory_pool)
    with pytest.raises(AssertionError, match="that are not its own"):
        beside(Others(cupy, monkeypatch), run, free=False)


def test_a_graph_draws_new_numbers_in_each_replay_and_they_are_the_cpus(cupy):
    rng = Generator(7, "gpu")
    step = graph(lambda x: Tensor(x) * 0 + Tensor(rng.uniform((1000,))))
    x = cupy.zeros(1000, np.float32)
    drawn = [step(x).numpy().copy() for _ in range(STEPS)]
    with kernels.engine("reference"):
        expected = Generator(7)
        for numbers in drawn:
            np.testing.assert_array_equal(numbers, expected.uniform((1000,)))


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW], ids=lambda kind: kind.__name__)
def test_a_captured_step_takes_the_rate_that_a_schedule_sets(kind, cupy):
    def trained(step_of):
        w = Parameter(cupy.linspace(-1, 1, 1000, dtype=np.float32))
        opt = kind([w], 0.1, weight_decay=0.1)
        schedule = lr_scheduler.ExponentialLR(opt, 0.7)
        step = step_of(lambda g: opt.step([Tensor(g * w.data)]))
        for _ in range(STEPS):
            step(cupy.full(1000, 0.5, np.float32))
            schedule.step()
        return step, w.numpy()

    step, captured = trained(graph)
    assert step.captured
    np.testing.assert_array_equal(captured, trained(lambda f: f)[1])


# Kernels, as the benchmark calls them, on sizes that divide nothing; and large ones.


@pytest.fixture
def odd(monkeypatch):
    for name, value in {"IMAGES": (3, 37, 6, 10), "HALF": (3, 37, 3, 5), "LINES": 301, "CLASSES": 77}.items():
        monkeypatch.setattr(rows, name, value)
    monkeypatch.setattr(rows, "NUMBERS", 301 * 77)


@pytest.mark.parametrize("row", rows.MEMORY, ids=lambda row: row.name)
def test_a_kernel_gives_what_the_reference_gives(row, odd, cupy):
    assert kernels.engine_name(cupy.zeros(1, np.float32)) == "cuda"
    assert kernel_side.checked(getattr(kernels, row.work.kernel), row.work, cupy) <= 1e-4


def relative(x, expected):
    return float(abs(x - expected).max() / abs(expected).max())


@pytest.mark.parametrize("shape", [(1, 1, 1), (33, 65, 17), (130, 257, 514), (1024, 512, 256)])
@pytest.mark.parametrize("precision", rows.PRECISIONS)
def test_products_round_to_their_precision_and_no_more(shape, precision, cupy):
    require_tensor_cores(precision, cupy)
    M, N, K = shape
    rng = np.random.default_rng(0)
    a, b = (cupy.asarray(rng.standard_normal(size).astype(np.float32)) for size in ((M, K), (K, N)))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    with kernels.precision(precision):
        found = kernels.matmul(a, b)
    half = {"fp32": 2.0**-23, "tf32": 2.0**-10, "bf16": 2.0**-7}[precision]
    scale = float((abs(a).astype(np.float64) @ abs(b).astype(np.float64)).max() / abs(expected).max())
    assert relative(found, expected) <= (half + K**0.5 * 2.0**-23) * scale  # of the factors, and of the sum
    if precision != "fp32" and K > 16:
        assert relative(found, expected) > half / 1000  # it was not made in float32 after all


@pytest.mark.parametrize("precision", rows.PRECISIONS)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(4, 2, 1, 1), (3, 1, 2, 2), (5, 3, 0, 1)]
)
def test_convolutions_round_to_their_precision_and_no_more(
    kernel, stride, padding, dilation, groups, precision, cupy
):
    require_tensor_cores(precision, cupy)
    window = tuple((n, n) for n in (stride, padding, dilation))
    N, C, O, size = 5, 33, 69, (17, 22)
    out = kernels.out_size(size, (kernel, kernel), *window)
    a = kernel_side.Arrays(cupy)
    x, w, gy = a.normal((N, C, *size)), a.normal((O, C // groups, kernel, kernel)), a.normal((N, O, *out))
    calls = {
        "conv2d": (x, w, *window, groups),
        "conv2d_input": (gy, w, size, *window, groups),
        "conv2d_weight": (x, gy, (kernel, kernel), *window, groups),
    }
    for name, arguments in calls.items():
        with kernels.precision(precision):
            found = getattr(kernels, name)(*arguments)
        with kernels.engine("reference"):
            wide = [b.astype(np.float64) if kernel_side.is_float32(b) else b for b in arguments]
            expected = getattr(kernels, name)(*wide)
        assert relative(found, expected) <= kernel_side.RTOL[precision], name


def require_tensor_cores(precision, cupy):
    if precision != "fp32" and int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip("this card has no tensor cores for TF32 and BF16")


def test_arrays_of_more_than_2_to_31_numbers(cupy):
    n = 2**31 + 257
    if cupy.cuda.Device().mem_info[0] < 5 * 4 * n:
        pytest.skip("less than 43 GB of memory are free")
    x = cupy.zeros(n, np.float32)
    x[-257:] = cupy.arange(-128, 129)
    y = kernels.leaky_relu(x, 0.5)
    np.testing.assert_array_equal(
        y[-257:].get(), np.where(np.arange(-128, 129) > 0, 1, 0.5) * np.arange(-128, 129)
    )
    assert not y[:-257].any()
    z = kernels.uniform(5, 0, n, np.float32, cupy)
    start = n // 4 * 4 - 64
    with kernels.engine("reference"):
        np.testing.assert_array_equal(
            z[start : start + 64].get(), kernels.uniform(5, start // 4, 64, np.float32)
        )


def test_a_kernel_runs_on_the_current_stream(cupy):
    stream = cupy.cuda.Stream(non_blocking=True)
    x = cupy.ones(2**24, np.float32)
    cupy.cuda.Device().synchronize()
    with stream:
        for _ in range(20):  # each needs the one before
            x = kernels.leaky_relu(x, 0.5) + 1
    stream.synchronize()
    assert float(x.min()) == float(x.max()) == 21


# What goes wrong is told.


def test_tensors_on_two_devices_are_refused(cupy):
    with pytest.raises(DeviceError, match=r"cpu.*gpu:0|gpu:0.*cpu"):
        Tensor(cupy.ones(3, np.float32)) + Tensor(np.ones(3, np.float32))


def test_another_gpu_that_is_not_there_is_told(cupy):
    n = cupy.cuda.runtime.getDeviceCount()
    with pytest.raises(DeviceError, match=f"gpu:{n} cannot be used"):
        backend.device(f"gpu:{n}")


def test_an_array_on_another_gpu_is_refused(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")
    with cupy.cuda.Device(1):
        other = Tensor(cupy.ones(3, np.float32))
    with pytest.raises(DeviceError, match=r"gpu:0.*gpu:1|gpu:1.*gpu:0"):
        Tensor(cupy.ones(3, np.float32)) + other


def test_too_little_memory_names_the_op_the_shape_and_the_bytes(cupy):
    side = int((cupy.cuda.Device().mem_info[1] / 4) ** 0.5) + 1024  # its square does not fit
    x = Tensor(cupy.ones((side, 1), np.float32))
    with pytest.raises(MemoryError, match=rf"(?s)(?i)mul.*{side}.*bytes"):
        x * x.reshape(1, side)


def test_a_batch_that_does_not_fit_a_captured_graph_is_refused(cupy):
    step = graph(lambda x: Tensor(x) * 2)
    for _ in range(STEPS):
        step(cupy.ones((4, 3), np.float32))
    with pytest.raises(MiniganError, match=r"first called with.*\(4, 3\).*\(5, 3\)"):
        step(cupy.ones((5, 3), np.float32))


def test_a_step_that_waits_for_the_device_cannot_be_captured_and_says_where(cupy):
    step, x = (
        graph(lambda x: Tensor(float(Tensor(x).sum()) * np.ones(1, np.float32))),
        cupy.ones(3, np.float32),
    )
    for _ in range(WARM_UP):
        step(x)
    with pytest.raises(MiniganError, match=r"graph: .*test_gpu.py.*copies between device and host"):
        step(x)
    assert Tensor(cupy.ones(3, np.float32)).sum().item() == 3  # the stream works on


def test_the_cuda_engine_takes_no_array_of_the_cpu(cupy):
    with kernels.engine("cuda"), pytest.raises(ValueError, match="takes CuPy arrays"):
        kernels.leaky_relu(np.ones(3, np.float32), 0.1)


def test_second_derivatives_are_those_of_the_cpu(cupy):
    def derivatives(place):
        rng = np.random.default_rng(0)
        shapes = (2, 3, 9, 9), (4, 3, 4, 4)
        x, w = (Tensor(rng.standard_normal(s).astype(np.float32), device=place) for s in shapes)
        x.requires_grad_(), w.requires_grad_()
        y = F.tanh(F.conv2d(x, w, stride=2, padding=1)).sum()
        gx, gw = grad(y, [x, w], create_graph=True)
        return [g.numpy() for g in grad((gx * gx).sum() + (gw * gw).sum(), [x, w])]

    found = derivatives("gpu")
    with kernels.engine("reference"):
        for a, b in zip(found, derivatives("cpu"), strict=True):
            assert_close(a, b, rtol=1e-4, atol=1e-4)
