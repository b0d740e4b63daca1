"""Each op in ONNX: the name of an operator that takes the same inputs, or a form as those of `onnx_forms`."""

from minigan.functional.activation import ELU, LogSoftmax, Sigmoid, Softmax, Softplus, Tanh
from minigan.functional.border import Pad
from minigan.functional.conv import Conv2d, ConvTranspose2d
from minigan.functional.elementwise import (
    Abs,
    Add,
    Cast,
    Clip,
    Cos,
    Div,
    Erf,
    Exp,
    Extremum,
    Log,
    Move,
    Mul,
    Neg,
    Power,
    PowerByNumber,
    Sin,
    Sqrt,
    Sub,
    Where,
)
from minigan.functional.filters import UpFirDn
from minigan.functional.index import ArgMax, ArgMin, Embedding, Index
from minigan.functional.leaky import LeakyReLU
from minigan.functional.matmul import Linear, MatMul
from minigan.functional.norm import Normalize
from minigan.functional.pairs import L1Distances
from minigan.functional.pool import AvgPool2d, MaxPool2d
from minigan.functional.reduce import CumSum, Expand, Extreme, RowNorms, Sum, SumTo
from minigan.functional.resample import Upsample
from minigan.functional.shape import Clone, Concat, Permute, Reshape

from . import onnx_forms as forms

TABLE = {
    # entry by entry
    Add: "Add",
    Sub: "Sub",
    Mul: "Mul",
    Div: "Div",
    Neg: "Neg",
    Power: "Pow",
    PowerByNumber: forms.power_by_number,
    Abs: "Abs",
    Exp: "Exp",
    Log: "Log",
    Sqrt: "Sqrt",
    Sin: "Sin",
    Cos: "Cos",
    Erf: "Erf",
    Extremum: forms.extremum,
    Clip: forms.clip,
    Where: lambda g, op, a, b: g.add("Where", g.constant(op.mask), a, b),
    Cast: lambda g, op, x: g.add("Cast", x, to=op.dtype),
    Move: "Identity",
    Clone: "Identity",
    # activations
    LeakyReLU: forms.leaky_relu,
    ELU: lambda g, op, x: g.add("Elu", x, alpha=op.alpha),
    Tanh: "Tanh",
    Sigmoid: "Sigmoid",
    Softplus: "Softplus",
    Softmax: lambda g, op, x: g.add("Softmax", x, axis=op.axis),
    LogSoftmax: lambda g, op, x: g.add("LogSoftmax", x, axis=op.axis),
    # reductions and norms
    Sum: forms.sum_,
    Extreme: forms.extreme,
    RowNorms: forms.row_norms,
    SumTo: forms.sum_to,
    CumSum: forms.cumulative_sum,
    ArgMax: forms.position("ArgMax"),
    ArgMin: forms.position("ArgMin"),
    Expand: forms.expand,
    Normalize: forms.activated(forms.normalize),
    # products
    Linear: forms.activated(forms.linear),
    MatMul: forms.matmul,
    Conv2d: forms.activated(forms.conv),
    ConvTranspose2d: forms.activated(forms.conv_transpose),
    L1Distances: forms.l1_distances,
    # images
    MaxPool2d: forms.pool("MaxPool"),
    AvgPool2d: forms.pool("AveragePool", count_include_pad=1),
    Upsample: forms.upsample,
    UpFirDn: forms.upfirdn,
    # shapes
    Reshape: lambda g, op, x: g.reshape(x, op.out),
    Permute: lambda g, op, x: g.add("Transpose", x, perm=[a % len(x.shape) for a in op.axes] or None),
    Pad: forms.pad,
    Concat: lambda g, op, *parts: g.add("Concat", *parts, axis=op.axis),
    Index: forms.index,
    Embedding: forms.embedding,
}
