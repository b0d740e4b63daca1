"""Others on the card: they are given memory that is free between two launches of a graph, and keep it."""

import gc

import numpy as np

from minigan.graph import GraphedStep

SIZES = [2**k for k in range(21, 3, -1)]  # large ones first: the pool splits blocks for small ones


class Others:
    """Between steps, memory that is free becomes theirs and full of NaN, on the stream that is current now
    and on that of every step captured from now on: CuPy's pool keeps apart what each stream gave back."""

    def __init__(self, cupy, monkeypatch, sizes=SIZES):
        self.cupy, self.sizes = cupy, sizes
        self.streams, self.held = [cupy.cuda.get_current_stream()], []
        capture = GraphedStep._capture

        def noted(step, *args):
            capture(step, *args)
            self.streams.append(step.stream)

        monkeypatch.setattr(GraphedStep, "_capture", noted)

    def write(self, free=True):
        """Give up what was held, and fill memory anew.

        free: what the pool has kept goes back to CUDA first, and may come to any stream. Without, a stream
        is given what it gave back. (Of memory that went back to CUDA, a graph that still used it would lose
        the whole process the card.)
        """
        self.held = []
        gc.collect()
        if free:
            self.cupy.get_default_memory_pool().free_all_blocks()
        for stream in self.streams:
            with stream:
                self.held += [self.cupy.full(n, np.nan, np.float32) for n in self.sizes for _ in range(8)]
            stream.synchronize()

    def check(self):
        """AssertionError if a step has written to what is theirs."""
        self.cupy.cuda.Device().synchronize()
        for a in self.held:
            assert bool(self.cupy.isnan(a).all()), f"a step wrote to {a.nbytes} bytes that are not its own"
