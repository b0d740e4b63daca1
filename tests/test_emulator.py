"""The emulator: CUDA C++ kernels on the CPU, and the faults that it has to catch."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest

from minigan.testing import assert_close
from minigan_kernels import engine_missing
from minigan_kernels.cuda.emulator import EmulatorFault, build, order, traps
from minigan_kernels.cuda.launch import Source

FOLDER = build.folder.__wrapped__

pytestmark = [
    pytest.mark.slow,  # each kernel is compiled by g++
    pytest.mark.skipif(bool(engine_missing("cuda-emulated")), reason=str(engine_missing("cuda-emulated"))),
]


@pytest.fixture(autouse=True, scope="module")
def elsewhere(tmp_path_factory):
    """What is compiled here is of no use to anybody else; but the emulator itself is."""
    build._runtime()
    folder = tmp_path_factory.mktemp("compiled")
    with mock.patch.object(build, "folder", return_value=folder):
        yield folder


@pytest.fixture
def cu(tmp_path):
    """A Source of the text of a .cu file."""

    def write(text, **macros):
        path = tmp_path / "kernels.cu"
        path.write_text('#include "common.cuh"\n' + text, encoding="utf-8")
        return Source(path, **macros)

    return write


SUMS = """
extern "C" __global__ void sums(const float *__restrict__ x, float *__restrict__ y, int n) {
    __shared__ float parts[THREADS / 32];
    int i = blockIdx.x * THREADS + threadIdx.x;
    float sum = i < n ? x[i] : 0.f;
    for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(0xffffffff, sum, step);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < THREADS / 32; w++) sum += parts[w];
        y[blockIdx.x] = sum;
    }
}
"""


@pytest.mark.parametrize("turns", ["forward", "backward", "shuffled"])
def test_a_kernel_with_shuffles_and_barriers_runs(cu, turns):
    x, y = np.arange(1000, dtype=np.float32), np.full(16, np.nan, np.float32)
    with order(turns):
        cu(SUMS, THREADS=64).launch("sums", 16, 64, x, y, np.int32(1000))
    assert_close(y, np.pad(x, (0, 24)).reshape(16, 64).sum(1), rtol=1e-6)


def test_subnormal_numbers_are_zero_as_on_a_gpu_and_only_there(cu):
    halves = cu("""
extern "C" __global__ void halves(const float *__restrict__ x, float *__restrict__ y) {
    y[threadIdx.x] = 0.5f * x[threadIdx.x];
    y[threadIdx.x + 3] = 0x1p60f * x[threadIdx.x];
}
""")
    least = np.float32(2.0**-126)
    x, y = np.array([least, 2 * least, least / 2], np.float32), np.full(6, np.nan, np.float32)
    halves.launch("halves", 1, 3, x, y)
    np.testing.assert_array_equal(y, np.float32([0, 2.0**-126, 0, 2.0**-66, 2.0**-65, 0]))
    assert (x / 2 > 0).all()


# Planted faults: the body of a kernel of 64 threads, and what the emulator has to say. Those whose names
# speak of blocks run two.

FAULTS = {
    "a read beyond the end": (
        "y[threadIdx.x] = x[threadIdx.x + 64];",
        r"out of bounds: reads 4 bytes at x\[100\], beyond its end \(100 elements of float32\)",
    ),
    "a read before the beginning": (
        "y[threadIdx.x] = x[int(threadIdx.x) - 1];",
        r"out of bounds: reads 4 bytes at x\[-1\], before its beginning",
    ),
    "a write beyond the end": (
        "y[threadIdx.x + 37] = 1;",
        r"thread \(63, 0, 0\), kernels.cu:\d+: out of bounds: writes 4 bytes at y\[100\]",
    ),
    "a vector that reaches beyond the end": (
        "if (threadIdx.x == 0) *(float4 *)y = *(const float4 *)(x + 100);",
        r"out of bounds: reads 16 bytes at x\[100\]",
    ),
    "an address from nowhere": (
        "y[threadIdx.x] = x[threadIdx.x * 100000000LL];",
        r"reads 4 bytes at 0x\w+, far from any argument",
    ),
    "a null pointer": ("y[0] = none[0];", "reads 4 bytes at a null pointer"),
    "a write to a const array": ("const_cast<float *>(x)[3] = 1;", r"writes x\[3\], which is const"),
    "a misaligned vector": (
        "float4 v = *(const float4 *)(x + threadIdx.x); y[threadIdx.x] = v.x;",
        r"thread \(1, 0, 0\), kernels.cu:\d+: misaligned: .*float4.* no multiple of 16",
    ),
    "a misaligned vector in shared memory": (
        "DYNAMIC_SHARED(float, s); *(float2 *)(s + 1) = make_float2(1, 2); y[threadIdx.x] = s[1];",
        "misaligned: .*float2.* no multiple of 8",
    ),
    "an index beyond static shared memory": (
        "__shared__ float s[4][17]; s[threadIdx.x / 16][threadIdx.x % 16 + 2] = 1; y[threadIdx.x] = 0;",
        r"out of bounds: index 17 of 'float \[17\]'",
    ),
    "a pointer beyond static shared memory": (
        "__shared__ float s[64]; float *p = s; p += threadIdx.x + 1; *p = 1; y[threadIdx.x] = 0;",
        r"out of bounds: writes 4 bytes at byte 256 of s, beyond its end \(shared, 256 bytes\)",
    ),
    "an index beyond dynamic shared memory": (
        "DYNAMIC_SHARED(float, s); s[threadIdx.x + 1] = 1; y[threadIdx.x] = 0;",
        "out of bounds: writes 4 bytes at byte 256 of dynamic shared memory, beyond its end",
    ),
    "an index beyond a local array": (
        "float a[4]; for (int i = 0; i <= n - 96; i++) a[i] = x[i]; y[threadIdx.x] = a[n - 97];",
        r"out of bounds: index 4 of 'float \[4\]'",
    ),
    "shared memory that nobody wrote": (
        "__shared__ float s[64]; if (threadIdx.x < 63) s[threadIdx.x] = 1; __syncthreads();"
        "y[threadIdx.x] = s[threadIdx.x];",
        r"thread \(63, 0, 0\), kernels.cu:\d+: reads byte 252 of s, which no thread has written",
    ),
    "shared memory that only the block before wrote": (
        "__shared__ float s[64]; if (blockIdx.x == 0) s[threadIdx.x] = 1;"
        "__syncthreads(); y[threadIdx.x] = s[threadIdx.x];",
        r"block \(1, 0, 0\), thread \(0, 0, 0\), .*: reads byte 0 of s, which no thread has written",
    ),
    "no barrier between a write and a read": (
        "__shared__ float s[64]; s[threadIdx.x] = x[threadIdx.x]; __syncwarp();"
        "y[threadIdx.x + 0 * blockIdx.x] = s[63 - threadIdx.x];",
        r"race: |which no thread has written",
    ),
    "no barrier between a read and a write": (
        "__shared__ float s[64]; s[threadIdx.x] = 1; __syncthreads(); float v = s[(threadIdx.x + 32) % 64];"
        "s[threadIdx.x] = v; y[threadIdx.x] = v;",
        r"race: (writes byte \d+ of s, which thread \(\d+, 0, 0\) reads|reads .* writes) with no barrier",
    ),
    "no barrier between the lanes of a warp": (
        "__shared__ float s[64]; s[threadIdx.x] = 1; __syncthreads(); s[threadIdx.x] = 2;"
        "y[threadIdx.x] = s[threadIdx.x ^ 1];",
        r"race: ",
    ),
    "a shuffle taken for a barrier": (
        "__shared__ float s[64]; s[threadIdx.x] = 1; __syncwarp(); s[threadIdx.x] = __shfl_sync(~0u, 1.f, 0);"
        "__shfl_sync(~0u, 1.f, 0); y[threadIdx.x] = s[threadIdx.x ^ 1];",
        r"race: ",
    ),
    "two threads that write one place": ("y[threadIdx.x / 2] = 1;", r"race: writes y\[\d+\], which thread"),
    "two blocks that write one place": (
        "y[threadIdx.x] = 1;",
        r"block \(1, 0, 0\), .*race: writes y\[0\], which thread \(0, 0, 0\) of block \(0, 0, 0\) writes",
    ),
    "a block that reads what another writes": (
        "if (blockIdx.x == 0) y[threadIdx.x] = 1; else if (y[threadIdx.x] == 7) y[99] = 1;",
        r"race: reads y\[0\], which thread \(0, 0, 0\) of block \(0, 0, 0\) writes",
    ),
    "a barrier that some have left": (
        "if (threadIdx.x >= 40) return; __syncthreads(); y[threadIdx.x] = 1;",
        r"divergent barrier: thread \(0, 0, 0\) waits at __syncthreads, kernels.cu:\d+, and "
        r"thread \(40, 0, 0\) has returned",
    ),
    "barriers in two branches": (
        "if (threadIdx.x < 32) {\n__syncthreads();\n} else {\n__syncthreads();\n} y[threadIdx.x] = 1;",
        r"divergent barrier: thread \(0, 0, 0\) waits at .*, and thread \(32, 0, 0\) waits at",
    ),
    "a barrier while lanes wait for each other": (
        "if (threadIdx.x % 2) __syncthreads(); else __shfl_sync(~0u, 1.f, 0); y[threadIdx.x] = 1;",
        r"lanes that do not come: thread \(0, 0, 0\) waits at __shfl_sync, kernels.cu:\d+, and "
        r"thread \(1, 0, 0\) waits at __syncthreads",
    ),
    "a shuffle that half a warp leaves out": (
        "float v = 1; if (threadIdx.x % 32 < 16) v = __shfl_down_sync(~0u, v, 1); __syncthreads();"
        "y[threadIdx.x] = v;",
        "lanes that do not come: ",
    ),
    "a shuffle from a lane that has returned": (
        "if (threadIdx.x >= 40) return; y[threadIdx.x] = __shfl_down_sync(~0u, 1.f, 16);",
        r"thread \(32, 0, 0\), kernels.cu:\d+: __shfl_down_sync reads a lane that takes no part in it",
    ),
    "a shuffle from a lane outside the mask": (
        "if (threadIdx.x % 32 < 4) y[threadIdx.x] = __shfl_xor_sync(0xf, 1.f, 4);",
        "__shfl_xor_sync reads a lane that takes no part in it",
    ),
    "a lane that is not in its own mask": (
        "y[threadIdx.x] = __shfl_sync(0xffff, 1.f, 0);",
        "__shfl_sync: lane 16 calls it with the mask 0xffff, in which it is not",
    ),
    "an asynchronous copy that nobody waits for": (
        "DYNAMIC_SHARED(float, s); emulated::async_copy(s + threadIdx.x, x + threadIdx.x, 4);"
        "emulated::async_commit(); y[threadIdx.x] = s[threadIdx.x];",
        r"reads byte 0 of dynamic shared memory, where an asynchronous copy of thread \(0, 0, 0\) goes on",
    ),
    "a wait that lets the copy go on": (
        "DYNAMIC_SHARED(float, s); emulated::async_copy(s + threadIdx.x, x + threadIdx.x, 4);"
        "emulated::async_commit(); emulated::async_wait(1); y[threadIdx.x] = s[threadIdx.x];",
        "where an asynchronous copy of",
    ),
    "an asynchronous copy without a barrier": (
        "DYNAMIC_SHARED(float, s); emulated::async_copy(s + threadIdx.x, x + threadIdx.x, 4);"
        "emulated::async_commit(); emulated::async_wait(0); y[threadIdx.x] = s[threadIdx.x ^ 1];",
        "race: reads|asynchronous copy|which no thread has written",
    ),
    "a misaligned asynchronous copy": (
        "DYNAMIC_SHARED(float, s); emulated::async_copy(s, x + threadIdx.x, 16);",
        "misaligned: an asynchronous copy of 16 bytes",
    ),
    "a division by zero": ("y[threadIdx.x] = n / (n - 100);", "an integer is divided by 0"),
    "a stack that runs over": (
        "y[threadIdx.x] = deep(x, 0, n * 1000);",
        "its local variables take more than the 65536 bytes of its stack",
    ),
}

HELPER = """
__device__ __noinline__ float deep(const float *x, int i, int n) {
    volatile float local[64];
    local[i % 64] = x[i % 100];
    return i == n ? local[0] : deep(x, i + 1, n) + local[i % 64];
}
"""
KERNEL = """
extern "C" __global__ void %s(const float *x, float *y, const float *none, int n) {
    %s
}
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A function that runs one of FAULTS or RIGHT; all are kernels of one file."""
    path = tmp_path_factory.mktemp("planted") / "kernels.cu"
    kernels = {name: f"planted_{i}" for i, name in enumerate(FAULTS | RIGHT)}
    bodies = {name: body for name, (body, _) in FAULTS.items()} | RIGHT
    texts = [KERNEL % (kernels[name], body) for name, body in bodies.items()]
    path.write_text("".join(['#include "common.cuh"', HELPER, *texts]), encoding="utf-8")
    source = Source(path)

    def run(name, turns="forward"):
        x, y = np.ones(100, np.float32), np.zeros(100, np.float32)
        blocks = 2 if "block" in name else 1
        with order(turns):
            source.launch(kernels[name], blocks, 64, x, y, None, np.int32(100), shared=256)

    return run


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(planted, name):
    with pytest.raises(EmulatorFault, match=FAULTS[name][1]) as caught:
        planted(name)
    assert re.match(
        r"planted_\d+, block \(\d, 0, 0\), thread \(\d+, 0, 0\), kernels\.cu:\d+: ", str(caught.value)
    )


RACES = [name for name, (_, says) in FAULTS.items() if "race" in says]


@pytest.mark.parametrize("turns", ["backward", "shuffled"])
@pytest.mark.parametrize("name", RACES)
def test_a_race_is_caught_whatever_the_order(planted, name, turns):
    with pytest.raises(EmulatorFault, match=r"race|no thread has written|asynchronous"):
        planted(name, turns)


def test_without_traps_a_race_changes_the_result_with_the_order(cu):
    """Which is the other way to find one."""
    found = []
    source = cu(
        """extern "C" __global__ void shift(const float *x, float *y) {
        __shared__ float s[64];
        s[threadIdx.x] = x[threadIdx.x];
        y[threadIdx.x] = s[(threadIdx.x + 1) % 64];  // no barrier
        }"""
    )
    for turns in ("forward", "backward"):
        x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
        with order(turns), traps(False):
            source.launch("shift", 1, 64, x, y)
        found.append(y)
    assert not np.array_equal(*found, equal_nan=True)


# Awkward kernels that are right, and must not be flagged.

RIGHT = {
    "a warp that orders itself": (
        "__shared__ float s[64]; int t = threadIdx.x; s[t] = x[t] + t;"
        "for (int d = 16; d; d /= 2) { __syncwarp(); float v = t % 32 < d ? s[t + d] : 0;"
        "__syncwarp(); if (t % 32 < d) s[t] += v; } __syncthreads(); y[t] = s[0];"
    ),
    "a warp that reads twice, and writes after it is in order": (
        "__shared__ float s[64]; int t = threadIdx.x; s[t] = 1; __syncwarp();"
        "float v = s[t ^ 1] + s[t ^ 2] + s[t]; __syncwarp(); v += s[t]; s[t] = v;"
        "__syncwarp(); y[t] = s[t ^ 3];"
    ),
    "halves of a word": (
        "__shared__ unsigned short s[128]; int t = threadIdx.x; s[t] = t; s[t + 64] = t; __syncthreads();"
        "y[t] = s[2 * t] + s[2 * t + 1];"
    ),
    "bytes": (
        "__shared__ unsigned char s[64]; int t = threadIdx.x; s[t] = t; __syncthreads(); y[t] = s[63 - t];"
    ),
    "threads that return before a barrier that is not theirs": (
        "__syncthreads(); if (threadIdx.x >= 32) return; __syncwarp(); y[threadIdx.x] = 1;"
    ),
    "lanes that return before a shuffle of the rest": (
        "if (threadIdx.x % 32 >= 8) return; y[threadIdx.x] = __shfl_xor_sync(0xff, 1.f, 4);"
    ),
    "a mask of all while some have returned, and nobody reads them": (
        "if (threadIdx.x % 32 >= 8) return; y[threadIdx.x] = __shfl_sync(~0u, 1.f, 3);"
    ),
    "two halves of a warp at shuffles of their own": (
        "int t = threadIdx.x; float v = t; if (t % 32 < 16) { v = __shfl_xor_sync(0xffff, v, 1); }"
        "else for (int i = 0; i < 3; i++) v = __shfl_xor_sync(0xffff0000, v, 1); y[t] = v;"
    ),
    "a barrier in a loop of as many turns for all": (
        "__shared__ float s[64]; for (int i = 0; i < n; i++) { s[threadIdx.x] = i; __syncthreads();"
        "y[threadIdx.x] = s[63 - threadIdx.x]; __syncthreads(); }"
    ),
    "one array to read and to write": ("float v = y[threadIdx.x]; y[threadIdx.x] = v + 1;"),
    "blocks that read what none writes": "if (blockIdx.x == 0) y[threadIdx.x] = x[0] + x[threadIdx.x];",
    "blocks that take turns by an atomic": (
        "__shared__ int last; if (threadIdx.x < 32) y[threadIdx.x + 32 * blockIdx.x] = 1;"
        "__threadfence(); __syncthreads(); if (threadIdx.x == 0) last = atomicAdd((int *)y + 99, 1) == 1;"
        "__syncthreads(); if (last && threadIdx.x < 32) y[threadIdx.x] += y[threadIdx.x + 32];"
    ),
    "a histogram in shared memory": (
        "__shared__ int s[8]; if (threadIdx.x < 8) s[threadIdx.x] = 0; __syncthreads();"
        "atomicAdd(&s[threadIdx.x % 8], 1); __syncthreads();"
        "if (blockIdx.x == 0) y[threadIdx.x] = s[threadIdx.x % 8];"
    ),
    "a pipeline of asynchronous copies": (
        "__shared__ __align__(16) float s[2][64]; int t = threadIdx.x; float v = 0;"
        "emulated::async_copy(&s[0][t], x + t, 4); emulated::async_commit();"
        "for (int i = 0; i < 5; i++) {"
        "if (i < 4) emulated::async_copy(&s[(i + 1) % 2][t], x + t + i, 4, i % 2 * 4);"
        "emulated::async_commit(); emulated::async_wait(1); __syncthreads();"
        "v += s[i % 2][63 - t]; __syncthreads(); }"
        "y[t] = v;"
    ),
    "constants, and a table of the thread's own": (
        "static const float table[4] = {1, 2, 3, 4}; float own[4];"
        "for (int i = 0; i < 4; i++) own[i] = table[3 - i];"
        "y[threadIdx.x] = own[threadIdx.x % 4] + table[n % 4];"
    ),
    "an exchange between lanes": (
        "struct Pair { float a; int b; }; int t = threadIdx.x;"
        "const Pair *of = emulated::warp_exchange(Pair{x[t], t});"
        "float v = 0; for (int i = 0; i < 32; i++) v += of[i].a * of[i].b; y[t] = v;"
    ),
}


@pytest.mark.parametrize("turns", ["forward", "backward", "shuffled"])
@pytest.mark.parametrize("name", RIGHT)
def test_an_awkward_kernel_that_is_right_is_not_flagged(planted, name, turns):
    planted(name, turns)


# Launching

SCALE = """extern "C" __global__ void scale(const float *x, float *y, int n, float by) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = by * x[i];
}"""


def scale(cu, *args, grid=2, block=8, kernel="scale", **how):
    x, y = np.arange(12, dtype=np.float32), np.zeros(12, np.float32)
    args = args or (x, y, np.int32(12), np.float32(2))
    cu(SCALE).launch(kernel, grid, block, *args, **how)
    return args[1]


def test_a_launch_runs_every_thread_of_a_grid_in_three_dimensions(cu):
    source = cu(
        """extern "C" __global__ void place(int *y) {
        int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
        int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        y[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + block * 100 + thread;
        }"""
    )
    y = np.zeros(2 * 3 * 2 * 5 * 2 * 3, np.int32)
    source.launch("place", (2, 3, 2), (5, 2, 3), y)
    expected = 1 + 100 * np.arange(12)[:, None] + np.arange(30)
    np.testing.assert_array_equal(y, expected.reshape(-1))


@pytest.mark.parametrize("sizes", [{"grid": 0}, {"block": (4, 0)}])
def test_a_launch_of_nothing_does_nothing(cu, sizes):
    assert not scale(cu, **sizes).any()


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"block": 1025}, r"the sizes of a block are at most \(1024, 1024, 64\), got \(1025,\)"),
        ({"block": (64, 32)}, r"a block has at most 1024 threads, got \(64, 32, 1\)"),
        ({"grid": (1, 65536)}, "the sizes of a grid are at most"),
        ({"grid": -1}, "the sizes of a grid are at most"),
        ({"grid": (1, 1, 1, 1)}, "a grid has one to three sizes"),
        ({"kernel": "other"}, "there is no kernel 'other' in kernels.cu"),
    ],
)
def test_a_launch_that_no_card_can_run_is_refused(cu, sizes, says):
    with pytest.raises(ValueError, match=says):
        scale(cu, **sizes)


X, Y, N, BY = np.ones(4, np.float32), np.ones(4, np.float32), np.int32(4), np.float32(2)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((X, Y, 4, BY), "scale: argument 2 is int; a kernel takes arrays, None and np.int32"),
        ((X, Y, N), "scale: 3 arguments, but it takes 4"),
        ((X, Y, np.int64(4), BY), "scale: n is np.int64, but the kernel takes np.int32"),
        ((X, Y, N, N), "scale: by is np.int32, but the kernel takes np.float32"),
        ((X, Y, N, X), "scale: by is an array of float32, but the kernel takes np.float32"),
        (
            (X, Y.astype(np.float64), N, BY),
            "scale: y is an array of float64, but the kernel takes an array of",
        ),
        ((X, N, N, BY), "scale: y is np.int32, but the kernel takes an array of float32"),
        ((None, None, N, BY), "the arrays must be all NumPy or all CuPy, and at least one; got none"),
    ],
)
def test_arguments_that_the_kernel_does_not_take_are_refused(cu, args, says):
    with pytest.raises(TypeError, match=says):
        scale(cu, *args)


def test_an_array_that_must_not_be_written_is_refused_where_a_kernel_may(cu):
    y = np.zeros(4, np.float32)
    y.flags.writeable = False
    scale(cu, y, np.zeros(4, np.float32), N, BY)
    with pytest.raises(ValueError, match="scale: y is read-only, and the kernel may write to it"):
        scale(cu, X, y, N, BY)


def test_arrays_may_overlap_and_be_views(cu):
    memory = np.arange(20, dtype=np.float32)
    scale(cu, memory[2:14], memory[2:14], np.int32(12), np.float32(3))
    np.testing.assert_array_equal(memory, [*range(2), *range(6, 42, 3), *range(14, 20)])
    with pytest.raises(EmulatorFault, match=r"writes 4 bytes at y\[8\], beyond its end \(8 elements"):
        scale(
            cu, memory[:12], memory[12:], np.int32(12), np.float32(3)
        )  # the memory goes on, the array does not


def test_after_a_fault_the_arrays_are_as_they_were_and_the_next_launch_runs(cu):
    y = np.zeros(4, np.float32)
    with pytest.raises(EmulatorFault):
        scale(cu, X, y, np.int32(5), BY)
    assert not y.any()
    np.testing.assert_array_equal(scale(cu), 2 * np.arange(12))


def test_two_threads_of_a_user_may_launch_at_once(cu):
    source = cu(SUMS, THREADS=64)

    def sums(seed):
        x, y = np.random.default_rng(seed).random(1000, np.float32), np.empty(16, np.float32)
        with order(("forward", "backward")[seed % 2]):
            source.launch("sums", 16, 64, x, y, np.int32(1000))
        return x, y

    with ThreadPoolExecutor(2) as pool:
        for x, y in pool.map(sums, range(50)):
            assert_close(y, np.pad(x, (0, 24)).reshape(16, 64).sum(1), rtol=1e-5)


# Compiling


def test_a_kernel_is_compiled_once_for_all_processes_and_again_when_it_changes(cu, elsewhere):
    def libraries():
        return set(elsewhere.glob("kernels-*.so"))

    before = libraries()
    scale(cu)
    first = libraries() - before
    assert len(first) == 1
    scale(cu)  # another Source of the same text
    assert libraries() - before == first
    cu(SCALE + "\n").launch("scale", 1, 4, X, np.ones(4, np.float32), N, BY)
    assert len(libraries() - before) == 2
    assert not [p for p in elsewhere.iterdir() if p.is_dir()]  # where they were built aside


def test_what_the_compiler_finds_wrong_is_told(cu):
    says = r"(?s)kernels.cu cannot be compiled for the emulator: .*kernels.cu:2:.*error: .*nonsense"
    with pytest.raises(RuntimeError, match=says):
        cu('extern "C" __global__ void k(float *x) { nonsense(x); }').launch("k", 1, 1, X)


def test_without_a_compiler_the_engine_says_so_in_a_sentence(tmp_path):
    code = "import minigan_kernels as k\nwith k.engine('cuda-emulated'): pass"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, encoding="utf-8"
    )
    says = (
        "ValueError: the engine 'cuda-emulated' cannot run here: g++, which compiles kernels for the emulator"
    )
    assert done.stderr.splitlines()[-1].startswith(says)


def test_where_compiled_kernels_cannot_be_kept_it_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="emulated kernels cannot be kept in"):
        folder = FOLDER()
    assert folder.is_dir()


@pytest.mark.parametrize("given", ["sideways", "forwards:1"])
def test_an_order_that_there_is_not_is_refused(given):
    with pytest.raises(ValueError, match=f"'{given}' is none of forward, backward, shuffled"), order(given):
        pass
