"""How many blocks and threads a launch has.

A GPU hides the time of its memory behind many threads: an H100 holds 1,056 blocks of 256 on its 132
multiprocessors, and enough numbers must be on their way for about 2 MB at any time. Launches for large
arrays have several times as many blocks as a GPU holds, or as many as hold those bytes on their way.
"""

THREADS = 256
MOST_BLOCKS = 8192  # after which each thread goes around again
RESIDENT = 1056  # blocks, for kernels that begin with some work of their own


def blocks_for(n, each=1, most=MOST_BLOCKS):
    """Blocks of THREADS threads for n entries, `each` of them at a time a thread; at most `most`."""
    return min(-(-n // (THREADS * each)), most)
