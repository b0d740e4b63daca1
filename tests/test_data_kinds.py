"""Clips, sounds, texts and melodies as data: what they are stored as, and what batches give."""

import numpy as np
import pytest

from minigan.data import Dataset, Field, Fields
from minigan.data.kinds import from_pixels, has_size, spelled
from minigan.errors import MiniganError

NOTES = ("-", ".", "c4", "d4", "e4")
WORDS = ("", "a", "red", "disc")
RNG = np.random.default_rng(0)


def clips(n=6):
    return Dataset("clips", RNG.integers(0, 256, (n, 3, 1, 4, 5), dtype=np.uint8))


def sounds(n=6):
    return Dataset("sounds", RNG.integers(-32768, 32768, (n, 1, 16)).astype(np.int16), rate=8000)


def melodies(n=6):
    text = RNG.integers(0, len(WORDS), (n, 4), dtype=np.uint8)
    tokens = RNG.integers(0, len(NOTES), (n, 8), dtype=np.uint8)
    labels = np.arange(n) % 2
    return Dataset("tunes", tokens, labels, kind="melody", words=NOTES, text=text, text_words=WORDS)


def test_the_dtype_and_shape_tell_the_kind_and_numbers_of_words_need_it_said():
    assert (clips().kind, sounds().kind, melodies().kind) == ("clip", "sound", "melody")
    tokens = np.zeros((2, 3), np.uint8)
    assert Dataset("t", tokens, kind="text", words=WORDS).fields == {"text": Field("text", (3,), words=WORDS)}
    with pytest.raises(MiniganError, match=r"t: samples are uint8 \(N, C, H, W\) or .*, not uint8 \(2, 3\)"):
        Dataset("t", tokens)


def test_fields_say_what_a_sample_is_first_and_what_is_known_of_it_behind():
    fields = melodies().fields
    assert [*fields] == ["melody", "text", "label"]
    assert (fields.kind, [*fields.seen], fields.shape) == ("melody", ["melody"], (8,))
    assert sounds().fields["sound"] == Field("sound", (1, 16), rate=8000)
    for some in (fields, sounds().fields, clips().fields):
        assert Fields.from_dict(some.to_dict()) == some


def test_pixels_of_a_clip_go_from_minus_one_to_one_and_lie_channels_last():
    stored = np.zeros((2, 3, 3, 4, 5), np.uint8)
    stored[0, 1, 2, 3, 4] = 255
    batch = Dataset("c", stored).batch(slice(None))
    assert batch.dtype == np.float32
    assert batch.shape == stored.shape
    assert batch[0, 1, 2, 3, 4] == 1
    assert batch.sum() == 1 - (batch.size - 1)
    assert batch.transpose(0, 1, 3, 4, 2).flags.c_contiguous
    image = stored[:, 0]
    assert np.array_equal(from_pixels(image), Dataset("i", image).batch(slice(None)))


def test_a_sound_of_sixteen_bits_is_a_number_below_one():
    stored = np.array([[[-32768, 0, 16384, 32767]]], np.int16)
    batch = Dataset("s", stored, rate=8000).batch(slice(None))
    assert batch.dtype == np.float32
    assert batch.tolist() == [[[-1.0, 0.0, 0.5, 32767 / 32768]]]


def test_a_batch_holds_what_is_asked_for_in_the_order_of_the_fields():
    tunes = melodies()
    x, text, labels = next(tunes.batches(3, labels=True, text=True))
    assert x.shape == (3, 8)
    assert x.dtype == text.dtype == labels.dtype == np.int64
    assert text.shape == (3, 4)
    which = [int(np.flatnonzero((tunes.samples == row).all(axis=1))[0]) for row in x]
    assert np.array_equal(text, tunes.text[which])
    assert np.array_equal(labels, tunes.labels[which])


def test_a_part_has_the_texts_of_its_samples():
    tunes, part = melodies(), melodies().part([4, 1])
    tunes = melodies()
    part = tunes.part([4, 1])
    assert np.array_equal(part.text, tunes.text[[4, 1]])
    assert np.array_equal(part.batch(slice(None)), tunes.samples[[4, 1]])


def test_clips_have_another_size_and_sounds_have_none():
    assert clips().to_size(8).shape == (3, 1, 8, 8)
    assert [has_size(kind) for kind in ("image", "clip", "pair", "sound", "text")] == [True] * 3 + [False] * 2
    with pytest.raises(MiniganError, match="sounds is made of sounds, which have no size"):
        sounds().to_size(8)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "sound"}, r"samples are int16 \(N, 1, L\), not uint8 \(2, 3\)"),
        ({"kind": "text", "words": ("a",)}, "words of a text begin with '', which fills it up, got 'a'"),
        ({"kind": "text", "words": ()}, "words are of a text or a melody, got 0 for a text"),
        ({"kind": "melody", "words": ("-", "-")}, "up to 256 different ones"),
        ({"kind": "melody", "words": NOTES[:1]}, "samples are numbers of 1 words, from 0 to 0, got 1"),
        ({"kind": "melody", "words": NOTES, "rate": 8}, "a sound has a rate, .*, got 8 for a melody"),
        ({"kind": "melody", "words": NOTES, "flip": True}, "made of melodies, which have no mirror images"),
    ],
)
def test_what_cannot_be(wrong, sentence):
    with pytest.raises(MiniganError, match=sentence):
        Dataset("x", np.ones((2, 3), np.uint8), **wrong)


def test_a_sound_without_a_rate_is_refused():
    with pytest.raises(MiniganError, match="a sound has a rate, in numbers a second, got 0 for a sound"):
        Dataset("x", np.zeros((2, 1, 8), np.int16))


def test_text_beside_samples_is_a_row_for_each():
    images = np.zeros((3, 1, 2, 2), np.uint8)
    with pytest.raises(
        MiniganError, match=r"text is uint8 \(3, L\), a row for each sample, not uint8 \(2, 4\)"
    ):
        Dataset("x", images, text=np.zeros((2, 4), np.uint8), text_words=WORDS)
    with pytest.raises(MiniganError, match="x has no text beside its samples"):
        Dataset("x", images).batches(2, text=True)


def test_words_are_spelled_and_characters_joined():
    assert spelled(np.array([1, 2, 3, 0, 0]), WORDS) == "a red disc"
    assert spelled(np.array([1, 3, 2, 0]), ("", "a", "b", " ")) == "a b"
