"""The models, a file each, in folders by what they make samples from. All have the same public parts:

TAKES               what a batch holds: ("image",), ("image or point", "label"), ("pair",), ("domains",),
                    ("clip", "label"), ("image", "text"): what a sample is, and what is known of it beside
Config              the hyper-parameters, a dataclass that the command line is made from
parts(cfg, data, rng)   all that learns or remembers, by name: networks, optimisers, pools
inputs(n, rng, cfg)     what n samples are made of, arrays by name; further keywords are what a user may ask
                        for, flags of `minigan sample`
make(z, G)              the samples: a Tensor, or several by name
train(data, rng, cfg, G, D, opt_g, opt_d)   the loop: a generator function, one `next` is one step, that
                        yields what it saw by name: numbers, or what judge X said as x_real and x_fake

and, if they like, DATA = "facades" (what it learns from by default), CRITIC = True (what a judge says are
numbers, not logits), BESIDE (what a batch holds behind the rest: ("factors",), or a function of cfg that says
so), SLOPE = 1 (what is wanted of the judge's gradient), MAKES = {"G(x)": "y"} (which input a sample is
compared with), SHOWS = ("x", "G(x)", "F(G(x))") (what a sample is shown as, by name, side by side), judge(x,
D) (for the picture of the plane), code(z, G) (what walks go through in place of z: `make` takes it as
`code`), pictures(show, ...) (their own exhibits: show(text, *arrays), of images, or of samples such as the
data are) and numbers(data, ...) (their own metrics, each a number, or a number and of how many samples it is;
`rng.device` is where the networks lie, `classifier` that of the data, None where there is none).

What has a code for each sample may have

encode(x, encoder)      samples (n, *shape) -> what `make` makes them again of, its inputs by name

What makes pictures of pictures may have

translate(x, rng, G)    a picture of the user's, (1, C, H, W) in [-1, 1] and of any size -> what is made of
                        it, a Tensor, or several by name; further keywords are flags of `minigan sample`

and REACH, a number or a function of cfg: up to how many pixels away a pixel of x has an influence, and the
same one wherever it stands. Then large pictures are cut into tiles with that margin, so that memory stays
flat and no seam is seen. SCALE, a number or a function of cfg, is how many pixels long a pixel of x becomes,
1 by default. A file whose network halves, or draws noise by the size of x, says no REACH and gets x whole;
`parts.whole.in_multiples` extends x to what a network divides, and crops again.

Each function gets by name what it names: inputs, parts, `cfg`, `data`, `rng`. `Model` is such a file as the
rest of minigan uses it, and `minigan.testing.check_model` holds a file to all this.
"""

from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from minigan.errors import MiniganError, did_you_mean

from .model import Model

FILES = {
    "gan": "noise.gan",
    "dcgan": "noise.dcgan",
    "cgan": "noise.cgan",
    "acgan": "noise.acgan",
    "infogan": "noise.infogan",
    "lsgan": "noise.lsgan",
    "wgan": "noise.wgan",
    "wgan-gp": "noise.wgan_gp",
    "lapgan": "noise.lapgan",
    "unrolled": "noise.unrolled",
    "stylegan": "noise.stylegan",
    "ae": "codes.ae",
    "vae": "codes.vae",
    "beta-vae": "codes.beta_vae",
    "vq-vae": "codes.vq_vae",
    "vae-gan": "codes.vae_gan",
    "pix2pix": "images.pix2pix",
    "cyclegan": "images.cyclegan",
    "srgan": "images.srgan",
    "dvdgan": "time.dvdgan",
    "next-frame": "time.next_frame",
    "wavegan": "time.wavegan",
    "melody-gan": "time.melody_gan",
    "text-gan": "time.text_gan",
    "text2image": "time.text2image",
}
GROUP = "minigan.models"  # the entry points of other packages' models


def model_names() -> list[str]:
    """The names of all installed models: minigan's, then those of other packages."""
    return [*FILES, *sorted({point.name for point in entry_points(group=GROUP)} - {*FILES})]


def model_named(name: str | Model) -> Model:
    """The model of that name, or in the file of that path: "dcgan", "path/to/model.py"; a Model is itself.

    MiniganError with the nearest name for an unknown one, and for a file that keeps not to the contract.
    """
    if isinstance(name, Model):
        return name
    if name in FILES:
        return Model(name, import_module(f"{__name__}.{FILES[name]}"))
    for point in entry_points(group=GROUP, name=name):
        return Model(name, point.load())
    if name.endswith(".py"):
        return Model.read(Path(name))
    raise MiniganError(
        f"unknown model {name!r}; {did_you_mean(name, model_names())}; one of your own is named by its file"
    )


__all__ = ["Model", "model_named", "model_names"]
