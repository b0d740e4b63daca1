"""Matrix products. Bilinear, and each one's gradients are matrix products again: exact to every order."""

import string

from minigan.autograd import Function, Tensor


def matmul(a, b):
    """a @ b: (..., M, K) @ (..., K, N) -> (..., M, N), broadcasting the leading axes.

    A vector stands for a row on the left, a column on the right. ValueError if K differs.
    """
    if not (getattr(a, "ndim", 0) and getattr(b, "ndim", 0)):
        raise ValueError("matmul: needs at least one axis on either side")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: the inner sizes of {a.shape} and {b.shape} differ")
    if a.ndim == 1 and b.ndim == 1:
        return (a * b).sum()
    if a.ndim == 1:
        return MatMul()(a.reshape(1, -1), b).squeeze(-2)
    if b.ndim == 1:
        return MatMul()(a, b.reshape(-1, 1)).squeeze(-1)
    return MatMul()(a, b)


def linear(x, weight, bias=None):
    """x Wᵀ + b: x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    if weight.ndim != 2 or x.ndim < 1:
        raise ValueError(f"linear: x has shape {x.shape}, the weight {weight.shape}, expected (out, in)")
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: x has {x.shape[-1]} features, the weight expects {weight.shape[1]}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: the bias has shape {bias.shape}, expected ({weight.shape[0]},)")
    y = matmul(x, weight.T)
    return y if bias is None else y + bias


def einsum(equation, *operands):
    """Sums of products named by letters, as "bij,bjk->bik". No ellipsis, no letter twice in one term.

    One operand at a time is joined to the product so far: broadcast, multiplied, summed.
    """
    terms, _, out = equation.replace(" ", "").partition("->")
    terms = terms.split(",")
    if "->" not in equation or len(terms) != len(operands) or "." in equation:
        raise ValueError(f"einsum: {equation!r} does not name {len(operands)} operands and an output")
    for term, x in zip(terms, operands, strict=True):
        if len(term) != x.ndim or len(set(term)) != len(term) or not set(term) <= set(string.ascii_letters):
            raise ValueError(f"einsum: {term!r} does not name the {x.ndim} axes of an operand, each once")
    if not set(out) <= set("".join(terms)) or len(set(out)) != len(out):
        raise ValueError(f"einsum: the output {out!r} needs letters of the operands, each once")

    term, y = terms[0], operands[0]
    for i, (other, x) in enumerate(zip(terms[1:], operands[1:], strict=True), start=1):
        later = set("".join([out, *terms[i + 1 :]]))
        term, y = _contract(term, y, other, x, later)
    return y.sum(tuple(term.index(c) for c in term if c not in out)).permute(
        [[c for c in term if c in out].index(c) for c in out]
    )


def _contract(ta, a, tb, b, later):
    """The product of two terms as one batched matrix product, summed over the letters not seen later."""
    batch = [c for c in ta if c in tb and c in later]
    inner = [c for c in ta if c in tb and c not in later]
    left = [c for c in ta if c not in tb]
    right = [c for c in tb if c not in ta]
    size = dict(zip(ta, a.shape, strict=True))
    for c, n in zip(tb, b.shape, strict=True):
        if size.setdefault(c, n) != n:
            raise ValueError(f"einsum: the letter {c!r} stands for sizes {size[c]} and {n}")

    def arranged(x, term, *groups):
        x = x.permute([term.index(c) for group in groups for c in group])
        shape = [size[c] for c in batch]
        for group in groups[1:]:
            n = 1
            for c in group:
                n *= size[c]
            shape.append(n)
        return x.reshape(*shape)

    y = matmul(arranged(a, ta, batch, left, inner), arranged(b, tb, batch, inner, right))
    letters = batch + left + right
    return "".join(letters), y.reshape(*(size[c] for c in letters))


class MatMul(Function):
    def forward(self, a, b):
        return a @ b

    def backward(self, gy):
        a, b = (x if isinstance(x, Tensor) else Tensor(x) for x in self.inputs)
        ga = matmul(gy, b.transpose(-1, -2)) if self.wanted[0] else None
        gb = matmul(a.transpose(-1, -2), gy) if self.wanted[1] else None
        return ga, gb
