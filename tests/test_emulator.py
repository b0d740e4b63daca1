"""The emulator: CUDA C++ kernels on the CPU, and the faults that it has to catch."""

import numpy as np
import pytest

from minigan.testing import assert_close
from minigan_kernels import engine_missing
from minigan_kernels.cuda.emulator import order
from minigan_kernels.cuda.launch import Source

pytestmark = [
    pytest.mark.slow,  # each kernel is compiled by g++
    pytest.mark.skipif(bool(engine_missing("cuda-emulated")), reason=str(engine_missing("cuda-emulated"))),
]


@pytest.fixture
def cu(tmp_path):
    """A Source of the text of a .cu file."""

    def write(text, **macros):
        path = tmp_path / "kernels.cu"
        path.write_text('#include "common.cuh"\n' + text)
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
