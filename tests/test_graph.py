"""Steps as CUDA graphs, on the stand-in of `fake_cupy`: what is called in which order, what a capture
refuses, and that replays do what the step did. Whether CUDA agrees is for the tests marked `gpu`."""

import copy
import gc
import importlib.machinery
import importlib.util
import sys
from dataclasses import replace
from itertools import islice

import fake_cupy
import numpy as np
import pytest
from others import Others

import minigan_kernels as kernels
from minigan import Generator, Tensor, detect_anomaly, grad, graph, nn, optim
from minigan import functional as F
from minigan.autograd import Function
from minigan.cli import main
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.noise import gan
from minigan.gans.parts.augment import augmentation
from minigan.graph import WARM_UP, graphs
from minigan.speed.minigan_side import prepare
from minigan.speed.steps import CRITIC, POINTS, job
from minigan.training import Options, Run, Session
from minigan_kernels.cuda import emulator
from minigan_kernels.cuda.launch import Source


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in GPU whose matrix products can be captured, as those of the CUDA engine can."""

    def matmul(a, b):
        return (a[..., :, :, None] * b[..., None, :, :]).sum(axis=-2)

    def linear(x, w, b, slope=None):
        y = matmul(x, w.T) if b is None else matmul(x, w.T) + b
        return y if slope is None else kernels.leaky_relu(y, slope)

    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        reference = kernels.engines.engine_for(np.zeros(1))
        monkeypatch.setattr(reference, "matmul", matmul)
        monkeypatch.setattr(reference, "linear", linear)
        yield fake_cupy.state


def on_gpu(*values):
    return Tensor(np.array(values, np.float32), device="gpu").data


def captured(f, *inputs):
    """f as a graph that was called until it is one."""
    step = graph(f)
    for _ in range(WARM_UP + 1):
        step(*inputs)
    assert step.captured
    return step


def session(model="gan", **options):
    quick = {"n_critic_first": 6} if model == "wgan" else {}
    cfg = model_named(model).Config(batch_size=8, latent=4, **quick)
    return Session(model, Options(device="gpu", data="ring8", **options), cfg)


# Replays


def test_without_cupy_the_step_is_the_function_itself(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert graph(abs) is abs


@pytest.mark.slow
def test_a_step_made_before_cupy_is_imported_is_captured_once_there_are_arrays_on_a_gpu(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: importlib.machinery.ModuleSpec(name, None))
    step = graph(lambda x: Tensor(x) * 2)
    assert step(np.ones(2, np.float32)).tolist() == [2, 2]
    assert "cupy" not in sys.modules
    fake_cupy.install(monkeypatch)
    assert [step(on_gpu(i)).tolist() for i in range(6)] == [[2 * i] for i in range(6)]
    assert step.captured


def test_arrays_of_the_cpu_are_never_captured(gpu):
    step = graph(lambda x: Tensor(x) * 2)
    assert [step(np.full(2, i, np.float32)).tolist() for i in range(6)] == [[2 * i] * 2 for i in range(6)]
    assert not step.captured


@pytest.mark.parametrize(
    ("model", "launches"),
    [
        ("gan", 8 - WARM_UP),
        ("cgan", 8 - WARM_UP),
        ("unrolled", 8 - WARM_UP),
        pytest.param("wgan-gp", 5 * 8 - WARM_UP + 8 - WARM_UP, marks=pytest.mark.slow),
        pytest.param("lsgan", 8 - WARM_UP, marks=pytest.mark.slow),
        pytest.param("acgan", 8 - WARM_UP, marks=pytest.mark.slow),
        pytest.param("wgan", 6 * 8 - WARM_UP + 8 - WARM_UP, marks=pytest.mark.slow),
    ],
)
def test_replays_train_to_the_same_bits(gpu, model, launches):
    eager, replayed = session(model, graph=False, ema=0.9), session(model, ema=0.9)
    expected = [eager.next_step() for _ in range(8)]
    assert [replayed.next_step() for _ in range(8)] == expected
    assert gpu.calls.count("launch") == launches
    assert replayed.state() == eager.state()
    for name, a in eager.arrays().items():
        np.testing.assert_array_equal(replayed.arrays()[name], a, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("ae", {"masked": 0.3, "sparse": 0.1}),
        ("vae", {"likelihood": "gaussian"}),
        ("vae", {"draws": 3, "binarise": True, "lr_last": 1e-4, "centred": True}),
    ],
    ids=["ae", "gaussian", "weighted"],
)
def test_what_a_step_draws_and_follows_is_the_same_in_replays(gpu, model, settings):
    cfg = model_named(model).Config(batch_size=4, latent=3, hidden=5, steps=9, **settings)
    eager, replayed = (Session(model, Options(device="gpu", graph=graph), cfg) for graph in (False, True))
    expected = [eager.next_step() for _ in range(8)]
    assert [replayed.next_step() for _ in range(8)] == expected
    assert gpu.calls.count("launch") == 8 - WARM_UP
    assert replayed.state() == eager.state()
    for name, a in eager.arrays().items():
        np.testing.assert_array_equal(replayed.arrays()[name], a, err_msg=name)


@pytest.mark.slow
def test_three_networks_move_in_one_launch(gpu):
    """VAE-GAN's step, on networks of products alone."""
    model = model_named("vae-gan")
    cfg = model.Config(batch_size=5, latent=3, gamma=0.5)

    def trained(graphed):
        rng = Generator(1)
        D = nn.ModuleDict({})
        D.features = nn.Sequential(nn.Flatten(), nn.Linear(16, 6, generator=rng), nn.LeakyReLU(0.2))
        D.real = nn.Linear(6, 1, generator=rng)
        D.forward = lambda x: D.real(D.features(x))
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6, generator=rng))
        decoder = nn.Sequential(nn.Linear(3, 16, generator=rng), nn.Tanh(), nn.Unflatten(1, 4, 4))
        nets = {"encoder": encoder, "decoder": decoder, "D": D}
        opts = {
            f"opt_{name.lower()}": optim.Adam(net.to("gpu").parameters(), 1e-2) for name, net in nets.items()
        }
        real = Tensor(Generator(2).normal((5, 1, 4, 4)), device="gpu").data
        loop = model.train({**nets, **opts}, iter([real] * 8), Generator(3, device="gpu"), cfg)
        with graphs(graphed):
            return [{name: x.numpy().copy() for name, x in seen.items()} for seen in loop]

    found, expected = trained(True), trained(False)
    assert gpu.calls.count("launch") == 8 - WARM_UP
    for seen, eager in zip(found, expected, strict=True):
        for name, value in eager.items():
            np.testing.assert_array_equal(seen[name], value, err_msg=name)
    assert len({float(seen["prior"]) for seen in found}) == 8


@pytest.mark.slow
def test_replays_draw_new_codes(gpu):
    """InfoGAN's step, on networks of products alone, which the stand-in can capture."""
    model = model_named("infogan")
    cfg = model.Config(batch_size=8, latent=4, categories=3)

    def trained(graphed):
        rng = Generator(1)
        G = nn.Sequential(nn.Linear(9, 4, generator=rng), nn.Unflatten(1, 2, 2))
        D = nn.ModuleDict({})
        D.body = nn.Sequential(nn.Flatten(), nn.Linear(4, 6, generator=rng), nn.LeakyReLU(0.1))
        D.real, Q = nn.Linear(6, 1, generator=rng), nn.Linear(6, 5, generator=rng)
        D.forward = lambda x: D.real(D.body(x))
        nets = {"G": G, "D": D, "Q": Q}
        for net in nets.values():
            net.to("gpu")
        opt_d = optim.Adam([*D.parameters(), *Q.parameters()], 1e-2)
        parts = {**nets, "opt_g": optim.Adam(G.parameters(), 1e-2), "opt_d": opt_d}
        real = Tensor(Generator(2).normal((8, 1, 2, 2)), device="gpu").data
        loop = model.train(parts, iter([real] * 8), Generator(3, device="gpu"), cfg)
        with graphs(graphed):
            return [{name: x.numpy().copy() for name, x in seen.items()} for seen in loop]

    found, expected = trained(True), trained(False)
    assert gpu.calls.count("launch") == 8 - WARM_UP
    for seen, eager in zip(found, expected, strict=True):
        for name, value in eager.items():
            np.testing.assert_array_equal(seen[name], value, err_msg=name)
    assert len({float(seen["codes_information"]) for seen in found}) == 8


@pytest.mark.slow
def test_all_levels_of_a_pyramid_are_one_launch(gpu):
    """LAPGAN's step, on networks of products alone."""
    model = model_named("lapgan")
    cfg = model.Config(size=8, levels=2, latent=3)

    def trained(graphed):
        rng = Generator(1)
        G = {
            "4": nn.Sequential(nn.Linear(3, 16, generator=rng), nn.Unflatten(1, 4, 4)),
            "8": nn.Sequential(nn.Flatten(), nn.Linear(128, 64, generator=rng), nn.Unflatten(1, 8, 8)),
        }
        D = {side: nn.Sequential(nn.Flatten(), nn.Linear(int(side) ** 2, 1, generator=rng)) for side in G}
        for net in (*G.values(), *D.values()):
            net.to("gpu")
        parts = {"G": G, "D": D}
        for name, nets in (("opt_g", G), ("opt_d", D)):
            parts[name] = {side: optim.Adam(net.parameters(), 1e-2) for side, net in nets.items()}
        real = Tensor(Generator(2).normal((5, 1, 8, 8)), device="gpu").data
        loop = model.train(parts, iter([real] * 8), Generator(3, device="gpu"), cfg)
        with graphs(graphed):
            return [{name: x.numpy().copy() for name, x in seen.items()} for seen in loop]

    found, expected = trained(True), trained(False)
    assert gpu.calls.count("launch") == 8 - WARM_UP
    for seen, eager in zip(found, expected, strict=True):
        for name, value in eager.items():
            np.testing.assert_array_equal(seen[name], value, err_msg=name)
    assert len({float(seen["d8_fake"][0, 0]) for seen in found}) == 8


@pytest.mark.slow
@pytest.mark.parametrize("step", [POINTS, CRITIC], ids=lambda step: step.name)
def test_a_benchmarks_step_on_a_gpu_gives_all_numbers_that_a_run_logs_and_they_are_the_cpus(gpu, step):
    small = replace(step, batch_size=2, settings={"latent": 2} if step is POINTS else {"width": 4})

    def taken(place, captured):
        asked = job(small, given=5, device=place) | {"graph": captured}
        return list(islice(prepare(asked), WARM_UP + 3))

    eager = taken("gpu", captured=False)
    for found, expected in zip(eager, taken("cpu", captured=False), strict=True):
        assert found == pytest.approx(expected, rel=1e-4)
    assert eager[0].keys() >= ({"d_real", "d_fake"} if step is POINTS else {"penalty"})
    if step is POINTS:  # the convolutions of the stand-in cannot be captured
        assert taken("gpu", captured=True) == eager
        assert gpu.calls.count("launch") == 3


@pytest.mark.slow
def test_the_calls_are_made_in_order(gpu):
    step = graph(lambda x: Tensor(x) + 1)
    for _ in range(WARM_UP):
        step(on_gpu(1))
    assert gpu.calls == ["wait", "wait"] * WARM_UP
    gpu.calls.clear()
    step(on_gpu(1))
    assert gpu.calls == ["synchronize", "pool", "begin_capture", "end_capture", "launch"]
    gpu.calls.clear()
    step(on_gpu(1))
    assert gpu.calls == ["launch"]


@pytest.mark.slow
def test_inputs_are_copied_and_outputs_are_the_same_memory(gpu):
    step = captured(lambda x, y: [Tensor(x) + y, (y.sum(),)], on_gpu(1, 2), Tensor(on_gpu(3, 4)))
    x, y = on_gpu(5, 6), Tensor(on_gpu(7, 8))
    first, (total,) = step(x, y)
    assert (first.tolist(), total.item()) == ([12, 14], 15)
    x.fill(0)  # the step's own copy stays
    second, _ = step(on_gpu(1, 1), y)
    assert second is first
    assert first.tolist() == [8, 9]
    assert not first.requires_grad


@pytest.mark.slow
def test_an_array_of_the_device_may_be_given_to_asarray(gpu):
    cupy = sys.modules["cupy"]
    step = captured(lambda x: Tensor(cupy.asarray(x)) + cupy.asarray(dtype="f", a=x), on_gpu(1))
    assert step(on_gpu(2)).tolist() == [4]


@pytest.mark.slow
def test_buffers_lie_in_memory_as_the_batch_does(gpu):
    images = Tensor(np.arange(120.0).reshape(2, 4, 5, 3).transpose(0, 3, 1, 2), device="gpu").data
    step = captured(lambda x: Tensor(x) * 1, images)
    assert step.buffers[0].strides == images.strides


@pytest.mark.slow
def test_memory_that_others_overwrite_between_two_launches_does_no_harm(gpu):
    """Whatever lasts from step to step lies outside the memory of the capture."""
    eager, replayed = session(graph=False), session()
    steps = []
    original = gan.graph

    class Poisoned:
        def __init__(self, f):
            self.step = original(f)
            steps.append(self.step)

        def __call__(self, *inputs):
            for a in self.step.pool.blocks if self.step.captured else ():
                fake_cupy.poison(a)
            return self.step(*inputs)

    gan.graph = Poisoned
    try:
        found = [replayed.next_step() for _ in range(7)]
    finally:
        gan.graph = original
    assert steps[0].captured
    assert steps[0].pool.blocks
    assert found == [eager.next_step() for _ in range(7)]


def beside_others(monkeypatch, free):
    """The losses of a captured session, with others who are given free memory between its steps."""
    others = Others(sys.modules["cupy"], monkeypatch, sizes=[2**k for k in range(12, 3, -1)])
    replayed, losses = session(), []
    for _ in range(7):
        losses.append(replayed.next_step())
        others.check()
        others.write(free)
    assert len(others.streams) == 2
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("free", [True, False])
def test_others_are_given_no_memory_of_a_graph(gpu, monkeypatch, free):
    eager = session(graph=False)
    expected = [eager.next_step() for _ in range(7)]
    assert beside_others(monkeypatch, free) == expected


@pytest.mark.slow
def test_a_graph_without_memory_of_its_own_would_do_others_harm(gpu, monkeypatch):
    cupy = sys.modules["cupy"]
    monkeypatch.setattr(cupy.cuda, "MemoryPool", cupy.get_default_memory_pool)
    with pytest.raises(AssertionError, match="that are not its own"):
        beside_others(monkeypatch, free=False)


@pytest.mark.slow
def test_the_memory_lives_as_long_as_the_graph(gpu):
    step = captured(lambda x: Tensor(x) * 3, on_gpu(1))
    y = step(on_gpu(2))
    gc.collect()
    assert y.tolist() == [6]
    del step
    gc.collect()
    assert np.isnan(y.numpy()).all()  # the stand-in's way to say that it was given back


@pytest.mark.slow
def test_random_numbers_and_steps_go_on_in_replays_and_can_be_set_back(gpu):
    rng, w = Generator(3, device="gpu"), nn.Parameter(on_gpu(1, 2, 3))
    opt = optim.Adam([w], 0.1)

    def f(x):
        noise = Tensor(rng.normal(3))
        opt.step([noise * x])
        return noise

    step = captured(f, on_gpu(1, 1, 1))
    seen = [step(on_gpu(1, 1, 1)).tolist() for _ in range(3)]
    assert len({str(s) for s in seen}) == 3
    assert opt.steps == WARM_UP + 4
    assert rng.state == (3, WARM_UP + 4)
    opt.load_state_dict({**opt.state_dict(), "steps": 2})
    rng.state = 3, 0
    again = Generator(3).normal(3)
    np.testing.assert_array_equal(step(on_gpu(1, 1, 1)).numpy(), again)
    assert opt.steps == 3


@pytest.mark.slow
def test_a_step_is_captured_anew_once_a_tensor_lies_elsewhere(gpu):
    """As in WGAN-GP, whose critic is captured before the first step of the generator's optimiser moves G."""
    net = nn.Linear(2, 2, bias=False).to("gpu")
    opt = optim.SGD(net.parameters(), 1.0)
    step, x = captured(lambda x: net(Tensor(x)), on_gpu([1, 2])), on_gpu([1, 2])
    assert gpu.calls.count("begin_capture") == 1
    opt.step([Tensor(np.ones((2, 2), np.float32), device="gpu")])
    np.testing.assert_array_equal(step(x).numpy(), net(Tensor(x)).numpy())
    opt.step([Tensor(np.ones((2, 2), np.float32), device="gpu")])
    np.testing.assert_array_equal(step(x).numpy(), net(Tensor(x)).numpy())
    assert gpu.calls.count("begin_capture") == 2
    net.weight = nn.Parameter(on_gpu([1, 2], [3, 4]))
    assert step(x).tolist() == [[5, 11]]
    assert gpu.calls.count("begin_capture") == 3


@pytest.mark.slow
def test_a_parameter_that_was_given_another_array_moves_from_there_in_a_replay_too(gpu):
    w = nn.Parameter(on_gpu(1, 2))
    opt = optim.SGD([w], 1.0)
    step = captured(lambda g: opt.step([Tensor(g)]) or g, on_gpu(1, 1))
    w.data = on_gpu(10, 20)
    opt.step([None])  # takes it in
    step(on_gpu(1, 1))
    assert w.tolist() == [9, 19]


@pytest.mark.slow
def test_a_copied_pair_is_captured_and_trains_to_the_same_bits(gpu):
    net = nn.Linear(2, 2, generator=Generator(0)).to("gpu")
    opt = optim.Adam(net.parameters(), 0.1)

    def stepped(net, opt):
        def f(x):
            loss = (net(Tensor(x)) ** 2).mean()
            opt.step(grad(loss, net.parameters()))
            return loss

        return graph(f)

    first = stepped(net, opt)
    for _ in range(WARM_UP + 2):
        first(on_gpu([1, 2]))
    second = stepped(*copy.deepcopy((net, opt)))
    losses = [second(on_gpu([1, 2])).item() for _ in range(WARM_UP + 2)]
    assert [first(on_gpu([1, 2])).item() for _ in range(WARM_UP + 2)] == losses
    assert second.captured


OPS = {  # of images (2, 3, 4, 4), without a product that a capture would need a kernel for
    "a mirrored border": lambda x: F.pad(x, (1, 2, 0, 1), "reflect"),
    "a repeated border": lambda x: F.pad(x, (1, 2, 0, 1), "replicate"),
    "a roll": lambda x: x.roll((1, -1), (2, 3)),
    "copies": lambda x: x.repeat(1, 2, 1, 1) + F.repeat_interleave(x, 2, 1),
    "parts": lambda x: F.concat(x.chunk(2, 2)[::-1], 2) + F.stack(x.unbind(3), 2),
    "sums of the first": lambda x: x.cumsum(2),
    "a mask": lambda x: F.masked_fill(x, x > 0, 2.0) * x,
    "a learnt slope": lambda x: F.prelu(x, x[0, :, 0, 0]),
    "unit vectors": F.normalize,
    "means": lambda x: F.adaptive_avg_pool2d(x, 3),
    "the largest of clips": lambda x: F.max_pool3d(x.unsqueeze(0), (2, 2, 1)),
    "a resize by lines": lambda x: F.interpolate(x, 3, mode="bilinear"),
    "a resize by copies": lambda x: F.interpolate(x, (3, 7)),
    "a blur": lambda x: F.upfirdn2d(x, [0.25, 0.5, 0.25], up=2, down=1, padding=1),
    "a soft choice": lambda x, rng: F.gumbel_softmax(x, 0.5, axis=1, generator=rng),
    "a hard choice": lambda x, rng: F.gumbel_softmax(x, 0.5, hard=True, axis=1, generator=rng) * x,
    "a loss of places": lambda x, labels: F.cross_entropy(
        x[..., 0, :2], labels, weight=x[0, :, 1, 1].exp(), ignore_index=1, label_smoothing=0.1
    ),
    "distances": lambda x: F.cdist(x[0], x[1]),
    "an augmentation": lambda x, rng: augmentation("colour,cutout,flip", rng)(x),
    "a divergence": lambda x: F.kl_div(x, F.softmax(x, 1), "none"),
}


@pytest.mark.slow
@pytest.mark.parametrize("f", OPS.values(), ids=OPS)
def test_an_op_and_its_derivatives_are_captured_and_give_the_same_bits(gpu, f):
    def outputs(made_of):
        given = {"labels": on_gpu([0, 2], [1, 2]).astype(np.int64), "rng": Generator(0, device="gpu")}
        given = {name: given[name] for name in f.__code__.co_varnames if name in given}

        def step(x):
            x = Tensor(x, requires_grad=True)
            y = f(x, **given)
            (first,) = grad((y * y).sum(), x, create_graph=True)
            return y, first, *grad((first * first).sum(), x)

        rng, step = np.random.default_rng(0), made_of(step)
        batches = [on_gpu(*rng.standard_normal((2, 3, 4, 4))) for _ in range(WARM_UP + 2)]
        return step, [[t.numpy().copy() for t in step(batch)] for batch in batches]

    _, expected = outputs(lambda step: step)
    replayed, found = outputs(graph)
    assert replayed.captured
    for a, b in zip(found, expected, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_step_can_be_left_as_it_is(gpu):
    step = graph(lambda x: Tensor(x) + 1)
    with graphs(False):
        for _ in range(6):
            step(on_gpu(1))
    with detect_anomaly():
        for _ in range(6):
            step(on_gpu(1))
    assert not step.captured
    assert gpu.calls == []


# The CUDA engine, its launches run by the emulator


@pytest.mark.slow
@pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))
@pytest.mark.parametrize(
    ("model", "data", "cfg"),
    [
        ("gan", "ring8", {"batch_size": 4, "latent": 2}),
        ("dcgan", "digits", {"batch_size": 2, "latent": 4, "width": 4, "size": 16}),
        ("gan", "ring8", {"batch_size": 4, "latent": 2, "minibatch_features": 3}),
        ("gan", "digits", {"batch_size": 2, "latent": 2, "augment": "colour,shift,cutout,flip", "r1": 1.0}),
        ("gan", "digits", {"batch_size": 2, "latent": 2, "loss": "feature-matching"}),
    ],
)
def test_no_kernel_of_the_cuda_engine_needs_the_host(monkeypatch, model, data, cfg):
    """A whole step is captured: no cuBLAS, no cuRAND, no copy; and a replay does what the step does."""

    def on_gpu(source, cupy, kernel, grid, block, args, shared):
        def launch(*plain):
            return source._emulated.launch(kernel, grid, block, plain, shared)

        fake_cupy.call(launch, *args, in_place=True)

    fake_cupy.install(monkeypatch)
    monkeypatch.setattr(Source, "_on_gpu", on_gpu)
    with emulator.traps(False):  # they are for the tests of the kernels
        found = []
        for with_graph in (False, True):
            options = Options(device="gpu", data=data, graph=with_graph)
            session = Session(model, options, model_named(model).Config(**cfg))
            found.append([session.next_step() for _ in range(WARM_UP + 2)])
    assert fake_cupy.state.calls.count("launch") == 2
    assert found[1] == found[0]


# What is refused


class Peeks(Function):
    def forward(self, x):
        return x * x.sum().item()


REFUSED = {
    "a host copy in an op": (lambda x: Peeks()(Tensor(x)), "Peeks", "ndarray.item, which copies"),
    "a host copy in the step": (
        lambda x: Tensor(Tensor(x).sum().item()),
        "the step",
        "ndarray.item, which copies",
    ),
    "a truth": (lambda x: Tensor(x) * (1 if (x > 0).all() else 2), "the step", "ndarray.__bool__"),
    "an index": (lambda x: Tensor(x) * [1, 2][(x > 0).sum() - 3], "the step", "ndarray.__index__"),
    "a complex number": (lambda x: Tensor(x) * abs(complex(x.sum())), "the step", "ndarray.__complex__"),
    "an array from the host, by keyword": (
        lambda x: Tensor(x) * sys.modules["cupy"].asarray(dtype="f", a=[2.0]),
        "the step",
        "cupy.asarray, which",
    ),
    "an array from the host": (
        lambda x: Tensor(x) * Tensor([2.0], device="gpu"),
        "the step",
        "cupy.asarray, which",
    ),
    "cuBLAS": (lambda x: Blas()(Tensor(x)), "Blas", "a matrix product by cuBLAS"),
    "cuRAND": (
        lambda x: Tensor(sys.modules["cupy"].random.normal(3)),
        "the step",
        "cupy.random.normal, which calls",
    ),
    "an index by a mask": (lambda x: Tensor(x)[x > 0], "Index", "cudaErrorStreamCaptureUnsupported"),
    "a host's random numbers": (
        lambda x: F.dropout(Tensor(x), 0.5, generator=Generator(0)),
        "the step",
        "Generator on the CPU would be the same in every replay",
    ),
}


class Blas(Function):
    def forward(self, x):
        return x @ x


@pytest.mark.slow
@pytest.mark.parametrize(("f", "who", "what"), REFUSED.values(), ids=REFUSED)
def test_a_capture_names_what_it_cannot_hold(gpu, f, who, what):
    cupy = sys.modules["cupy"]
    before = cupy.asarray, cupy.ndarray.get, cupy.ndarray.__matmul__, cupy.random.normal
    cupy.random.normal = lambda n: cupy.ones(n)
    step = graph(f)
    for _ in range(WARM_UP):
        step(on_gpu(1, 2, 3))
    with pytest.raises(MiniganError) as error:
        step(on_gpu(1, 2, 3))
    said = str(error.value)
    assert said.startswith(f"graph: {who}, ")
    assert what in said
    assert "test_graph.py:" in said
    assert "--no-graph" in said
    assert not step.captured
    assert gpu.capture is None
    assert (cupy.asarray, cupy.ndarray.get, cupy.ndarray.__matmul__) == before[:3]


@pytest.mark.slow
def test_the_op_of_a_backward_is_named(gpu):
    class Half(Function):
        def forward(self, x):
            return x * 0.5

        def backward(self, gy):
            return Peeks()(gy)

    def f(x):
        x = Tensor(x, requires_grad=True)
        return grad(Half()(x).sum(), x)

    step = graph(f)
    for _ in range(WARM_UP):
        step(on_gpu(1, 2))
    with pytest.raises(MiniganError, match="graph: Peeks, on the way from"):
        step(on_gpu(1, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: on_gpu(1, 2),
            r"was first called with float32 \(3,\) on gpu:0, got float32 \(2,\) on gpu:0",
        ),
        (lambda: on_gpu(1, 2, 3) > 1, r"got bool \(3,\) on gpu:0"),
        (lambda: Tensor(np.ones(3, np.float32), device="gpu:1").data, r"got float32 \(3,\) on gpu:1"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(gpu, other, message):
    step = captured(lambda x: Tensor(x) * 1.0, on_gpu(1, 2, 3))
    with pytest.raises(MiniganError, match=message):
        step(other())


def test_inputs_are_arrays(gpu):
    with pytest.raises(TypeError, match="the inputs of a step are arrays or Tensors, got ndarray, int"):
        graph(lambda x, n: x)(on_gpu(1), 3)


OPTIMISERS = {
    "sgd": lambda w: optim.SGD([w], 0.5),
    "momentum": lambda w: optim.SGD([w], 0.5, momentum=0.9),
    "rmsprop": lambda w: optim.RMSprop([w], 0.5),
    "adam": lambda w: optim.Adam([w], 0.5, weight_decay=0.1),
    "adamw": lambda w: optim.AdamW([w], 0.5, weight_decay=0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_captured_step_takes_the_rate_of_the_day(gpu, make, dtype):
    def trained(step_of):
        w = nn.Parameter(on_gpu(1, 2).astype(dtype))
        opt = make(w)
        schedule = optim.lr_scheduler.ExponentialLR(opt, 0.5)
        step = step_of(lambda g: opt.step([Tensor(g * w.data)]))
        for n in range(WARM_UP + 4):
            step(on_gpu(1, -1).astype(dtype))
            schedule.step()
            if n == WARM_UP + 1:
                opt.lr = 0.25
        return w.tolist(), opt.lr, opt.state_dict()["lr"], step

    *captured, step = trained(graph)
    assert step.captured
    *eager, _ = trained(lambda f: f)
    assert captured == eager


@pytest.mark.slow
def test_a_loaded_rate_reaches_a_captured_step(gpu):
    w = nn.Parameter(on_gpu(0))
    opt = optim.SGD([w], 1.0)
    step = captured(lambda g: opt.step([Tensor(g)]), on_gpu(1))
    opt.load_state_dict({**opt.state_dict(), "lr": 0.25})
    before = w.item()
    step(on_gpu(1))
    assert w.item() == before - 0.25


@pytest.mark.slow
def test_a_captured_step_holds_the_weights_within_bounds(gpu):
    w = nn.Parameter(on_gpu(0, 0))
    opt = optim.SGD([w], 1.0)
    step = captured(lambda g: (opt.step([Tensor(g)]), opt.clamp_(-0.5, 0.25), g)[-1], on_gpu(1, 1))
    step(on_gpu(-1, 0.125))
    assert w.tolist() == [0.25, -0.5]
    assert not gpu.calls.count("get")


@pytest.mark.slow
def test_the_power_iteration_of_a_spectral_norm_goes_on_in_every_replay(gpu):
    def trained(step_of):
        rng = Generator(0)
        net = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4, generator=rng), generator=rng).to("gpu")
        opt = optim.Adam(net.parameters(), 0.1)

        @step_of
        def step(x):
            opt.step(grad((net(Tensor(x)) ** 2).mean(), net.parameters()))

        for seed in range(WARM_UP + 4):
            step(Tensor(Generator(seed).normal((2, 3)), device="gpu").data)
        return step, {name: Tensor(a).numpy() for name, a in net.state_dict().items()}

    step, state = trained(graph)
    assert step.captured
    for name, a in trained(lambda f: f)[1].items():
        np.testing.assert_array_equal(state[name], a, err_msg=name)


@pytest.mark.slow
def test_a_setting_that_changes_after_the_capture_is_an_error(gpu):
    opt = optim.Adam([nn.Parameter(on_gpu(1, 2))], lr=0.1)
    step = captured(lambda g: opt.step([Tensor(g)]), on_gpu(1, 1))
    opt.eps = 0.01
    with pytest.raises(
        MiniganError, match=r"settings of Adam changed after the step was captured, from .*'eps': 1e-08"
    ):
        step(on_gpu(1, 1))


@pytest.mark.slow
def test_a_rate_that_is_set_within_a_captured_step_is_an_error(gpu):
    opt = optim.Adam([nn.Parameter(on_gpu(1, 2))], lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(opt, 0.5)
    step = graph(lambda g: (opt.step([Tensor(g)]), schedule.step()) and g)
    for _ in range(WARM_UP):
        step(on_gpu(1, 1))
    with pytest.raises(MiniganError, match="captured: a change of the rate of Adam, which belongs outside"):
        step(on_gpu(1, 1))


@pytest.mark.slow
def test_a_capture_refuses_to_take_a_parameter_in(gpu):
    w = nn.Parameter(on_gpu(1, 2))
    one, two = optim.SGD([w], 1.0), optim.SGD([w], 1.0)

    def both(g):
        one.step([Tensor(g)])
        two.step([Tensor(g)])
        return g

    step = graph(both)
    for _ in range(WARM_UP):
        step(on_gpu(1, 1))
    with pytest.raises(MiniganError, match=r"uses what .*: parameter 0 of SGD in another array .*--no-graph"):
        step(on_gpu(1, 1))
    with graphs(False):
        step(on_gpu(1, 1))
    assert w.tolist() == [1 - 2 * (WARM_UP + 1), 2 - 2 * (WARM_UP + 1)]

    alone = captured(lambda g: one.step([Tensor(g)]) or g, on_gpu(1, 1))
    two.step([Tensor(on_gpu(1, 1))])
    with pytest.raises(MiniganError, match="parameter 0 of SGD in another array than at its last step, as"):
        alone(on_gpu(1, 1))


@pytest.mark.slow
def test_a_capture_refuses_the_first_step_of_an_optimiser(gpu):
    w = nn.Parameter(on_gpu(1, 2))
    opt = optim.SGD([w], 1.0)
    calls = []

    def late(g):
        calls.append(g)
        if len(calls) > WARM_UP:
            opt.step([Tensor(g)])
        return g

    step = graph(late)
    for _ in range(WARM_UP):
        step(on_gpu(1, 1))
    with pytest.raises(MiniganError, match="uses what cannot be captured: a first step of SGD; run"):
        step(on_gpu(1, 1))
    assert w.tolist() == [1, 2]


@pytest.mark.slow
def test_a_precision_an_engine_or_a_mode_that_changes_after_the_capture_is_an_error(gpu):
    net = nn.Sequential(nn.Dropout(0.5, Generator(0, device="gpu")))
    step, x = captured(lambda x: net(Tensor(x)), on_gpu(1, 2)), on_gpu(1, 2)
    with (
        kernels.precision("tf32"),
        pytest.raises(
            MiniganError, match=r"the precision of matrix products changed .*from fp32 to tf32; make"
        ),
    ):
        step(x)
    with (
        kernels.engine("cpu"),
        pytest.raises(MiniganError, match=r"the forced engine changed .*from reference to"),
    ):
        step(x)
    net[0].eval()
    with pytest.raises(MiniganError, match=r"the training mode of Dropout changed .*from True to False"):
        step(x)
    net.train()
    assert step(x).shape == (2,)


@pytest.mark.slow
def test_out_of_memory_in_a_capture_is_told_as_ever(gpu):
    step = graph(lambda x: Tensor(x) * 2.0)
    x = on_gpu(1, 2, 3)
    for _ in range(WARM_UP):
        step(x)
    first = gpu.free[0]
    gpu.free[0] = 11
    step.buffers = None
    with pytest.raises(MemoryError, match="12 bytes"):
        step(x)
    gpu.free[0] = first
    assert gpu.capture is None


@pytest.mark.slow
def test_what_the_warm_up_left_in_the_pool_is_freed_for_the_graph(gpu):
    """A step that fits the card as it is fits it captured too."""
    step, x = graph(lambda x: ((Tensor(x) * 2.0).reshape(-1, 1) + Tensor(x)).sum()), on_gpu(*range(100))
    for _ in range(WARM_UP):
        step(x)
    gpu.free[0] = 100 * 100 * 4 + 1000
    assert sys.modules["cupy"].get_default_memory_pool().free_bytes() > 1000
    step(x)
    assert step.captured


# The command line


@pytest.mark.slow
def test_no_graph_is_written_down_and_makes_none(gpu, tmp_path):
    run = tmp_path / "run"
    assert (
        main(["train", "gan", "--data=ring8", "--no-graph", "--steps=6", "--batch-size=8", f"--out={run}"])
        == 0
    )
    assert Run.open(run).options().graph is False
    assert "launch" not in gpu.calls


@pytest.mark.slow
def test_a_loss_that_a_replay_makes_infinite_stops_the_run(gpu, tmp_path, capsys):
    run = tmp_path / "run"
    args = ["train", "gan", "--data=ring8", "--steps=40", "--lr=1e30", "--batch-size=8", f"--out={run}"]
    assert main(args) == 2
    error = capsys.readouterr().err
    assert "not finite" in error
