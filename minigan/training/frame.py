"""A frame of a game in the plane: what D thinks of it, and what G makes. The page of a run plays them."""

import numpy as np

from minigan import functional as F
from minigan.autograd import Tensor, grad, no_grad
from minigan.gans.model import in_evaluation, networks
from minigan.gans.settings import packs_of

from .session import Session

SIDE = 41  # places along each axis that D is asked about
ARROWS = 64  # generated points with D's gradient
REAL = 500  # real points
REACH = 2.0  # of the noise that a grid is laid in, to both sides of 0
LINES, FEW = 17, 9  # of that grid; of one of several, a class each
COMPANY = 4  # draws of real points to be judged together with, for a D that judges packs


def frame(session: Session) -> dict[str, np.ndarray]:
    """A picture in numbers of a session with points of the plane, float32:

    points   (n, 2), what is made of the same inputs through all of training; of several arrays the first
    real     (REAL, 2)
    extent   (), the half-width of the square that is looked at
    surface  (SIDE, SIDE), the model's `judge` at y = row, x = column of that square: its probability of being
             real, a critic's number; the mean over labels, if it takes any, and over company, if it judges
             packs
    arrows   (ARROWS, 4), generated points and the gradient of its logit, or number, there; these two are not
             there for a model without `judge`, or with one that judges a batch as a whole
    grids    (classes or 1, LINES or FEW, the same, 2), where G takes a grid of noise, the second of its
             numbers to be the row; for noise of one number (…, 1, …, 2). Not there for noise of more.
    """
    fixed = session.fixed
    points, *_ = session.sampler.make(fixed).values()
    real, *_ = session.real.values()
    extent = 1.5 * float(np.abs(real).max(initial=0)) or 1.0
    found = {}
    if session.model.has("judge") and session.cfg.judges_each_alone:
        with session.device.active(), in_evaluation(networks(session.parts)):
            labels = fixed["labels"][:ARROWS] if session.model.tells_labels else None
            arrows = _arrows(session, points[:ARROWS], labels)
            found = {"surface": _surface(session, extent), "arrows": arrows}
    grids = _grids(session.sampler, fixed)
    return {
        "points": points,
        "real": real[:REAL],
        "extent": np.float32(extent),
        **found,
        **({} if grids is None else {"grids": grids}),
    }


def _surface(session, extent):
    ticks = np.linspace(-extent, extent, SIDE, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    sampler, critic = session.sampler, session.model.is_critic(session.cfg)
    said = []
    with no_grad():
        for label in range(sampler.classes) if session.model.tells_labels else (None,):
            for logits in _judged(session, Tensor(places, device=session.device), label):
                said.append((logits if critic else F.sigmoid(logits)).numpy())
    return np.mean(said, axis=0).reshape(SIDE, SIDE)


def _arrows(session, points, labels):
    x = Tensor(points, device=session.device).requires_grad_()
    total = sum(logits.sum() for logits in _judged(session, x, labels))
    (slope,) = grad(total, x)
    return np.concatenate([points, slope.numpy() / (COMPANY if packs_of(session.cfg) > 1 else 1)], axis=1)


def _judged(session, x, labels):
    """What D says of points x (N, 2), logits or a critic's numbers (N, 1); once, or once a draw of company.

    labels: of a judge that is told them, one for all or (N,).
    """
    pack, dataset = packs_of(session.cfg), session.dataset
    for draw in range(COMPANY if pack > 1 else 1):
        chosen = np.repeat(np.arange(pack - 1) + draw * (pack - 1), len(x)) % len(dataset)  # the same for all
        company = [Tensor(dataset.batch(chosen), device=session.device)] if pack > 1 else []
        given = {"x": F.concat([x, *company], axis=0)}
        if labels is not None:
            own = np.broadcast_to(np.asarray(labels, np.int64), len(x))
            given["labels"] = session.device.put(np.concatenate([own, dataset.labels[chosen]]))
        yield session.model.call("judge", **session.parts, **given, cfg=session.cfg)


def _grids(sampler, fixed):
    latent = fixed["z"].shape[1] if "z" in fixed else 0
    if not 1 <= latent <= 2:
        return None
    kinds = range(sampler.classes) if sampler.conditional else (None,)
    ticks = np.linspace(-REACH, REACH, FEW if sampler.conditional else LINES, dtype=np.float32)
    axes = np.meshgrid(*[ticks] * latent) if latent == 2 else [ticks[None]]
    z = np.stack([axis.ravel() for axis in axes], axis=1)
    labels = [{} if k is None else {"labels": np.full(len(z), k)} for k in kinds]
    made = [next(iter(sampler.make({"z": z, **given}).values())) for given in labels]
    return np.stack(made).reshape(len(made), *axes[0].shape, 2)
