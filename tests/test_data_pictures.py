"""What a picture shows: a small file for each mode and format, its truth known."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minigan.data import pictures
from minigan.data.pictures import FRAMES, TRANSPARENT, begins_as_picture, has_picture_name, read_picture
from minigan.errors import MiniganError

GREY = [[0, 51], [128, 255]]  # 2x2 pixels
COLOURS = [[(0, 0, 0), (255, 0, 0)], [(0, 255, 0), (255, 255, 255)]]
ROOM = 2000  # bytes of a TIFF for values that are too long for an entry
RED = np.broadcast_to(np.reshape([255, 0, 0], (3, 1, 1)), (3, 2, 2))
SHADES = np.uint8([0, 51, 128, 255])


def rgb(pixels):
    return np.moveaxis(np.array(pixels, np.uint8), -1, 0)


def saved(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def from_array(values, mode=None):
    values = np.asarray(values)
    image = Image.fromarray(values)
    return image if mode is None else image.convert(mode)


def grey():
    return from_array(np.uint8(GREY))


def colour():
    return from_array(np.uint8(COLOURS))


def with_alpha(alpha=((0, 255), (255, 255)), mode="RGBA"):
    """White everywhere, behind `alpha`."""
    image = Image.new("RGBA", (2, 2), (255, 255, 255, 255))
    image.putalpha(from_array(np.uint8(alpha)))
    return image.convert(mode)


def tiff(data, bits, photometric, order="<", form=1, extra=None, more=()):
    """A TIFF of 2x2 pixels, written by hand."""
    short, entries = 3, []
    tags = {
        **{256: [2], 257: [2], 258: bits, 259: [1], 262: [photometric], 277: [len(bits)], 278: [2]},
        **({} if form == 1 else {339: [form] * len(bits)}),
        **({} if extra is None else {338: [extra]}),
        **dict(more),
    }
    tags |= {273: None, 279: [len(data)]}
    start = 8 + 2 + 12 * len(tags) + 4
    tail = b""
    for tag in sorted(tags):
        values = tags[tag] if tags[tag] is not None else [start + ROOM]
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) > 4:
            place = start + len(tail)
            tail += packed
            packed = struct.pack(f"{order}I", place)
        entries.append(struct.pack(f"{order}HHI", tag, short, len(values)) + packed.ljust(4, b"\0"))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    ifd = struct.pack(f"{order}H", len(tags)) + b"".join(entries) + struct.pack(f"{order}I", 0)
    return (head + ifd + tail).ljust(start + ROOM, b"\0") + data


def png(data, depth, kind, *chunks):
    """A PNG of 2x2 pixels, written by hand; data: its two rows."""

    def chunk(name, content):
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    rows = b"".join(b"\0" + row for row in data)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, depth, kind, 0, 0, 0)),
            *(chunk(name, content) for name, content in chunks),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def palette(colours):
    """Of four colours, a pixel each."""
    image = Image.new("P", (2, 2))
    image.putdata([0, 1, 2, 3])
    image.putpalette(np.ravel(colours).tolist())
    return image


def u16(values, order=">"):
    return np.asarray(values, f"{order}u2").tobytes()


WIDE = np.array(GREY) * 257  # GREY in 16 bits
FLAT = np.array([[0, 51], [128, 255]]) / 255
BLACK_WHITE = [[0, 255], [255, 0]]
HIDDEN = [[0, 255], [255, 255]]  # white, but for a transparent corner
HALF = [[0, 128], [255, 255]]

# name: (file, what it shows: (H, W) if grey, else (C, H, W))
TABLE = {
    # Grey
    "1.png": (saved(from_array(np.uint8(BLACK_WHITE), "1"), "PNG"), BLACK_WHITE),
    "1.pbm": (b"P1 2 2\n1 0 0 1\n", BLACK_WHITE),
    "1-white-is-0.tif": (tiff(b"\x80\x40", [1], 0), BLACK_WHITE),
    "8.png": (saved(grey(), "PNG"), GREY),
    "8.bmp": (saved(grey(), "BMP"), GREY),
    "8.tga": (saved(grey(), "TGA"), GREY),
    "8-white-is-0.tif": (tiff(bytes(255 - SHADES), [8], 0), GREY),
    "8-of-100.pgm": (b"P2 2 2 100\n0 20 50 100\n", [[0, 51], [128, 255]]),
    "16.png": (png([u16(WIDE[0]), u16(WIDE[1])], 16, 0), GREY),
    "16.pgm": (b"P5 2 2 65535\n" + u16(WIDE), GREY),
    "12.pgm": (b"P5 2 2 4095\n" + u16([[0, 819], [2056, 4095]]), GREY),
    "12-plain.pgm": (b"P2 2 2 4095\n0 819 2056 4095\n", GREY),
    "16.tif": (tiff(u16(WIDE, "<"), [16], 1), GREY),
    "16-big-endian.tif": (tiff(u16(WIDE), [16], 1, ">"), GREY),
    "16-white-is-0.tif": (tiff(u16(65535 - WIDE, "<"), [16], 0), GREY),
    "12.tif": (tiff(bytes.fromhex("000333808FFF"), [12], 1), GREY),
    "16.jp2": (saved(Image.fromarray(WIDE.astype(np.uint16)), "JPEG2000"), GREY),
    "float.tif": (tiff(FLAT.astype("<f4").tobytes(), [32], 1, form=3), GREY),
    "float-big-endian.tif": (tiff(FLAT.astype(">f4").tobytes(), [32], 1, ">", form=3), GREY),
    "float-white-is-0.tif": (tiff((1 - FLAT).astype("<f4").tobytes(), [32], 0, form=3), GREY),
    "float.pfm": (b"Pf 2 2 -1.0\n" + FLAT[::-1].astype("<f4").tobytes(), GREY),
    "grey-as-rgb.png": (saved(grey().convert("RGB"), "PNG"), GREY),
    "grey-as-rgb.webp": (saved(grey().convert("RGB"), "WEBP", lossless=True), GREY),
    "grey-palette.png": (saved(palette([[v] * 3 for v in SHADES]), "PNG"), GREY),
    "grey-palette.gif": (saved(palette([[v] * 3 for v in SHADES]), "GIF"), GREY),
    "grey-rgba.png": (saved(grey().convert("RGBA"), "PNG"), GREY),
    "white-as-rgb.jpg": (saved(Image.new("RGB", (2, 2), "white"), "JPEG"), [[255, 255]] * 2),
    "white-cmyk.jpg": (saved(Image.new("CMYK", (2, 2)), "JPEG"), [[255, 255]] * 2),
    # Colour
    "rgb.png": (saved(colour(), "PNG"), rgb(COLOURS)),
    "rgb.ppm": (saved(colour(), "PPM"), rgb(COLOURS)),
    "rgb-16.png": (png([u16(row) for row in np.array(COLOURS) * 257], 16, 2), rgb(COLOURS)),
    "palette.png": (saved(palette(COLOURS), "PNG"), rgb(COLOURS)),
    "palette.gif": (saved(palette(COLOURS), "GIF"), rgb(COLOURS)),
    "cmyk.tif": (saved(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF"), RED),
    "ycbcr.tif": (
        tiff(b"\x4c\x55\xff" * 4, [8] * 3, 6, more={530: [1, 1]}.items()),
        RED - [[[1]], [[0]], [[0]]],
    ),
    "rgbx.tif": (tiff(b"\xff\0\0\0" * 4, [8] * 4, 2, extra=0), RED),
    # Alpha, composed on black
    "la.png": (saved(with_alpha(mode="LA"), "PNG"), HIDDEN),
    "la-16.png": (png([u16([65535, 0, 65535, 65535]), u16([65535] * 4)], 16, 4), HIDDEN),
    "la.tif": (tiff(bytes([255, 0, 255, 128, 255, 255, 255, 255]), [8, 8], 1, extra=2), HALF),
    "premultiplied-la.tif": (tiff(bytes([0, 0, 128, 128, 255, 255, 255, 255]), [8, 8], 1, extra=1), HALF),
    "rgba.png": (saved(with_alpha(), "PNG"), HIDDEN),
    "rgba.webp": (saved(with_alpha(), "WEBP", lossless=True, exact=True), HIDDEN),
    "rgba.tga": (saved(with_alpha(), "TGA"), HIDDEN),
    "rgba.tif": (tiff(b"\xff\xff\xff\0" + b"\xff" * 12, [8] * 4, 2, extra=2), HIDDEN),
    "premultiplied-rgba.tif": (tiff(b"\x80\0\0\x80" * 4, [8] * 4, 2, extra=1), RED // 2 + (RED > 0)),
    "palette-alpha.tif": (
        tiff(bytes([1, 0, 1, 255] * 2), [8, 8], 3, extra=2, more={320: [0, 65535, *[0] * 254] * 3}.items()),
        [[0, 255]] * 2,
    ),
    "palette-alpha.png": (
        saved(palette([[255] * 3] * 4), "PNG", transparency=bytes([0, 255, 255, 255])),
        HIDDEN,
    ),
    "palette-key.gif": (saved(palette([[255] * 3] * 4), "GIF", transparency=0), HIDDEN),
    "1-key.png": (png([b"\xc0", b"\x80"], 1, 0, (b"tRNS", b"\0\1")), [[0, 0], [0, 0]]),
    "8-key.png": (png([b"\xff\x33", b"\x33\x33"], 8, 0, (b"tRNS", b"\0\xff")), [[0, 51], [51, 51]]),
    "16-key.png": (
        png([u16([65535, 13107]), u16([13107, 13107])], 16, 0, (b"tRNS", u16([65535]))),
        [[0, 51], [51, 51]],
    ),
    "rgb-key.png": (
        png([bytes([9, 8, 7, 255, 0, 0]), bytes([255, 0, 0] * 2)], 8, 2, (b"tRNS", u16([9, 8, 7]))),
        np.where([[0, 1], [1, 1]], RED, 0),
    ),
}
SEE_THROUGH = {name for name in TABLE if any(word in name for word in ("la", "rgba", "alpha", "key"))}
SEE_THROUGH -= {"12-plain.pgm", "grey-rgba.png"}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_shown(tmp_path, name):
    content, shown = TABLE[name]
    file = tmp_path / name
    file.write_bytes(content)
    pixels, notes = read_picture(file, 2)
    shown = np.asarray(shown, np.uint8)
    expected = shown[None] if shown.ndim == 2 else shown
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)
    assert notes == ({TRANSPARENT} if name in SEE_THROUGH else set())


SIGNED = "has signed numbers or such of 32 bits, and does not say which of them is white"
UNKNOWN = {
    "32.tif": (tiff(np.array(GREY, "<u4").tobytes(), [32], 1), SIGNED),
    "32-signed.tif": (tiff(np.array(GREY, "<i4").tobytes(), [32], 1, form=2), SIGNED),
    "16-signed.tif": (tiff(np.array(GREY, "<i2").tobytes(), [16], 1, form=2), SIGNED),
    "float.tif": (tiff(np.array(GREY, "<f4").tobytes(), [32], 1, form=3), "has floats from 0 to 255, which"),
    "minus.tif": (tiff((FLAT - 0.5).astype("<f4").tobytes(), [32], 1, form=3), "has floats from -0.5 to 0.5"),
    "nan.tif": (tiff((FLAT * np.nan).astype("<f4").tobytes(), [32], 1, form=3), "has floats from nan to nan"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_range_is_refused_by_name(tmp_path, name):
    content, message = UNKNOWN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MiniganError, match=rf"{name} {message}"):
        read_picture(tmp_path / name, 2)


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_of_pillow_is_known(mode):
    image = Image.new(mode, (2, 2))
    try:
        assert pictures._eight_bits(image, set()).mode in ("L", "RGB")
    except pictures.Unfit:
        assert mode == "I"


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [("HSV", (0, 255, 255), (255, 0, 0)), ("LAB", (255, 128, 128), (255, 255, 255))],
)
def test_modes_of_colour_models(mode, colour, shown):
    found = pictures._eight_bits(Image.new(mode, (1, 1), colour), set()).getpixel((0, 0))
    np.testing.assert_allclose(found, shown, atol=1)


@pytest.mark.parametrize(
    ("channels", "shown"), [(1, [[[0, 76], [150, 255]]]), (3, rgb(COLOURS)), (None, rgb(COLOURS))]
)
def test_channels_of_colours(tmp_path, channels, shown):
    colour().save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 2, channels)[0], shown)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(("channels", "count"), [(1, 1), (3, 3), (None, 1)])
def test_channels_of_greys(tmp_path, mode, channels, count):
    grey().convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 2, channels)[0], [GREY] * count)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path, orientation, kind):
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = {  # what the camera kept, by the TIFF specification: where its row 0 and its column 0 are
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{kind}"
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(kind, {})
    Image.fromarray(np.ascontiguousarray(stored)).save(file, exif=exif, **options)
    pixels = read_picture(file, 16)[0].astype(int)
    np.testing.assert_allclose(pixels, upright.transpose(2, 0, 1), atol=8)


def test_broken_exif_is_passed_over(tmp_path):
    grey().save(tmp_path / "a.png", exif=b"Exif\0\0II*\0broken")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 2)[0], [GREY])


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tif"])
def test_of_several_frames_the_first_is_taken(tmp_path, kind):
    options = {"lossless": True} if kind == "webp" else {}
    grey().save(tmp_path / f"a.{kind}", save_all=True, append_images=[Image.new("L", (2, 2), 9)], **options)
    pixels, notes = read_picture(tmp_path / f"a.{kind}", 2)
    np.testing.assert_array_equal(pixels, [GREY])
    assert notes == {FRAMES}


def test_a_picture_larger_than_pillow_dares_to_open_is_refused(tmp_path, monkeypatch):
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(MiniganError, match=r"a\.png is not an image that Pillow can read \(Image size \(400"):
        read_picture(tmp_path / "a.png", 2)


def test_what_looks_like_a_picture(tmp_path):
    for name in ("a.jpg", "A.JPEG", "b.x.png", "c.tif", "d.webp", "e.pgm", "f.gif", "g.tga"):
        assert has_picture_name(name)
    for name in ("README.txt", "Thumbs.db", "jpg", "a", "film.mpg", "a.eps", "a.svg", "a.npz", "a.h5", "a."):
        assert not has_picture_name(name)
    grey().save(tmp_path / "picture", "PNG")
    assert begins_as_picture(str(tmp_path / "picture"))
    for content in (
        b"",
        b"P1 is this note's first word",
        b"\xd0\xcf\x11\xe0" * 200,
        b"PK\x03\x04" * 99,
        bytes(99),
    ):
        (tmp_path / "other").write_bytes(content)
        assert not begins_as_picture(str(tmp_path / "other"))
