"""Faults, planted by hand: what a run of minigan loses when things go wrong, which is to be nothing.

    python -m bench.faults kill --n 100      processes killed at random moments, and resumed
    python -m bench.faults disk --n 20       a disk that is full at random moments
    python -m bench.faults corrupt --n 500   files of a run damaged at random
    python -m bench.faults fuzz --n 10000    damaged input to everything that reads files
    python -m bench.faults memory --minutes 10   the memory of a long run

What was found is written to results.json and, for reading, results.md in this folder.
"""
