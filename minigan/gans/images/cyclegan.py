"""CycleGAN: from images of one kind to another kind and back, where nobody knows pairs.

Zhu, Park, Isola, Efros, "Unpaired image-to-image translation using cycle-consistent adversarial networks",
2017. G turns an x into what is to look like a y, F a y into what is to look like an x; Dy and Dx judge. That
alone would let G make any y of an x. So the way there and back is to end where it began:

    L(G, F, Dx, Dy) = L_GAN(G, Dy) + L_GAN(F, Dx) + λ (E_x‖F(G(x)) - x‖₁ + E_y‖G(F(y)) - y‖₁)   (equation 3)

L_GAN is of least squares (section 4): D gives 1 for what is real and 0 for what is made, and G is to make it
give 1. Where x and y have as many channels, G is to leave a y as it is, and F an x (section 5.2): it keeps
colours that need no change.

    G, F    `parts/resnet.py`; two halvings and 9 residual blocks from 256 pixels on, 6 for 128 (appendix
            7.2). Blocks of the paper see 64 x 64 pixels; so images below 64 are not halved here, and have 4
            blocks, below 32 3. What networks make is added to the image, not put in its place, so that they
            begin with what was there (`--no-adds` for the paper's).
    Dx, Dy  PatchGAN, `parts/patchgan.py`, with instance norm: 3 halvings from 128 pixels on, as in the paper,
            here 2 below
    λ 10, identity 0.5 λ                                sections 4 and 5.2
    D's objective halved, a pool of 50 made images      section 4
    rates that fall to 0 along a line in the second half of the steps, Adam's betas 0.5, 0.999   section 4
    rates 1e-3 of G and F, 2e-4 of judges               the paper has 2e-4 for all, and 100 times the steps
    weights N(0, 0.02)                                  appendix 7.1
    width 16, batch 4                                   the paper has 64, and 1

`--cycle-distance l2` squares the differences of the cycle. `--cycle 0` is the two games alone.
"""

from dataclasses import dataclass, replace
from typing import Literal

from minigan import functional, nn
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts import convolutions
from ..parts.held_out import some_of
from ..parts.patchgan import patch_discriminator
from ..parts.pool import ImagePool
from ..parts.rates import whole_then_falling
from ..parts.resnet import resnet_generator
from ..parts.whole import in_multiples
from ..settings import Settings

TAKES = ("domains",)
DATA = "animals"
MAKES = {"F(G(x))": "x", "G(F(y))": "y"}
SHOWS = "x", "G(x)", "F(G(x))", "y", "F(y)", "G(F(y))"
CRITIC = True  # a judge gives numbers near 0 and 1, not logits


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    steps: int = 1200
    batch_size: int = 4
    width: int = 16
    """Channels of the layers next to the image, of G and F and of the judges; they double as it halves."""
    blocks: int | None = None
    """Residual blocks of G and F; by default 3 below 32 pixels, 4 below 64, 6 below 256, and 9 from there
    on."""
    halvings: int | None = None
    """Halvings of G and F before those; by default none below 64 pixels, 1 below 128, and 2 from there on."""
    adds: bool = True
    """Whether G and F say what is to be added to an image, where x and y have as many channels; or what is to
    be in its place."""
    patch: int | None = None
    """Halvings of the judges, which decide how large their patches are: 16 pixels, 34, 70; by default 1 below
    12 pixels, 2 below 128, and 3 from there on."""
    cycle: float = 10.0
    """λ, the weight of the way there and back."""
    cycle_distance: Literal["l1", "l2"] = "l1"
    """How far F(G(x)) is from x: |difference|, or its square."""
    identity: float | None = None
    """Weight, in λ, of G leaving a y as it is, and F an x; by default 0.5, and 0 where x and y differ in
    channels."""
    pool: int = 50
    """Made images of each kind that judges see again, mixed with new ones; 0 for new ones alone."""
    lr: float = 1e-3
    """Adam's learning rate, of G and F; it falls to 0 in the second half of the steps."""
    lr_d: float = 2e-4
    """Adam's learning rate of the judges; it falls alike."""
    beta1: float = 0.5
    """Adam's first decay rate."""

    def __post_init__(self):
        super().__post_init__()
        require(self, "width", "patch", "blocks", at_least=1)
        require(self, "halvings", "cycle", "identity", "pool", "lr", "lr_d")
        require(self, "beta1", below=1)

    def fitted(self, data):
        cfg = super().fitted(data)
        channels = [data[name].shape[0] for name in ("x", "y")]
        alike = channels[0] == channels[1]
        if cfg.identity and not alike:
            raise MiniganError(
                f"identity = {cfg.identity} wants G to leave a y as it is, and G takes an x; here x has "
                f"{channels[0]} channels, and y {channels[1]}"
            )
        by_size = {
            "blocks": 3 if cfg.size < 32 else 4 if cfg.size < 64 else 6 if cfg.size < 256 else 9,
            "halvings": 0 if cfg.size < 64 else 1 if cfg.size < 128 else 2,
            "patch": 1 if cfg.size < 12 else 2 if cfg.size < 128 else 3,
            "identity": 0.5 if alike else 0.0,
        }
        cfg = replace(cfg, **{name: value for name, value in by_size.items() if getattr(cfg, name) is None})
        if cfg.size % divisor_of(cfg) or cfg.size < smallest_of(cfg):
            raise MiniganError(
                f"networks of {cfg.halvings} halvings take images of a multiple of {divisor_of(cfg)} pixels "
                f"a side, from {smallest_of(cfg)} on, not of {cfg.size}"
            )
        if cfg.size < 3 * 2**cfg.patch:
            raise MiniganError(
                f"judges of {cfg.patch} halvings take images from {3 * 2**cfg.patch} pixels a side on, not "
                f"of {cfg.size}; --patch sets how many they have"
            )
        return cfg


def divisor_of(cfg: Config) -> int:
    """What the sides of an image are to be multiples of."""
    return 2**cfg.halvings


def smallest_of(cfg: Config) -> int:
    """How many pixels a side an image has at least, so that there is a mirror image within each layer."""
    return max(4, 2 * divisor_of(cfg))


def parts(cfg: Config, data, rng):
    """G: x -> y. F: y -> x. Dx, Dy: images -> a number for each patch. The pools have made ones."""
    shapes = data["x"].shape, data["y"].shape
    (C, _, _), (K, _, _) = shapes
    sizes = cfg.width, cfg.halvings, cfg.blocks, cfg.adds and C == K
    G, F = resnet_generator(C, K, *sizes), resnet_generator(K, C, *sizes)
    Dx, Dy = (patch_discriminator(n, cfg.width, cfg.patch, nn.InstanceNorm2d) for n in (C, K))
    for net in (G, F, Dx, Dy):
        net.apply(lambda layer: convolutions.initialise(layer, rng))
    opt_g, opt_d = (
        Adam([p for net in nets for p in net.parameters()], lr, (cfg.beta1, 0.999))
        for nets, lr in (((G, F), cfg.lr), ((Dx, Dy), cfg.lr_d))
    )
    pool_x, pool_y = (ImagePool(cfg.pool, shape) for shape in shapes)

    falling = whole_then_falling(cfg.steps)
    return {
        **{"G": G, "F": F, "Dx": Dx, "Dy": Dy, "opt_g": opt_g, "opt_d": opt_d},
        **{"rate_g": LambdaLR(opt_g, falling), "rate_d": LambdaLR(opt_d, falling)},
        **{"pool_x": pool_x, "pool_y": pool_y},
    }


def inputs(n, rng, data):
    """n images of either kind, of the held-out ones."""
    x, y = some_of(data, n, rng)
    return {"x": x, "y": y}


def make(x, y, G, F):
    """Images of both kinds -> as the other kind, and back again."""
    to_y, to_x = G(x), F(y)
    return {"G(x)": to_y, "F(G(x))": F(to_y), "F(y)": to_x, "G(F(y))": G(to_x)}


def translate(x, rng, cfg: Config, G, F, direction: Literal["x-to-y", "y-to-x"] = "x-to-y"):
    """A picture (1, C, H, W) of any size -> as the other kind, and back again. It is seen as a whole: what
    its channels are divided by is of all its pixels.

    direction: whether the picture is an x, to be turned into a y, or the other way round
    """
    sides = divisor_of(cfg) if min(x.shape[2:]) >= smallest_of(cfg) else smallest_of(cfg)
    names, (there, back) = {
        "x-to-y": (("G(x)", "F(G(x))"), (G, F)),
        "y-to-x": (("F(y)", "G(F(y))"), (F, G)),
    }[direction]
    made = in_multiples(there, x, sides)
    return dict(zip(names, (made, in_multiples(back, made, sides)), strict=True))


def pictures(show, data, rng, G, F):
    """Held-out images of either kind in large: turned into the other, and back again."""
    x, y = (Tensor(a, device=rng.device) for a in data.batch(range(min(6, len(data)))))
    to_y, to_x = G(x), F(y)
    show(
        "Held-out images of the one kind, x; turned into the other, G(x); and back, F(G(x)).",
        x,
        to_y,
        F(to_y),
    )
    show(
        "Held-out images of the other kind, y; turned into the one, F(y); and back, G(F(y)).",
        y,
        to_x,
        G(to_x),
    )


def train(data, rng, cfg: Config, G, F, Dx, Dy, opt_g, opt_d, rate_g, rate_d, pool_x, pool_y):
    """Section 4 and appendix 7.1: one step of G and F, then one of the judges, which see some of the images
    that were made before. Yields the losses, and what judges said of each patch."""
    judged, distance = functional.mse_loss, functional.l1_loss
    cycle_distance = {"l1": functional.l1_loss, "l2": functional.mse_loss}[cfg.cycle_distance]

    @graph  # on a GPU, each of the two steps is one launch
    def make_better(x, y):
        x, y = Tensor(x), Tensor(y)
        to_y, to_x = G(x), F(y)
        cycle = cycle_distance(F(to_y), x) + cycle_distance(G(to_x), y)
        g_loss = judged(Dy(to_y), 1.0) + judged(Dx(to_x), 1.0) + cfg.cycle * cycle
        seen = {"cycle": cycle}
        if cfg.identity:
            seen["identity"] = distance(G(y), y) + distance(F(x), x)
            g_loss = g_loss + cfg.cycle * cfg.identity * seen["identity"]
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss, **seen}, to_x, to_y

    @graph
    def judge_better(x, y, to_x, to_y):
        dx_real, dx_fake, dy_real, dy_fake = (
            D(Tensor(a)) for D, a in ((Dx, x), (Dx, to_x), (Dy, y), (Dy, to_y))
        )
        d_loss = 0.5 * (
            judged(dx_real, 1.0) + judged(dx_fake, 0.0) + judged(dy_real, 1.0) + judged(dy_fake, 0.0)
        )
        opt_d.step(grad(d_loss, opt_d.params))
        return {
            "d_loss": d_loss,
            "dx_real": dx_real,
            "dx_fake": dx_fake,
            "dy_real": dy_real,
            "dy_fake": dy_fake,
        }

    for x, y in data:
        seen, to_x, to_y = make_better(x, y)
        seen |= judge_better(x, y, pool_x.swap(to_x.data, rng), pool_y.swap(to_y.data, rng))
        rate_g.step()
        rate_d.step()
        yield seen
