"""The IDX reader, and every way in which a file can be broken."""

import gzip

import numpy as np
import pytest

from minigan.data.idx import read_idx
from minigan.errors import MiniganError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array):
    dimensions = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + dimensions + array.tobytes()


def written(tmp_path, content):
    path = tmp_path / "images"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("array", [IMAGES, IMAGES[0, 0], np.zeros((0, 28, 28), np.uint8)])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_reads_what_was_written(tmp_path, array, packed):
    got = read_idx(written(tmp_path, packed(idx(array))), array.ndim)
    assert got.dtype == np.uint8
    assert got.shape == array.shape
    np.testing.assert_array_equal(got, array)


def test_gzip_is_told_by_content_and_not_by_name(tmp_path):
    plain, packed = tmp_path / "plain.gz", tmp_path / "packed"
    plain.write_bytes(idx(IMAGES))
    packed.write_bytes(gzip.compress(idx(IMAGES), mtime=0))
    np.testing.assert_array_equal(read_idx(plain, 3), IMAGES)
    np.testing.assert_array_equal(read_idx(packed, 3), IMAGES)


def test_sizes_are_big_endian_and_of_four_bytes(tmp_path):
    array = np.zeros((3, 258, 1), np.uint8)
    assert read_idx(written(tmp_path, idx(array)), 3).shape == (3, 258, 1)


# Without the time in them: every worker of a parallel run has to name the cases alike.
whole, packed = idx(IMAGES), gzip.compress(idx(IMAGES), mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "images is empty"),
        (gzip.compress(b"", mtime=0), "images is empty"),
        (whole[:-5], r"should have 40 bytes \(uncompressed\), it has 35"),
        (gzip.compress(whole[:-5], mtime=0), r"should have 40 bytes \(uncompressed\), it has 35"),
        (whole + b"more", "should have 40 bytes .* it has 44"),
        (whole[:16], "should have 40 bytes .* it has 16"),
        (whole[:9], "should have 16 bytes .* it has 9"),
        (whole[:3], r"should have 3 dimension\(s\), its header says 0"),
        (b"<html>", "not an IDX file of unsigned bytes: it begins with 0x3c6874, not 0x000008"),
        (b"\0\0", "it begins with 0x0000, not"),
        (b"\0\0\x0d\x03" + whole[4:], "it begins with 0x00000d, not"),
        (idx(IMAGES[0]), r"should have 3 dimension\(s\), its header says 2"),
        (packed[:-12], "cannot be read: Compressed file ended"),
        (packed[:-8] + bytes(4) + packed[-4:], "cannot be read: CRC check failed"),
        (packed[:10] + b"\xff" * 8, "cannot be read: Error -3"),
        (packed[:2] + b"nonsense", "cannot be read: "),
    ],
)
def test_broken_files(tmp_path, content, message):
    with pytest.raises(MiniganError, match=message) as caught:
        read_idx(written(tmp_path, content), 3)
    assert str(tmp_path / "images") in str(caught.value)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(MiniganError, match=r"cannot be read: .*Is a directory"):
        read_idx(tmp_path, 3)
