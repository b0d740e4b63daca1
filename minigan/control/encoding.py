"""Codes of the user's own pictures, by a model's encoder or by search, and walks between them."""

from pathlib import Path

import numpy as np

from minigan.data.kinds import plural
from minigan.data.pictures import picture_size, read_picture
from minigan.errors import MiniganError
from minigan.gans.parts.latent import lerp, slerp
from minigan.metrics import Classifier
from minigan.random import Generator
from minigan.training import Sampler

from .eyes import network_at
from .made import Made
from .search import STEPS, searched

STARTS = 10  # codes that a search starts from
PULL = 1e-3  # of the prior, on codes z


def read_pictures(sampler: Sampler, files: list[Path], resize: bool = False) -> np.ndarray:
    """The pictures in files as the sampler's model takes them, float32 (n, C, H, W) in [-1, 1].

    resize: take of a picture of another size its centred square, resized. MiniganError for a file that
    cannot be read as a picture, one of another size, or a model of other things than pictures.
    """
    if not files:
        raise MiniganError("--input names the pictures, got none")
    shape = sampler.fields.shape
    if (kind := sampler.fields.kind) != "image":
        raise MiniganError(f"{sampler.model.name} learned from {plural(kind)}, and has no code of a picture")
    channels, height, width = shape
    pictures = []
    for file in files:
        size = picture_size(file)
        if size != (width, height) and not resize:
            raise MiniganError(
                f"{file} has {size[0]}x{size[1]} pixels, the model's pictures have {width}x{height}; "
                "--resize takes its centred square, resized"
            )
        pixels, _ = read_picture(file, height if resize else None, channels)
        pictures.append(pixels)
    return np.stack(pictures).astype(np.float32) / 127.5 - 1


def encode(
    sampler: Sampler,
    x: np.ndarray,
    *,
    starts: int = STARTS,
    steps: int = 2 * STEPS,
    seed: int = 0,
    classifier: Classifier | None = None,
    weight: float = 0.1,
    pull: float = PULL,
) -> tuple[dict[str, np.ndarray], str]:
    """(what `Sampler.make` makes samples x again of, by name; "encoder" or "search").

    x: float32 (n, *shape) in [-1, 1]. A model with an encoder uses that. Of others the code is searched for,
    by gradients from `starts` random ones drawn with `seed`: see `searched`; all else that they are made of,
    a label, say, stays with its start, of which there is one a class at least. The code is z, or what the
    model makes of z first, which no prior pulls at. classifier: also compare its features, with `weight`.
    MiniganError for a model that has neither an encoder nor noise z.
    """
    if sampler.model.has("encode"):
        return sampler.encode(x), "encoder"
    if not sampler.model.from_noise:
        raise MiniganError(
            f"{sampler.model.name} has no encoder, and makes its samples from no noise z to search for"
        )
    inputs = sampler.inputs(max(starts, sampler.classes), Generator(seed))
    made = Made(sampler, inputs, "code" if sampler.model.has("code") else "z")
    features = classifier and network_at(classifier, sampler.device)[:-2]
    codes, which = searched(
        x,
        made.codes,
        made,
        features,
        weight if classifier else 0.0,
        pull if made.name == "z" else 0.0,
        steps,
        place=sampler.device,
    )
    return made.inputs(codes, which), "search"


def walk_between(
    sampler: Sampler, inputs: dict[str, np.ndarray], steps: int, kind: str | None = None
) -> np.ndarray:
    """Walks of `steps` samples from each of n samples to the next: float32 (n - 1, steps, *shape).

    inputs: what the n are made of, by name. kind: of the way of z, "spherical" (by default) or "linear"; all
    else goes straight, labels as weights of the classes. MiniganError for codes that are whole numbers.
    """
    t = np.linspace(0, 1, steps, dtype=np.float32)
    walked = {}
    for name, a in inputs.items():
        if name == "labels" and sampler.conditional:
            a = np.eye(sampler.classes, dtype=np.float32)[a]
        if a.dtype.kind != "f":
            raise MiniganError(
                f"the {name} of {sampler.model.name} are whole numbers, between which there is no way"
            )
        way = slerp if name == "z" and kind != "linear" else lerp
        legs = way(a[:-1, None], a[1:, None], t.reshape(-1, *(1,) * (a.ndim - 1)))
        walked[name] = legs.reshape(-1, *a.shape[1:]).astype(np.float32)
    made, *_ = sampler.make(walked).values()
    return made.reshape(len(made) // steps, steps, *made.shape[1:])
