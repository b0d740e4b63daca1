"""A folder of the user's own sounds, in WAV files.

What a file has is brought to one form: its channels are averaged, its rate becomes 8,000 Hz, and its first
numbers are taken, or silence is added behind. Numbers of 8, 16, 24 and 32 bits, and floats, mean what players
take them for: floats are cut off at -1 and 1.
"""

import math
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from minigan.checks import integer
from minigan.errors import MiniganError

from .dataset import Dataset
from .folder import existing, labels_of, refusal, say
from .kinds import LOUDEST
from .waiting import counted
from .walk import Wanted, walk

RATE, LENGTH = 8000, 4096
MANY = 500  # files that take about a second


def load_sounds(path: str | Path, size: int | None = None) -> Dataset:
    """Every WAV file in the folder `path` and below it (see `walk`), as sounds (1, size) of 8,000 Hz, in the
    order of the sorted paths. size: by default 4096, about half a second.

    Where all of them are in sub-folders, each sub-folder of `path` is a class, in sorted order. Files of
    silence are left out. What was passed over is told on the standard error.
    MiniganError for a missing folder, one that cannot be read or has no sounds, damaged or empty files, or a
    size below 1.
    """
    length = LENGTH if size is None else size
    if integer("load", "size", length) < 1:
        raise MiniganError(f"the size of a sound must be at least 1 number, got {length}")
    root = existing(path)
    found, said = walk(root, SOUNDS)
    if not found:
        raise MiniganError("; ".join([f"the folder {root} has no sounds, which are WAV files", *said]))
    samples, damaged = np.zeros((len(found), 1, length), np.int16), []
    with counted(f"reading the sounds in {root}", len(found), len(found) >= MANY) as report:
        for i, one in enumerate(found):
            file = root.joinpath(*one.parts)
            try:
                samples[i, 0] = read_sound(file, length)
            except MiniganError as error:
                damaged.append((file, error))
            report(i + 1)
    if damaged:
        raise MiniganError(refusal(damaged, len(found), "sounds"))
    heard = np.asarray(samples.any(axis=(1, 2)))
    silent = [root.joinpath(*one.parts) for one, is_heard in zip(found, heard, strict=True) if not is_heard]
    if len(silent) == len(found):
        raise MiniganError(
            f"the folder {root} has {len(found):,} WAV files, and all begin with silence alone"
        )
    if silent:
        said.append(
            f"{len(silent):,} of the {len(found):,} sounds left out, silent as far as they are taken: "
            f"the first is {silent[0]}"
        )
    for sentence in said:
        say(sentence)
    kept = [one for one, is_heard in zip(found, heard, strict=True) if is_heard]
    return Dataset(
        f"sounds:{path}", samples[heard], labels_of([one.parts for one in kept]), kind="sound", rate=RATE
    )


def read_sound(file: Path, length: int) -> np.ndarray:
    """int16 (length,): the beginning of the sound in a WAV file, at 8,000 Hz. MiniganError for a file that
    cannot be read as one, or has no numbers."""
    from scipy.signal import resample_poly  # takes longer to import than all of minigan

    numbers, rate = _read(file)
    mono = _as_floats(numbers).reshape(len(numbers), -1).mean(axis=1)
    common = math.gcd(rate, RATE)
    mono = mono[
        : (length + 1) * rate // RATE + 10 * max(rate // common, RATE // common)
    ]  # and a filter's reach
    if rate != RATE:
        mono = resample_poly(mono, RATE // common, rate // common)
    found = np.zeros(length, np.int16)
    found[: len(mono)] = np.rint(mono[:length].clip(-1, 1) * (LOUDEST - 1))
    return found


def _read(file: Path) -> tuple[np.ndarray, int]:
    """(the numbers of a WAV file as they are stored, (n,) or (n, channels), how many a second has)."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF prematurely")
            rate, numbers = wavfile.read(file)
    except OSError as error:
        raise MiniganError(f"{file} cannot be read: {error.strerror or error}") from error
    except (
        ValueError,
        EOFError,
        struct.error,
        wavfile.WavFileWarning,
        UnboundLocalError,
        TypeError,
        ZeroDivisionError,
    ) as error:
        raise MiniganError(f"{file} cannot be read as a WAV file: {error}") from error
    if rate < 1:
        raise MiniganError(f"{file} cannot be read as a WAV file: it has {rate} numbers a second")
    if not numbers.size:
        raise MiniganError(f"{file} has no sound: it is a WAV file of no numbers")
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        raise MiniganError(f"{file} has numbers that are NaN or infinite")
    return numbers, rate


def _as_floats(numbers: np.ndarray) -> Any:
    """Stored numbers as float64 in [-1, 1), those of 8 bits around 128."""
    if numbers.dtype.kind == "f":
        return numbers.astype(np.float64)
    middle = 128 if numbers.dtype == np.uint8 else 0
    return (numbers.astype(np.float64) - middle) / 2.0 ** (8 * numbers.dtype.itemsize - 1)


def has_sound_name(name: str) -> bool:
    """Whether a file's name ends like those of WAV files."""
    return name.lower().endswith((".wav", ".wave"))


def begins_as_sound(file: str) -> bool:
    """Whether a file begins like a WAV file. OSError if it cannot be read."""
    with open(file, "rb") as content:
        first = content.read(12)
    return first[:4] in (b"RIFF", b"RIFX", b"RF64") and first[8:] == b"WAVE"


SOUNDS = Wanted("WAV file", has_sound_name, begins_as_sound)
