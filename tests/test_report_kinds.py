"""Clips, sounds, melodies and texts as files and pictures."""

import io
import wave

import mido
import numpy as np
import pytest
from PIL import Image

from minigan import report
from minigan.data import Field
from minigan.errors import MiniganError
from minigan.report import melodies, sounds
from minigan.report.shown import heard, picture

NOTES = ("-", ".", "c4", "f#4", "c5")
TUNE = np.array([[2, 0, 1, 0, 3, 4, 0, 0]])  # c4 for two steps, a rest of two, f#4, c5 for three
FIELDS = {
    "clip": Field("clip", (3, 1, 4, 4)),
    "sound": Field("sound", (1, 400), rate=2000),
    "melody": Field("melody", (8,), words=NOTES),
    "text": Field("text", (3,), words=("", "a", "red", "disc")),
}
SAMPLES = {
    "clip": np.linspace(-1, 1, 2 * 48, dtype=np.float32).reshape(2, 3, 1, 4, 4),
    "sound": np.sin(2 * np.pi * 250 * np.arange(800, dtype=np.float32) / 2000).reshape(2, 1, 400) / 2,
    "melody": np.repeat(TUNE, 2, axis=0),
    "text": np.array([[1, 2, 3], [1, 3, 0]]),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_samples_of_each_kind_have_a_sheet_and_files(kind, tmp_path):
    field, samples = FIELDS[kind], SAMPLES[kind]
    report.save_shown(tmp_path / "sheet.png", {"one": samples, "other": samples}, field)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert np.ptp(np.asarray(sheet.convert("L"))) > 0
    for ending in report.SHOWN[kind].files:
        report.save_all(tmp_path / f"all{ending}", samples, field)
        assert (tmp_path / f"all{ending}").stat().st_size
    report.save_each(tmp_path / "each", samples, field)
    ending = report.SHOWN[kind].each[0]
    assert sorted(p.name for p in (tmp_path / "each").iterdir()) == [f"0000{i}{ending}" for i in (0, 1)]


def test_points_are_no_files(tmp_path):
    with pytest.raises(MiniganError, match="points are no files to put into a folder"):
        report.save_each(tmp_path / "each", np.zeros((3, 2), np.float32), Field("point", (2,)))


def test_a_film_has_the_frames_of_the_clips(tmp_path):
    report.save_each(tmp_path, SAMPLES["clip"], FIELDS["clip"])
    with Image.open(tmp_path / "00000.gif") as film:
        assert (film.n_frames, film.size) == (3, (4, 4))
        film.seek(1)
        shown = np.asarray(film.convert("L"), np.float32) / 127.5 - 1
    assert np.abs(shown - SAMPLES["clip"][0, 1, 0]).max() < 0.02


def test_clips_of_two_arrays_stand_below_each_other_and_may_be_shorter():
    clip = SAMPLES["clip"]
    sheet = picture([clip, clip[:, :2]], FIELDS["clip"])
    assert sheet.size[0] / sheet.size[1] == pytest.approx((3 * 6 + 2) / (4 * 6 + 2))


def test_a_wav_has_the_sounds_with_a_pause_between():
    content = sounds.wav(SAMPLES["sound"], 2000)
    with wave.Wave_read(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (2000, 1, 2)
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    pause = round(sounds.PAUSE * 2000)
    assert len(heard) == 2 * 400 + pause
    assert not heard[400 : 400 + pause].any()
    assert np.abs(heard[:400] - SAMPLES["sound"][0, 0]).max() < 1e-4


def test_what_is_too_loud_is_cut_off_and_not_wrapped_round():
    content = sounds.wav(np.array([[[1.5, -1.5, 1.0]]]), 1000)
    with wave.Wave_read(io.BytesIO(content)) as file:
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [32767, -32768, 32767]


def test_a_tone_is_a_line_at_its_pitch():
    tone = np.sin(2 * np.pi * 250 * np.arange(2000) / 2000)[None, None]
    sheet = np.asarray(sounds.sheet(tone).convert("L"), int)
    top = sounds.BETWEEN + sounds.WAVE
    rows = sheet[top : top + sounds.SPECTRUM, sounds.BETWEEN : sounds.BETWEEN + sounds.WIDE].mean(axis=1)
    pitch = (sounds.SPECTRUM - 1 - rows.argmax()) / (sounds.SPECTRUM - 1) * 1000
    assert pitch == pytest.approx(250, abs=40)


def test_silence_is_drawn():
    assert sounds.sheet(np.zeros((1, 1, 64))).size


def test_notes_begin_go_on_and_rest():
    assert melodies.notes(TUNE[0], NOTES) == [(0, 2, 60), (4, 1, 66), (5, 3, 72)]
    held_from_the_beginning = np.array([0, 0, 2, 1, 0])
    assert melodies.notes(held_from_the_beginning, NOTES) == [(2, 1, 60)]


@pytest.mark.parametrize(("word", "number"), [("c4", 60), ("a4", 69), ("c-1", 0), ("b3", 59), (".", None)])
def test_notes_have_the_numbers_of_midi(word, number):
    assert melodies.midi_number(word) == number


def test_a_word_that_is_no_note_is_refused():
    with pytest.raises(MiniganError, match="'h4' is no note, as c4 or f#4 is"):
        melodies.midi_number("h4")


def test_a_midi_file_plays_the_notes_in_their_time():
    file = mido.MidiFile(file=io.BytesIO(melodies.midi(np.repeat(TUNE, 2, axis=0), NOTES)))
    now, played = 0.0, []
    for message in file:
        now += message.time
        if message.type == "note_on":
            played.append((round(now / melodies.STEP), message.note))
    assert played == [(0, 60), (4, 66), (5, 72), (10, 60), (14, 66), (15, 72)]


def test_a_melody_is_heard_at_its_pitch():
    (sound,) = melodies.played(np.array([[4, 0, 0, 0]]), NOTES)[0]
    spectrum = np.abs(np.fft.rfft(sound))
    assert spectrum.argmax() * melodies.RATE / len(sound) == pytest.approx(523.25, abs=2)
    assert np.abs(sound).max() <= 1
    assert heard(TUNE, FIELDS["melody"])[0].startswith("data:audio/wav;base64,UklGR")


def test_a_text_file_has_a_line_for_each(tmp_path):
    report.save_all(tmp_path / "a.txt", SAMPLES["text"], FIELDS["text"])
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "a red disc\na disc\n"


@pytest.mark.parametrize("kind", FIELDS)
def test_walks_are_a_row_each_or_a_film_there_and_back(kind, tmp_path):
    walks = np.stack([SAMPLES[kind]] * 3, axis=1)  # two walks of three samples
    for name in ("walks.png", "walks.gif"):
        report.save_walks(tmp_path / name, walks, FIELDS[kind])
    with Image.open(tmp_path / "walks.gif") as film:
        assert getattr(film, "n_frames", 1) <= 4  # frames that are the same may be one
