"""chimes and vowels, sounds of ours, and sounds:PATH, a folder of the user's own."""

import io
import re
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from minigan.data import Field, has_test, load
from minigan.data.chimes import CENTS, NOTES, PITCHES, struck, tuned
from minigan.data.sounds import LENGTH, RATE, load_sounds
from minigan.data.tones import tones
from minigan.data.vowels import FORMANTS, PITCH, VOWELS, filtered
from minigan.errors import MiniganError
from minigan.random import Generator

ON_DISK = {"u8": np.uint8, "i16": np.int16, "i32": np.int32, "f32": np.float32, "f64": np.float64}


# Of ours


@pytest.mark.parametrize(("name", "classes", "rate"), [("chimes", 8, 4000), ("vowels", 5, 6000)])
def test_they_are_sounds_of_as_many_classes_and_always_the_same(name, classes, rate):
    train, test = load(name), load(name, split="test")
    assert (len(train), len(test), train.kind, has_test(name)) == (4000, 1000, "sound", True)
    assert train.fields == {
        "sound": Field("sound", (1, 1024), rate=rate),
        "label": Field("label", (), classes),
    }
    assert np.bincount(train.labels).min() > 0.8 * 4000 / classes
    np.testing.assert_array_equal(load(name, split="test").samples, test.samples)
    assert len({bytes(sound) for data in (train, test) for sound in data.samples}) == 5000
    assert 0.1 < np.abs(train.batch(np.arange(4000))).max() <= 1


@pytest.mark.parametrize("name", ["chimes", "vowels"])
def test_they_have_one_length(name):
    with pytest.raises(MiniganError, match=f"{name} is made of sounds, which have no size; got size 2048"):
        load(name, size=2048)


def test_tones_are_sums_of_powers_of_one_turn():
    rng = np.random.default_rng(0)
    turns = rng.uniform(-0.01, 0, 3) + 1j * rng.uniform(0.1, 0.5, 3)
    levels = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
    t, k = np.arange(50), np.arange(1, 5)
    expected = (levels[:, :, None] * np.exp(turns[:, None, None] * k[:, None] * t)).sum(axis=1).real
    np.testing.assert_allclose(tones(turns, levels, 50), expected, atol=1e-4)


def test_the_partials_of_a_chime_are_multiples_of_its_pitch_below_half_the_rate():
    for note, partials in ((0, 4), (NOTES.index("c5"), 3)):
        pitch = PITCHES[note]
        (sound,) = struck(np.array([pitch]), Generator(0))[0].astype(float)
        power = np.abs(np.fft.rfft(sound * np.hanning(1024), 8192))
        hertz = np.arange(len(power)) * 4000 / 8192
        for number in range(1, partials + 1):
            near = np.abs(hertz - number * pitch) < 30
            assert abs(hertz[near][power[near].argmax()] - number * pitch) < 1
        if partials == 3:  # the fourth would be heard at 4000 Hz less its own pitch
            assert power[np.abs(hertz - (4000 - 4 * pitch)) < 20].max() < 0.01 * power.max()


def test_a_chime_is_out_of_tune_by_up_to_ten_cents():
    labels = np.arange(800) % 8
    cents = 1200 * np.log2(tuned(labels, Generator(0)) / PITCHES[labels])
    assert 9 < np.abs(cents).max() <= CENTS
    assert abs(cents.mean()) < 1


def test_a_filter_is_loudest_at_its_formants():
    hertz = np.arange(1.0, 3500)[None]
    for formants in FORMANTS.values():
        gain = np.abs(filtered(hertz, np.array([formants])))[0]
        peaks = hertz[0, 1:-1][(gain[1:-1] > gain[:-2]) & (gain[1:-1] > gain[2:])]
        np.testing.assert_allclose(peaks, formants, atol=25)


def test_a_vowel_repeats_at_its_pitch():
    data = load("vowels", split="test")
    sounds = data.batch(np.arange(100))[:, 0, 200:800]
    spectra = np.abs(np.fft.rfft(sounds, 4096)) ** 2
    repeated = np.fft.irfft(spectra)[:, : 6000 // 80]
    lags = np.arange(6000 // 160, 6000 // 80)  # of pitches from 80 to 160 Hz
    pitch = 6000 / lags[repeated[:, lags].argmax(axis=1)]
    assert (pitch > PITCH[0] - 3).mean() > 0.95
    assert (pitch < PITCH[1] + 3).mean() > 0.95
    assert len(VOWELS) == 5


# Of the user's own


def tone(rate, seconds=1.0, pitch=440.0):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)


def save(path, sound, rate=RATE, kind="i16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "i24":
        whole = np.rint(sound * (2**23 - 1)).astype("<i4").reshape(len(sound), -1)
        with wave.open(str(path), mode="wb") as file:
            file.setnchannels(whole.shape[1])
            file.setsampwidth(3)
            file.setframerate(rate)
            file.writeframes(b"".join(struct.pack("<i", n)[:3] for n in whole.ravel()))
        return path
    dtype = np.dtype(ON_DISK[kind])
    if dtype.kind == "f":
        stored = sound.astype(dtype)
    elif dtype == np.uint8:
        stored = np.rint(sound * 127 + 128).astype(dtype)
    else:
        stored = np.rint(sound * np.iinfo(dtype).max).astype(dtype)
    wavfile.write(path, rate, stored)
    return path


def test_a_folder_is_a_dataset_of_half_a_second_at_8000_hz(tmp_path):
    save(tmp_path / "b.wav", tone(RATE))
    save(tmp_path / "a.WAV", tone(RATE, 0.1))
    save(tmp_path / "deep" / "c.wave", tone(RATE, pitch=100))
    data = load(f"sounds:{tmp_path}")
    assert (data.name, data.kind, data.rate, data.shape) == (f"sounds:{tmp_path}", "sound", RATE, (1, LENGTH))
    assert (len(data), data.labels) == (3, None)
    assert not has_test(f"sounds:{tmp_path}")
    a, b, _ = data.batch(np.arange(3))[:, 0]
    np.testing.assert_allclose(b, tone(RATE)[:LENGTH], atol=1e-4)
    np.testing.assert_allclose(a[:800], tone(RATE, 0.1), atol=1e-4)
    assert not a[800:].any()


def test_the_length_is_asked_for(tmp_path):
    save(tmp_path / "a.wav", tone(RATE))
    assert load(f"sounds:{tmp_path}", size=1024).shape == (1, 1024)
    with pytest.raises(MiniganError, match="the size of a sound must be at least 1 number, got 0"):
        load(f"sounds:{tmp_path}", size=0)


def test_sub_folders_are_classes(tmp_path):
    for name, pitch in (("low", 100), ("high", 900), ("low", 120)):
        save(tmp_path / name / f"{pitch}.wav", tone(RATE, pitch=pitch))
    data = load_sounds(tmp_path, 256)
    assert (data.labels.tolist(), data.classes) == ([0, 1, 1], 2)


@pytest.mark.parametrize("kind", [*ON_DISK, "i24"])
def test_every_depth_is_read_as_the_same_sound(tmp_path, kind):
    save(tmp_path / "a.wav", tone(RATE), kind=kind)
    (found,) = load_sounds(tmp_path, 1024).batch([0])[0]
    np.testing.assert_allclose(found, tone(RATE)[:1024], atol=0.01 if kind == "u8" else 1e-4)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 22050, 44100, 48000])
def test_every_rate_is_brought_to_one(tmp_path, rate):
    save(tmp_path / "a.wav", tone(rate), rate)
    (found,) = load_sounds(tmp_path, 2048).batch([0])[0]
    np.testing.assert_allclose(found[100:-100], tone(RATE)[100:1948], atol=0.01)


def test_a_long_file_of_another_rate_is_not_resampled_to_its_end(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 44100 * 20)
    save(tmp_path / "long.wav", sound, 44100)
    save(tmp_path / "short.wav", sound[: 44100 * 3], 44100)
    long, short = load_sounds(tmp_path, 4096).samples
    np.testing.assert_array_equal(long, short)


def test_channels_are_averaged(tmp_path):
    save(tmp_path / "a.wav", np.stack([tone(RATE), np.zeros(RATE)], axis=1))
    np.testing.assert_allclose(load_sounds(tmp_path, 512).batch([0])[0, 0], tone(RATE)[:512] / 2, atol=1e-4)


def test_floats_beyond_1_are_cut_off(tmp_path):
    save(tmp_path / "a.wav", 4 * tone(RATE), kind="f32")
    assert np.abs(load_sounds(tmp_path, 512).batch([0])).max() == pytest.approx(1, abs=1e-4)


def test_a_file_of_another_name_that_begins_as_one_is_read(tmp_path, capsys):
    save(tmp_path / "a.sound", tone(RATE))
    (tmp_path / "notes.txt").write_text("of a piece", encoding="utf-8")
    assert len(load_sounds(tmp_path)) == 1
    assert (
        f"1 file that is no WAV file passed over, the first {tmp_path / 'notes.txt'}"
        in capsys.readouterr().err
    )


def test_silence_is_left_out_and_told(tmp_path, capsys):
    save(tmp_path / "x" / "a.wav", np.zeros(RATE))
    save(tmp_path / "y" / "b.wav", tone(RATE))
    late = np.concatenate([np.zeros(RATE), tone(RATE)])
    save(tmp_path / "x" / "c.wav", late)
    save(tmp_path / "z" / "d.wav", tone(RATE))
    data = load_sounds(tmp_path, 512)
    assert data.labels.tolist() == [0, 1]
    told = f"2 of the 4 sounds left out, silent as far as they are taken: the first is {tmp_path}/x/a.wav"
    assert told in capsys.readouterr().err


def of_bytes(content):
    return lambda path: path.write_bytes(content)


def whole():
    buffer = io.BytesIO()
    wavfile.write(buffer, RATE, np.ones(1000, np.int16))
    return buffer.getvalue()


CODED = bytearray(whole())
CODED[20:22] = struct.pack("<H", 7)  # μ-law


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (of_bytes(b""), "a.wav cannot be read as a WAV file: "),
        (
            of_bytes(b"not at all a sound"),
            "a.wav cannot be read as a WAV file: File format b'not ' not understood",
        ),
        (of_bytes(whole()[:600]), "a.wav cannot be read as a WAV file: "),
        (of_bytes(whole()[:30]), "a.wav cannot be read as a WAV file: "),
        (of_bytes(whole()[:36]), "a.wav cannot be read as a WAV file: "),
        (of_bytes(bytes(CODED)), "a.wav cannot be read as a WAV file: Unknown wave file format: MULAW"),
        (lambda path: save(path, np.zeros(0)), "a.wav has no sound: it is a WAV file of no numbers"),
        (
            lambda path: save(path, np.full(9, np.nan), kind="f32"),
            "a.wav has numbers that are NaN or infinite",
        ),
        (lambda path: save(path, np.zeros(99)), "has 1 WAV files, and all begin with silence alone"),
    ],
    ids=["empty", "text", "cut", "no-format", "no-data", "coded", "no-numbers", "nan", "silence"],
)
def test_what_is_no_sound_is_refused_in_a_sentence(tmp_path, write, sentence):
    write(tmp_path / "a.wav")
    with pytest.raises(MiniganError, match=re.escape(sentence)):
        load_sounds(tmp_path)


def test_damaged_files_are_counted(tmp_path):
    for name in "abcde":
        (tmp_path / f"{name}.wav").write_bytes(b"no")
    save(tmp_path / "f.wav", tone(RATE))
    with pytest.raises(
        MiniganError, match=r"5 of the 6 sounds cannot be used: .*a\.wav cannot be read as a WAV "
    ):
        load_sounds(tmp_path)


def test_a_folder_without_sounds(tmp_path):
    with pytest.raises(MiniganError, match="there is no folder"):
        load(f"sounds:{tmp_path}/none")
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    with pytest.raises(MiniganError, match="has no sounds, which are WAV files; 1 file that is no WAV file"):
        load(f"sounds:{tmp_path}")
