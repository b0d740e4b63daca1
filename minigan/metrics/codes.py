"""What codes that were found without labels came to mean."""

import math

import numpy as np


def assignment_error(categories, labels):
    """The share of labels that are wrong if each category stands for one label, each label for one category,
    in the best of all ways. categories, labels: integers (N,)."""
    from scipy.optimize import linear_sum_assignment

    together = np.zeros((categories.max() + 1, labels.max() + 1), np.int64)
    np.add.at(together, (categories, labels), 1)
    return 1.0 - together[linear_sum_assignment(together, maximize=True)].sum() / len(labels)


def correlation_within(code, measured, groups):
    """Pearson's correlation of two quantities (N,), each as its deviation from the mean of its group; 0 where
    one of them does not vary."""
    a, b = (np.asarray(values, np.float64) for values in (code, measured))
    counts = np.bincount(groups).clip(1)
    a, b = (v - (np.bincount(groups, v) / counts)[groups] for v in (a, b))
    size = math.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size else 0.0
