"""How samples of each kind are shown on a sheet, written to files, and played on a page."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.data import Field
from minigan.data.kinds import plural, spelled
from minigan.errors import MiniganError
from minigan.files import write_atomically

from . import films, melodies, sounds, texts
from .drawing import encoded, save_picture
from .samples import (
    FRAME,
    LARGE_SHEET,
    as_pixels,
    cloud,
    gif,
    magnified,
    picture_of,
    sheet,
    side_by_side,
    tiles,
)

Samples = np.ndarray  # (N, *shape)
Writer = Callable[[Samples, Field], bytes]


@dataclass(frozen=True)
class Shown:
    """How samples of a kind are shown.

    sheet(arrays, field, columns): a picture of samples; of several arrays, the samples of one number stand
        together. many: how many samples a sheet has.
    files: what writes the content of a file with all samples in it, by the file's ending. each: the ending of
        a file of one sample, and what writes that of a single one; None of points.
    played: how a page lets samples be known that a picture does not show: "moving", "heard" or "read".
    """

    sheet: Callable[[list[Samples], Field, int | None], Image.Image]
    many: int
    files: dict[str, Writer] = field(default_factory=dict)
    each: tuple[str, Writer] | None = None
    played: str = ""


def _images(arrays, field, columns):
    if len(arrays) == 1:
        return sheet(arrays[0], columns)
    return magnified(tiles(*side_by_side(arrays)), LARGE_SHEET)


def _png(image, field):
    return encoded(picture_of(as_pixels(image)[0]), "PNG")


def _points(arrays, field, columns):
    return cloud(arrays[0])


def _strips(arrays, field, columns):
    return films.strips(arrays)


def _film(clips, field):
    return gif(films.frames(clips), last=FRAME)


def _clip(clip, field):
    return gif([picture_of(pixels) for pixels in as_pixels(clip[0])], last=FRAME)


def _sounds(arrays, field, columns):
    return sounds.sheet(_in_turn(arrays), columns)


def _wav(samples, field):
    return sounds.wav(samples, field.rate)


def _rolls(arrays, field, columns):
    return melodies.rolls(_in_turn(arrays), field.words, columns)


def _midi(samples, field):
    return melodies.midi(samples, field.words)


def _heard(samples, field):
    return sounds.wav(melodies.played(samples, field.words), melodies.RATE)


def _lines(arrays, field, columns):
    return texts.written(lines(_in_turn(arrays), field))


def _text(samples, field):
    return "".join(f"{line}\n" for line in lines(samples, field)).encode()


def lines(samples: Samples, field: Field) -> list[str]:
    """The text of each of texts (N, L)."""
    return [spelled(numbers, field.words) for numbers in samples]


def _in_turn(arrays):
    """The first samples of all arrays, then the second ones."""
    return np.stack(arrays, axis=1).reshape(-1, *arrays[0].shape[1:])


SHOWN = {
    "image": Shown(_images, 64, each=(".png", _png)),
    "point": Shown(_points, 1000),
    "clip": Shown(_strips, 16, {".gif": _film}, each=(".gif", _clip), played="moving"),
    "sound": Shown(_sounds, 16, {".wav": _wav}, each=(".wav", _wav), played="heard"),
    "melody": Shown(_rolls, 16, {".mid": _midi, ".wav": _heard}, each=(".mid", _midi), played="heard"),
    "text": Shown(_lines, 32, {".txt": _text}, each=(".txt", _text), played="read"),
}


def picture(
    arrays: list[Samples], field: Field, columns: int | None = None, real: Samples | None = None
) -> Image.Image:
    """A sheet of samples (N, *shape) of a field; of several arrays the samples of one number beside each
    other.

    columns: how many samples stand side by side; by default about as many as rows. real: of points, those
    that are drawn in grey behind them, and on whose scale.
    """
    if field.kind == "point" and real is not None:
        return cloud(arrays[0], real)
    return SHOWN[field.kind].sheet(arrays, field, columns)


def save_shown(
    path: Path,
    shown: dict[str, Samples],
    field: Field,
    columns: int | None = None,
    real: Samples | None = None,
):
    """A PNG of samples by name: see `picture`."""
    save_picture(path, picture([*shown.values()], field, columns, real))


def save_walks(path: Path, walks: Samples, field: Field):
    """Walks (n, steps, *shape) of samples of a field as a sheet with a walk a row or, where the path ends in
    .gif, as a film of all of them, there and back. Points are always a cloud of all; clips a strip each."""
    every = walks.reshape(-1, *walks.shape[2:])
    if path.suffix.lower() == ".gif":
        moments = [picture([moment], field, real=every) for moment in walks.swapaxes(0, 1)]
        write_atomically(path, gif(moments + moments[-2:0:-1]))
    else:
        save_picture(path, picture([every], field, columns=walks.shape[1]))


def save_all(path: Path, samples: Samples, field: Field):
    """Write samples to one file, by its ending: of clips a .gif, of sounds a .wav, of melodies a .mid or a
    .wav, of texts a .txt."""
    write_atomically(path, SHOWN[field.kind].files[path.suffix.lower()](samples, field))


def save_each(folder: Path, samples: Samples, field: Field):
    """A file of each of the samples, images and clips at their own size: 00000.png, or .gif, .wav, .mid,
    .txt, and so on. The folder is made if it is not there. MiniganError for points."""
    if not (each := SHOWN[field.kind].each):
        raise MiniganError(f"{plural(field.kind)} are no files to put into a folder {folder}")
    ending, content = each
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(samples)):
        write_atomically(folder / f"{i:05d}{ending}", content(samples[i : i + 1], field))


def heard(samples: Samples, field: Field) -> list[str]:
    """A data: URI of a WAV of each of the samples, sounds or melodies."""
    write = SHOWN[field.kind].files[".wav"]
    return [_uri("audio/wav", write(samples[i : i + 1], field)) for i in range(len(samples))]


def moving(clips: Samples, field: Field) -> str:
    """The data: URI of a GIF of clips side by side."""
    return _uri("image/gif", _film(clips, field))


def _uri(kind, content):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
