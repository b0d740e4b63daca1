"""The gradient of a table whose rows were read by index."""

from ..arrays import scatter


def embedding_weight(gy, index, rows):
    """The gradient of a table that gave the rows `index`: Σ gy[i] over the i with index[i] = v, of each v."""
    return scatter(gy.reshape(index.size, gy.shape[-1]), index.reshape(-1), rows)
