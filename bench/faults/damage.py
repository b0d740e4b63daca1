"""Ways to spoil a file."""

import numpy as np

NUMBERS = (
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"null",
    b"99999999999999999999",
    b"0.5",
    b'"x"',
    b"[]",
    b"{}",
    b"true",
)


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """Another value in the place of one byte."""
    if not content:
        return content
    spoilt = bytearray(content)
    spoilt[rng.integers(len(spoilt))] ^= int(rng.integers(1, 256))
    return bytes(spoilt)


def flip_many(content: bytes, rng: np.random.Generator) -> bytes:
    """The same of up to 20."""
    for _ in range(rng.integers(2, 21)):
        content = flip(content, rng)
    return content


def truncate(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(len(content) + 1)]


def empty(content: bytes, rng: np.random.Generator) -> bytes:
    return b""


def blank(content: bytes, rng: np.random.Generator) -> bytes:
    """Zeros in the place of up to 512 bytes, as of a block that never reached the disk."""
    start = int(rng.integers(len(content) + 1))
    length = min(int(rng.integers(1, 513)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    """Up to 16 random bytes more."""
    start = rng.integers(len(content) + 1)
    return content[:start] + rng.bytes(rng.integers(1, 17)) + content[start:]


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """Up to 64 bytes less."""
    start = rng.integers(len(content) + 1)
    return content[:start] + content[start + rng.integers(1, 65) :]


def double(content: bytes, rng: np.random.Generator) -> bytes:
    """A part twice."""
    start, end = sorted(rng.integers(len(content) + 1, size=2))
    return content[:end] + content[start:end] + content[end:]


def renumber(content: bytes, rng: np.random.Generator) -> bytes:
    """Another value, as JSON or TOML write them, in the place of a run of digits."""
    digits = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
    if not digits:
        return content
    start = end = int(rng.choice(digits))
    while end < len(content) and (chr(content[end]).isdigit() or content[end] == ord(".")):
        end += 1
    return content[:start] + NUMBERS[rng.integers(len(NUMBERS))] + content[end:]


def retype(content: bytes, rng: np.random.Generator) -> bytes:
    """Another printable character in the place of one."""
    start = rng.integers(len(content) + 1)
    return content[:start] + bytes([rng.integers(32, 127)]) + content[start + 1 :]


WAYS = flip, flip_many, truncate, empty, blank, insert, cut, double, renumber, retype


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """`content`, spoilt in one of the ways, and now and then in several."""
    for _ in range(rng.geometric(0.7)):
        content = WAYS[rng.integers(len(WAYS))](content, rng)
    return content
