"""The gradient of a table whose rows were read by index."""

from ..arrays import scatter


def embedding_weight(gy, index, rows):
    return scatter(gy.reshape(index.size, gy.shape[-1]), index.reshape(-1), rows)
