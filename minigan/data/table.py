"""The datasets by their names: one row of SOURCES for each, and `load`, which reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from minigan.checks import flag, integer, shown
from minigan.data.animals import load_animals
from minigan.data.captions import load_captions
from minigan.data.chimes import load_chimes
from minigan.data.clips import load_clips
from minigan.data.dataset import Dataset
from minigan.data.digits import load_digits
from minigan.data.domains import Domains
from minigan.data.edges import outlined
from minigan.data.facades import load_facades
from minigan.data.factors import load_factors
from minigan.data.few import few
from minigan.data.folder import load_folder
from minigan.data.futures import load_two_futures
from minigan.data.halves import domains_have_test, load_domains, load_pairs, pairs_have_test
from minigan.data.held import hold_out
from minigan.data.melodies import load_melodies
from minigan.data.mixtures import load_mixture
from minigan.data.mnist import load_mnist
from minigan.data.moving import load_moving_digits
from minigan.data.pairs import Pairs
from minigan.data.photographs import load_patches, load_photographs
from minigan.data.sentences import load_sentences
from minigan.data.sounds import load_sounds
from minigan.data.stacked import load_stacked
from minigan.data.two_hands import load_digits_mnist
from minigan.data.vowels import load_vowels
from minigan.errors import MiniganError, did_you_mean

Data = Dataset | Pairs | Domains


@dataclass(frozen=True)
class Source:
    """Where the datasets of one name, or of one beginning of names, come from.

    about: the line that the command line's help has on it.
    kind: of the datasets: one of KINDS, "pair" or "domains".
    load: makes the dataset; called with what `takes` names, by keyword, and with what follows the colon of a
        name, if anything does.
    takes: which of `load`'s arguments it is told: size, data_dir, split, channels. Without size, the dataset
        is resized if another one is asked for.
    has_test: whether there is a test split, of what follows the colon; by default if it takes a split.
    no_test: the reason that there is none, then.
    beside: what is known of each sample that a model may be told, and that few data have: "text" or
        "factors".
    """

    about: str
    kind: str
    load: Callable[..., Data]
    takes: tuple[str, ...] = ()
    has_test: Callable[[str], bool] | None = None
    no_test: str = ""
    beside: tuple[str, ...] = ()


def _edges(outline, name, split, **how):
    """Outlines and pictures of the images `name`. The test pictures are theirs; where they have none, every
    fifth is held out of them."""
    if kind_of(name) != "image":
        these = ", ".join(datasets_of("image"))
        raise MiniganError(f"outlines are drawn of images, which {name} has not; there are: {these}")
    if has_test(name):
        pictures = load(name, split=split, **how)
    else:
        pictures = dict(zip(("train", "test"), hold_out(load(name, **how)), strict=True))[split]
    return outlined(pictures, outline)


OF_IMAGES = "size", "data_dir", "split", "channels"
SOURCES = {
    "digits": Source("1,797 handwritten digits of 8x8 pixels, part of scikit-learn", "image", load_digits),
    "mnist": Source(
        "60,000 handwritten digits of 28x28 pixels",
        "image",
        partial(load_mnist, "mnist"),
        ("data_dir", "split"),
    ),
    "fashion-mnist": Source(
        "60,000 pieces of clothing of 28x28 pixels",
        "image",
        partial(load_mnist, "fashion-mnist"),
        ("data_dir", "split"),
    ),
    "stacked-mnist": Source(
        "128,000 stacks of three MNIST digits, a colour each: 1,000 modes",
        "image",
        load_stacked,
        ("size", "data_dir", "split"),
    ),
    "ring8": Source(
        "8 Gaussians on a circle in the plane", "point", partial(load_mixture, "ring8"), ("split",)
    ),
    "grid25": Source(
        "25 Gaussians on a grid in the plane", "point", partial(load_mixture, "grid25"), ("split",)
    ),
    "photographs": Source(
        "patches of two photographs of 640x427 pixels, part of scikit-learn",
        "image",
        load_photographs,
        ("size", "split"),
    ),
    "factors": Source(
        "20,000 shapes of six known factors, drawn at any size from 16",
        "image",
        load_factors,
        ("size", "split"),
        beside=("factors",),
    ),
    "factors:HOW": Source(
        "the same with correlated=A-B, without=A-B (both high), known=SHARE, or several with commas",
        "image",
        load_factors,
        ("size", "split"),
        beside=("factors",),
    ),
    "captions": Source(
        "20,000 shapes and a sentence about each, drawn at any size from 16",
        "image",
        load_captions,
        ("size", "split"),
        beside=("text", "factors"),
    ),
    "facades": Source(
        "2,000 maps of houses and their pictures, drawn at any size from 32",
        "pair",
        load_facades,
        ("size", "split"),
    ),
    "animals": Source(
        "2,000 brown animals and 2,000 striped ones, unpaired, drawn at any size from 32",
        "domains",
        load_animals,
        ("size", "split"),
    ),
    "digits-mnist": Source(
        "the digits of digits and of mnist at 16x16 pixels, unpaired: two hands of writing",
        "domains",
        load_digits_mnist,
        ("size", "data_dir", "split"),
    ),
    "moving-digits": Source(
        "8,000 films of 8 frames, in each a digit that bounces in a box, drawn at any size from 16",
        "clip",
        load_moving_digits,
        ("size", "split"),
    ),
    "moving-digits:HOW": Source(
        "the same with digits=2, frames=T, speed=V, or several with commas",
        "clip",
        load_moving_digits,
        ("size", "split"),
    ),
    "two-futures": Source(
        "8,000 films of a digit that falls, then leaves to the left or to the right, by chance",
        "clip",
        load_two_futures,
        ("size", "split"),
    ),
    "chimes": Source(
        "4,000 chimes of eight notes, a quarter of a second each, at 4,000 Hz",
        "sound",
        load_chimes,
        ("split",),
    ),
    "vowels": Source(
        "4,000 vowels of five kinds, said by as many speakers, at 6,000 Hz", "sound", load_vowels, ("split",)
    ),
    "melodies": Source(
        "20,000 melodies of 16 steps that keep to a grammar, and the lines that they are sung to",
        "melody",
        load_melodies,
        ("split",),
    ),
    "sentences": Source(
        "1,844 sentences of up to 24 letters, whose words agree in number and gender",
        "text",
        load_sentences,
        ("split",),
    ),
    "edges:NAME": Source(
        "the images NAME, and thin outlines of them", "pair", partial(_edges, "thin"), OF_IMAGES
    ),
    "edges-thick:NAME": Source("the same, with thick outlines", "pair", partial(_edges, "thick"), OF_IMAGES),
    "edges-dilated:NAME": Source(
        "the same, with thin outlines grown by a pixel", "pair", partial(_edges, "dilated"), OF_IMAGES
    ),
    "folder:PATH": Source(
        "the images in the folder PATH; its sub-folders are the classes",
        "image",
        load_folder,
        ("size", "channels"),
    ),
    "patches:PATH": Source(
        "patches of the photographs in the folder PATH, at their own resolution",
        "image",
        load_patches,
        ("size", "split", "channels"),
    ),
    "pairs:PATH": Source(
        "the pictures in the folder PATH, two side by side in each file; or its folders a and b",
        "pair",
        load_pairs,
        ("size", "split", "channels"),
        pairs_have_test,
        "there is no folder test or val",
    ),
    "pairs-swapped:PATH": Source(
        "the same, with the right ones, or b, for x",
        "pair",
        partial(load_pairs, swapped=True),
        ("size", "split", "channels"),
        pairs_have_test,
        "there is no folder test or val",
    ),
    "domains:PATH": Source(
        "the pictures in the folders trainA and trainB of PATH",
        "domains",
        load_domains,
        ("size", "split", "channels"),
        domains_have_test,
        "there are no folders testA and testB",
    ),
    "clips:PATH": Source(
        "the films in the folder PATH: GIFs, or folders of frames; its sub-folders are the classes",
        "clip",
        load_clips,
        ("size", "channels"),
    ),
    "sounds:PATH": Source(
        "the WAV files in the folder PATH, at 8,000 Hz; its sub-folders are the classes",
        "sound",
        load_sounds,
        ("size",),
    ),
}
NAMES = {name: source.about for name, source in SOURCES.items()}
FROM_FILES = tuple(  # those that are read from a data folder
    name for name, source in SOURCES.items() if "data_dir" in source.takes and ":" not in name
)


def load(
    name: str,
    size: int | None = None,
    data_dir: str | Path | None = None,
    split: str = "train",
    channels: int | None = None,
    flip: bool = False,
    samples: int | None = None,
) -> Data:
    """The dataset `name`, one of NAMES: a `Dataset`, `Pairs` or `Domains`.

    size: height and width of the images; by default their own, 32 of facades, and 64 in a folder.
    data_dir: the folder with the files of mnist or fashion-mnist; stacked-mnist is made of the former's,
        outlines are drawn of what is there, and the other datasets take none.
    split: "train" or "test"; `has_test` tells which have a test split.
    channels: of the images in a folder: 1 makes them grey, 3 colour; by default grey if all of them are.
    flip: whether images come mirrored half of the time, see `Dataset`; the two of a pair together.
    samples: how many of the split to take, at equal distances; of domains, of each. By default all.
    MiniganError for an unknown name or split, a size that cannot be, files that cannot be used, channels of
    other data than a folder, mirrored data that are no images, or more samples than there are.
    """
    row, rest = _row("load", name)
    source = SOURCES[row]
    if not isinstance(data_dir, str | Path | None):
        raise TypeError(f"load: data_dir must be a text, got {shown(data_dir)}")
    if size is not None:
        integer("load", "size", size)
    if samples is not None:
        integer("load", "samples", samples, 1)
    flag("load", "flip", flip)
    if split not in ("train", "test"):
        raise MiniganError(f"split must be 'train' or 'test', got {split!r}")
    if split == "test" and not has_test(name):
        if source.has_test:
            raise MiniganError(f"{name} has no test split: {source.no_test} in it")
        these = ", ".join(row for row, source in SOURCES.items() if "split" in source.takes)
        raise MiniganError(f"{name} has no test split; only {these} have one")
    if data_dir and "data_dir" not in source.takes:
        these = ", ".join(FROM_FILES)
        raise MiniganError(f"only {these} are read from a data folder, {name} needs none")
    if channels is not None and "channels" not in source.takes:
        raise MiniganError(f"only the images of a folder are made grey or colour, got channels of {name}")
    given = {"size": size, "data_dir": data_dir, "split": split, "channels": channels}
    dataset = source.load(*rest, **{argument: given[argument] for argument in source.takes})
    if size is not None and "size" not in source.takes:
        dataset = dataset.to_size(size)
    if samples is not None:
        dataset = few(dataset, samples)
    return dataset.mirrored() if flip else dataset


def has_test(name: str) -> bool:
    """Whether the dataset `name` has a test split. MiniganError for an unknown name."""
    row, rest = _row("has_test", name)
    source = SOURCES[row]
    return source.has_test(*rest) if source.has_test else "split" in source.takes


def kind_of(name: str) -> str:
    """The kind of the dataset `name`: of its samples, as "image" or "sound", or "pair" or "domains".
    MiniganError for an unknown name."""
    return SOURCES[_row("kind_of", name)[0]].kind


def datasets_of(kind: str) -> list[str]:
    """The names of all datasets of a kind, as `kind_of` has it. MiniganError for another kind."""
    kinds = sorted({source.kind for source in SOURCES.values()})
    if kind not in kinds:
        raise MiniganError(f"no dataset is of the kind {shown(kind)}; there are: {', '.join(kinds)}")
    return [name for name, source in SOURCES.items() if source.kind == kind]


def datasets_with(beside: str) -> list[str]:
    """The names of all datasets whose samples have something known beside them: "text" or "factors".
    MiniganError for anything else."""
    if beside not in ("text", "factors"):
        raise MiniganError(f"what is known beside samples is text or factors, got {shown(beside)}")
    return [name for name, source in SOURCES.items() if beside in source.beside]


def resolved(name: str) -> str:
    """The dataset `name` for whoever works in another folder: with an absolute path, if it has one.
    MiniganError for an unknown name."""
    row, rest = _row("resolved", name)
    beginning, _, what = row.partition(":")
    if what == "PATH":
        return f"{beginning}:{Path(*rest).expanduser().resolve()}"
    return f"{beginning}:{resolved(*rest)}" if what == "NAME" else name


def _row(who, name):
    """(the row of SOURCES that the dataset `name` comes from, what follows the colon if the row has one)."""
    if not isinstance(name, str):
        raise TypeError(f"{who}: name must be a text, got {shown(name)}")
    beginning, _, rest = name.partition(":")
    for row in SOURCES:
        own, colon, _ = row.partition(":")
        if colon and rest and own == beginning:
            return row, [rest]
        if not colon and row == name:
            return row, []
    raise MiniganError(f"unknown dataset {name!r}; {did_you_mean(name, NAMES)}")
