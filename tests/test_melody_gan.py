"""The GAN of melodies: what each step of time is told, what lines can be asked for, and what cannot be."""

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor
from minigan.cli import main
from minigan.data import Field, Fields, load
from minigan.gans import model_named
from minigan.gans.time import melody_gan
from minigan.gans.time.melody_gan import Lines
from minigan.testing import assert_close, check_grads, check_model

MODEL = model_named("melody-gan")
TINY = {"latent": 4, "noise": 2, "hidden": 6, "width": 4, "blocks": 1, "batch_size": 4}
DATA = load("melodies", split="test", samples=20)


@pytest.fixture(scope="module")
def singer():
    cfg = melody_gan.Config(**TINY).fitted(DATA.fields)
    return cfg, MODEL.parts(cfg, DATA.fields, Generator(0))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"choice": "softmax"}, {"n_critic": 3}], ids=str)
def test_it_keeps_the_contract(settings):
    check_model("melody-gan", steps=6, **{**TINY, **settings})


def test_each_step_is_told_its_phrase_and_which_step_it_is():
    lines = Lines(3, 6, 8, Generator(0))
    told = lines(np.array([[1, 2, 0, 2, 1, 1]])).numpy()
    assert told.shape == (1, lines.features, 8) == (1, 16, 8)
    vectors = lines.marks.weight.numpy()
    for step in range(8):
        phrase = [1, 2, 0] if step < 4 else [2, 1, 1]
        np.testing.assert_array_equal(told[0, :12, step], vectors[phrase].reshape(-1))
        np.testing.assert_array_equal(told[0, 12:, step], np.eye(4)[step % 4])


def test_the_critic_hears_which_note_was_the_last(singer):
    words = DATA.words
    melody = [words.index(word) for word in ("c4", "-", ".", "d4", ".", ".", "e4", *"--......", "c5")]
    weights = np.eye(len(words), dtype=np.float32)[melody].T[None]
    last = singer[1]["D"].last_notes(Tensor(weights)).numpy()[0]
    assert not last[:, 0].any()
    assert (last[:, 1:].sum(axis=0) == 1).all()
    assert [words[i] for i in last[:, 1:].argmax(axis=0)] == ["c4"] * 3 + ["d4"] * 3 + ["e4"] * 9
    half = weights.copy()
    half[0, [melody[3], words.index("-")], 3] = 0.5  # a note that perhaps goes on
    expected = [0.5, 0.5]
    found = singer[1]["D"].last_notes(Tensor(half)).numpy()[0, [words.index("c4"), melody[3]], 4]
    assert found.tolist() == expected


def test_a_step_knows_what_was_before_it_and_not_what_is_after(singer):
    _, parts = singer
    rng = Generator(1)
    z, noise, lines = rng.normal((2, 4)), rng.normal((2, 16, 2)), DATA.text[:2].astype(np.int64)
    before = parts["G"](Tensor(z), Tensor(noise), lines).numpy()
    noise[:, 9] += 1
    after = parts["G"](Tensor(z), Tensor(noise), lines).numpy()
    changed = (before != after).any(axis=(0, 1))
    assert changed.tolist() == [False] * 9 + [True] * 7


def test_networks_have_derivatives_to_second_order():
    cfg = melody_gan.Config(**TINY)
    fields = Fields(
        {
            "melody": Field("melody", (4,), words=("-", ".", "c4")),
            "text": Field("text", (4,), words=("", "u", "|")),
        }
    )
    parts, rng = MODEL.parts(cfg, fields, Generator(0)), Generator(1)
    G, D = parts["G"].to(np.float64), parts["D"].to(np.float64)
    lines, z = rng.integers(0, 3, (2, 4)), rng.normal((2, 4), dtype=np.float64)
    noise = rng.normal((2, 4, 2), dtype=np.float64)
    check_grads(lambda e: D(G(Tensor(z), e, lines), lines), [noise])


def test_words_are_drawn_with_the_noise_that_is_given():
    """So that samples of a seed are the same, and a run's generator can be exported."""
    cfg = melody_gan.Config(**TINY).fitted(DATA.fields)
    parts = MODEL.parts(cfg, DATA.fields, Generator(0))
    given = MODEL.inputs(3000, Generator(0), cfg, parts, DATA)
    assert given["chances"].shape == (3000, 16, len(DATA.words))
    assert given["chances"].mean() == pytest.approx(np.euler_gamma, abs=0.01)
    given = {name: Tensor(array) for name, array in given.items()}
    drawn = parts["G"](given["z"], given["noise"], given["text"], given["chances"]).numpy()
    assert_close(drawn, np.rint(drawn), atol=1e-6)
    chances = parts["G"](given["z"], given["noise"], given["text"]).numpy()
    assert_close(drawn[:, :, 0].mean(axis=0), chances[:, :, 0].mean(axis=0), atol=0.03)


def test_lines_are_of_the_held_out_data_unless_one_is_asked_for(singer):
    cfg, parts = singer
    drawn = MODEL.inputs(20, Generator(0), cfg, parts, DATA)
    assert sorted(map(bytes, drawn["text"].astype(np.uint8))) == sorted(map(bytes, DATA.text))
    many = MODEL.inputs(50, Generator(0), cfg, parts, DATA)
    assert {*map(bytes, many["text"].astype(np.uint8))} <= {*map(bytes, DATA.text)}
    asked = MODEL.inputs(3, Generator(0), cfg, parts, DATA, syllables="/u/u|u/u/|")
    assert asked["text"].tolist() == [[2, 1, 2, 1, 3, 0, 1, 2, 1, 2, 3, 0]] * 3
    made = MODEL.make({k: Tensor(a) for k, a in asked.items()}, parts, cfg)["samples"]
    assert (made.shape, made.dtype) == ((3, 16), np.int64)


@pytest.mark.parametrize(
    ("text", "same"),
    [("/u|", "/u|/u|"), ("/u", "/u|/u|"), ("/u|uu", "/u|uu|"), (" /u | u/ ", "/u|u/|")],
)
def test_a_phrase_alone_is_sung_twice_and_spaces_mean_nothing(singer, text, same):
    read = singer[1]["G"].read
    assert read(text).tolist() == read(same).tolist()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/x/|", "syllables: 'x' is no mark of a line; there are: 'u', '/', '|'"),
        ("", "a phrase has 1 to 5 syllables, got 0 in '|'"),
        ("/u||", "a phrase has 1 to 5 syllables, got 0 in '|'"),
        ("/u/u/u", "a phrase has 1 to 5 syllables, got 6 in '/u/u/u|'"),
        ("/u|/u|/u|", "a line has up to 2 phrases, got 3"),
    ],
)
def test_a_line_that_cannot_be_sung(singer, text, sentence):
    with pytest.raises(MiniganError) as error:
        singer[1]["G"].read(text)
    assert sentence in str(error.value)


def test_the_help_says_how_a_line_is_written():
    assert "as in" in MODEL.asks["syllables"].help


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"noise": 0}, "noise must be at least 1, got 0"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"pack": 2}, "pack: D hears each melody beside its own line"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        melody_gan.Config(**settings)


def test_melodies_that_have_no_two_phrases_are_refused():
    odd = Fields(
        {
            "melody": Field("melody", (7,), words=("-", ".", "c4")),
            "text": Field("text", (4,), words=("", "u", "|")),
        }
    )
    with pytest.raises(
        MiniganError, match=r"2 phrases of equal length that end with .*, this data has 7 steps"
    ):
        melody_gan.Config().fitted(odd)


def test_data_of_another_kind_are_refused(capsys):
    assert main(["train", "melody-gan", "--data=sentences"]) == 2
    assert "melody-gan learns from" in capsys.readouterr().err
