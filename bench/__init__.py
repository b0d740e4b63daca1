"""The benchmarks: `python -m bench.cpu`. They check first, then time, and write the README's tables.

What they share with `minigan bench`, the two sides and how they take turns, is in `minigan/bench/`.
"""
