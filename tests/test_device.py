"""Devices, on a machine without a GPU: with no CuPy at all, and with the stand-in of `fake_cupy`.

The stand-in has CuPy's rules, so that code which would fail on a GPU fails here. What a GPU computes is
for the tests marked `gpu`.
"""

import copy
import importlib.util
import subprocess
import sys

import fake_cupy
import numpy as np
import pytest

import minigan_kernels as kernels
from minigan import Generator, Tensor, backend, environment, grad, nn, no_grad, optim
from minigan import functional as F
from minigan.backend import device
from minigan.cli import main
from minigan.data import Batches, Dataset
from minigan.errors import DeviceError
from minigan.gans import model_named
from minigan.nn import init
from minigan.testing.op_table import ROWS
from minigan.training import Options, Run, Session
from minigan.training.checkpoint import load_checkpoint

TINY = ["--steps=4", "--batch-size=8", "--width=4", "--latent=8", "--sample-every=2", "--checkpoint-every=2"]
TINY += ["--no-graph"]  # the reference engine multiplies by cuBLAS, which no graph can hold


@pytest.fixture
def gpu(monkeypatch):
    """Two stand-in GPUs; every kernel on the reference engine."""
    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        yield fake_cupy.state


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    error = ModuleNotFoundError("No module named 'cupy'", name="cupy")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cupy" else found(name))

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "cupy":
                raise error

    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])


# The stand-in keeps CuPy's rules


def test_the_stand_in_refuses_what_cupy_refuses(gpu):
    cupy, host = sys.modules["cupy"], np.ones(3)
    x = cupy.asarray(host)
    for mixed in (
        lambda: np.asarray(x),
        lambda: x + host,
        lambda: host * x,
        lambda: np.add(host, x),
        lambda: np.where(host > 0, x, x),
        lambda: np.concatenate([x, host]),
        lambda: x.__iadd__(host),
        lambda: x.__setitem__(slice(0, 3), host),
        lambda: x.max(initial=0),
        lambda: x.__index__(),
    ):
        with pytest.raises((TypeError, AttributeError)):
            mixed()
    with pytest.raises(ValueError, match="Unsupported dtype"):
        x.astype(np.longdouble)
    with cupy.cuda.Device(1), pytest.raises(ValueError, match="array device = 0 while current = 1"):
        x + 1


def test_the_stand_in_gives_what_cupy_gives(gpu):
    cupy = sys.modules["cupy"]
    x = cupy.asarray(np.arange(4, dtype=np.float32))
    for y in (
        x.sum(),
        np.sum(x),
        np.exp(x),
        x[0],
        x @ x,
        2 * x,
        np.float32(2) * x,
        x > 1,
        np.broadcast_to(x, (2, 4)),
    ):
        assert type(y) is cupy.ndarray
    assert x.sum().shape == ()
    assert x[1:].base is x
    assert x.get().tolist() == [0, 1, 2, 3]
    assert np.isnan(cupy.empty(3).get()).all()


# Names


def test_the_cpu_is_always_there(no_cupy):
    assert str(device()) == str(device("cpu")) == str(device("auto")) == "cpu"
    assert Tensor([1.0]).device == device("cpu") == device(device("cpu"))


def test_names_of_gpus(gpu):
    assert [str(device(name)) for name in ("auto", "gpu", "gpu:0", "gpu:1")] == [
        "gpu:0",
        "gpu:0",
        "gpu:0",
        "gpu:1",
    ]


@pytest.mark.parametrize("name", ["cuda", "gpu:", "gpu:-1", "gpu:x", "GPU", "cpu:0", "", None, 3])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(DeviceError, match=r"no device is called .*; there are: auto, cpu, gpu, gpu:N"):
        device(name)


# Why there is no GPU


REASONS = {
    "gpu:0 cannot be used: this machine has no NVIDIA driver": {"driver": 0},
    "driver is too old: it goes up to CUDA 11.4, minigan needs 12.0 (driver 525) or newer": {"driver": 11040},
    "CuPy is made for CUDA 13.2, the NVIDIA driver goes up to CUDA 12.4: pip uninstall cupy-cuda13x, then "
    "pip install 'cupy-cuda12x[ctk]'": {"driver": 12040},
    "the NVIDIA driver finds no GPU: cudaErrorNoDevice": {"devices": 0},
    "Stand-in GPU is an sm_70, minigan needs sm_75": {"sm": (7, 0)},
}


@pytest.mark.parametrize(("reason", "machine"), REASONS.items(), ids=REASONS)
def test_the_reason_why_a_gpu_cannot_be_used_is_told(monkeypatch, capsys, reason, machine):
    fake_cupy.install(monkeypatch, **machine)
    with pytest.raises(DeviceError) as error:
        device("gpu")
    assert reason in str(error.value)
    assert str(device("auto")) == "cpu"
    assert main(["doctor"]) == 0
    assert f"none: {str(error.value).removeprefix('gpu:0 cannot be used: ')}" in capsys.readouterr().out


def test_a_gpu_that_is_not_there(gpu):
    with pytest.raises(
        DeviceError, match="gpu:2 cannot be used: there is no such GPU; CuPy sees gpu:0, gpu:1"
    ):
        device("gpu:2")


def test_a_cupy_that_cannot_be_imported_is_no_missing_one(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("import a_library_that_is_not_there", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(
        DeviceError, match=r"gpu:0 cannot be used: CuPy is installed but broken|cannot be imported"
    ):
        device("gpu")


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (
            None,
            "no NVIDIA driver, and CuPy is not installed: once there is one, pip install 'cupy-cuda13x[ctk]'",
        ),
        (
            11040,
            "too old: it goes up to CUDA 11.4, minigan needs 12.0 (driver 525) or newer, and CuPy is not",
        ),
        (12040, "CuPy is not installed: pip install 'cupy-cuda12x[ctk]'"),
        (13000, "CuPy is not installed: pip install 'cupy-cuda13x[ctk]'"),
        (14010, "CuPy is not installed: pip install 'cupy-cuda13x[ctk]'"),
    ],
)
def test_without_cupy_the_line_to_install_fits_the_driver(no_cupy, monkeypatch, capsys, driver, reason):
    monkeypatch.setattr(backend, "_driver_version", lambda: driver)
    with pytest.raises(DeviceError) as error:
        device("gpu")
    assert reason in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train dcgan --device gpu", "sample {run} --device gpu:1"])
def test_device_gpu_without_one_is_one_sentence_and_exit_code_2(
    no_cupy, tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    if "{run}" in command:
        assert main(["train", "dcgan", "--device=cpu", f"--out={run}", *TINY]) == 0
    capsys.readouterr()
    assert main(command.format(run=run).split()) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("minigan: gpu:")
    assert error.count("\n") == 1
    assert "cannot be used: " in error


def test_an_unknown_device_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "dcgan", "--device", "cuda"]) == 2
    assert "no device is called 'cuda'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_the_gpus(gpu):
    findings = dict(environment.findings())
    assert findings["GPU"] == (
        "gpu:0 Stand-in GPU, gpu:1 Stand-in GPU; CuPy 14.0.0 (stand-in) for CUDA 13.2, a driver for CUDA 13.0"
    )


def test_the_driver_is_asked_without_cupy():
    assert backend._driver_version() is None or backend._driver_version() > 1000


def test_no_device_imports_cupy_before_it_is_asked_for_a_gpu():
    code = "import sys, minigan; minigan.Tensor([1.0], device='cpu'); sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# Tensors


def test_a_tensor_moves_and_comes_back(gpu):
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    y = x.to("gpu")
    assert (str(x.device), str(y.device), str(y.to("gpu:1").device)) == ("cpu", "gpu:0", "gpu:1")
    assert y.to("gpu:1").to("cpu").tolist() == y.tolist() == x.tolist()
    assert y.to("gpu") is y
    assert y.to(np.float64).device == y.device
    assert y.to("float64").dtype == np.float64
    assert str(Tensor([1, 2], device="gpu").device) == "gpu:0"
    with pytest.raises(DeviceError, match="no device is called 'cuda'"):
        x.to("cuda")


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2)])
def test_moving_keeps_the_order_in_memory(gpu, axes):
    a = np.arange(120.0).reshape(2, 3, 4, 5).transpose(axes)
    moved = device("gpu").put(a)
    assert moved.strides == a.strides
    back = device("cpu").put(moved)
    assert back.strides == a.strides
    np.testing.assert_array_equal(back, a)


def test_the_gradient_comes_back_to_the_device_of_each_input(gpu):
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True, device="gpu:1")
    y = (a.to("gpu:1") * b).sum()
    ga, gb = grad(y, [a, b], create_graph=True)
    assert (str(ga.device), str(gb.device)) == ("cpu", "gpu:1")
    assert (ga.tolist(), gb.tolist()) == ([3, 4], [1, 2])
    (gga,) = grad(ga.sum(), b)
    assert gga.tolist() == [1, 1]


MIXED = {
    "Add": lambda a, b: a + b,
    "MatMul": lambda a, b: a @ b,
    "Concat": lambda a, b: F.concat([a, b]),
    "Conv2d": lambda a, b: F.conv2d(a.reshape(1, 1, 2, 2), b.reshape(1, 1, 2, 2)),
    "where": lambda a, b: F.where(a > 0, b, 0.0),
    "index": lambda a, b: b[a > 0],
    "gt": lambda a, b: a > b,
    "BCEWithLogits": lambda a, b: F.binary_cross_entropy_with_logits(a, b),
    "writing into a tensor": lambda a, b: a.__setitem__((b > 0).data, 0.0),
}


@pytest.mark.parametrize(("places"), [("cpu", "gpu"), ("gpu", "cpu"), ("gpu:1", "gpu:0")])
@pytest.mark.parametrize(("op", "f"), MIXED.items(), ids=MIXED)
def test_two_devices_in_one_op_are_an_error_that_names_all_three(gpu, op, f, places):
    a, b = (Tensor([[1.0, 2.0], [3.0, 4.0]], device=place) for place in places)
    with pytest.raises(DeviceError) as error:
        f(a, b)
    assert str(error.value).startswith(f"{op}: one array lies on ")
    for place in places:
        assert str(device(place)) in str(error.value)


def test_what_an_op_on_a_gpu_refuses_is_told_as_on_the_cpu(gpu):
    said = []
    for place in ("cpu", "gpu"):
        mask = device(place).put(np.array([True, False, True]))
        a = Tensor(np.ones(2, np.float32), device=place)
        with pytest.raises(ValueError, match=r"^where: .*\(3,\)") as error:
            F.where(mask, a, a)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_values_from_any_device_can_be_written(gpu):
    x = Tensor(np.zeros((2, 2)), device="gpu:1")
    x.copy_(np.ones((2, 2)))
    x[0] = Tensor([2.0, 3.0], device="gpu:0")
    assert x.tolist() == [[2, 3], [1, 1]]


def test_numbers_lists_and_masks_take_the_device_of_the_tensor(gpu):
    x = Tensor(np.arange(6.0).reshape(2, 3), device="gpu:1")
    assert x[[1, 0]].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert x[x > 2].tolist() == [3, 4, 5]
    assert F.cross_entropy(x, [0, 2], reduction="none").device == x.device
    assert F.embedding([1, 1], x).tolist() == [[3, 4, 5]] * 2
    assert str(F.one_hot(Tensor([1], device="gpu:1"), 2).device) == "gpu:1"
    assert (x.argmax(axis=1).tolist(), x.any().item(), (~(x > 2)).all().item()) == ([2, 2], True, False)
    assert float(x[1, 2]) == 5
    with pytest.raises(ValueError, match="embedding: label 7 is out of range for 2 rows"):
        F.embedding(Tensor([7], device="gpu:1"), x)


# Every op


def values_and_gradients(row, place):
    """The row's output, its gradients by the short cut and by the graph, and those of the gradients."""
    inputs = [Tensor(a, requires_grad=True, device=place) for a in row.sample()]
    y = row.f(*inputs)
    found = [y]
    rng = np.random.default_rng(1)
    for create_graph in (False, True):
        cotangent = Tensor(rng.standard_normal(y.shape), device=place)
        gradients = grad(y, inputs, cotangent, create_graph=create_graph, allow_unused=True)
        found += [g for g in gradients if g is not None]
    recorded = [g for g in gradients if g is not None and g.requires_grad]
    if recorded:
        cotangents = [Tensor(rng.standard_normal(g.shape), device=place) for g in recorded]
        found += [g for g in grad(recorded, inputs, cotangents, allow_unused=True) if g is not None]
    assert {str(x.device) for x in found} == {str(device(place))}
    return [x.numpy() for x in found]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["gpu:0", "gpu:1"])
def test_every_op_gives_the_same_there_to_second_order(gpu, place):
    """On gpu:1 while gpu:0 is current: an op goes to its arrays."""
    for row in ROWS:
        if row.op == "cast" and "there and back" in row.name:
            continue  # by way of long double, which no GPU has
        rounding = 1e-12 if row.op == "upfirdn2d" else 0.0  # a product here, sums there
        for here, there in zip(
            values_and_gradients(row, "cpu"), values_and_gradients(row, place), strict=True
        ):
            np.testing.assert_allclose(there, here, rounding, rounding, err_msg=row.name)


# Random numbers


def draws(g):
    return [
        g.uniform((3, 4), -1, 2),
        g.normal(5, dtype=np.float64),
        g.normal((2, 3), 1.0, 0.02),
        g.integers(-3, 10, 7),
        g.permutation(9),
        g.uniform((), dtype=np.float64),
    ]


def test_random_numbers_are_the_same_on_every_device(gpu):
    here, there = Generator(7), Generator(7, device="gpu:1")
    for a, b in zip(draws(here), draws(there), strict=True):
        assert str(backend.device_of(b)) == "gpu:1"
        np.testing.assert_array_equal(b.get(), a)
    assert here.state == there.state
    assert there.spawn().state == here.spawn().state
    assert "device=gpu:1" in repr(there)


def test_a_generator_moves_with_its_place_in_the_stream(gpu):
    g, same = Generator(1), Generator(1)
    g.normal(10)
    same.normal(10)
    np.testing.assert_array_equal(g.to("gpu").normal(6).get(), same.normal(6))
    np.testing.assert_array_equal(g.uniform(4, device="cpu"), same.uniform(4))
    g.state = (3, 2**64 - 1)
    g.normal(8)
    assert g.state == (3, 1)


# Networks and optimisers


def test_a_module_moves_and_its_state_goes_anywhere(gpu):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    there = copy.deepcopy(net).to("gpu:1")
    x = Generator(0).normal((5, 2, 4, 4))
    np.testing.assert_array_equal(there(Tensor(x, device="gpu:1")).numpy(), net(Tensor(x)).numpy())
    assert {str(backend.device_of(a)) for a in there.state_dict().values()} == {"gpu:1"}
    assert there.to(np.float64).to("cpu").state_dict()["0.weight"].dtype == np.float64
    fresh = copy.deepcopy(net).to("gpu:0")
    for p in fresh.parameters():
        init.zeros_(p)
    fresh.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(fresh.to("cpu")(Tensor(x)).numpy(), net(Tensor(x)).numpy())
    assert copy.deepcopy(there.to("gpu:1")).state_dict()["0.weight"].device.id == 1


def test_initial_weights_are_drawn_on_the_device_of_the_tensor(gpu):
    for fill in (init.normal_, init.uniform_, init.xavier_normal_, init.kaiming_uniform_, init.orthogonal_):
        here, there = Tensor(np.zeros((4, 3))), Tensor(np.zeros((4, 3)), device="gpu:1")
        np.testing.assert_array_equal(
            fill(there, generator=Generator(2)).numpy(), fill(here, generator=Generator(2)).numpy()
        )


def test_dropout_draws_beside_its_input(gpu):
    x = Generator(0).normal((6, 7))
    here, there = (F.dropout(Tensor(x, device=p), 0.4, generator=Generator(5)) for p in ("cpu", "gpu:1"))
    np.testing.assert_array_equal(there.numpy(), here.numpy())


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, 0.1),
    "SGD with momentum": lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda p: optim.RMSprop(p, 0.01, weight_decay=0.1),
    "Adam": lambda p: optim.Adam(p, 0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimiser_steps_the_same_and_continues_elsewhere(gpu, make):
    target = Generator(3).normal((4, 3))

    def begin(place):
        p, idle = nn.Parameter(np.zeros((4, 3), np.float32)), nn.Parameter(np.ones(2, np.float32))
        for x in (p, idle):
            x.data = device(place).put(x.data)
        return p, make([p, idle])

    def descend(p, optimizer, n):
        for _ in range(n):
            optimizer.step([p.detach() - Tensor(target, device=p.device), None])

    (here, opt_here), (there, opt_there) = begin("cpu"), begin("gpu:1")
    for p, optimizer in ((here, opt_here), (there, opt_there)):
        descend(p, optimizer, 3)
    np.testing.assert_array_equal(there.numpy(), here.numpy())
    assert opt_there.steps == opt_here.steps == 3
    other, resumed = begin("gpu:0")
    with no_grad():
        other.copy_(there)
    resumed.load_state_dict(opt_there.state_dict())
    descend(there, opt_there, 2)
    descend(other, resumed, 2)
    np.testing.assert_array_equal(other.numpy(), there.numpy())


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("loaded", [False, True])
def test_a_network_may_move_before_the_first_step_of_its_optimiser(gpu, make, loaded):
    def gradients(net):
        return [Tensor(Generator(3).normal(p.shape), device=p.device) for p in net.parameters()]

    net = nn.Linear(3, 2, generator=Generator(0))
    here = copy.deepcopy(net)
    opt, opt_here = make(net.parameters()), make(here.parameters())
    if loaded:
        opt.load_state_dict({**opt.state_dict(), "steps": 2})
        opt_here.load_state_dict(opt.state_dict())
    net.to("gpu:1")
    for _ in range(3):
        opt.step(gradients(net))
        opt_here.step(gradients(here))
    assert opt.steps == opt_here.steps == (5 if loaded else 3)
    assert str(opt.device) == "gpu:1"
    np.testing.assert_array_equal(net.weight.numpy(), here.weight.numpy())
    again, opt_again = copy.deepcopy((net, opt))
    again.to("gpu:0")
    opt_again.step(gradients(again))
    opt.step(gradients(net))
    np.testing.assert_array_equal(again.weight.numpy(), net.weight.numpy())
    net.to("cpu")
    with pytest.raises(
        ValueError, match=r"parameter 0 is float32 \(2, 3\) on cpu, but was .* on gpu:1 at the"
    ):
        opt.step(gradients(net))


def test_copies_of_a_generator_count_for_themselves(gpu):
    rng = Generator(3, device="gpu:1")
    rng.normal(3)
    for twin in (copy.copy(rng), copy.deepcopy(rng)):
        assert twin.state == rng.state
        twin.normal(3)
        assert twin.state != rng.state
        assert str(twin.device) == "gpu:1"


def test_an_optimiser_refuses_what_lies_elsewhere(gpu):
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    b.data = device("gpu").put(b.data)
    with pytest.raises(DeviceError, match="Adam: one array lies on cpu, another on gpu:0"):
        optim.Adam([a, b])
    with pytest.raises(DeviceError, match="Adam: parameter 0 and its gradient: one array lies on gpu:0"):
        optim.Adam([b]).step([Tensor([1.0])])


# Memory


def test_out_of_memory_names_the_op_the_shapes_and_the_bytes(gpu):
    x = Tensor(np.zeros((1000, 10)), device="gpu:1", requires_grad=True)
    y = x.exp().sum()
    gpu.free[1] = 50_000
    with pytest.raises(MemoryError) as error:
        x * 2.0
    said = str(error.value)
    for part in ("Mul of arrays of shape (1000, 10)", "allocating 80,000 bytes", "gpu:1 has 50,000 of"):
        assert part in said
    with pytest.raises(MemoryError, match=r"gradient of Exp.* Mul of .* 80,000 bytes.*gpu:1 has 50,000 of"):
        y.backward()
    with pytest.raises(MemoryError, match=r"moving an array of shape \(100, 100\) to gpu:1: .* 80,000 bytes"):
        Tensor(np.zeros((100, 100)), device="gpu:1")


# Training


def losses(model, place, steps=3, **settings):
    """The losses of the first steps of `model`, and every array of the run."""
    session = Session(model, Options(device=place), model_named(model).Config(batch_size=8, **settings))
    found = [session.next_step() for _ in range(steps)]
    return found, session.arrays(), session.state()


@pytest.mark.parametrize(
    ("model", "settings"), [("gan", {"latent": 8}), ("dcgan", {"latent": 8, "width": 4, "size": 16})]
)
def test_training_steps_are_the_same_there(gpu, model, settings):
    here, arrays_here, state_here = losses(model, "cpu", **settings)
    there, arrays_there, state_there = losses(model, "gpu:1", **settings)
    assert there == here
    assert state_there == state_here
    for name, a in arrays_here.items():
        np.testing.assert_array_equal(arrays_there[name], a, err_msg=name)
        assert type(arrays_there[name]) is np.ndarray


@pytest.mark.slow
def test_a_run_on_a_gpu_goes_on_anywhere(gpu, tmp_path, capsys):
    """Trained on one GPU, resumed on the CPU and on another GPU, sampled: the same as without any."""
    runs = {}
    for name, places in {"here": ("cpu", "cpu"), "moved": ("gpu", "gpu:1"), "home": ("gpu:1", "cpu")}.items():
        path = tmp_path / name
        assert main(["train", "dcgan", f"--device={places[0]}", f"--out={path}", *TINY]) == 0
        assert Run.open(path).options().device == str(device(places[0]))
        assert main(["train", "dcgan", f"--resume={path}", "--steps=6", f"--device={places[1]}"]) == 0
        assert Run.open(path).options().device == str(device(places[1]))
        assert main(["sample", str(path), f"--device={places[0]}", f"--out={path}.png", "--n=4"]) == 0
        runs[name] = (
            load_checkpoint(Run.open(path).checkpoints.latest()),
            (tmp_path / f"{name}.png").read_bytes(),
        )
    here, picture = runs.pop("here")
    for other, other_picture in runs.values():
        assert other.state == here.state
        assert other_picture == picture
        for name, a in here.arrays.items():
            np.testing.assert_array_equal(other.arrays[name], a, err_msg=name)


@pytest.mark.slow
def test_auto_is_written_down_as_what_it_stood_for(gpu, tmp_path):
    assert main(["train", "gan", "--data=ring8", f"--out={tmp_path / 'run'}", "--steps=1"]) == 0
    assert Run.open(tmp_path / "run").config["run"]["device"] == "gpu:0"


@pytest.mark.slow
def test_resuming_where_the_gpu_is_gone_says_how_to_go_on(gpu, tmp_path, capsys):
    path = tmp_path / "run"
    assert main(["train", "dcgan", "--device=gpu:1", f"--out={path}", *TINY]) == 0
    gpu.devices = 1
    capsys.readouterr()
    assert main(["train", "dcgan", f"--resume={path}", "--steps=5"]) == 2
    error = capsys.readouterr().err
    assert "was trained on gpu:1; --device cpu goes on without: gpu:1 cannot be used" in error
    assert main(["train", "dcgan", f"--resume={path}", "--steps=5", "--device=cpu"]) == 0


def test_batches_go_to_the_device_in_channels_last(gpu):
    data = Dataset("colours", np.arange(10 * 3 * 16).astype(np.uint8).reshape(10, 3, 4, 4), np.arange(10))
    images, labels = next(Batches(data, 4, labels=True, device="gpu:1"))
    assert (images.device.id, labels.device.id) == (1, 1)
    assert images.strides == next(Batches(data, 4)).strides
