"""Digits in two hands of writing: scikit-learn's, of 8x8 pixels, and MNIST's, of 28x28. Nothing says which
belong together, but each has a label: whether a translated digit still is the same can be measured."""

from pathlib import Path

from minigan.data.digits import load_digits
from minigan.data.domains import Domains
from minigan.data.held import hold_out
from minigan.data.mnist import load_mnist

SIZE = 16


def load_digits_mnist(
    size: int | None = None, data_dir: str | Path | None = None, split: str = "train"
) -> Domains:
    """`digits` for x, every fifth of which is held out for the test, and `mnist` for y, both with labels:
    images (1, size, size).

    size: by default 16. MiniganError as of `load_mnist`, and for a size below 1.
    """
    x = dict(zip(("train", "test"), hold_out(load_digits()), strict=True))[split]
    y, size = load_mnist("mnist", split, data_dir), SIZE if size is None else size
    return Domains(x.to_size(size), y.to_size(size), "digits-mnist")
