"""The wrong kind of thing in every argument of every public call: one sentence that names both."""

import inspect
import re

import numpy as np
import pytest

from minigan import Generator, Tensor, data, nn, optim
from minigan import functional as F
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.optim import lr_scheduler


def t(*shape):
    return Tensor(np.ones(shape, np.float32))


IMAGES, WEIGHT, ROWS, VECTOR = t(2, 4, 6, 6), t(4, 4, 3, 3), t(3, 4), t(4)


@pytest.fixture(autouse=True)
def as_at_first():
    """Before each test: what `nn.init` and the like have written is undone."""
    for tensor in (IMAGES, WEIGHT, ROWS, VECTOR):
        tensor.data[...] = t(*tensor.shape).data


LABELS, MASK, POINTS = np.array([0, 1, 0]), np.ones((3, 4), bool), Dataset("p", np.ones((9, 2), np.float32))
GREY = Dataset("grey", np.ones((4, 1, 8, 8), np.uint8))
COMPLEX = np.ones(3, np.complex64)


def optimiser():
    return optim.SGD([nn.Parameter(np.ones(2, np.float32))], 0.1)


def complex_twin(valid):
    return np.asarray(valid.numpy() if isinstance(valid, Tensor) else valid).astype(np.complex64)


# Values that no argument of a kind may have, or functions that make one of a valid value.
NO_NUMBER = [None, "s", [1.0], object(), {}, ROWS]
WRONG = {
    "tensor": [None, "s", [[1.0]], object(), {}, complex_twin],
    "operand": [None, "s", object(), {}, complex_twin],
    "integers": [None, "s", 1.5, [0.5], ROWS, object()],
    "bools": [None, "s", [1.5], ROWS, object()],
    "tensors": [None, "s", 1, [], [None], [1.0, 2.0], ["s"]],
    "modules": [None, "s", 1, [None], [ROWS], [nn.ReLU]],
    "data": [None, "s", [None], ["s"], [1], object(), np.ones(2, np.complex64)],
    "count": [*NO_NUMBER, 0, -1, 1.5, float("nan"), True, np.zeros(2)],
    "size": [*NO_NUMBER, -1, 1.5, float("nan"), True],
    "pair": [*NO_NUMBER, "same", 0, -1, 1.5, (1, 1.5), (1, 2, 3), (0, 1), (), float("nan"), ("s", "s")],
    "padding": [*NO_NUMBER, "same", -1, 1.5, (1, 1.5), (1, 2, 3), (-1, 0), (), ("s", 1)],
    "axis": ["s", 1.5, object(), 9, -9, float("nan"), [0.5], ROWS],
    "shape": ["s", 1.5, object(), [0.5], -7, ROWS],
    "any number": NO_NUMBER,  # infinite ones too
    "number": [*NO_NUMBER, float("nan"), float("inf")],
    "at least 0": [*NO_NUMBER, -1.0, float("nan")],
    "unit": [*NO_NUMBER, -0.5, 1.5, float("nan")],
    "below 1": [*NO_NUMBER, -0.5, 1.0, float("nan")],
    "flag": ["s", 1.5, object(), [True]],
    "dtype": [None, "s", object(), 1.5],
    "name": [None, "s", 1, object()],
    "generator": ["s", 1, object(), np.random.default_rng(0)],
    "module": [None, "s", 1, nn.Linear],
    "anything": [],
}
OPTIONAL = "?"  # behind a kind: None may stand for it


def same(names, row):
    """One row for several calls. A row is a call that works, as {argument: (value, kind)}."""
    return dict.fromkeys(names, row)


x, w, flag = (ROWS, "tensor"), (ROWS, "tensor"), (False, "anything")  # what an op takes for true is Python's
axis, axes, eps = (0, "axis"), (0, "axis?"), (1e-5, "at least 0")
vector, images, slope = (VECTOR, "tensor?"), (IMAGES, "tensor"), (0.2, "unit?")
window = {"stride": (1, "pair"), "padding": (0, "padding"), "dilation": (1, "pair"), "groups": (1, "count")}
pool = {"x": images, "kernel_size": (2, "pair"), "stride": (2, "pair?"), "padding": (0, "padding")}
both = {"a": (ROWS, "operand"), "b": (2.0, "operand")}
reduced = {"x": x, "axis": axes, "keepdims": flag}
loss = {"input": x, "target": (0.5, "operand"), "reduction": ("mean", "name")}
rng = (Generator(0), "generator?")

OPS = {
    **{
        n: {"x": x}
        for n in ["abs", "erf", "exp", "log", "neg", "relu", "selu", "sigmoid", "softplus", "sqrt", "tanh"]
    },
    **same(["add", "div", "maximum", "minimum", "mul", "pow", "sub"], both),
    **same(["max", "mean", "min", "norm", "sum", "logsumexp"], reduced),
    **same(["mse_loss", "l1_loss", "hinge_loss", "binary_cross_entropy_with_logits"], loss),
    "avg_pool2d": pool,
    "max_pool2d": pool,
    "batch_norm": {
        "x": images,
        "running_mean": (VECTOR, "tensor"),
        "running_var": (VECTOR, "tensor"),
        "weight": vector,
        "bias": vector,
        "training": (True, "anything"),
        "momentum": (0.1, "unit"),
        "eps": eps,
        "negative_slope": slope,
    },
    "cast": {"x": x, "dtype": (np.float64, "dtype")},
    "clip": {"x": x, "min": (0.0, "anything"), "max": (1.0, "anything")},
    "concat": {"tensors": ([ROWS, ROWS], "tensors"), "axis": axis},
    "stack": {"tensors": ([ROWS, ROWS], "tensors"), "axis": axis},
    "conv2d": {"x": images, "w": (WEIGHT, "tensor"), "b": vector, **window, "negative_slope": slope},
    "conv2d_weight": {"x": images, "gy": (t(2, 4, 4, 4), "tensor"), "kernel_size": (3, "pair"), **window},
    "conv_transpose2d": {
        "x": images,
        "w": (WEIGHT, "tensor"),
        "b": vector,
        **window,
        "output_padding": (0, "padding"),
        "negative_slope": slope,
    },
    "cross_entropy": {"input": x, "target": (LABELS, "integers"), "reduction": ("mean", "name")},
    "dropout": {"x": x, "p": (0.5, "below 1"), "training": (True, "anything"), "generator": rng},
    "einsum": {"equation": ("ij->i", "name"), "operands": ((ROWS,), "tensors")},
    "elu": {"x": x, "alpha": (1.0, "at least 0")},
    "embedding": {"input": (LABELS, "integers"), "weight": w},
    "expand": {"x": x, "shape": ((2, 3, 4), "shape")},
    "flatten": {"x": x, "start_axis": axis},
    "flip": {"x": x, "axis": axis},
    "gather": {"x": x, "axis": axis, "index": (np.zeros((3, 4), int), "integers")},
    "gelu": {"x": x, "approximate": ("none", "name")},
    "group_norm": {"x": images, "num_groups": (2, "count"), "weight": vector, "bias": vector, "eps": eps},
    "index": {"x": x, "key": (0, "axis")},
    "instance_norm": {"x": images, "weight": vector, "bias": vector, "eps": eps},
    "interpolate": {
        "x": images,
        "size": (3, "pair"),
        "scale_factor": (None, "anything"),
        "mode": ("nearest", "name"),
        "align_corners": flag,
    },
    "layer_norm": {
        "x": x,
        "normalized_shape": (4, "shape"),
        "weight": vector,
        "bias": vector,
        "eps": eps,
    },
    "leaky_relu": {"x": x, "negative_slope": (0.2, "unit")},
    "linear": {"x": x, "weight": w, "bias": (t(3), "tensor?"), "negative_slope": slope},
    "log_softmax": {"x": x, "axis": axis},
    "softmax": {"x": x, "axis": axis},
    "matmul": {"a": (ROWS, "tensor"), "b": (t(4, 2), "tensor")},
    "maxout": {"x": x, "pieces": (2, "count"), "axis": (1, "axis")},
    "one_hot": {"labels": (LABELS, "integers"), "num_classes": (3, "count"), "dtype": ("float32", "dtype")},
    "pad": {"x": x, "pad": ((1, 1), "shape"), "value": (0.0, "any number")},
    "permute": {"x": x, "axes": ((1, 0), "axis")},
    "pixel_shuffle": {"x": images, "upscale_factor": (2, "count")},
    "reshape": {"x": x, "shape": ((4, 3), "shape")},
    "row_norms": {"x": x, "eps": eps},
    "squeeze": {"x": (t(1, 4), "tensor"), "axis": axes},
    "sum_to": {"x": x, "shape": ((4,), "shape")},
    "transpose": {"x": x, "axis0": axis, "axis1": (1, "axis")},
    "unsqueeze": {"x": x, "axis": axis},
    "var": {**reduced, "correction": (1, "size")},
    "where": {"condition": (MASK, "bools"), **both},
}
channels = {"in_channels": (4, "size"), "out_channels": (4, "size"), "kernel_size": (3, "pair")}
switch = (True, "flag")
LAYERS = {
    **same(["ReLU", "SELU", "Tanh", "Sigmoid", "Softplus", "Flatten", "Identity", "Module"], {}),
    **same(
        ("BatchNorm1d", "BatchNorm2d"),
        {
            "num_features": (4, "size"),
            "eps": eps,
            "momentum": (0.1, "unit"),
            "affine": switch,
            "track_running_stats": switch,
        },
    ),
    "ELU": {"alpha": (1.0, "at least 0")},
    "GELU": {"approximate": ("none", "name")},
    "Conv2d": {**channels, **window, "bias": switch, "generator": rng},
    "ConvTranspose2d": {
        **channels,
        **window,
        "output_padding": (0, "padding"),
        "bias": switch,
        "generator": rng,
    },
    "Dropout": {"p": (0.5, "below 1"), "generator": rng},
    "Embedding": {"num_embeddings": (3, "size"), "embedding_dim": (2, "size"), "generator": rng},
    "GroupNorm": {"num_groups": (2, "count"), "num_channels": (4, "size"), "eps": eps, "affine": switch},
    "InstanceNorm2d": {"num_features": (4, "size"), "eps": eps, "affine": switch},
    "LayerNorm": {"normalized_shape": (4, "shape"), "eps": eps, "elementwise_affine": switch},
    "LeakyReLU": {"negative_slope": (0.2, "unit")},
    "Linear": {"in_features": (3, "size"), "out_features": (2, "size"), "bias": switch, "generator": rng},
    "Maxout": {"pieces": (2, "count"), "axis": (1, "anything")},
    "Parameter": {"data": ([1.0], "data"), "dtype": (None, "anything")},
    "Sequential": {"modules": ((nn.ReLU(),), "modules")},
    "Softmax": {"axis": (-1, "anything")},
    "Unflatten": {"shape": ((4, 1), "shape")},
    "Upsample": {
        "size": (3, "pair?"),
        "scale_factor": (None, "anything"),
        "mode": ("nearest", "name"),
        "align_corners": switch,
    },
    "functional_call": {
        "module": (nn.Identity(), "module"),
        "tensors": ({}, "tensors"),
        "inputs": ((ROWS,), "anything"),
    },
}
drawn = {"tensor": w, "generator": rng}
kaiming = {"a": (0.0, "number"), "mode": ("fan_in", "name"), "nonlinearity": ("leaky_relu", "name")}
INIT = {
    "constant_": {"tensor": w, "value": (0.0, "any number")},
    "zeros_": {"tensor": w},
    "ones_": {"tensor": w},
    "normal_": {**drawn, "mean": (0.0, "number"), "std": (1.0, "at least 0")},
    "uniform_": {**drawn, "a": (0.0, "number"), "b": (1.0, "number")},
    **same(("xavier_normal_", "xavier_uniform_", "orthogonal_"), {**drawn, "gain": (1.0, "at least 0")}),
    **same(("kaiming_normal_", "kaiming_uniform_"), {**drawn, **kaiming}),
    "calculate_gain": {"nonlinearity": ("relu", "name"), "a": (0.0, "number")},
    "fans": {"tensor": w},
}
common = {"params": ([nn.Parameter([1.0])], "tensors"), "lr": (0.1, "at least 0")}
decay = {"weight_decay": (0.0, "at least 0")}
OPTIM = {
    "Optimizer": {**common, **decay},
    "SGD": {
        **common,
        **decay,
        "momentum": (0.9, "at least 0"),
        "dampening": (0.0, "number"),
        "nesterov": (False, "flag"),
    },
    "RMSprop": {**common, **decay, "alpha": (0.9, "at least 0"), "eps": eps},
    "Adam": {**common, **decay, "betas": ((0.9, 0.9), "tensors"), "eps": eps},
    "ExponentialMovingAverage": {"network": (nn.Linear(1, 1), "module"), "decay": (0.9, "below 1")},
}
schedule = {"optimizer": (optimiser(), "module")}
SCHEDULES = {
    "LambdaLR": {**schedule, "lr_lambda": (lambda n: 1.0, "name")},
    "StepLR": {**schedule, "step_size": (2, "count"), "gamma": (0.5, "number")},
    "ExponentialLR": {**schedule, "gamma": (0.5, "number")},
    "LinearLR": {
        **schedule,
        "start_factor": (0.5, "number"),
        "end_factor": (1.0, "number"),
        "total_iters": (5, "count"),
    },
    "CosineAnnealingLR": {**schedule, "T_max": (5, "count"), "eta_min": (0.0, "number")},
}
DATA = {
    "Batches": {
        "dataset": (POINTS, "module"),
        "batch_size": (4, "count"),
        "seed": (0, "size"),
        "labels": (False, "flag"),
        "device": ("cpu", "name"),
    },
    "Dataset": {
        "name": ("p", "module"),
        "samples": (np.ones((3, 2), np.float32), "tensors"),
        "labels": (np.zeros(3, int), "labels"),
        "rows": (np.arange(3), "rows"),
        "flip": (False, "flag"),
    },
    "Pairs": {"x": (GREY, "module"), "y": (GREY, "module"), "name": ("p", "text")},
    "Domains": {"x": (GREY, "module"), "y": (GREY, "module"), "name": ("p", "text")},
    "Field": {"kind": ("image", "text"), "shape": ((1, 8, 8), "sides"), "classes": (0, "size")},
    "Fields": {"fields": ({"x": data.Field("point", (2,))}, "fields")},
    "datasets_of": {"kind": ("image", "name")},
    "has_test": {"name": ("ring8", "name")},
    "kind_of": {"name": ("ring8", "name")},
    "resolved": {"name": ("ring8", "name")},
    "load": {
        "name": ("ring8", "name"),
        "size": (None, "count?"),
        "data_dir": (None, "folder"),
        "split": ("train", "name"),
        "channels": (None, "channels"),
        "flip": (False, "flag"),
    },
}
DATA["Dataset"]["name"] = ("p", "text")
WRONG |= {
    "text": [None, 1, object()],
    "folder": [1, object(), [1]],
    "sides": [None, 1, "s", [1, 8, 8], (1, 8), (1, 8, 8.0), (1, 8, -8)],
    "fields": [None, 1, "s", [1], {}, {"x": (2,)}, {1: data.Field("point", (2,))}],
    "rows": ["s", [0, 1, 2], np.ones(3), np.array([0, 1, 3]), np.array([0, 1, -1]), np.ones((3, 1), int)],
    "channels": ["s", 1.5, 0, 2, [1], True, ROWS],
    "labels": ["s", [0, 1, 0], np.ones(3), np.array([0, 1, -1]), np.zeros(2, int), COMPLEX],
}
PARTS = {"F": (F, OPS), "nn": (nn, LAYERS), "init": (nn.init, INIT), "optim": (optim, OPTIM)}
PARTS |= {"lr_scheduler": (lr_scheduler, SCHEDULES), "data": (data, DATA)}
DATA_WORDS = {"batch_size": "batch.size", "name": "(name|dataset)"}
NO_CALL = {"init", "lr_scheduler", "FROM_FILES", "NAMES"}


def public(module):
    """The names of what a part of the library offers to be called."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if callable(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    return set(names) - NO_CALL


@pytest.mark.parametrize("part", PARTS)
def test_every_public_call_has_a_row_for_every_argument(part):
    module, rows = PARTS[part]
    assert set(rows) == public(module) - {"Schedule"}  # which has no rate
    for name, arguments in rows.items():
        parameters = inspect.signature(getattr(module, name)).parameters
        assert set(arguments) == set(parameters) - {"settings"}, name


def called(part, name, changes):
    module, rows = PARTS[part]
    call = getattr(module, name)
    values = {argument: value for argument, (value, _) in rows[name].items()} | changes
    positional, keywords = [], {}
    for argument, p in inspect.signature(call).parameters.items():
        if argument not in values:
            continue
        if p.kind is p.VAR_POSITIONAL:
            value = values[argument]
            positional = [keywords.pop(a) for a in list(keywords)]
            positional += value if isinstance(value, (tuple, list)) else [value]
        else:
            keywords[argument] = values[argument]
    return call(*positional, **keywords)


ROWS_OF_ALL = [(part, name) for part, (_, rows) in PARTS.items() for name in rows]
CASES = [
    pytest.param(part, name, argument, i, id=f"{part}.{name}-{argument}-{i}")
    for part, name in ROWS_OF_ALL
    for argument, (_, kind) in PARTS[part][1][name].items()
    for i, value in enumerate(WRONG[kind.rstrip(OPTIONAL)])
    if not (kind.endswith(OPTIONAL) and value is None)
]


@pytest.mark.parametrize(("part", "name"), ROWS_OF_ALL)
def test_the_rows_are_of_calls_that_work(part, name):
    called(part, name, {})


@pytest.mark.parametrize(("part", "name", "argument", "i"), CASES)
def test_the_wrong_thing_is_named(part, name, argument, i):
    valid, kind = PARTS[part][1][name][argument]
    wrong = WRONG[kind.rstrip(OPTIONAL)][i]
    wrong = wrong(valid) if wrong is complex_twin else wrong
    with pytest.raises((TypeError, ValueError, MiniganError, IndexError)) as error:
        called(part, name, {argument: wrong})
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 240
    if part == "data":  # these sentences are the command line's as well: in its words
        assert re.search(rf"\b{DATA_WORDS.get(argument, argument)}\b", said), said
    else:
        assert said.startswith(f"{name}: "), said
        assert re.search(rf"\b{argument}\b", said), said
