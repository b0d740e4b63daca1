"""The recurrent convolution: its equations, its derivatives, and films as frames."""

import numpy as np

from minigan import Generator, Tensor
from minigan import functional as F
from minigan.gans.parts.recurrent import ConvGRU, in_frames
from minigan.testing import assert_close, check_module


def drawn(shape, seed=0):
    return Generator(seed).normal(shape, dtype=np.float64)


def test_a_state_follows_the_equations():
    """Ballas et al. 2016, equations 10 to 13, frame by frame, from a state of zeros."""
    n, x = 4, drawn((2, 5, 3, 6, 7))
    cell = ConvGRU(3, n, Generator(1)).to(np.float64)
    of_x, of_h, of_reset = (layer.weight for layer in (cell.of_x, cell.of_h, cell.of_reset))
    h, states = Tensor(np.zeros((2, n, 6, 7))), []
    for t in range(5):
        frame = Tensor(x[:, t])
        bias = F.split(cell.of_x.bias, n)

        def gate(i, h, weight, frame=frame, bias=bias):
            own = of_x[i * n : (i + 1) * n]
            return F.conv2d(frame, own, bias[i], padding=1) + F.conv2d(h, weight, padding=1)

        reset, keep = F.sigmoid(gate(0, h, of_h[:n])), F.sigmoid(gate(1, h, of_h[n:]))
        new = F.relu(gate(2, reset * h, of_reset))
        h = keep * h + (1 - keep) * new
        states.append(h)
    assert_close(cell(Tensor(x)), F.stack(states, axis=1))


def test_derivatives_to_the_second_order():
    check_module(ConvGRU(2, 3, Generator(0)), [drawn((2, 3, 2, 3, 4))])


def test_a_film_of_one_frame():
    check_module(ConvGRU(2, 2, Generator(0)), [drawn((1, 1, 2, 3, 3))])


def test_a_state_knows_what_came_before_and_not_what_comes():
    cell, x = ConvGRU(2, 3, Generator(0)).to(np.float64), drawn((1, 4, 2, 5, 5))
    before, changed = cell(Tensor(x)).numpy(), x.copy()
    changed[:, 2] += 1
    after = cell(Tensor(changed)).numpy()
    assert_close(after[:, :2], before[:, :2])
    assert (np.abs(after - before).max(axis=(0, 2, 3, 4))[2:] > 1e-3).all()


def test_a_map_of_images_is_of_every_frame():
    x = drawn((2, 3, 4, 6, 6))
    found = in_frames(lambda frames: F.avg_pool2d(frames, 2), Tensor(x)).numpy()
    for n, t in np.ndindex(2, 3):
        assert_close(found[n, t], F.avg_pool2d(Tensor(x[n, t][None]), 2).numpy()[0])
