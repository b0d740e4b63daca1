"""What a model makes of the user's own pictures, of any size.

A large picture is cut into tiles, if the model says how far a pixel's influence goes (`REACH`): each tile is
made with a margin of as many pixels around it, which is then cut off, so that it has the very pixels that it
would have within the whole. What a network needs for its layers is then that of a tile, however large the
picture; the result alone grows with it.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from minigan.autograd import Tensor
from minigan.errors import MiniganError
from minigan.gans import model_named, model_names
from minigan.report.samples import as_pixels, picture_of

from .sampler import Sampler

TILE = 128  # pixels a side of a picture that are made at once, without the margin


def translate(
    sampler: Sampler,
    pixels: np.ndarray,
    seed: int = 0,
    report: Callable[[int], None] = lambda done: None,
    **asked,
) -> dict[str, Image.Image]:
    """What the sampler's model makes of a picture, by name, the first of them what is wanted.

    pixels: uint8 (C, H, W), of the data's channels (see `minigan.data.pictures.read_picture`). seed: of its
    noise. asked: what its `translate` may be asked for. report: called with the number of tiles done, of
    `tiles_of`.
    MiniganError for a model that makes nothing of pictures, or what it cannot be asked for.
    """
    canvases: dict[str, Image.Image] = {}
    scale, (_, H, W) = sampler.model.scale(sampler.cfg), pixels.shape
    for done, ((top, left), made) in enumerate(pieces(sampler, pixels, seed, **asked), 1):
        for name, piece in made.items():
            (part,) = as_pixels(piece[None])
            image = picture_of(part)
            if name not in canvases:
                canvases[name] = Image.new(image.mode, (scale * W, scale * H))
            canvases[name].paste(image, (scale * left, scale * top))
        report(done)
    return canvases


def pieces(
    sampler: Sampler, pixels: np.ndarray, seed: int = 0, tile: int = TILE, **asked
) -> Iterator[tuple[tuple[int, int], dict[str, np.ndarray]]]:
    """((top, left), what is made of that tile by name, float32 (K, scale · h, scale · w)) of each tile of a
    picture; of one tile, where the model does not say its reach. Arguments as of `translate`."""
    model, cfg = sampler.model, sampler.cfg
    check_translates(model)
    model.check_asked(asked, model.asks_of_pictures)
    reach, scale, (_, H, W) = model.reach(cfg), model.scale(cfg), pixels.shape
    for (top, bottom), (left, right) in tiles_of(H, W, reach, tile):
        margin = reach or 0
        above, before = max(top - margin, 0), max(left - margin, 0)
        x = pixels[None, :, above : bottom + margin, before : right + margin].astype(np.float32) / 127.5 - 1
        made = sampler.call("translate", seed, x=Tensor(x, device=sampler.device), **asked)
        made = made if isinstance(made, dict) else {"samples": made}
        rows = slice(scale * (top - above), scale * (bottom - above))
        columns = slice(scale * (left - before), scale * (right - before))
        yield (
            (top, left),
            {name: _picture(model, name, y, x.shape, scale)[:, rows, columns] for name, y in made.items()},
        )


def _picture(model, name, made, given, scale):
    """What translate made of one picture, (K, H, W). MiniganError for what is none, or of another size."""
    expected = scale * given[2], scale * given[3]
    if made.ndim != 4 or made.shape[0] != 1 or made.shape[1] not in (1, 3) or made.shape[2:] != expected:
        raise MiniganError(
            f"{model.file}: of a picture {given}, translate makes {name} of shape {made.shape}; with SCALE "
            f"{scale} it should be (1, 1 or 3, {expected[0]}, {expected[1]})"
        )
    return made.numpy()[0]


def tiles_of(H: int, W: int, reach: int | None, tile: int = TILE) -> list[tuple]:
    """((top, bottom), (left, right)) of the tiles of a picture of H by W pixels, row by row; one tile for a
    model without a reach, or a picture that is no larger than a tile with its margin."""
    if reach is None or max(H, W) <= tile + 2 * reach:
        return [((0, H), (0, W))]
    side = max(tile, 2 * reach)  # margins are to be no more than what they are around
    return [
        ((top, min(top + side, H)), (left, min(left + side, W)))
        for top in range(0, H, side)
        for left in range(0, W, side)
    ]


def check_translates(model):
    """MiniganError for a model that makes nothing of pictures of the user's."""
    if not model.has("translate"):
        able = [name for name in model_names() if model_named(name).has("translate")]
        raise MiniganError(
            f"{model.name} makes nothing of pictures that it is given; models that do: {', '.join(able)}"
        )
