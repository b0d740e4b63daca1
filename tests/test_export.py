"""Trained networks in other programs: in onnxruntime and in PyTorch they make what minigan makes."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors import safe_open

import minigan_kernels as kernels
from minigan import Tensor, gans, nn, no_grad
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields
from minigan.errors import MiniganError
from minigan.export import Network, difference, export, onnx_model
from minigan.export.onnx_graph import Graph, Value
from minigan.export.onnx_table import TABLE
from minigan.export.trace import trace
from minigan.functional.elementwise import Cast, Move
from minigan.functional.index import ArgMax, ArgMin
from minigan.gans.model import networks
from minigan.nn.utils.parametrizations import spectral_norm
from minigan.random import Generator
from minigan.testing import assert_close
from minigan.testing.op_table import ROWS
from minigan.training import Options, Run, Sampler

onnx = pytest.importorskip("onnx", reason="exports to ONNX, which is not installed")


@pytest.fixture
def runtime():
    return pytest.importorskip("onnxruntime", reason="runs what was exported in onnxruntime, not installed")


def network(model, shape, part, **settings):
    """A network of random weights, large enough for its output to be of the size that training makes it."""
    model, kind = gans.model_named(model), "image" if len(shape) == 3 else "point"
    fields = Fields({kind: Field(kind, shape), "label": Field("label", (), 3)})
    cfg = model.Config(latent=6, **settings).fitted(fields)
    parts = model.parts(cfg, fields, Generator(0))
    rng = np.random.default_rng(0)
    for net in networks({name: parts[name] for name in "GD"}).values():
        for p in net.parameters():
            p.data[...] = rng.normal(0, 2 / np.sqrt(p.data[0].size) if p.ndim > 1 else 0.5, p.shape)
        for _, statistics in net.named_buffers():
            statistics.data[...] = rng.uniform(0.5, 2, statistics.shape)
    sampler = Sampler(model, cfg, parts, fields)
    sampler.step = 1
    run = SimpleNamespace(options=lambda: Options(data="digits"), fields=lambda: fields)
    return Network.of(run, part, sampler)


NETWORKS = [
    ("gan", (2,), {}),
    ("gan", (2,), {"net": "pacgan", "pack": 2}),
    ("gan", (1, 28, 28), {"pack": 2}),
    ("gan", (3, 16, 16), {}),
    ("dcgan", (1, 16, 16), {"width": 4}),
    ("dcgan", (3, 32, 32), {"width": 4, "pack": 2}),
    ("dcgan", (3, 64, 64), {"width": 2}),
    ("gan", (2,), {"minibatch_features": 3}),
    ("dcgan", (1, 16, 16), {"width": 4, "minibatch_features": 3, "pack": 2}),
    ("cgan", (2,), {"pack": 2}),
    ("cgan", (1, 16, 16), {"width": 4, "pack": 2}),
    ("cgan", (3, 32, 32), {"width": 4}),
    ("cgan", (1, 28, 28), {"net": "mlp", "pack": 2}),
    ("wgan-gp", (2,), {}),
    ("wgan-gp", (1, 16, 16), {"width": 4, "norm": "instance", "pack": 2}),
    ("wgan-gp", (1, 32, 32), {"width": 4, "norm": "layer"}),
    ("wgan-gp", (3, 64, 64), {"width": 2, "norm": "none"}),
    ("lsgan", (2,), {"pack": 2}),
    ("lsgan", (1, 16, 16), {"width": 4, "batch_norm": "none"}),
    ("wgan", (2,), {}),
    ("wgan", (1, 16, 16), {"width": 4, "pack": 2}),
    ("acgan", (2,), {}),
    ("acgan", (1, 16, 16), {"width": 4, "pack": 2}),
    ("lapgan", (1, 28, 28), {"coarse_width": 4, "width": 2, "size": 28}),
    ("lapgan", (3, 64, 64), {"coarse_width": 4, "width": 2, "size": 64}),
    ("unrolled", (2,), {"pack": 2}),
    ("infogan", (1, 28, 28), {"width": 4}),
    ("infogan", (3, 64, 64), {"width": 2}),
]
EXTRA = {  # what a network takes beside the noise, or the image
    ("cgan", "samples"): ["labels"],
    ("cgan", "judge"): ["labels"],
    ("acgan", "samples"): ["labels"],
    ("infogan", "samples"): ["category", "codes"],
    ("lapgan", "samples"): ["noise"],
}


@pytest.mark.parametrize("part", ["samples", "judge"])
@pytest.mark.parametrize(
    ("model", "shape", "settings"), NETWORKS, ids=lambda value: str(value).replace(" ", "")
)
def test_onnxruntime_agrees_with_every_network(runtime, model, shape, settings, part):
    net = network(model, shape, part, **settings)
    named = "images" if len(shape) == 3 else "points"
    judged = "scores" if model in ("wgan-gp", "lsgan", "wgan") else "logits"
    assert net.output == (named if part == "samples" else judged)
    given = net.given(3, 0)
    assert net.classes == (3 if "labels" in EXTRA.get((model, part), []) else 0)
    assert [*given] == (["z"] if part == "samples" else ["x"]) + EXTRA.get((model, part), [])
    assert np.abs(net(**given)).max() > 0.1
    worst, runner = difference(onnx_model(net), net)
    assert worst < 1e-5
    assert runner.startswith("onnxruntime")


class Steps(nn.Module):
    """The rows of each picture's first channel, one step each."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x[:, 0])[0]


class SelfAttention(nn.Module):
    """Of the pixels of each picture, by their channels."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        pixels = x.reshape(x.shape[0], 4, -1).transpose(1, 2)
        return self.attention(pixels, pixels, pixels)[0]


@pytest.mark.parametrize(
    "norm",
    [
        *(nn.BatchNorm2d(4), nn.LayerNorm((4, 5, 5)), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)),
        *(spectral_norm(nn.Conv2d(4, 2, 3)), nn.PReLU(4), nn.SiLU(), nn.PositionalEncoding(5)),
        *(SelfAttention(), Steps(nn.GRU(5, 3, 2, batch_first=True, bidirectional=True))),
        Steps(nn.LSTM(5, 3, batch_first=True)),
        *(nn.Conv2d(4, 2, 3, padding=2, padding_mode=mode) for mode in ("reflect", "replicate")),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_onnxruntime_agrees_with_every_norm_with_layers_of_sequences_and_with_borders(runtime, norm):
    module = nn.Sequential(nn.Conv2d(1, 4, 3, generator=Generator(1)), norm, nn.Flatten()).eval()
    facts = {"model": "mine", "data": "none", "step": 0, "ema": False, "classes": 0, "pack": 1}
    net = Network(
        function=lambda x: module(x),
        networks={"D": module},
        given=lambda n, seed: {"x": Generator(seed).normal((n, 1, 7, 7))},
        part="judge",
        output="logits",
        shape=(1, 7, 7),
        **facts,
    )
    assert difference(onnx_model(net), net)[0] < 1e-5


# Op by op

WITHOUT_FORM = {
    "binary_cross_entropy_with_logits, mean": "BCEWithLogits has no form in ONNX",
    "binary_cross_entropy_with_logits, sum": "BCEWithLogits has no form in ONNX",
    "cast": "ONNX has no float128",
    **{f"conv{n}d_weight": "Conv2dWeight has no form in ONNX" for n in (1, 2, 3)},
    "cross_entropy": "CrossEntropy has no form in ONNX",
    "gather": "Index by a mask or by several arrays has no form in ONNX",
    "index, a mask": "Index by a mask or by several arrays has no form in ONNX",
    "index, pairs of integers with repeats": "Index by a mask or by several arrays has no form in ONNX",
    "nll_loss": "Index by a mask or by several arrays has no form in ONNX",
    "sort": "Index depends on its input in a way that a trace does not show",
    "topk": "Index depends on its input in a way that a trace does not show",
    "logsumexp": "Sub depends on its input in a way that a trace does not show",
}


def followed(f, arrays, again):
    """f as an ONNX model of inputs x0, x1, ..., traced on two lists of arrays."""
    values = [Value(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    graph = Graph(values)
    return graph.model(graph.follow(f, values, (arrays, again), (1, 1), {}), "y", "batch", {})


@pytest.mark.slow
def test_every_op_has_its_values_in_onnxruntime_or_is_refused_by_name(runtime):
    traced, refused = set(), set()
    for row in ROWS:
        draws = [[a.astype(np.float32) if a.dtype.kind == "f" else a for a in row.sample(s)] for s in (0, 1)]
        reason = next((name for name in WITHOUT_FORM if row.name.startswith(name)), None)
        reason = None if row.name.endswith(", probabilities") else reason  # of `cross_entropy`: not its op
        if reason:
            with pytest.raises(MiniganError, match=WITHOUT_FORM[reason]):
                followed(row.f, *draws)
            refused.add(reason)
            continue
        model = followed(row.f, *draws)
        onnx.checker.check_model(model, full_check=True)
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {f"x{i}": a for i, a in enumerate(draws[1])})
        with no_grad(), kernels.engine("reference"):
            expected = row.f(*map(Tensor, draws[1])).numpy()
        assert found.dtype == expected.dtype, row.name
        assert_close(found, expected, rtol=1e-5, atol=1e-5)
        traced |= {type(call.op) for call in trace(row.f, [*map(Tensor, draws[0])])[0]}
    assert refused == WITHOUT_FORM.keys()
    # To another device or, below, to a dtype that ONNX has; or to positions, which have no row.
    assert traced == TABLE.keys() - {Move, Cast, ArgMax, ArgMin}


def test_a_table_is_read_at_the_places_that_are_given(runtime):
    """Not at those of the trace, which are another constant in each call."""
    table, rng = Tensor(np.arange(12.0, dtype=np.float32).reshape(6, 2)), np.random.default_rng(0)
    draws = [rng.integers(0, 6, (2, 3)) for _ in range(3)]
    model = followed(lambda rows: F.embedding(rows, table) * 2.0, draws[:1], draws[1:2])
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x0": draws[2]})
    np.testing.assert_array_equal(found, 2 * table.numpy()[draws[2]])


@pytest.mark.parametrize("find", [F.argmax, F.argmin])
@pytest.mark.parametrize("how", [(1,), (-1, True), (None,), (None, True)])
def test_positions_are_those_of_onnxruntime(runtime, find, how):
    draws = [np.random.default_rng(i).normal(size=(2, 3, 4)).astype(np.float32) for i in range(3)]
    model = followed(lambda x: find(x * 2.0, *how), draws[:1], draws[1:2])
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,), expected = session.run(None, {"x0": draws[2]}), find(Tensor(draws[2]), *how).numpy()
    assert found.dtype == expected.dtype == np.int64
    np.testing.assert_array_equal(found, expected)
    assert expected.tolist() == getattr(np, find.__name__)(draws[2], *how[:1], keepdims=len(how) > 1).tolist()


def test_a_cast_has_its_dtype_in_onnxruntime(runtime):
    x = np.array([1.5, -2.5], np.float32)
    model = followed(lambda x: F.cast(x, np.float64) / 3, [x], [-x])
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x0": x})
    assert found.dtype == np.float64
    assert np.array_equal(found, x.astype(np.float64) / 3)


def test_a_branch_on_the_values_of_the_input_is_refused():
    def f(x):
        return F.relu(x) if x.numpy()[0] > 0 else F.tanh(x)

    with pytest.raises(MiniganError, match="the ops of the network depend on its input"):
        followed(f, [np.ones(2, np.float32)], [-np.ones(2, np.float32)])


# Runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of each kind, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    tiny = [
        "--steps=3",
        "--batch-size=8",
        "--latent=6",
        "--lr=0.03",
        "--diagnose-every=0",
        "--sample-every=3",
    ]
    for name, settings in {
        "gan": ["--data=ring8"],
        "dcgan": ["--width=4", "--ema=0.9", "--checkpoint-every=2"],
        "cgan": ["--width=4", "--pack=2"],
        "wgan-gp": ["--width=4"],
    }.items():
        assert main(["train", name, *tiny, *settings, f"--out={folder / name}"]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained / "dcgan", "run"))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gan", "dcgan", "cgan", "wgan-gp"])
def test_a_trained_run_makes_the_same_images_in_onnxruntime(trained, model, runtime, tmp_path, capsys):
    assert main(["export", str(trained / model), "--to=onnx", "--part=all", f"--out={tmp_path}"]) == 0
    sampler = Sampler.of(Run.open(trained / model))
    inputs = sampler.inputs(4, Generator(5))
    session = runtime.InferenceSession(tmp_path / "samples.onnx")
    (made,) = session.run(None, inputs)
    assert made.std() > 1e-3  # the tolerance is far below
    assert np.abs(made - sampler.make(inputs)["samples"]).max() < 1e-5
    assert (tmp_path / "judge.onnx").exists()
    told = capsys.readouterr().out
    assert "opset 18; onnxruntime" in told
    exec("\n".join(line.strip() for line in told.splitlines() if line.startswith("    ")), {})  # as it says


@pytest.mark.slow
def test_an_onnx_file_says_what_it_is(run):
    ((path, _),) = export(Run.open(run), "onnx", step=2, average=False)
    model = onnx.load(path)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert path == run / "samples.onnx"
    assert (facts["model"], facts["data"]) == ("dcgan", "digits")
    assert {k: json.loads(facts[k]) for k in ("step", "shape", "classes", "ema", "networks")} == {
        "step": 2,
        "shape": [1, 16, 16],
        "classes": 0,
        "ema": False,
        "networks": ["G"],
    }
    assert [i.name for i in model.graph.input] == ["z"]
    assert [o.name for o in model.graph.output] == ["images"]
    weights = {i.name for i in model.graph.initializer}
    assert set(Sampler.of(Run.open(run)).parts["G"].state_dict()) <= weights


@pytest.mark.slow
def test_the_average_of_the_weights_is_exported_unless_it_is_not_wanted(run):
    files = {ema: run / f"{ema}.safetensors" for ema in (True, False)}
    for ema, path in files.items():
        export(Run.open(run), "safetensors", average=ema, out=path)
    averaged, last = (weights(path) for path in files.values())
    expected = Sampler.of(Run.open(run), average=False).parts["G"].state_dict()
    assert all(np.array_equal(last[name], a) for name, a in expected.items())
    assert not np.array_equal(averaged["1.weight"], last["1.weight"])


def weights(path):
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_what_onnx_computes_otherwise_is_not_written(run, monkeypatch):
    monkeypatch.setattr(Network, "__call__", lambda self, **inputs: 1e-3 + np.zeros((1, 1, 16, 16)))
    monkeypatch.setattr("minigan.export.onnx_file.COMPARED", (1,))
    with pytest.raises(MiniganError, match=r"differs from minigan's by 0\.\d+ in .*, and 1e-05 is allowed"):
        export(Run.open(run), "onnx")
    assert not (run / "samples.onnx").exists()


def test_a_network_that_makes_nan_is_not_written(run, monkeypatch):
    monkeypatch.setattr(Network, "__call__", lambda self, **inputs: np.full((1, 1, 16, 16), np.nan))
    monkeypatch.setattr("minigan.export.onnx_file.COMPARED", (1,))
    with pytest.raises(MiniganError, match="differs from minigan's by nan"):
        export(Run.open(run), "onnx")


def test_a_folder_may_have_a_dot_in_its_name(run):
    (run / "v1.2").mkdir()
    ((path, _),) = export(Run.open(run), "safetensors", out=run / "v1.2")
    assert path == run / "v1.2" / "G.safetensors"


@pytest.mark.parametrize("model", ["dcgan", "cgan"])
def test_without_onnxruntime_the_reference_of_onnx_runs_it(trained, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ((_, told),) = export(Run.open(trained / model), "onnx", out=tmp_path)
    assert "ONNX's own reference" in told


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("export run --to onnix", "onnx"),
        ("export run", "--to"),
        ("export nowhere --to onnx", "nowhere is not a run folder"),
        ("export run --to onnx --step 1", "run has no checkpoint of step 1; it has [2, 3]"),
        ("export run --to onnx --out a.pt", "--to onnx writes a .onnx file or into a folder, not a.pt"),
        ("export run --to onnx --part all --out a.onnx", "give --out a folder"),
        ("export run --to onnx --part jugde", "dcgan has no 'jugde' to export to onnx; did you mean 'judge'"),
        (
            "export run --to safetensors --part E",
            "dcgan has no 'E' to export to safetensors; there are: D, G, all",
        ),
        ("export run --to safetensors --out run/config.toml/x.safetensors", "cannot write"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(run, command, message, capsys):
    assert main(command.split()) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1 or "--to" in message or "onnix" in command


def test_a_run_without_a_checkpoint_is_told(run, capsys):
    shutil.rmtree(run / "checkpoints")
    assert main(["export", "run", "--to", "onnx"]) == 2
    assert "run has no checkpoint yet" in capsys.readouterr().err


def test_a_missing_package_is_told_with_the_line_that_installs_it(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", "run", "--to", "onnx"]) == 2
    assert "export to ONNX needs onnx, which is not installed: pip install onnx onnxruntime" in (
        capsys.readouterr().err
    )


# PyTorch


@pytest.mark.torch
def test_the_weights_load_into_the_same_network_in_pytorch_and_make_the_same_image(run):
    torch = pytest.importorskip("torch", reason="loads the weights in PyTorch, which is not installed")
    export(Run.open(run), "safetensors", part="all", out=Path("weights"))
    layers = torch.nn
    G = layers.Sequential(
        layers.Unflatten(1, (6, 1, 1)),
        layers.ConvTranspose2d(6, 8, 4, bias=False),
        layers.BatchNorm2d(8),
        layers.ReLU(),
        layers.ConvTranspose2d(8, 4, 4, 2, 1, bias=False),
        layers.BatchNorm2d(4),
        layers.ReLU(),
        layers.ConvTranspose2d(4, 1, 4, 2, 1),
        layers.Tanh(),
    )
    D = layers.Sequential(
        layers.Conv2d(1, 4, 4, 2, 1),
        layers.LeakyReLU(0.2),
        layers.Conv2d(4, 8, 4, 2, 1, bias=False),
        layers.BatchNorm2d(8),
        layers.LeakyReLU(0.2),
        layers.Conv2d(8, 1, 4),
        layers.Flatten(),
    )
    for name, net in (("G", G), ("D", D)):
        net.load_state_dict(
            {k: torch.from_numpy(a) for k, a in weights(f"weights/{name}.safetensors").items()}, strict=True
        )
        net.eval()
    sampler = Sampler.of(Run.open(run))
    z = sampler.inputs(4, Generator(5))["z"]
    with torch.no_grad():
        images = G(torch.from_numpy(z))
        logits = D(images)
    assert np.abs(images.numpy() - sampler.make({"z": z})["samples"]).max() < 1e-5
    with no_grad():
        assert_close(sampler.parts["D"].eval()(Tensor(images.numpy())), logits.numpy(), rtol=1e-5, atol=1e-6)
