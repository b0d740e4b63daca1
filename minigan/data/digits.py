"""scikit-learn's handwritten digits: 1,797 images of 8x8 pixels that need no download."""

import numpy as np

from minigan.data.dataset import Dataset


def load_digits() -> Dataset:
    """The digits: (1797, 1, 8, 8) images, their 17 grey levels spread over 0..255, and 10 classes."""
    from sklearn import datasets

    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return Dataset("digits", images[:, None], digits.target)
