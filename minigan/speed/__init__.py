"""Training steps timed against the same in PyTorch: `minigan bench`, and what `bench/` builds on.

The two sides are `minigan_side.py`, which drives the loops of `minigan.gans`, and `torch_side.py`, the
same steps in plain PyTorch. Each runs in a process of its own, that holds nothing of the other.
"""
