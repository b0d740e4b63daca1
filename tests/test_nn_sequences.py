"""Recurrent layers, attention and places: derivatives, laws, what they refuse."""

import math

import numpy as np
import pytest

from minigan import Generator, Tensor, nn
from minigan.testing import assert_close, check_module


class First(nn.Module):
    """All that a layer returns, as one row a sample."""

    def __init__(self, layer, **settings):
        super().__init__()
        self.layer, self.settings = layer, settings

    def forward(self, *x):
        return sum((y * y).sum() + y.sum() for y in flat(self.layer(*x, **self.settings)) if y is not None)


def flat(values):
    return [t for v in values for t in flat(v)] if isinstance(values, (tuple, list)) else [values]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


MASK = np.array([[False, True, False], [False, False, True]])
CASES = {
    "GRUCell": (nn.GRUCell(3, 2), [(4, 3), (4, 2)], {}),
    "LSTMCell": (nn.LSTMCell(3, 2, bias=False), [(4, 3)], {}),
    "GRU": (nn.GRU(2, 2, 2, bidirectional=True), [(3, 2, 2)], {}),
    "GRU with a state": (nn.GRU(2, 2), [(3, 2, 2), (1, 2, 2)], {}),
    "LSTM": (nn.LSTM(2, 2, 2, batch_first=True), [(2, 3, 2)], {}),
    "attention": (nn.MultiheadAttention(4, 2), [(2, 2, 4), (3, 2, 4), (3, 2, 4)], {}),
    "masked attention": (
        nn.MultiheadAttention(4, 2, batch_first=True),
        [(2, 2, 4), (2, 3, 4), (2, 3, 4)],
        {"key_padding_mask": MASK, "attn_mask": numbers(2, 3), "average_attn_weights": False},
    ),
    "places": (nn.PositionalEncoding(3), [(2, 4, 3)], {}),
    "PReLU": (nn.PReLU(3), [(4, 3, 2)], {}),
    "SiLU": (nn.SiLU(), [(4, 3)], {}),
}


@pytest.mark.parametrize(("layer", "shapes", "settings"), CASES.values(), ids=CASES)
def test_derivatives(layer, shapes, settings):
    check_module(First(layer, **settings), [numbers(*shape, seed=i) for i, shape in enumerate(shapes)])


@pytest.mark.parametrize(("kind", "cell"), [(nn.GRU, nn.GRUCell), (nn.LSTM, nn.LSTMCell)])
def test_a_layer_is_its_cell_step_by_step_and_may_be_cut_in_time(kind, cell):
    layer, one = kind(3, 2), cell(3, 2)
    one.load_state_dict({name.removesuffix("_l0"): a for name, a in layer.state_dict().items()})
    x = Tensor(numbers(5, 4, 3).astype(np.float32))
    outputs, end = layer(x)
    state = None
    for t in range(5):
        state = one(x[t], state)
        np.testing.assert_array_equal(flat([state])[0].numpy(), outputs[t].numpy())
    head, middle = layer(x[:2])
    tail, last = layer(x[2:], middle)
    assert_close(np.concatenate([head.numpy(), tail.numpy()]), outputs.numpy())
    for a, b in zip(flat([last]), flat([end]), strict=True):
        assert_close(a, b.numpy())


@pytest.mark.parametrize(
    ("layer", "state", "message"),
    [
        (
            nn.GRUCell(3, 2),
            np.zeros((4, 2)),
            r"GRUCell: the state must be a Tensor of shape \(4, 2\), got a nd",
        ),
        (nn.GRUCell(3, 2), Tensor(np.zeros((3, 2))), r"shape \(4, 2\), got a Tensor of shape \(3, 2\)"),
        (
            nn.LSTMCell(3, 2),
            Tensor(np.zeros((4, 2))),
            r"LSTMCell: the state must be two Tensors, h and c, of sh",
        ),
        (
            nn.LSTMCell(3, 2),
            [Tensor(np.zeros((4, 2)))],
            r"must be two Tensors, h and c, of shape \(4, 2\), got",
        ),
        (nn.LSTMCell(3, 2), [None, None], "two Tensors, h and c, .* got None, None"),
    ],
)
def test_states_that_do_not_fit_are_refused(layer, state, message):
    with pytest.raises(ValueError, match=message):
        layer(Tensor(numbers(4, 3)), state)


def attend(layer=None, N=2, L=3, S=4, E=4, **settings):
    layer = layer or nn.MultiheadAttention(4, 2, batch_first=True)
    key = Tensor(numbers(N, S, E, seed=1).astype(np.float32))
    return layer(Tensor(numbers(N, L, E).astype(np.float32)), key, key, **settings)


def test_weights_of_attention_are_those_of_what_is_seen():
    mask = np.array([[True, False, False, True], [False, False, False, True]])
    _, w = attend(key_padding_mask=mask, average_attn_weights=False)
    assert w.shape == (2, 2, 3, 4)
    assert_close(w.numpy().sum(axis=-1), np.ones((2, 2, 3)), rtol=1e-6)
    assert (w.numpy()[:, :, :, 3] == 0).all()
    assert (w.numpy()[0, :, :, 0] == 0).all()
    assert attend(need_weights=False)[1] is None


def test_attention_does_not_know_the_order_of_the_keys():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    q, k = (Tensor(numbers(2, 5, 4, seed=i)) for i in range(2))
    layer.to(np.float64)
    assert_close(layer(q, k[:, ::-1], k[:, ::-1])[0], layer(q, k, k)[0].numpy(), rtol=1e-12)


def test_attention_drops_weights_in_training_by_its_generator():
    layer = nn.MultiheadAttention(4, 2, 0.5, batch_first=True, generator=Generator(1))
    assert dict(layer.named_generators()) == {"generator": layer.generator}
    _, w = attend(layer, average_attn_weights=False)
    assert 0 < (w.numpy() == 0).mean() < 1
    assert not (attend(layer.eval(), average_attn_weights=False)[1].numpy() == 0).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MultiheadAttention(4, 3), ValueError, "num_heads=3 must divide embed_dim=4"),
        (lambda: attend(E=5), ValueError, r"query must be \(N, L, 4\), got a Tensor of shape \(2, 3, 5\)"),
        (
            lambda: nn.MultiheadAttention(4, 2)(None, None, None),
            ValueError,
            r"query must be \(L, N, 4\), got N",
        ),
        (
            lambda: attend(nn.MultiheadAttention(4, 2)),
            ValueError,
            "need one number of sequences, .* got shapes",
        ),
        (
            lambda: attend(attn_mask=np.ones((4, 3), bool)),
            ValueError,
            r"attn_mask has .*expected \(3, 4\) or \(4",
        ),
        (
            lambda: attend(key_padding_mask=np.ones(4, bool)),
            ValueError,
            r"key_padding_mask .*expected \(2, 4\)",
        ),
        (
            lambda: attend(attn_mask=np.ones((3, 4), int)),
            TypeError,
            "attn_mask must be of bools or floats, got in",
        ),
    ],
)
def test_what_attention_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_places_are_sines_and_cosines_of_falling_rates():
    table = nn.PositionalEncoding(5)(Tensor(np.zeros((1, 9, 5), np.float32))).numpy()[0]
    for place in range(9):
        for i in range(5):
            wave = math.cos if i % 2 else math.sin
            assert table[place, i] == pytest.approx(wave(place / 10000 ** ((i - i % 2) / 5)), abs=1e-6)
