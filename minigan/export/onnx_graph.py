"""A traced function as an ONNX graph."""

from dataclasses import dataclass, replace

import numpy as np

from minigan.autograd import Tensor
from minigan.errors import MiniganError

from .onnx_table import TABLE
from .trace import Both, Share, trace

OPSET, IR_VERSION = 18, 8  # of ONNX 1.13, 2022: read by onnxruntime 1.14 and newer


@dataclass(frozen=True)
class Value:
    """Something with a name in the graph. A `Share` in `shape` is an axis that grows with the batch."""

    name: str
    shape: tuple | None = None
    dtype: np.dtype | None = None


class Graph:
    """A graph that grows by one operator at a time.

    Where an operator takes a Value, None stands for an input that is left out. `batch` is the input whose
    first axis the batch is.
    """

    def __init__(self, inputs: list[Value]):
        self.inputs, self.batch = inputs, inputs[0]
        self.nodes, self.constants, self.batch_size = [], {}, None

    def add(self, operator: str, *inputs, **attributes) -> Value:
        """An operator of ONNX; what it makes, in a shape that only the op as a whole knows. An attribute may
        be a dtype."""
        output = Value(f"{operator}_{len(self.nodes)}")
        self.nodes.append((operator, [x.name if x else "" for x in inputs], output.name, attributes))
        return output

    def reduce(self, operator, x, axes, keepdims) -> Value:
        return self.add(operator, x, self.integers(axes), keepdims=int(keepdims), noop_with_empty_axes=1)

    def reshape(self, x, shape) -> Value:
        if sum(isinstance(n, Share) for n in shape) == 1:
            shape = [-1 if isinstance(n, Share) else n for n in shape]
        return self.add("Reshape", x, self.integers(shape))

    def constant(self, array: np.ndarray, name: str | None = None) -> Value:
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = array
        return Value(name, array.shape, array.dtype)

    def number(self, number, like: Value) -> Value:
        """A number in the dtype of another value."""
        return self.constant(np.asarray(number, like.dtype))

    def one_hot(self, labels: Value, classes: int) -> Value:
        """Integers as float32 weights of classes."""
        ends = self.constant(np.array([0, 1], np.float32))
        made = self.add("OneHot", labels, self.constant(np.asarray(classes, np.int64)), ends)
        return Value(made.name, (*labels.shape, classes), np.dtype(np.float32))

    def integers(self, numbers) -> Value:
        """A vector of integers; those that are a share of the batch are worked out when the graph runs."""
        if not any(isinstance(n, Share) for n in numbers):
            return self.constant(np.array([*numbers], np.int64))
        return self.add("Concat", *map(self._integer, numbers), axis=0)

    def _integer(self, n):
        if not isinstance(n, Share):
            return self.integers([n])
        self.batch_size = self.batch_size or self.add("Shape", self.batch, start=0, end=1)
        times = self.add("Mul", self.batch_size, self.integers([n.numerator]))
        return self.add("Div", times, self.integers([n.denominator]))

    # A whole function

    def follow(self, f, values: list[Value], batches, sizes, weights: dict[str, np.ndarray]) -> Value:
        """Add what f(*tensors) computes of `values`; its output.

        batches: the arrays of two calls, whose sizes are `sizes`. weights: what f has of its own, by the
        names that it gets in the graph. MiniganError for an op that has no form in ONNX.
        """
        (calls, output), (again, _) = (trace(f, [Tensor(a) for a in arrays]) for arrays in batches)
        if [type(call.op) for call in calls] != [type(call.op) for call in again]:
            raise MiniganError("the ops of the network depend on its input: it cannot be exported")
        self.known = {id(a): value for a, value in zip(batches[0], values, strict=True)}
        self.weights = {id(a): name for name, a in weights.items()}
        for pair in zip(calls, again, strict=True):
            op, made = Both(pair, sizes), pair[0].output
            if type(pair[0].op) not in TABLE:
                raise MiniganError(f"{op.name} has no form in ONNX: a network with it cannot be exported")
            form = TABLE[type(pair[0].op)]
            inputs = [
                self._operand(a, b, op, made.dtype)
                for a, b in zip(*(call.inputs for call in pair), strict=True)
            ]
            value = self.add(form, *inputs) if isinstance(form, str) else form(self, op, *inputs)
            self.known[id(made)] = Value(value.name, op.out, made.dtype)
        made = self.known[id(output)]
        is_new = made.name in {name for _, _, name, _ in self.nodes}
        return made if is_new else replace(made, name=self.add("Identity", made).name)

    def _operand(self, a, b, op, dtype):
        """The value of an op's input, in both calls."""
        if a is None or id(a) in self.known:
            return self.known.get(id(a))
        if id(a) in self.weights:
            return self.constant(a, self.weights[id(a)])
        return self.constant(np.asarray(op.same(a, b), dtype))

    def setting(self, op, name) -> Value:
        """The value of integers that are a setting of an op: an input of the graph, or the same in both
        calls."""
        if id(op.first(name)) in self.known:
            return self.known[id(op.first(name))]
        return self.constant(getattr(op, name).astype(np.int64))

    # The file

    def model(self, output: Value, name: str, axis: str, metadata: dict[str, str]):
        """The whole as an `onnx.ModelProto`; the output is called `name`, and its first axis `axis`."""
        from onnx import helper, numpy_helper

        def info(value, name, axis):
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            shape = [axis if isinstance(n, Share) else n for n in value.shape]
            return helper.make_tensor_value_info(name, kind, shape)

        def renamed(names):
            return [name if n == output.name else n for n in names]

        nodes = []
        for operator, inputs, made, settings in self.nodes:
            settings = {key: _plain(setting) for key, setting in settings.items()}
            nodes.append(helper.make_node(operator, renamed(inputs), renamed([made]), made, **settings))
        graph = helper.make_graph(
            nodes,
            "minigan",
            [info(value, value.name, "batch") for value in self.inputs],
            [info(output, name, axis)],
            [numpy_helper.from_array(np.asarray(a, order="C"), name) for name, a in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="minigan")
        helper.set_model_props(model, metadata)
        return model


def _plain(setting):
    """A dtype as ONNX's number for it; all else as it is."""
    from onnx import helper

    if not isinstance(setting, np.dtype):
        return setting
    try:
        return helper.np_dtype_to_tensor_dtype(setting)
    except ValueError:
        raise MiniganError(f"ONNX has no {setting}: it cannot be exported") from None
