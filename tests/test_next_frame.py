"""next-frame: what comes next, by the squared error, by the game, by both; frames ahead by feeding back."""

import numpy as np
import pytest

from minigan import Generator, Tensor, nn
from minigan.data import Field, Fields, load
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.model import networks
from minigan.gans.time import next_frame
from minigan.optim import SGD
from minigan.optim.lr_scheduler import LambdaLR
from minigan.testing import assert_close, check_model
from minigan.training import Options, Session
from minigan.training.evaluation import _own_numbers

MODEL = model_named("next-frame")
TINY = {"width": 4, "batch_size": 4, "latent": 2}


def fields(T=6, channels=1, size=16):
    return Fields({"clip": Field("clip", (T, channels, size, size))})


def test_windows_are_all_frames_that_have_enough_before_them():
    films = Tensor(np.arange(2 * 5 * 2, dtype=np.float32).reshape(2, 5, 2, 1, 1))
    past, following = next_frame.windows(films, 3)
    assert past.shape == (4, 6, 1, 1)
    assert past.numpy()[:, :, 0, 0].tolist() == [
        [0, 1, 2, 3, 4, 5],
        [10, 11, 12, 13, 14, 15],
        [2, 3, 4, 5, 6, 7],
        [12, 13, 14, 15, 16, 17],
    ]
    assert following.numpy()[:, :, 0, 0].tolist() == [[6, 7], [16, 17], [8, 9], [18, 19]]


def test_frames_ahead_are_made_of_what_was_made():
    def G(past, z):
        return past[:, -1:] + past[:, :1] + z[:, 0].reshape(-1, 1, 1, 1)

    past = Tensor(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1, 1))
    noise = Tensor(np.array([[[10.0]], [[0.0]]]).reshape(1, 2, 1))
    film = next_frame.make(past, noise, G).numpy().ravel()
    assert film.tolist() == [1, 2, 3, 3 + 1 + 10, 14 + 2]


def test_samples_are_films_that_begin_as_held_out_ones():
    session = Session("next-frame", Options(), next_frame.Config(**TINY))
    made = session.sampler(5, seed=3)
    assert made.shape == (5, 6, 1, 16, 16)
    held = {bytes(film[:4].copy()) for film in load("two-futures", split="test").batch(np.arange(2000))}
    assert all(bytes(np.ascontiguousarray(film[:4])) in held for film in made)
    longer = session.sampler(2, seed=3, ahead=5)
    assert longer.shape == (2, 9, 1, 16, 16)
    with pytest.raises(MiniganError, match="ahead is how many frames to foretell, 1 at least, got 0"):
        session.sampler(2, ahead=0)


class Coin(nn.Module):
    """Stands for G: the frame that follows is ±1, by the sign of z, or always +1; and for a D."""

    def __init__(self, tossed):
        super().__init__()
        self.tossed, self.nothing = tossed, nn.Parameter(np.zeros(1))

    def forward(self, x, z=None):
        if z is None:
            return 0 * x.mean(axis=(1, 2, 3)) + self.nothing
        sign = np.sign(z.numpy()[:, :1]) if self.tossed else np.ones((len(z), 1))
        return Tensor(sign.reshape(-1, 1, 1, 1)) + self.nothing


@pytest.mark.parametrize("draws", [1, 2, 8])
def test_the_mean_over_draws_asks_for_both_futures(draws):
    """Of a future of ±1 by chance the squared error of one draw is 2, with a coin and without; that of the
    mean over n draws is 1 + 1/n with one, and 2 without: a G that always decides alike has more to lose."""
    rng, cfg = Generator(0), next_frame.Config(past=1, draws=draws)
    truth = np.sign(rng.normal((4000, 1, 1, 1, 1), dtype=np.float64))
    data = [np.concatenate([0 * truth, truth], axis=1)]
    for tossed, expected in ((True, 1 + 1 / draws), (False, 2.0)):
        G, D = Coin(tossed), Coin(tossed)
        opt_g, opt_d = SGD(G.parameters(), 0.0), SGD(D.parameters(), 0.0)
        schedule = LambdaLR(opt_g, lambda n: 1.0)
        (seen,) = next_frame.train(data, rng, cfg, G, opt_g, schedule, D, opt_d)
        assert seen["squares"].item() == pytest.approx(expected, rel=0.08)


def test_squares_alone_have_no_judge_and_one_draw():
    cfg = next_frame.Config(game="none", **TINY).fitted(fields())
    parts = MODEL.parts(cfg, fields(), Generator(0))
    assert {*networks(parts)} == {"G"}
    drawn = []

    class Counting(Generator):
        def normal(self, shape, *others, **how):
            drawn.append(shape)
            return super().normal(shape, *others, **how)

    films = Generator(1).uniform((4, 6, 1, 16, 16), -1, 1)
    (seen,) = MODEL.train(parts, [films], Counting(0), cfg)
    assert seen.keys() == {"squares", "g_loss"}
    assert drawn == [(8, 2)]
    assert_close(seen["g_loss"].item(), cfg.weight * seen["squares"].item(), rtol=1e-6)


def test_its_numbers_are_of_each_frame_ahead():
    session = Session("next-frame", Options(), next_frame.Config(**TINY))
    found = _own_numbers(session.sampler, 0)
    names = [f"{what}, {n} ahead" for n in (1, 2) for what in ("PSNR", "gradient")]
    assert [*found] == names
    assert all(np.isfinite(row["value"]) and row["n"] == 1000 for row in found.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (None, {}),
        (None, {"game": "none"}),
        (None, {"weight": 0.0, "draws": 1}),
        ("moving-digits:digits=2", {"past": 3}),
    ],
    ids=str,
)
def test_next_frame_keeps_the_contract(data, settings):
    check_model("next-frame", data, steps=6, **TINY | settings)


@pytest.mark.slow
def test_the_squared_error_alone_learns_to_foretell_what_is_certain():
    """A digit's flight, which the last frames tell, but where it bounces."""
    session = Session("next-frame", Options(data="moving-digits"), next_frame.Config(game="none", width=8))
    before = _own_numbers(session.sampler, 0)["PSNR, 1 ahead"]["value"]
    for _ in range(60):
        session.next_step()
    assert _own_numbers(session.sampler, 0)["PSNR, 1 ahead"]["value"] > before + 3


# Bad input


def test_films_that_are_too_short_or_of_strange_sizes():
    with pytest.raises(MiniganError, match="to see 4 frames before the next one, and these films have 4"):
        MODEL.Config().fitted(fields(T=4))
    with pytest.raises(MiniganError, match="size must be a multiple of 4, got 18"):
        MODEL.Config(size=18).fitted(fields())
    assert MODEL.Config().fitted(fields(size=18)).size == 20


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"game": "none", "weight": 0.0}, "G has nothing to learn by"),
        ({"game": "bce"}, "game cannot be 'bce'"),
        ({"past": 0}, "past must be at least 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"weight": -1.0}, "weight"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        MODEL.Config(**settings)
