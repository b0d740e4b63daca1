"""Seconds of a call on the GPU; and calls of the fastest copy and matrix products that this card makes.

A kernel can be quicker than Python can launch it. So calls wait in the stream's queue behind a kernel that
only spins, until all of them stand there; the events before and after them see the GPU alone.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

import minigan_kernels as kernels

TURNS, SECONDS = 7, 0.02  # turns, and how long each is to take
MOST = 200  # calls in the queue, which holds about a thousand launches
COPIED = 1 << 30  # bytes
CUDA_R_32F, CUDA_R_16BF = 0, 14  # of cudaDataType_t; not every CuPy has a name for each

SPIN = r"""
extern "C" __global__ void spin(unsigned long long nanoseconds) {
    unsigned long long begin, now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
    do asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now)); while (now - begin < nanoseconds);
}"""


def seconds(call: Callable[[], object]) -> float:
    """The median over some turns of the GPU's time for one call. It is called once before."""
    import cupy

    call()
    cupy.cuda.get_current_stream().synchronize()
    start = time.perf_counter()
    call()
    launched = time.perf_counter() - start
    cupy.cuda.get_current_stream().synchronize()
    whole = time.perf_counter() - start
    n = min(max(round(SECONDS / whole), 1), MOST)
    wait = np.uint64(1e9 * min(1.5 * n * launched + 1e-4, 0.5))

    spin = cupy.RawKernel(SPIN, "spin")
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    times = []
    for _ in range(TURNS):
        spin((1,), (1,), (wait,))
        begin.record()
        for _ in range(n):
            call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end) / n / 1e3)
    return statistics.median(times)


def copy() -> Callable[[], None]:
    """A copy within the card's memory, of what is read once and written once."""
    import cupy

    source, target = (cupy.zeros(COPIED, np.uint8) for _ in range(2))
    stream = cupy.cuda.get_current_stream()
    return lambda: target.data.copy_from_device_async(source.data, COPIED, stream)


def cublas(n: int, precision: str) -> Callable[[], None]:
    """A product of cuBLAS of random n×n matrices, in float32, TF32, or BF16 with float32 sums and results."""
    import cupy
    from cupy_backends.cuda.libs import cublas as library  # a library of its own, that may not be there

    kind = CUDA_R_16BF if precision == "bf16" else CUDA_R_32F
    compute = library.CUBLAS_COMPUTE_32F_FAST_TF32 if precision == "tf32" else library.CUBLAS_COMPUTE_32F
    a, b = (_normal(n, precision, cupy) for _ in range(2))
    c = cupy.empty((n, n), np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    handle = cupy.cuda.device.get_cublas_handle()

    def call():
        library.gemmEx(
            *(handle, library.CUBLAS_OP_N, library.CUBLAS_OP_N, n, n, n, one.ctypes.data),
            *(a.data.ptr, kind, n, b.data.ptr, kind, n, zero.ctypes.data),
            *(c.data.ptr, CUDA_R_32F, n, compute, library.CUBLAS_GEMM_DEFAULT),
        )

    return call


def _normal(n, precision, xp):
    """Power, and so speed, depends on the values: zeros would flatter."""
    with kernels.engine("reference"):
        x = kernels.normal(0, 0, n * n, np.float32, xp)
    return (x.view(np.uint32) >> np.uint32(16)).astype(np.uint16) if precision == "bf16" else x
