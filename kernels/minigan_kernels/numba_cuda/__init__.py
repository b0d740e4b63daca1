"""The clear tier: GPU kernels in Python, by Numba, written to be read and to be stepped through.

The same kernels as `kernels/cuda` has in CUDA C++, in their first and plainest form, with what every GPU
has: threads, blocks, shared memory, barriers. A file opens with what its kernels compute, the bytes they
move and the operations they do. In this order they tell it all:

    pointwise.py   a thread an entry: LeakyReLU and its gradient, a bias
    adam.py        the same, and one number that a thread works out for its block: a first barrier
    reduce.py      the threads of a block add up: sums, mean and variance
    norm.py        batch norm, layer norm and instance norm, from those
    matmul.py      tiles of matrices in shared memory
    pairs.py       a thread an entry again: distances of all pairs of two sets of points
    im2col.py      images as matrices of patches, and back
    conv.py        convolution and its two adjoints, from those two
    places.py      which entry is a thread's;  launch.py  how a kernel starts;  turns.py  the simulator

As the engine `numba-cuda` they run on a GPU with CuPy arrays, and without one, with NumPy arrays, in Numba's
simulator, where a kernel is plain Python:

    MINIGAN_ENGINE=numba-cuda NUMBA_ENABLE_CUDASIM=1 python my_program.py

So a debugger goes into them. Stop where one thread of each block multiplies, and look around:

    NUMBA_ENABLE_CUDASIM=1 python -m pdb examples/numba_cuda_matmul.py
    (Pdb) b 33, row == col == 1                       a line of a kernel, and which threads stop there
    (Pdb) c
    (Pdb) p cuda.blockIdx, cuda.threadIdx, k, t     which thread this is, and where it has come to
    (Pdb) p tile_a                                  what the block holds
    (Pdb) n                                         one line on

A file of this package is given to `b` by its whole path, /.../kernels/numba_cuda/matmul.py:LINE.

Threads take turns, from barrier to barrier, so there is always one to follow, and `n` at a barrier comes back
when all the others have come to it.
"""

from .adam import adam
from .conv import conv2d, conv2d_input, conv2d_weight
from .matmul import linear, matmul
from .norm import normalize, normalize_backward
from .pairs import l1_distances, l1_distances_along, l1_distances_backward
from .pointwise import add_bias, leaky_relu, leaky_relu_backward
from .reduce import channel_sums
