"""Losses as layers: criterion(input, target). Their formulas are in `minigan.functional`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import functional as F
from minigan.arguments import checked, one_of
from minigan.autograd import Tensor

from .module import Module


class _Loss(Module):
    """F's function of the same meaning, with settings. Every one takes a `reduction`."""

    function: Any = None

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return self.function(input, target, **self.settings)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.settings.items() if v)


class _Reduced(_Loss):
    @checked()
    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class L1Loss(_Reduced):
    """|x - t|, of tensors of one shape."""

    function = staticmethod(F.l1_loss)


class MSELoss(_Reduced):
    """(x - t)², of tensors of one shape."""

    function = staticmethod(F.mse_loss)


class BCELoss(_Reduced):
    """The binary cross-entropy of probabilities and targets in [0, 1], of one shape."""

    function = staticmethod(F.binary_cross_entropy)


class BCEWithLogitsLoss(_Reduced):
    """The binary cross-entropy of logits and targets in [0, 1], of one shape."""

    function = staticmethod(F.binary_cross_entropy_with_logits)


class SmoothL1Loss(_Loss):
    """|x - t|, quadratic where it is below `beta`, of tensors of one shape."""

    function = staticmethod(F.smooth_l1_loss)

    @checked()
    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction, beta=beta)


class KLDivLoss(_Loss):
    """The divergence of log-probabilities x from probabilities t. reduction: also "batchmean"."""

    function = staticmethod(F.kl_div)

    @checked(reduction=one_of("mean", "sum", "none", "batchmean"))
    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction, log_target=log_target)


class _Weighted(_Loss):
    """A loss of labels. weight: a factor for each class, (C,), kept as a buffer, or None."""

    def __init__(self, weight: Tensor | None, **settings: Any) -> None:
        super().__init__(**settings)
        self.weight = None
        if weight is not None:
            self.register_buffer("weight", Tensor(weight.data))

    def forward(self, input: Tensor, target: Tensor | np.ndarray | Sequence) -> Tensor:
        return self.function(input, target, weight=self.weight, **self.settings)


class CrossEntropyLoss(_Weighted):
    """The cross-entropy of logits (N, C, ...) and labels (N, ...), or probabilities of the logits' shape.

    weight: a Tensor (C,), kept as a buffer, or None. The settings are those of `F.cross_entropy`.
    """

    function = staticmethod(F.cross_entropy)

    @checked()
    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            weight, reduction=reduction, ignore_index=ignore_index, label_smoothing=label_smoothing
        )


class NLLLoss(_Weighted):
    """The negative log-likelihood of labels (N, ...), of log-probabilities (N, C, ...).

    weight: a Tensor (C,), kept as a buffer, or None. The settings are those of `F.nll_loss`.
    """

    function = staticmethod(F.nll_loss)

    @checked()
    def __init__(
        self, weight: Tensor | None = None, ignore_index: int | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction=reduction, ignore_index=ignore_index)
