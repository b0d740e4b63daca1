"""Losses."""

import numpy as np
from scipy import special

import minigan.functional as F

from .row import Row, apart, beside, fractions, like

LABELS = np.array([2, 0, 0, 1, 2])
PICTURE, WEIGHT = np.array([[[2, 0], [1, 1]], [[0, 2], [0, 1]]]), np.array([0.5, 2.0, 1.5])
SIGNS = np.array([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])


def loss_rows(reduction):
    how = {"reduction": reduction}
    reduced = {"mean": np.mean, "sum": np.sum, "none": np.array}[reduction]

    def kl_div_in_torch(torch, x, t, **settings):  # whose own mean comes with a warning
        losses = torch.nn.functional.kl_div(x, t, reduction="none", **settings)
        return losses if reduction == "none" else getattr(losses, reduction)()

    def row(name, f, inputs, reference, torch=None):
        op, _, form = name.partition(",")
        return Row(f"{op}, {reduction}{form and ','}{form}", f, inputs, reference, torch)

    return [
        row(
            "binary_cross_entropy_with_logits",
            lambda x, t: F.binary_cross_entropy_with_logits(x, t, **how),
            [(2, 3), fractions(2, 3)],
            lambda x, t: reduced(-t * np.log(special.expit(x)) - (1 - t) * np.log(special.expit(-x))),
            lambda torch, x, t: torch.nn.functional.binary_cross_entropy_with_logits(x, t, **how),
        ),
        row(
            "binary_cross_entropy_with_logits, target 0.9",
            lambda x: F.binary_cross_entropy_with_logits(x, 0.9, **how),
            [(2, 3)],
            lambda x: reduced(np.logaddexp(0, x) - 0.9 * x),
        ),
        row(
            "binary_cross_entropy",
            lambda x, t: F.binary_cross_entropy(x, t, **how),
            [fractions(2, 3), fractions(2, 3)],
            lambda x, t: reduced(-t * np.log(x) - (1 - t) * np.log(1 - x)),
            lambda torch, x, t: torch.nn.functional.binary_cross_entropy(x, t, **how),
        ),
        row(
            "nll_loss",
            lambda x: F.nll_loss(x, beside(x, LABELS), **how),
            [(5, 3)],
            lambda x: reduced(-x[np.arange(5), LABELS]),
            lambda torch, x: torch.nn.functional.nll_loss(x, torch.tensor(LABELS), **how),
        ),
        row(
            "nll_loss, of images, weight and ignored",
            lambda x: F.nll_loss(x, beside(x, PICTURE), **how, weight=like(x, WEIGHT), ignore_index=1),
            [(2, 3, 2, 2)],
            None,
            lambda torch, x: torch.nn.functional.nll_loss(
                x, torch.tensor(PICTURE), torch.tensor(WEIGHT), ignore_index=1, **how
            ),
        ),
        row(
            "mse_loss",
            lambda x, t: F.mse_loss(x, t, **how),
            [(2, 3), (2, 3)],
            lambda x, t: reduced((x - t) ** 2),
            lambda torch, x, t: torch.nn.functional.mse_loss(x, t, **how),
        ),
        row(
            "mse_loss, target 1",
            lambda x: F.mse_loss(x, 1, **how),
            [(2, 3)],
            lambda x: reduced((x - 1) ** 2),
        ),
        row(
            "l1_loss",
            lambda x, t: F.l1_loss(x, t, **how),
            [apart(2, 3), apart(2, 3, at=0.75)],
            lambda x, t: reduced(np.abs(x - t)),
            lambda torch, x, t: torch.nn.functional.l1_loss(x, t, **how),
        ),
        row(
            "smooth_l1_loss",
            lambda x, t: F.smooth_l1_loss(x, t, **how, beta=1.1),
            [apart(2, 3), apart(2, 3, at=0.75)],
            lambda x, t: reduced(np.where((d := np.abs(x - t)) < 1.1, d * d / 2.2, d - 0.55)),
            lambda torch, x, t: torch.nn.functional.smooth_l1_loss(x, t, **how, beta=1.1),
        ),
        row(
            "kl_div",
            lambda x, t: F.kl_div(x, t, **how),
            [(2, 3), fractions(2, 3)],
            lambda x, t: reduced(t * (np.log(t) - x)),
            lambda torch, x, t: kl_div_in_torch(torch, x, t),
        ),
        row(
            "kl_div, log_target",
            lambda x, t: F.kl_div(x, t, **how, log_target=True),
            [(2, 3), (2, 3)],
            lambda x, t: reduced(np.exp(t) * (t - x)),
            lambda torch, x, t: kl_div_in_torch(torch, x, t, log_target=True),
        ),
        row(
            "hinge_loss",
            lambda x: F.hinge_loss(x, like(x, SIGNS), **how),
            [apart(2, 3)],
            lambda x: reduced(np.maximum(0, 1 - SIGNS * x)),
        ),
        row(
            "hinge_loss, target -1",
            lambda x: F.hinge_loss(x, -1, **how),
            [apart(2, 3)],
            lambda x: reduced(np.maximum(0, 1 + x)),
        ),
        row(
            "cross_entropy",
            lambda x: F.cross_entropy(x, beside(x, LABELS), **how),
            [(5, 3)],
            lambda x: reduced(-special.log_softmax(x, 1)[np.arange(5), LABELS]),
            lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor(LABELS), **how),
        ),
        row(
            "cross_entropy, of images",
            lambda x: F.cross_entropy(x, beside(x, PICTURE), **how),
            [(2, 3, 2, 2)],
            None,
            lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor(PICTURE), **how),
        ),
        row(
            "cross_entropy, weight, ignored and smoothed",
            lambda x: F.cross_entropy(
                x, beside(x, PICTURE), **how, weight=like(x, WEIGHT), ignore_index=1, label_smoothing=0.1
            ),
            [(2, 3, 2, 2)],
            None,
            lambda torch, x: torch.nn.functional.cross_entropy(
                x,
                torch.tensor(PICTURE),
                torch.tensor(WEIGHT),
                ignore_index=1,
                label_smoothing=0.1,
                **how,
            ),
        ),
        row(
            "cross_entropy, ignored",
            lambda x: F.cross_entropy(x, beside(x, LABELS), **how, ignore_index=0),
            [(5, 3)],
            None,
            lambda torch, x: torch.nn.functional.cross_entropy(
                x, torch.tensor(LABELS), ignore_index=0, **how
            ),
        ),
        row(
            "cross_entropy, probabilities",
            lambda x, t: F.cross_entropy(x, t, **how, label_smoothing=0.2),
            [(2, 3, 2), fractions(2, 3, 2)],
            None,
            lambda torch, x, t: torch.nn.functional.cross_entropy(x, t, label_smoothing=0.2, **how),
        ),
    ]


LOSSES = [
    Row(
        "kl_div, batchmean",
        lambda x, t: F.kl_div(x, t, "batchmean"),
        [(2, 3), fractions(2, 3)],
        torch=lambda torch, x, t: torch.nn.functional.kl_div(x, t, reduction="batchmean"),
    ),
]
LOSSES += [row for reduction in ("mean", "sum", "none") for row in loss_rows(reduction)]
