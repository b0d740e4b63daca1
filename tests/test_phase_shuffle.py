"""Phase shuffle: sequences moved by a few steps, mirrored at their ends."""

import numpy as np
import pytest

from minigan import Generator, Tensor, grad
from minigan.gans.parts.phase_shuffle import PhaseShuffle, cut
from minigan.testing import check_grads


def sequences(n=5, channels=3, length=8):
    return np.random.default_rng(0).normal(size=(n, channels, length))


def test_a_cut_is_a_part_of_each_sample():
    x, starts = sequences(), np.array([0, 2, 3, 1, 3])
    expected = np.stack([row[:, a : a + 5] for row, a in zip(x, starts, strict=True)])
    np.testing.assert_array_equal(cut(Tensor(x), starts, 5).numpy(), expected)


@pytest.mark.parametrize("starts", [[0, 0, 0], [3, 1, 2], [3, 3, 3]])
def test_its_gradients_are_right_to_second_order(starts):
    check_grads(lambda x: cut(x, np.array(starts), 5) ** 3, [sequences(3, 2)])


def test_its_gradient_puts_the_parts_back_where_they_were():
    starts, g = np.array([0, 3, 1]), sequences(3, 2, 5)
    x = Tensor(sequences(3, 2), requires_grad=True)
    (found,) = grad(cut(x, starts, 5), [x], Tensor(g))
    expected = np.zeros(x.shape)
    for row, a, part in zip(expected, starts, g, strict=True):
        row[:, a : a + 5] = part
    np.testing.assert_array_equal(found.numpy(), expected)


def shifts_of(x, y, n):
    """By how many steps each sample of x was moved to make y; None for one that was not only moved."""
    mirrored = np.pad(x, [(0, 0), (0, 0), (n, n)], "reflect")
    L = x.shape[2]
    return [
        next((k - n for k in range(2 * n + 1) if (row[:, k : k + L] == moved).all()), None)
        for row, moved in zip(mirrored, y, strict=True)
    ]


@pytest.mark.parametrize("n", [1, 2])
def test_each_sample_is_moved_by_its_own_number_of_steps_all_equally_likely(n):
    x = sequences(2000, 2, 6)
    moved = shifts_of(x, PhaseShuffle(n, Generator(0))(Tensor(x)).numpy(), n)
    shares = np.bincount(np.array(moved) + n) / 2000
    assert len(shares) == 2 * n + 1
    np.testing.assert_allclose(shares, 1 / (2 * n + 1), atol=0.04)


def test_calls_differ_and_a_seed_decides():
    x, first, second = Tensor(sequences(50)), *(PhaseShuffle(2, Generator(3)) for _ in range(2))
    a, b = first(x).numpy(), first(x).numpy()
    assert (a != b).any()
    np.testing.assert_array_equal(second(x).numpy(), a)


def test_its_gradients_are_right_to_second_order_too():
    check_grads(lambda x: PhaseShuffle(2, Generator(1))(x) ** 3, [sequences(6, 2, 5)])


def test_nothing_moves_in_evaluation_or_by_0():
    x = Tensor(sequences())
    assert PhaseShuffle(2, Generator(0)).eval()(x) is x
    assert PhaseShuffle(0)(x) is x


def test_channels_last_memory_gives_the_same():
    x = sequences(4, 3, 7).transpose(0, 2, 1).copy().transpose(0, 2, 1)
    found = [PhaseShuffle(1, Generator(2))(Tensor(a)).numpy() for a in (x, np.ascontiguousarray(x))]
    np.testing.assert_array_equal(*found)
