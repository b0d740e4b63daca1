"""The emulated twins of inline PTX, against formulas written from the tables of the PTX ISA.

Sections "Warp-level matrix fragment" and "ldmatrix" of the PTX ISA, version 8.5; lane = 4·group + thread.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan_kernels import engine_missing
from minigan_kernels.cuda.launch import Source

pytestmark = [
    pytest.mark.slow,  # g++
    pytest.mark.skipif(bool(engine_missing("cuda-emulated")), reason=str(engine_missing("cuda-emulated"))),
]

PTX = Source(Path(__file__).with_name("ptx.cu"), PRECISION="TF32", BM=32, BN=32, WM=16, WN=32)
few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)
LANES = range(32)


def bits_to_float(bits):
    return np.asarray(bits, np.uint32).view(np.float32)


EDGES = bits_to_float([
    *(0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000),  # zeros, infinities, NaN
    *(0x3F801000, 0x3F803000, 0xBF801000, 0x3F800FFF, 0x3F801001),  # at and beside TF32's ties
    *(0x3F808000, 0x3F818000, 0xBF808000, 0x3F807FFF, 0x3F808001),  # at and beside BF16's
    *(0x7F7FFFFF, 0xFF7FFFFF, 0x00000001, 0x007FFFFF, 0x3FFFFFFF),  # the largest, denormals, a carry
])  # fmt: skip
floats = st.lists(st.one_of(st.floats(width=32), st.sampled_from(EDGES.tolist())), min_size=1, max_size=64)


def rounded(x, bits, ties_to_even):
    """x (float32) to a mantissa of `bits` explicit bits, by exact arithmetic in float64."""
    _, exponent = np.frexp(x.astype(np.float64))
    unit = np.ldexp(1.0, np.maximum(exponent - 1, -126) - bits)
    scaled = x / unit
    whole = np.rint(scaled) if ties_to_even else np.trunc(scaled + np.copysign(0.5, scaled))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.isfinite(x), (whole * unit).astype(np.float32), x)


@few
@given(floats)
def test_tf32_rounds_to_nearest_ties_away(values):
    x = np.concatenate([np.array(values, np.float32), EDGES])
    found = np.full_like(x, 7)
    PTX.launch("tf32", 1, 32, x, found, np.int32(x.size))
    np.testing.assert_array_equal(found, rounded(x, 10, ties_to_even=False))
    assert not np.any(found.view(np.uint32)[np.isfinite(found)] & 0x1FFF)


@few
@given(floats)
def test_bf16_rounds_to_nearest_ties_to_even_the_first_in_the_lower_half(values):
    x = np.concatenate([np.array(values * 2, np.float32), EDGES])
    pairs = np.full(x.size // 2, 7, np.uint32)
    PTX.launch("bf16x2", 1, 32, x, pairs, np.int32(pairs.size))
    found = bits_to_float(pairs.view(np.uint16).astype(np.uint32) << 16)  # little-endian: low half first
    np.testing.assert_array_equal(found, rounded(x, 7, ties_to_even=True))


@few
@given(seeds, st.booleans())
def test_ldmatrix_deals_out_rows_and_columns(seed, transposed):
    rng = np.random.default_rng(seed)
    halves = rng.integers(0, 2**16, (128, 8), dtype=np.uint16)  # rows of 16 bytes
    rows = rng.permutation(128)[:32].astype(np.int32)  # of lane l: row l % 8 of matrix l / 8
    found = np.full((32, 4), 7, np.uint32)
    PTX.launch("load_matrices", 1, 32, halves.view(np.uint32), rows, found, np.int32(transposed))
    for lane in LANES:
        group, thread = divmod(lane, 4)
        for i in range(4):
            matrix = halves[rows[8 * i : 8 * i + 8]]  # (8, 8)
            matrix = matrix.T if transposed else matrix
            low, high = matrix[group, 2 * thread], matrix[group, 2 * thread + 1]
            assert found[lane, i] == int(low) | int(high) << 16


def places(kind):
    """(row, column) of each entry that register i of a lane holds, from the tables of m16n8k8 and m16n8k16.

    For TF32 one entry a register; for BF16 two, the first in the lower half.
    """
    table = {}
    for lane in LANES:
        group, thread = divmod(lane, 4)
        if (
            kind == "tf32"
        ):  # a0 (g, t), a1 (g + 8, t), a2 (g, t + 4), a3 (g + 8, t + 4); b0 (t, g), b1 (t + 4, g)
            table["a", lane] = [[(group + 8 * (i % 2), thread + 4 * (i // 2))] for i in range(4)]
            table["b", lane] = [[(thread + 4 * i, group)] for i in range(2)]
        else:
            # a_j: row g for 0 <= j < 2 and 4 <= j < 6, else g + 8; column 2t + (j & 1), + 8 for j >= 4
            a = [
                (group + 8 * (not (j < 2 or 4 <= j < 6)), 2 * thread + (j & 1) + 8 * (j >= 4))
                for j in range(8)
            ]
            # b_j: row 2t + (j & 1), + 8 for j >= 2; column g
            b = [(2 * thread + (j & 1) + 8 * (j >= 2), group) for j in range(4)]
            table["a", lane] = [a[i : i + 2] for i in (0, 2, 4, 6)]
            table["b", lane] = [b[i : i + 2] for i in (0, 2)]
        table["d", lane] = [[(group + 8 * (i // 2), 2 * thread + i % 2)] for i in range(4)]
    return table


def dealt(matrix, table, name, registers):
    """The registers of all lanes; entries are 32-bit words, or 16-bit halves."""
    found = np.zeros((32, registers), np.uint32)
    for lane in LANES:
        for i, entries in enumerate(table[name, lane]):
            found[lane, i] = sum(int(matrix[at]) << 16 * j for j, at in enumerate(entries))
    return found


@few
@given(seeds, st.sampled_from(["tf32", "bf16"]))
def test_mma_multiplies_fragments_that_lie_as_in_the_tables(seed, kind):
    rng = np.random.default_rng(seed)
    K, table = (8 if kind == "tf32" else 16), places(kind)
    a, b, d = (rng.integers(-8, 9, shape).astype(np.float32) for shape in ((16, K), (K, 8), (16, 8)))
    words = [m.view(np.uint32) if kind == "tf32" else m.view(np.uint32) >> 16 for m in (a, b)]
    sums = dealt(d.view(np.uint32), table, "d", 4).view(np.float32)
    PTX.launch(
        "multiply", 1, 32,
        dealt(words[0], table, "a", 4), dealt(words[1], table, "b", 2), sums, np.int32(kind == "bf16"),
    )  # fmt: skip
    expected = dealt((a @ b + d).view(np.uint32), table, "d", 4).view(np.float32)  # small integers: exact
    np.testing.assert_array_equal(sums, expected)


def test_mma_does_not_look_at_the_lower_bits_of_tf32():
    ones = np.full((32, 4), 0x3F801FFF, np.uint32)  # 1, and 13 bits that are not TF32's
    sums = np.zeros((32, 4), np.float32)
    PTX.launch("multiply", 1, 32, ones, np.ascontiguousarray(ones[:, :2]), sums, np.int32(0))
    np.testing.assert_array_equal(sums, 8)


@pytest.mark.parametrize("size", [4, 16])
def test_copies_arrive_in_groups_and_are_zeros_outside(size):
    rng = np.random.default_rng(0)
    x, there = rng.standard_normal(256).astype(np.float32), rng.integers(0, 2, 32).astype(np.int32)
    found = np.full(256, np.nan, np.float32)
    PTX.launch("copy_ahead", 1, 32, x, there, found, np.int32(size))
    expected = x.reshape(2, 32, 4) * there[:, None]
    np.testing.assert_array_equal(found.reshape(2, 32, 4), np.roll(expected, -1, axis=1))
