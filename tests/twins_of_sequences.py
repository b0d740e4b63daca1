"""What the twins in PyTorch of models of sequences have in common."""

import pytest

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn


class Residual(tnn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + 0.3 * self.body(x)


def blocks(width, n):
    def conv():
        return tnn.Conv1d(width, width, 5, padding=2)

    return [Residual(tnn.Sequential(tnn.ReLU(), conv(), tnn.ReLU(), conv())) for _ in range(n)]


def weights_of(scores, cfg, drawn):
    """Of scores (N, words, L): the softmax, or a draw by the next uniform numbers, with its gradient."""
    if cfg.choice == "softmax":
        return torch.softmax(scores, 1)
    soft = torch.softmax((scores - torch.log(-torch.log(next(drawn)))) / cfg.tau, 1)
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1.0)
    return hard + soft - soft.detach()


def penalty_of(D, mixed, eps, packed=lambda x: x):
    """E[(‖∇D‖ - 1)²] at samples (N, words, L)."""
    mixed = mixed.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
    norms = (packed(slope).flatten(1).square().sum(1) + eps).sqrt()
    return (norms - 1).square().mean()
