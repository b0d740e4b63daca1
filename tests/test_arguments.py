"""The wrong kind of thing in every argument of every public call: one sentence that names both."""

import copy
import inspect
import re

import numpy as np
import pytest

from minigan import Generator, Tensor, data, nn, optim
from minigan import functional as F
from minigan.data import Dataset
from minigan.errors import MiniganError
from minigan.nn.utils import parametrizations
from minigan.optim import lr_scheduler


def t(*shape):
    return Tensor(np.ones(shape, np.float32))


IMAGES, WEIGHT, ROWS, VECTOR = t(2, 4, 6, 6), t(4, 4, 3, 3), t(3, 4), t(4)
SEQUENCES, CLIPS = t(2, 4, 6), t(1, 4, 3, 4, 4)


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
    "integer": [None, "s", [1.0], object(), {}, ROWS, 1.5, True],
    "parts": [None, "s", 1.5, object(), [0.5], -7, ROWS],
    "border": ["s", 1, object(), [0.5], -7, ROWS],
    "single": [*NO_NUMBER, "same", 0, -1, 1.5, (1.5,), (1, 1), (0,), (), ("s",)],
    "triple": [*NO_NUMBER, "same", 0, -1, 1.5, (1, 1, 1.5), (1, 2), (0, 1, 1), (), ("s",) * 3],
    "border of one": [*NO_NUMBER, "same", -1, 1.5, (1.5,), (1, 1), (-1,), (), ("s",)],
    "border of three": [*NO_NUMBER, "same", -1, 1.5, (1, 1, 1.5), (1, 2), (-1, 0, 0), (), ("s",) * 3],
    "classes": [None, "s", 1.5, [0.5], object()],
    "one": [*NO_NUMBER, 0.0, 2.0, float("nan"), float("inf")],
    "above 0": [*NO_NUMBER, 0.0, -1.0, float("nan"), float("inf")],
    "taps": [None, "s", 1.0, [], ["s"], [None], object()],
    "crop": [None, "same", 1.5, (1, 1), (1, 1, 1, 1.5), object(), -9],
    "ends": [*NO_NUMBER, "same", -1, 1.5, (1,), (1, 1, 1), (1, 1.5), (-1, 0), ()],
    "border of four": [*NO_NUMBER, "same", -1, 1.5, (1, 1), (1, 1, 1, 1.5), (0, 0, 0, -1), ()],
    "axis number": [None, "s", 1.5, object(), [1], ROWS],
    "sizes": [*NO_NUMBER, "same", 0, -1, 1.5, (1, 1.5), (0, 1), (), float("nan"), ("s", "s")],
    "anything": [],
}
OPTIONAL = "?"  # behind a kind: None may stand for it


def same(names, row):
    """One row for several calls. A row is a call that works, as {argument: (value, kind)}."""
    return dict.fromkeys(names, row)


x, w, flag = (ROWS, "tensor"), (ROWS, "tensor"), (False, "anything")  # what an op takes for true is Python's
axis_of_four = (1, "axis")
axis, axes, eps = (0, "axis"), (0, "axis?"), (1e-5, "at least 0")
vector, images, slope = (VECTOR, "tensor?"), (IMAGES, "tensor"), (0.2, "unit?")
window = {"stride": (1, "pair"), "padding": (0, "padding"), "dilation": (1, "pair"), "groups": (1, "count")}
pool = {"x": images, "kernel_size": (2, "pair"), "stride": (2, "pair?"), "padding": (0, "padding")}
both = {"a": (ROWS, "operand"), "b": (2.0, "operand")}
reduced = {"x": x, "axis": axes, "keepdims": flag}
loss = {"input": x, "target": (0.5, "operand"), "reduction": ("mean", "name")}
rng = (Generator(0), "generator?")


def over_axes(n, x, sizes, border):
    """The rows of the convolutions and poolings over n axes, of an x of 4 channels."""
    w, gy = t(4, 4, *(3,) * n), t(len(x), 4, *(m - 2 for m in x.shape[2:]))
    x = (x, "tensor")
    window = {"stride": (1, sizes), "padding": (0, border), "dilation": (1, sizes), "groups": (1, "count")}
    conv = {"x": x, "w": (w, "tensor"), "b": vector, **window, "negative_slope": slope}
    pool = {"x": x, "kernel_size": (2, sizes), "stride": (2, sizes + "?"), "padding": (0, border)}
    return {
        f"conv{n}d": conv,
        f"conv_transpose{n}d": {**conv, "output_padding": (0, border)},
        f"conv{n}d_weight": {"x": x, "gy": (gy, "tensor"), "kernel_size": (3, sizes), **window},
        f"max_pool{n}d": pool,
        f"avg_pool{n}d": pool,
    }


OPS = {
    **{
        n: {"x": x}
        for n in [
            *("abs", "clone", "cos", "erf", "exp", "log", "neg", "relu", "selu", "sigmoid", "sin"),
            *("silu", "logsigmoid", "softplus", "sqrt", "square", "tanh"),
        ]
    },
    **same(["add", "div", "maximum", "minimum", "mul", "pow", "sub"], both),
    **same(["max", "mean", "min", "norm", "sum", "logsumexp"], reduced),
    **same(["mse_loss", "l1_loss", "hinge_loss"], loss),
    **same(["binary_cross_entropy", "binary_cross_entropy_with_logits"], loss),
    **same(["tril", "triu"], {"x": x, "diagonal": (0, "integer")}),
    "nll_loss": {
        "input": x,
        "target": (LABELS, "classes"),
        "reduction": ("mean", "name"),
        "weight": vector,
        "ignore_index": (None, "integer?"),
    },
    **same(["avg_pool2d", "max_pool2d", "min_pool2d"], pool),
    **over_axes(1, SEQUENCES, "single", "border of one"),
    **over_axes(3, CLIPS, "triple", "border of three"),
    "adaptive_avg_pool1d": {"x": (SEQUENCES, "tensor"), "output_size": (2, "count")},
    "adaptive_avg_pool2d": {"x": images, "output_size": (2, "pair")},
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
    **same(["argmax", "argmin"], {"x": x, "axis": axes, "keepdims": flag}),
    **same(["argsort", "sort"], {"x": x, "axis": axis, "descending": flag}),
    **same(["repeat", "tile"], {"x": x, "repeats": ((2, 1), "parts")}),
    "repeat_interleave": {"x": x, "repeats": (2, "size"), "axis": axes},
    "chunk": {"x": x, "chunks": (2, "count"), "axis": axis},
    "split": {"x": x, "size_or_sections": (2, "parts"), "axis": axis},
    "unbind": {"x": x, "axis": axis},
    "narrow": {"x": x, "axis": axis, "start": (1, "integer"), "length": (1, "size")},
    "roll": {"x": x, "shifts": (1, "integer"), "axis": axes},
    "cumsum": {"x": x, "axis": axis},
    "index_select": {"x": x, "axis": axis, "index": (np.array([0, 1]), "integers")},
    "topk": {"x": x, "k": (2, "count"), "axis": axis, "largest": flag},
    "masked_fill": {"x": x, "mask": (MASK, "bools"), "value": (0.0, "any number")},
    "std": {**reduced, "correction": (1, "size")},
    "unflatten": {"x": x, "axis": axis, "shape": ((3, 1), "shape")},
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
    "cross_entropy": {
        "input": x,
        "target": (LABELS, "classes"),
        "reduction": ("mean", "name"),
        "weight": vector,
        "ignore_index": (None, "integer?"),
        "label_smoothing": (0.0, "unit"),
    },
    "kl_div": {**loss, "log_target": flag},
    "smooth_l1_loss": {**loss, "beta": (1.0, "above 0")},
    "glu": {"x": x, "axis": axis_of_four},
    "prelu": {"x": x, "weight": (VECTOR, "tensor")},
    "normalize": {"x": x, "axis": axis, "eps": eps},
    "cosine_similarity": {"a": x, "b": (ROWS, "tensor"), "axis": axis, "eps": eps},
    "straight_through": {"hard": x, "soft": w},
    "gumbel_softmax": {
        "logits": x,
        "tau": (1.0, "above 0"),
        "hard": flag,
        "axis": axis,
        "generator": rng,
    },
    "modulated_conv2d": {
        "x": images,
        "w": (WEIGHT, "tensor"),
        "styles": (t(2, 4), "tensor"),
        "stride": (1, "pair"),
        "padding": (0, "padding"),
        "demodulate": flag,
        "transposed": flag,
        "eps": eps,
        "gain": (1.0, "number"),
    },
    "upfirdn2d": {
        "x": images,
        "f": ([1.0, 1.0], "taps"),
        "up": (1, "count"),
        "down": (1, "count"),
        "padding": (0, "crop"),
        "flip_filter": flag,
        "gain": (1.0, "number"),
    },
    "dropout2d": {"x": images, "p": (0.5, "below 1"), "training": (True, "anything"), "generator": rng},
    "dropout": {"x": x, "p": (0.5, "below 1"), "training": (True, "anything"), "generator": rng},
    "cdist": {"x1": x, "x2": w, "p": (1.0, "one")},
    "einsum": {"equation": ("ij->i", "name"), "operands": ((ROWS,), "tensors")},
    "elu": {"x": x, "alpha": (1.0, "at least 0")},
    "embedding": {"input": (LABELS, "integers"), "weight": w},
    "expand": {"x": x, "shape": ((2, 3, 4), "shape")},
    "flatten": {"x": x, "start_axis": axis, "end_axis": (-1, "axis")},
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
        "antialias": flag,
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
    "pad": {"x": x, "pad": ((1, 1), "border"), "mode": ("constant", "name"), "value": (0.0, "any number")},
    "permute": {"x": x, "axes": ((1, 0), "axis")},
    "pixel_unshuffle": {"x": images, "downscale_factor": (2, "count")},
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
switch = (True, "flag")
cell = {"input_size": (3, "size"), "hidden_size": (2, "count"), "bias": switch, "generator": rng}


def over_axes_of_layers(n, sizes, border, ends):
    """The rows of the convolutions, poolings and borders over n axes; `ends`: the kind of a border's."""
    channels = {"in_channels": (4, "size"), "out_channels": (4, "size"), "kernel_size": (3, sizes)}
    window = {"stride": (1, sizes), "padding": (0, border), "dilation": (1, sizes), "groups": (1, "count")}
    conv = {**channels, **window, "bias": switch, "generator": rng}
    pool = {"kernel_size": (2, sizes), "stride": (2, sizes + "?"), "padding": (0, border)}
    pools = [f"MaxPool{n}d", f"AvgPool{n}d", *(["MinPool2d"] if n == 2 else [])]
    pads = [] if ends is None else [f"ReflectionPad{n}d", f"ReplicationPad{n}d"]
    return {
        f"Conv{n}d": {**conv, "padding_mode": ("zeros", "name")},
        f"ConvTranspose{n}d": {**conv, "output_padding": (0, border)},
        **same(pools, pool),
        **same(pads + ["ZeroPad2d"] * (n == 2), {"padding": (1, ends)}),
    }


LAYERS = {
    **same(["ReLU", "SELU", "SiLU", "Tanh", "Sigmoid", "LogSigmoid", "Softplus", "Identity", "Module"], {}),
    "Flatten": {"start_axis": (1, "axis number"), "end_axis": (-1, "axis number")},
    "PReLU": {"num_parameters": (1, "count"), "init": (0.25, "number")},
    **same(("LogSoftmax", "GLU", "Softmax"), {"axis": (-1, "anything")}),
    **over_axes_of_layers(1, "single", "border of one", "ends"),
    **over_axes_of_layers(2, "pair", "padding", "border of four"),
    **over_axes_of_layers(3, "triple", "border of three", None),
    "AdaptiveAvgPool1d": {"output_size": (2, "count")},
    "AdaptiveAvgPool2d": {"output_size": (2, "pair")},
    "PixelShuffle": {"upscale_factor": (2, "count")},
    "PixelUnshuffle": {"downscale_factor": (2, "count")},
    **same(["L1Loss", "MSELoss", "BCELoss", "BCEWithLogitsLoss"], {"reduction": ("mean", "name")}),
    "SmoothL1Loss": {"reduction": ("mean", "name"), "beta": (1.0, "above 0")},
    "KLDivLoss": {"reduction": ("batchmean", "name"), "log_target": switch},
    "NLLLoss": {
        "weight": (VECTOR, "tensor?"),
        "ignore_index": (None, "integer?"),
        "reduction": ("mean", "name"),
    },
    "CrossEntropyLoss": {
        "weight": (VECTOR, "tensor?"),
        "ignore_index": (None, "integer?"),
        "reduction": ("mean", "name"),
        "label_smoothing": (0.0, "unit"),
    },
    **same(
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"),
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
    **same(["Dropout", "Dropout2d"], {"p": (0.5, "below 1"), "generator": rng}),
    "Embedding": {"num_embeddings": (3, "size"), "embedding_dim": (2, "size"), "generator": rng},
    "GroupNorm": {"num_groups": (2, "count"), "num_channels": (4, "size"), "eps": eps, "affine": switch},
    **same(
        ["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"],
        {"num_features": (4, "size"), "eps": eps, "affine": switch},
    ),
    "LayerNorm": {"normalized_shape": (4, "shape"), "eps": eps, "elementwise_affine": switch},
    "LeakyReLU": {"negative_slope": (0.2, "unit")},
    "Linear": {"in_features": (3, "size"), "out_features": (2, "size"), "bias": switch, "generator": rng},
    **same(["GRUCell", "LSTMCell"], cell),
    **same(
        ["GRU", "LSTM"],
        {**cell, "num_layers": (2, "count"), "batch_first": switch, "bidirectional": switch},
    ),
    "MultiheadAttention": {
        "embed_dim": (4, "count"),
        "num_heads": (2, "count"),
        "dropout": (0.1, "below 1"),
        "bias": switch,
        "batch_first": switch,
        "generator": rng,
    },
    "PositionalEncoding": {"dim": (4, "count")},
    "Maxout": {"pieces": (2, "count"), "axis": (1, "anything")},
    "ModuleDict": {"modules": ({"a": nn.ReLU()}, "modules")},
    "ModuleList": {"modules": ([nn.ReLU()], "modules")},
    "Parameter": {"data": ([1.0], "data"), "dtype": (None, "anything")},
    "Sequential": {"modules": ((nn.ReLU(),), "modules")},
    "Unflatten": {"shape": ((4, 1), "shape")},
    "Upsample": {
        "size": (3, "sizes?"),
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
    "AdamW": {**common, **decay, "betas": ((0.9, 0.9), "tensors"), "eps": eps},
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
        "factors": (False, "flag"),
        "text": (False, "flag"),
    },
    "Dataset": {
        "name": ("p", "module"),
        "samples": (np.ones((3, 2), np.float32), "tensors"),
        "labels": (np.zeros(3, int), "labels"),
        "rows": (np.arange(3), "rows"),
        "flip": (False, "flag"),
        "factors": (np.zeros((3, 2), int), "factors"),
        "values": ({"a": 2, "b": 3}, "values"),
        "kind": ("point", "name"),
        "words": ((), "no words"),
        "rate": (0, "no rate"),
        "text": (np.zeros((3, 4), np.uint8), "texts"),
        "text_words": (("", "a"), "words"),
    },
    "Pairs": {"x": (GREY, "module"), "y": (GREY, "module"), "name": ("p", "text")},
    "Domains": {"x": (GREY, "module"), "y": (GREY, "module"), "name": ("p", "text")},
    "Field": {
        "kind": ("image", "text"),
        "shape": ((1, 8, 8), "sides"),
        "classes": (0, "size"),
        "values": ({}, "values"),
        "words": ((), "no words"),
        "rate": (0, "no rate"),
    },
    "Fields": {"fields": ({"x": data.Field("point", (2,))}, "fields")},
    "datasets_of": {"kind": ("image", "name")},
    "datasets_with": {"beside": ("factors", "name")},
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
        "samples": (None, "count?"),
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
    "factors": ["s", [0, 1, 0], np.ones((3, 2)), np.zeros(3, int), np.full((3, 2), 3), np.full((3, 2), -2)],
    "values": [None, 1, "s", [2, 3], {"a": 2}, {"a": 2, "b": 0}, {"a": 2, "b": "s"}, {1: 2, 2: 3}],
    "words": [None, 1, "s", ["", "a"], ("a", ""), ("",) * 2, ("", 1), ()],
    "no words": [None, 1, "s", ["a"], ("", "a"), (1,)],
    "no rate": [None, "s", 1.5, [1], 8000, -1],
    "texts": ["s", [0, 1, 0], np.zeros((3, 4)), np.zeros(3, np.uint8), np.full((3, 4), 2, np.uint8)],
    "labels": ["s", [0, 1, 0], np.ones(3), np.array([0, 1, -1]), np.zeros(2, int), COMPLEX],
}
PARTS = {"F": (F, OPS), "nn": (nn, LAYERS), "init": (nn.init, INIT), "optim": (optim, OPTIM)}
UTILS = {"clip_grad_norm": {"gradients": ([ROWS, None], "gradients"), "max_norm": (1.0, "at least 0")}}
PARAMETRIZATIONS = {
    "spectral_norm": {
        "module": (nn.Linear(2, 2), "module"),
        "name": ("weight", "name"),
        "n_power_iterations": (1, "count"),
        "eps": eps,
        "dim": (0, "axis?"),
        "generator": rng,
    }
}
WRONG |= {"gradients": [None, "s", 1, ["s"], [1.0], ROWS, object()]}
PARTS |= {"utils": (nn.utils, UTILS), "parametrizations": (parametrizations, PARAMETRIZATIONS)}
PARTS |= {"lr_scheduler": (lr_scheduler, SCHEDULES), "data": (data, DATA)}
DATA_WORDS = {"batch_size": "batch.size", "name": "(name|dataset)"}
NO_CALL = {"init", "utils", "parametrizations", "lr_scheduler", "FROM_FILES", "NAMES"}


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
    values |= {a: copy.deepcopy(v) for a, v in values.items() if a == "module" and isinstance(v, nn.Module)}
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
    assert len(said) < 500  # which is room for the names of all datasets
    if part == "data":  # these sentences are the command line's as well: in its words
        assert re.search(rf"\b{DATA_WORDS.get(argument, argument)}\b", said), said
    else:
        assert said.startswith(f"{name}: "), said
        assert re.search(rf"\b{argument}\b", said), said
