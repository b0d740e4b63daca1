"""What is heard in sounds: the notes of chimes, and what a classifier sees in spectrograms."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.data import Dataset, load
from minigan.data.chimes import PITCHES, struck, tuned
from minigan.errors import MiniganError
from minigan.metrics import EvaluationData, Settings, classifier_for, evaluate, metrics_for, train_classifier
from minigan.metrics.cache import place_of
from minigan.metrics.chimes import chimes, heard
from minigan.metrics.classifier import description
from minigan.metrics.spectrograms import spectrograms
from minigan.random import Generator

QUICK = Settings(steps=60, width=8)


def as_floats(stored):
    return stored.astype(np.float32) / 32768


# The notes of chimes


def test_the_pitch_of_a_chime_is_heard_to_a_fifth_of_a_cent():
    """The error of the judge by itself, of which 30 cents are far off."""
    rng = Generator(7)
    labels = rng.integers(0, 8, 500)
    pitches = tuned(labels, rng)
    found = heard(as_floats(struck(pitches, rng)))
    off = found.cents + 1200 * np.log2(PITCHES[found.note] / pitches)
    assert np.abs(off).max() < 0.2
    np.testing.assert_array_equal(found.note, labels)
    assert found.tonal.min() > 0.7


def test_held_out_chimes_are_all_in_tune():
    test = load("chimes", split="test")
    x = test.batch(np.arange(1000))
    assert chimes(x) == {"in-tune": 1.0, "notes": 8}
    np.testing.assert_array_equal(heard(x).note, test.labels)


@pytest.mark.parametrize(("cents", "share"), [(25, 1.0), (35, 0.0), (-25, 1.0), (-35, 0.0), (50, 0.0)])
def test_30_cents_are_the_limit(cents, share):
    pitches = np.repeat(PITCHES * 2 ** (cents / 1200), 5)
    assert chimes(as_floats(struck(pitches, Generator(0))))["in-tune"] == share


def test_a_note_is_there_from_a_tenth_of_its_share_on():
    labels = np.array([0] * 495 + [1] * 5 + [2] * 13 + [3] * 487)
    assert chimes(as_floats(struck(PITCHES[labels], Generator(0))))["notes"] == 3  # 12.5 of 1,000 are a share


@pytest.mark.parametrize("what", ["noise", "silence", "click", "high"])
def test_what_has_no_pitch_is_no_note(what):
    x = np.zeros((50, 1, 1024), np.float32)
    if what == "noise":
        x = np.random.default_rng(0).normal(0, 0.2, x.shape).astype(np.float32)
    elif what == "click":
        x[:, :, 500] = 1
    elif what == "high":
        x[:] = 0.5 * np.sin(np.arange(1024) * 2.5)
    assert chimes(x) == {"in-tune": 0.0, "notes": 0}


def test_a_chime_in_some_noise_is_still_that():
    labels = np.arange(80) % 8
    x = as_floats(struck(PITCHES[labels], Generator(0)))
    x += np.random.default_rng(0).normal(0, 0.1 * x.std(), x.shape).astype(np.float32)
    assert chimes(x) == {"in-tune": 1.0, "notes": 8}


def test_noise_between_the_partials_does_not_make_a_chime_its_octave_below():
    t = np.arange(1024) / 4000
    chime, between = (
        sum(loud * np.sin(2 * np.pi * PITCHES[6] * k * t) for k, loud in of)
        for of in (((1, 0.5), (2, 0.12)), ((0.5, 0.02), (1.5, 0.02)))
    )
    found = heard((np.exp(-t / 0.15) * (chime + between)).astype(np.float32)[None, None])
    assert (found.note[0], bool(found.in_tune[0])) == (6, True)


def test_a_pitch_is_not_taken_for_its_octave():
    for octave in (0.5, 2.0):  # no note: 130 Hz, or beyond what is looked for
        found = heard(as_floats(struck(PITCHES[:1] * octave, Generator(0))))
        assert not found.in_tune.any() or octave == 2.0
    assert heard(as_floats(struck(PITCHES[[0]] * 2, Generator(0)))).note == 7  # c5


# Spectrograms


def tones(hertz, rate=4000, length=1024):
    return np.sin(2 * np.pi * np.array(hertz)[:, None, None] * np.arange(length) / rate).astype(np.float32)


@pytest.mark.parametrize("length", [50, 128, 1000, 1024, 4096, 16384])
def test_a_spectrogram_has_one_size_and_range(length):
    x = np.random.default_rng(0).normal(size=(3, 1, length)).astype(np.float32)
    found = spectrograms(x)
    assert (found.shape, found.dtype) == ((3, 1, 64, 16), np.float32)
    assert -1 - 1e-5 <= found.min() < found.max() <= 1 + 1e-5


@pytest.mark.parametrize("length", [1024, 4096])
def test_a_tone_is_a_row_at_its_pitch(length):
    found = spectrograms(tones([260, 1010, 1900], length=length))[:, 0]
    rows = found.mean(axis=2).argmax(axis=1)
    np.testing.assert_allclose(rows * 2000 / 64, [260, 1010, 1900], atol=2000 / 64)
    assert found.mean(axis=(1, 2)).max() < -0.5


def test_what_is_later_is_further_right():
    x = tones([500])
    x[:, :, :512] = 0
    found = spectrograms(x)[0, 0]
    assert found[:, :6].max() < -0.9
    assert found[16, 10:].min() > 0.9


def test_loudness_is_left_out_and_silence_is_black():
    x = tones([500, 700])
    np.testing.assert_allclose(spectrograms(x / 8), spectrograms(x), atol=1e-4)
    assert (spectrograms(np.zeros((2, 1, 1024), np.float32)) == -1).all()
    assert spectrograms(x[:0]).shape == (0, 1, 64, 16)


# The classifier


@pytest.fixture(scope="module")
def vowels():
    return load("vowels").part(slice(1000)), load("vowels", split="test").part(slice(300))


@pytest.fixture(scope="module")
def classifier(vowels):
    return train_classifier(*vowels, QUICK)


def test_it_learns_vowels(classifier, vowels):
    x = vowels[1].batch(np.arange(300))
    assert classifier.accuracy > 0.9
    assert (classifier.labels(x) == vowels[1].labels).mean() == classifier.accuracy
    assert (classifier.shape, classifier.classes, classifier.lowest) == ((1, 1024), 5, -1)
    assert classifier.features(x).shape == (300, 64)
    with pytest.raises(MiniganError, match=r"the sounds should be floats of shape \(N, 1, 1024\)"):
        classifier.labels(x[:, :, :1000])
    with pytest.raises(MiniganError, match=r"the sounds should lie in \[-1, 1\], they go from"):
        classifier.labels(10 * x)


def test_it_is_kept(vowels, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE_DIR", str(tmp_path))
    said = []
    small = replace(QUICK, steps=2)
    first = classifier_for(*vowels, small, say=said.append)
    assert said[0] == "training a classifier of vowels, 1,000 sounds of 1x1024; it is then kept"
    assert said[-1].endswith("of 300 test sounds")
    assert classifier_for(*vowels, small, say=said.append).hash == first.hash
    assert len(said) == 4 - 1 or "anew" not in said[-1]


def test_those_of_images_are_found_where_they_were():
    assert "spectrograms" not in description(Settings())
    assert description(Settings(), "sound") == description(Settings()) | {"spectrograms": 1}
    images = load("digits")
    assert place_of(images, images)[1]["settings"] == description(Settings())


def test_other_kinds_are_refused():
    texts = Dataset("lines", np.zeros((9, 4), np.uint8), np.arange(9) % 2, kind="text", words=("", "a"))
    with pytest.raises(MiniganError, match="a classifier looks at images and sounds, lines has texts"):
        train_classifier(texts, texts, QUICK)


# In an evaluation


def test_which_metrics_there_are_of_sounds(vowels):
    struck_ones = EvaluationData.load("chimes")
    assert "chimes" in metrics_for(struck_ones)
    said = EvaluationData.load("vowels", conditional=True)
    assert {"fcd", "classifier-score", "label-accuracy"} <= {*metrics_for(said)}
    with pytest.raises(MiniganError, match="chimes is heard in chimes, not vowels"):
        evaluate(None, said, ["chimes"])
    with pytest.raises(MiniganError, match="sharpness is of images, and vowels has sounds"):
        evaluate(None, said, ["sharpness"])


def test_real_sounds_are_measured_as_the_floor_of_made_ones(vowels, classifier):
    data = EvaluationData(*vowels, conditional=True, given_classifier=classifier)

    def noise(n, seed):
        rng = np.random.default_rng(seed)
        return rng.uniform(-0.5, 0.5, (n, 1, 1024)).astype(np.float32), rng.integers(0, 5, n)

    found = evaluate(noise, data, ["label-accuracy", "classifier-score", "fcd"], n=200, draws=1)["metrics"]
    assert found["label-accuracy"]["floor"] > 0.9 > 0.5 > found["label-accuracy"]["value"]
    assert found["classifier-score"]["floor"] > 2 * found["classifier-score"]["value"]
    assert found["fcd"]["value"] > 10 * found["fcd"]["floor"]
