"""Attention, and the places of a sequence written into its entries.

Vaswani et al., "Attention is all you need", 2017.
"""

import math

import numpy as np

from minigan import backend
from minigan import functional as F
from minigan.arguments import COUNT, FLAG, KINDS, checked
from minigan.autograd import Tensor
from minigan.checks import shown
from minigan.random import Generator

from . import init
from .layers import Linear
from .module import Module, Parameter


class MultiheadAttention(Module):
    """Each entry of a query as a mean of values, weighted by how its key answers: section 3.2.2.

        softmax(q kᵀ / √(embed_dim / num_heads)) v      in each of the heads, joined and mixed by `out_proj`

    query (L, N, embed_dim), key and value (S, N, embed_dim) -> (output (L, N, embed_dim), weights). With
    batch_first they are (N, L, embed_dim) and (N, S, embed_dim).

    key_padding_mask: (N, S), which keys are not there; attn_mask: (L, S), or (N · num_heads, L, S), which
        keys each query does not see. Tensors or arrays, of bools, True for not, or of floats that are added
        to the scores. A query that sees no key is NaN.
    need_weights: whether the weights are returned, (N, L, S), the mean over the heads, or with
        average_attn_weights=False (N, num_heads, L, S); else None in their place.
    dropout: of the weights, in training, by `generator`.

    Arguments, names and initial weights are PyTorch's; `in_proj_weight` (3 · embed_dim, embed_dim) holds the
    projections of queries, keys and values one below the other. Derivatives of every order. ValueError for
    heads that do not divide embed_dim and for shapes that do not fit, TypeError for masks of integers.
    """

    @checked(embed_dim=COUNT, num_heads=COUNT, dropout=KINDS["p"], bias=FLAG, batch_first=FLAG)
    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: num_heads={num_heads} must divide embed_dim={embed_dim}")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.batch_first, self.generator = batch_first, generator
        self.in_proj_weight = Parameter(np.empty((3 * embed_dim, embed_dim), np.float32))
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, np.float32)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, generator)
        init.xavier_uniform_(self.in_proj_weight, generator=generator)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | np.ndarray | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | np.ndarray | None = None,
        average_attn_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        given = {"query": query, "key": key, "value": value}
        self._check(given)
        if not self.batch_first:
            given = {name: F.transpose(x, 0, 1) for name, x in given.items()}
        E, heads = self.embed_dim, self.num_heads
        q, k, v = (self._split(F.linear(x, *self._projection(i))) for i, x in enumerate(given.values()))
        scores = (q * (1 / math.sqrt(E // heads))) @ F.transpose(k, 2, 3)
        N, _, L, S = scores.shape
        scores = _masked(scores, "attn_mask", attn_mask, {(L, S): (L, S), (N * heads, L, S): scores.shape})
        scores = _masked(scores, "key_padding_mask", key_padding_mask, {(N, S): (N, 1, 1, S)})
        weights = F.dropout(F.softmax(scores, -1), self.dropout, self.training, self.generator)
        output = self.out_proj(F.transpose(weights @ v, 1, 2).reshape(N, L, E))
        output = output if self.batch_first else F.transpose(output, 0, 1)
        if not need_weights:
            return output, None
        return output, weights.mean(axis=1) if average_attn_weights else weights

    def _projection(self, i):
        """Weight and bias for the queries, the keys or the values."""
        rows = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
        return self.in_proj_weight[rows], None if self.in_proj_bias is None else self.in_proj_bias[rows]

    def _split(self, x):
        """(N, L, E) -> (N, heads, L, E / heads)."""
        return F.transpose(x.reshape(*x.shape[:2], self.num_heads, -1), 1, 2)

    def _check(self, given):
        order = "(N, L, {})" if self.batch_first else "(L, N, {})"
        for name, x in given.items():
            if getattr(x, "ndim", None) != 3 or x.shape[2] != self.embed_dim:
                expected = order.format(self.embed_dim)
                raise ValueError(f"MultiheadAttention: {name} must be {expected}, got {shown(x)}")
        query, key, value = (x.shape for x in given.values())
        batch = 0 if self.batch_first else 1
        if query[batch] != key[batch] or key != value:
            raise ValueError(
                "MultiheadAttention: query, key and value need one number of sequences, key and value one "
                f"length, got shapes {query}, {key} and {value}"
            )

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads} heads"


def _masked(scores, name, mask, shapes):
    """scores, without what a mask takes out. shapes: {one that it may have: how it meets the scores}."""
    if mask is None:
        return scores
    mask = mask.data if isinstance(mask, Tensor) else backend.as_array(mask)
    if mask.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"MultiheadAttention: {name} has shape {mask.shape}, expected {expected}")
    if mask.dtype.kind not in "bf":
        raise TypeError(f"MultiheadAttention: {name} must be of bools or floats, got {mask.dtype}")
    mask = mask.reshape(shapes[mask.shape])
    if mask.dtype.kind == "f":
        return scores + Tensor(mask).to(scores.dtype)
    with backend.beside(mask):
        mask = mask | backend.device_of(mask).xp.zeros(scores.shape, bool)
    return F.where(mask, -math.inf, scores)


class PositionalEncoding(Module):
    """x (..., L, dim) plus the place of each entry of the sequence in sines and cosines: section 3.5.

        PE[pos, 2i] = sin(pos / 10000^(2i / dim)),  PE[pos, 2i + 1] = cos(pos / 10000^(2i / dim))

    For sequences of any length; nothing is learned or saved. ValueError for another number of features.
    """

    @checked(dim=COUNT)
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[-1] != self.dim:
            raise ValueError(f"PositionalEncoding: x has shape {x.shape}, expected (..., L, {self.dim})")
        with backend.beside(x.data):
            xp = backend.device_of(x.data).xp
            rates = 10000.0 ** (-xp.arange(0, self.dim, 2, dtype=np.float64) / self.dim)
            angles = xp.arange(x.shape[-2], dtype=np.float64)[:, None] * rates
            waves = xp.stack([xp.sin(angles), xp.cos(angles)], axis=-1).reshape(x.shape[-2], -1)
            return x + Tensor(waves[:, : self.dim].astype(x.dtype))

    def extra_repr(self) -> str:
        return f"{self.dim}"
