"""Recurrent layers: cells, which take one step, and layers of them over whole sequences. Arguments, names and
initial weights are PyTorch's."""

import math

import numpy as np

from minigan import backend
from minigan import functional as F
from minigan.arguments import COUNT, FLAG, SIZE, checked
from minigan.autograd import Tensor
from minigan.checks import shown
from minigan.random import Generator

from . import init
from .module import Module, Parameter

SIZES = {"input_size": SIZE, "hidden_size": COUNT}
LAYERS = {**SIZES, "num_layers": COUNT, "bias": FLAG, "batch_first": FLAG, "bidirectional": FLAG}


def gru_step(x, h, weights):
    """Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, equations 5 to 8; with
    the reset gate behind the product, as cuDNN and PyTorch have it."""
    from_x, from_h = _sums(x, h, weights)
    H = h.shape[1]
    reset = F.sigmoid(from_x[:, :H] + from_h[:, :H])
    keep = F.sigmoid(from_x[:, H : 2 * H] + from_h[:, H : 2 * H])
    new = F.tanh(from_x[:, 2 * H :] + reset * from_h[:, 2 * H :])
    return new + keep * (h - new)


def lstm_step(x, state, weights):
    """Hochreiter, Schmidhuber, "Long short-term memory", 1997, with Gers's forget gate, 2000."""
    h, c = state
    from_x, from_h = _sums(x, h, weights)
    H, sums = h.shape[1], from_x + from_h
    enter, forget = F.sigmoid(sums[:, :H]), F.sigmoid(sums[:, H : 2 * H])
    new, leave = F.tanh(sums[:, 2 * H : 3 * H]), F.sigmoid(sums[:, 3 * H :])
    c = forget * c + enter * new
    return leave * F.tanh(c), c


def _sums(x, h, weights):
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    return F.linear(x, weight_ih, bias_ih), F.linear(h, weight_hh, bias_hh)


class _Gated(Module):
    """What cells and layers share: their weights, and the state that they begin with."""

    gates, arrays_of_state = 3, 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size

    def _make_weights(self, inputs, bias, generator, suffix=""):
        rows, bound = self.gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
        shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, self.hidden_size)}
        for name, shape in {**shapes, "bias_ih": (rows,), "bias_hh": (rows,)}.items():
            p = Parameter(np.empty(shape, np.float32)) if bias or name in shapes else None
            setattr(self, name + suffix, p)
            if p is not None:
                init.uniform_(p, -bound, bound, generator)

    def _weights(self, suffix=""):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self, name + suffix) for name in names]

    def _state(self, state, like, shape):
        """The arrays of a state (..., N, H) as a list: those given, or zeros (..., 1, H) for all samples."""
        who, n = type(self).__name__, self.arrays_of_state
        if state is None:
            with backend.beside(like.data):
                zeros = backend.device_of(like.data).xp.zeros((*shape[:-2], 1, shape[-1]), like.dtype)
            return [Tensor(zeros)] * n
        state = [state] if n == 1 else state
        if (
            not isinstance(state, (tuple, list))
            or len(state) != n
            or any(not isinstance(s, Tensor) or s.shape != shape for s in state)
        ):
            kind = "a Tensor" if n == 1 else "two Tensors, h and c,"
            given = ", ".join(map(shown, state)) if isinstance(state, (tuple, list)) else shown(state)
            raise ValueError(f"{who}: the state must be {kind} of shape {shape}, got {given}")
        return list(state)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class _Cell(_Gated):
    @checked(**SIZES, bias=FLAG)
    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, generator: Generator | None = None
    ) -> None:
        super().__init__(input_size, hidden_size)
        self._make_weights(input_size, bias, generator)


class GRUCell(_Cell):
    """One step of a gated recurrent unit: x (N, input_size), h (N, hidden_size) or None for zeros -> h.

    weight_ih (3 · hidden_size, input_size), weight_hh (3 · hidden_size, hidden_size) and the biases hold the
    reset gate, the update gate and the new state one below the other. ValueError for shapes that do not fit.
    """

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        _check_input(self, x, 2, f"(N, {self.input_size})")
        (h,) = self._state(h, x, (x.shape[0], self.hidden_size))
        return gru_step(x, h, self._weights())


class LSTMCell(_Cell):
    """One step of a long short-term memory: x (N, input_size), (h, c) of (N, hidden_size) or None for zeros
    -> (h, c).

    weight_ih (4 · hidden_size, input_size), weight_hh (4 · hidden_size, hidden_size) and the biases hold the
    input gate, the forget gate, the new cell and the output gate one below the other. ValueError for shapes
    that do not fit.
    """

    gates, arrays_of_state = 4, 2

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        _check_input(self, x, 2, f"(N, {self.input_size})")
        return lstm_step(x, self._state(state, x, (x.shape[0], self.hidden_size)), self._weights())


class _Layers(_Gated):
    """Cells over sequences, one above the other."""

    @checked(**LAYERS)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        bidirectional: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.num_layers, self.batch_first, self.directions = num_layers, batch_first, 1 + bool(bidirectional)
        for layer in range(num_layers):
            inputs = self.directions * hidden_size if layer else input_size
            for suffix in self._suffixes(layer):
                self._make_weights(inputs, bias, generator, suffix)

    def _suffixes(self, layer):
        return [f"_l{layer}", f"_l{layer}_reverse"][: self.directions]

    def _run(self, x, state):
        """The outputs over time, (T, N, ...) or (N, T, ...), and the last states of all layers and ways."""
        shape = f"(N, T, {self.input_size})" if self.batch_first else f"(T, N, {self.input_size})"
        _check_input(self, x, 3, shape)
        T, N = x.shape[:2][:: -1 if self.batch_first else 1]
        if T < 1:
            raise ValueError(
                f"{type(self).__name__}: a sequence has at least one step, x has shape {x.shape}"
            )
        rows = self.num_layers * self.directions
        state = self._state(state, x, (rows, N, self.hidden_size))
        steps, ends = [x[:, t] if self.batch_first else x[t] for t in range(T)], []
        for layer in range(self.num_layers):
            ways = []
            for way, suffix in enumerate(self._suffixes(layer)):
                here, weights, outputs = [s[len(ends)] for s in state], self._weights(suffix), []
                for x_t in reversed(steps) if way else steps:
                    here = self._step(x_t, here, weights)
                    outputs.append(here[0])
                ways.append(outputs[::-1] if way else outputs)
                ends.append(here)
            steps = [F.concat(list(both), axis=1) for both in zip(*ways, strict=True)] if way else ways[0]
        last = [F.stack(list(part)) for part in zip(*ends, strict=True)]
        return F.stack(steps, axis=1 if self.batch_first else 0), last

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_layers={self.num_layers}"


class GRU(_Layers):
    """`GRUCell`s over a sequence: x (T, N, input_size) -> (outputs (T, N, D · hidden_size), h).

    batch_first: x and the outputs are (N, T, ...).
    bidirectional: a second cell in each layer runs from the end to the beginning; D is then 2, else 1.
    The state h, which may be given as the second input, is (num_layers · D, N, hidden_size) in any case.
    Weights are called weight_ih_l0, weight_hh_l0_reverse and the like. ValueError for shapes that do not fit.
    """

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        outputs, (h,) = self._run(x, h)
        return outputs, h

    def _step(self, x, state, weights):
        return [gru_step(x, state[0], weights)]


class LSTM(_Layers):
    """`LSTMCell`s over a sequence: x (T, N, input_size) -> (outputs (T, N, D · hidden_size), (h, c)).

    batch_first: x and the outputs are (N, T, ...).
    bidirectional: a second cell in each layer runs from the end to the beginning; D is then 2, else 1.
    The state (h, c), which may be given as the second input, is two of (num_layers · D, N, hidden_size) in
    any case. Weights are called weight_ih_l0, weight_hh_l0_reverse and the like. ValueError for shapes that
    do not fit.
    """

    gates, arrays_of_state = 4, 2

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs, state = self._run(x, state)
        return outputs, tuple(state)

    def _step(self, x, state, weights):
        return lstm_step(x, state, weights)


def _check_input(layer, x, axes, expected):
    if x.ndim != axes or x.shape[-1] != layer.input_size:
        raise ValueError(f"{type(layer).__name__}: x has shape {x.shape}, expected {expected}")
