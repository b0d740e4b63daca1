"""Stacked MNIST: three digits in the three channels of one image, which makes 1,000 modes to drop.

Metz et al., "Unrolled generative adversarial networks", 2017, section 3.3.1; of the size that Lin et al.,
"PacGAN", 2018, section 4.2, train on and count modes with.
"""

from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.mnist import load_mnist
from minigan.random import Generator

STACKS = {"train": 128_000, "test": 26_000}
SEED = 0


def load_stacked(
    split: str = "train", data_dir: str | Path | None = None, size: int | None = None
) -> Dataset:
    """128,000 stacks (3, size, size) of MNIST's training digits, or 26,000 of its test digits; always the
    same. The label of the digits a, b, c in channels 0, 1, 2 is 100a + 10b + c.

    size: by default 28. The stacks take 301 MB then, and 393 MB at 32.
    MiniganError as in `load_mnist`, and for a size below 1.
    """
    digits = load_mnist("mnist", split, data_dir)
    if size is not None:
        digits = digits.to_size(size)  # before a digit is in several stacks
    chosen = Generator(SEED).integers(0, len(digits), (STACKS[split], 3))
    labels: Any = digits.labels
    return Dataset("stacked-mnist", digits.samples[chosen, 0], labels[chosen] @ np.array([100, 10, 1]))
