"""What a picture shows, in 8 bits a channel, whatever its file keeps it in.

Pillow's modes say how pixels are stored. Here, and nowhere else, is decided what that means for a GAN:

range    8 bits are taken as they are; 9 to 16 bits, of which the file tells how many, are scaled to 8; floats
         show 0 as black and 1 as white. Whole numbers of 32 bits, signed ones, and floats outside [0, 1] have
         no white that the file tells, and are refused.
alpha    is composed on black: what is transparent is black, whatever colour is stored below it.
grey     is a picture whose three channels are equal, be it stored in colour, with a palette or with alpha.
upright  is how EXIF says that it is to be looked at.
frames   of an animation, or pages, but for the first are left out; `read_frames` takes them.
"""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from minigan.errors import MiniganError

TRANSPARENT, FRAMES = "transparent parts, which are black", "several frames, of which the first is taken"
NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # measurements, films, drawings
UPRIGHT = {  # EXIF's orientation: what Pillow calls the way back
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
LYING = {5, 6, 7, 8}  # those of which width and height are exchanged


def has_picture_name(name: str) -> bool:
    """Whether a file's name ends like those of a format of pictures that Pillow opens, as .jpg does."""
    return name[name.rfind(".") :].lower() in _known()[0]


def begins_as_picture(file: str) -> bool:
    """Whether a file begins like those of a format of pictures. OSError if it cannot be read."""
    from PIL import Image

    with open(file, "rb") as content:
        try:
            Image.open(content, formats=_known()[1])
        except Exception:  # Pillow's many decoders have no common error
            return False
    return True


@cache
def _known():
    """(the endings of picture files, the formats that are told by their first bytes)."""
    from PIL import Image

    extensions = Image.registered_extensions()  # which makes Pillow know all its formats
    kinds = Image.OPEN.keys() - NO_PICTURES
    endings = {ending for ending, kind in extensions.items() if kind in kinds}
    return endings, [kind for kind in kinds if Image.OPEN[kind][1]]


def read_picture(
    file: Path, size: int | None = None, channels: int | None = None, half: str | None = None
) -> tuple[np.ndarray, set[str]]:
    """(uint8 (C, H, W), what there is to say of it: TRANSPARENT, FRAMES) of the picture in `file`.

    size: of its centred square, resized (Lanczos) to as many pixels; by default all of it, as it is.
    channels: 1 for grey, 3 for colour; by default 1 if the picture is grey, else 3. A grey of colours is
    0.299 R + 0.587 G + 0.114 B.
    half: "left" or "right", of two pictures side by side; by default there is one.
    MiniganError for a file that cannot be read as a picture, numbers of unknown range, or a picture that is
    no two side by side.
    """
    from PIL import Image

    notes = set()
    try:
        with Image.open(file) as stored:
            stored.load()
            if _has_frames(stored):
                notes.add(FRAMES)
            image = _shown(stored, size, half, notes)
    except MemoryError:
        raise
    except Unfit as error:
        raise MiniganError(f"{file} {error}") from None
    except Exception as error:  # as above
        raise _unreadable(file, error) from error
    return _pixels(image, channels), notes


def read_frames(
    file: Path, count: int, size: int, channels: int | None = None
) -> Iterator[tuple[np.ndarray, set[str]]]:
    """The first `count` frames of the picture in `file`, each as of `read_picture`; of one without several
    frames, itself. MiniganError as there."""
    from PIL import Image

    try:
        with Image.open(file) as stored:
            for number in range(count):
                notes: set[str] = set()
                stored.seek(number)
                stored.load()
                image = _shown(stored, size, None, notes)
                yield _pixels(image, channels), notes
    except MemoryError:
        raise
    except Unfit as error:
        raise MiniganError(f"{file} {error}") from None
    except Exception as error:  # as above
        raise _unreadable(file, error) from error


def count_frames(file: Path) -> int:
    """How many frames the picture in `file` has. MiniganError for a file that has none."""
    from PIL import Image

    try:
        with Image.open(file) as stored:
            return getattr(stored, "n_frames", 1) if _has_frames(stored) else 1
    except Exception as error:  # as above
        raise _unreadable(file, error) from error


def _has_frames(stored):
    """Whether a picture has several frames; a camera's with a preview (MPO) has not."""
    return getattr(stored, "n_frames", 1) > 1 and stored.format != "MPO"


def _shown(stored, size, half, notes):
    """The picture that is loaded, upright, in 8 bits; its half, its centred square of `size` pixels."""
    from PIL import Image, ImageOps

    image = _eight_bits(stored, notes)
    turn = UPRIGHT.get(_orientation(stored))
    image = image.transpose(Image.Transpose[turn]) if turn else image
    image = _half(image, half) if half else image
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS) if size else image


def _pixels(image, channels):
    """uint8 (C, H, W) of it."""
    pixels = np.asarray(image.convert("L") if channels == 1 else image)
    if pixels.ndim == 2:
        return np.repeat(pixels[None], channels or 1, axis=0)
    if channels is None and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return pixels.transpose(2, 0, 1)


def picture_size(file: Path) -> tuple[int, int]:
    """(width, height) of the upright picture in `file`. MiniganError for a file that has none."""
    from PIL import Image

    try:
        with Image.open(file) as stored:
            width, height = stored.size
            return (height, width) if _orientation(stored) in LYING else (width, height)
    except Exception as error:  # as above
        raise _unreadable(file, error) from error


class Unfit(Exception):
    """A picture that cannot be used. The message goes on after its name."""


def _unreadable(file, error):
    if getattr(error, "errno", None):
        return MiniganError(f"{file} cannot be read: {error.strerror}")
    return MiniganError(f"{file} is not an image that Pillow can read ({error})")


def _half(image, half):
    width, height = image.size
    if width % 2:
        raise Unfit(f"has {width} pixels in a row, which make no two halves")
    if width <= height:
        raise Unfit(f"has {width}x{height} pixels; two pictures side by side are wider than high")
    left = 0 if half == "left" else width // 2
    return image.crop((left, 0, left + width // 2, height))


def _eight_bits(image, notes):
    """What `image` shows, of mode L or RGB."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        shown, alpha = _grey(image)
    elif image.has_transparency_data:
        whole = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        shown, alpha = whole.convert("RGB"), whole.getchannel("A")
    else:
        shown, alpha = image.convert("L" if image.mode in ("1", "L") else "RGB"), None
    if alpha is None or alpha.getextrema()[0] == 255:
        return shown
    notes.add(TRANSPARENT)
    black = Image.new(shown.mode, shown.size)
    black.paste(shown, mask=alpha)
    return black


def _grey(image):
    """(mode L, alpha or None) of a grey picture in more than 8 bits, or in floats."""
    from PIL import Image

    values, white = np.asarray(image), _white(image)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= white):
        raise Unfit(
            f"has floats from {low:.4g} to {high:.4g}, which should lie in [0, 1]: 0 is black and 1 white"
        )
    shares = values / white
    if getattr(image, "tag_v2", {}).get(262) == 0:  # a TIFF in which 0 is white, as Pillow has it of 8 bits
        shares = 1 - shares
    key = image.info.get("transparency")
    alpha = None if key is None else Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.fromarray((shares * 255 + 0.5).astype(np.uint8)), alpha


def _white(image):
    """The number that shows white."""
    if image.mode == "F":
        return 1.0
    if image.mode.startswith("I;16") and image.format == "TIFF":
        return 2.0 ** image.tag_v2.get(258, (16,))[0] - 1
    if (image.mode.startswith("I;16") and image.format != "FITS") or image.format in ("PPM", "PNG"):
        return 65535.0  # to which Pillow scales those of a PGM
    raise Unfit(
        "has signed numbers or such of 32 bits, and does not say which of them is white; save it with 8 or "
        "16 bits a pixel"
    )


def _orientation(image):
    with contextlib.suppress(Exception):  # a picture with broken EXIF is shown as it lies
        return image.getexif().get(0x0112)
