"""Runs CUDA C++ kernels on the CPU: the very .cu files, compiled by g++, a fiber for each thread.

    emulated.h    what a .cu finds built in: threadIdx, __syncthreads, __shfl_sync, float4, ...
    runtime.cpp   runs blocks and threads, barriers, exchanges between lanes
    traps.cpp     watches every access to memory, which hooks.cpp tells it of
    build.py      compiles a .cu, and keeps it on disk
    run.py        launches a kernel, and says what went wrong

What a kernel must not do raises an `EmulatorFault`, which says what, where and on which thread:

- an access out of bounds of an array or of shared memory, to a null pointer or a const array, misaligned;
- a read of shared memory that nothing in the block wrote;
- a race: two threads, or two blocks, touch the same bytes with no barrier in between, and one writes;
- a barrier that some threads do not come to, a shuffle that some lanes do not, or that reads one of those;
- data that an asynchronous copy brings, used before it is waited for; a division by 0; a stack too deep.

What it cannot see: a pointer that walks from one array of shared memory into the next, unless nothing was
written there or another thread's is; races between blocks after an atomic operation, which may be how one
waits for another; a thread that spins for ever; where a GPU keeps subnormal numbers, as tensor cores may:
here all are flushed to zero, float64's too, while a GPU flushes float32's (CuPy compiles with -ftz=true) and
keeps float64's. Arithmetic is that of the CPU, without fused multiply-adds but for `fmaf`; the last bit may
differ from a GPU's.

    with order("shuffled", seed=1):   blocks and threads in another order: "forward", "backward", "shuffled"
    with traps(False):                do not watch memory; about four times as quick

MINIGAN_EMULATOR_ORDER=shuffled:1 and MINIGAN_EMULATOR_TRAPS=0 do the same for a process.

To step through a kernel, compile without optimising and start Python in gdb:

    MINIGAN_EMULATOR_FLAGS=-O0 gdb -ex 'set breakpoint pending on' \\
        -ex 'break norm.cu:40 if threadIdx.x == 3 && blockIdx.x == 0' -ex run --args python my_script.py

There `print threadIdx`, `info locals` and `next` do what they say; a `next` over a barrier comes out on
the thread that goes on first. To stop where a fault is found: `break emulated::fault`.
"""

from .build import missing
from .run import EmulatorFault, Program, order, traps

__all__ = ["EmulatorFault", "Program", "missing", "order", "traps"]
