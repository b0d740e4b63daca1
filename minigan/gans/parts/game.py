"""What D minimises in the games that several models can be told to play."""

from minigan import functional as F


def judge_loss(d_real, d_fake, cfg):
    """The loss of what D said of real samples and of made ones, (N, 1) each: (). cfg: GameSettings.

    The cross-entropy, real samples having the target 1 - cfg.smoothing (Salimans et al. 2016, section 3.4);
    or with the hinge loss max(0, 1 - D(x)) + max(0, 1 + D(x̃)) (Lim, Ye 2017). Order of derivative: any.
    """
    if cfg.loss == "hinge":
        return F.hinge_loss(d_real, 1.0) + F.hinge_loss(d_fake, -1.0)
    bce = F.binary_cross_entropy_with_logits
    return bce(d_real, 1.0 - cfg.smoothing) + bce(d_fake, 0.0)
