"""Pictures: what D's surface shows of D, and films."""

import numpy as np
import pytest
from PIL import Image

from minigan import nn, report
from minigan.report import plots
from minigan.report.surface import probability

REAL = np.array([[-1, -1], [1, 1]], np.float32)
NONE = np.zeros((0, 2), np.float32)


def slope(x, y):
    """D = σ(x·horizontal + y·vertical)."""
    D = nn.Linear(2, 1)
    D.weight.data[:], D.bias.data[:] = (x, y), 0
    return D


def test_the_surface_is_that_of_d():
    D, ticks = slope(2.0, 0.5), np.linspace(-1, 1, 5, dtype=np.float32)
    expected = [[1 / (1 + np.exp(-(2 * x + y / 2))) for x in ticks] for y in ticks]
    np.testing.assert_allclose(probability(D, ticks), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("D", "left", "right"),
    [(slope(1e3, 0), "red", "blue"), (slope(-1e3, 0), "blue", "red"), (slope(0, 0), "white", "white")],
    ids=["rising", "falling", "flat"],
)
def test_red_is_fake_white_is_even_and_blue_is_real(D, left, right):
    pixels = np.asarray(report.surface(D, NONE, REAL)).astype(int)

    def colour(row, column):
        r, _, b = pixels[row, column]
        return "red" if r > b + 50 else "blue" if b > r + 50 else "white"

    height = len(pixels)
    assert (colour(height // 2, height // 4), colour(height // 2, 3 * height // 4)) == (left, right)


def test_points_are_drawn_where_they_are():
    blank, drawn = (
        np.asarray(report.surface(slope(0, 0), points, REAL)).astype(int)
        for points in (NONE, np.array([[0.0, 0.7]], np.float32))
    )
    rows, _ = np.nonzero(np.abs(drawn - blank).sum(2) > 100)
    assert 0 < len(rows) < 200
    assert 0.2 < rows.mean() / len(blank) < 0.35  # y grows upwards


def test_d_is_asked_in_evaluation_and_left_in_training():
    D = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    report.surface(D, NONE, REAL)
    assert D.training
    assert (D[0].running_mean.numpy() == 0).all()


def test_a_film_is_made_of_pictures_or_of_their_files(tmp_path):
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "white", "blue")]
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for picture, file in zip(pictures, files, strict=True):
        picture.save(file)
    report.save_gif(tmp_path / "a.gif", pictures)
    report.save_gif(tmp_path / "b.gif", files)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 3


def test_no_panel_takes_the_numbers_of_a_critic_for_probabilities(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "to_image", lambda fig: drawn.append(fig) or Image.new("L", (1, 1)))
    report.save_losses(tmp_path / "losses.png", [{"step": 1, "d_loss": 1.0, "d_real": -5.0, "clipped": 0.3}])
    above, below = drawn[0].axes
    assert (above.get_ylabel(), below.get_ylabel()) == ("loss", "what else a step says")
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["d_real", "clipped"]
