"""A model file as the rest of minigan uses it: its functions, called with what they name."""

import contextlib
import importlib.util
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from minigan import functional as F
from minigan.autograd import Tensor, no_grad
from minigan.errors import MiniganError, did_you_mean
from minigan.nn import Module
from minigan.optim import Optimizer

from .settings import Settings

FUNCTIONS = "parts", "inputs", "make", "train"
GIVEN = "n", "rng", "cfg", "data"  # what functions get that is no part, and nobody asks for
HELP = re.compile(r"^\s*(\w+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """What a user may ask a function for: its name, the type, the default, what it means."""

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def kinds(self) -> list:
        """The types that a value may have, but for None."""
        return [kind for kind in typing.get_args(self.kind) or (self.kind,) if kind is not type(None)]


class Model:
    """The model `name`, in the module `module`: see the contract in `minigan.gans`.

    source: what `model_named` finds it by, its name or the path of its file.
    takes: what a batch of it holds. data: what it learns from by default. slope: what is wanted of the
    judge's gradient, None where nothing is. makes: which input each sample is to be compared with. shows:
    what a sample is shown as, by name, side by side; empty for the data that it is made of, what is made, and
    what that is to be compared with.
    MiniganError, with the file, for a module that does not keep the contract.
    """

    def __init__(self, name: str, module: ModuleType):
        self.name, self.module, self.source = name, module, name
        for function in FUNCTIONS:
            if not inspect.isfunction(getattr(module, function, None)):
                raise MiniganError(f"{self.file} has no function {function}, which a model needs")
        self.Config = getattr(module, "Config", None)
        if not (is_dataclass(self.Config) and issubclass(self.Config, Settings)):
            raise MiniganError(
                f"{self.file}: Config must be a dataclass derived from minigan.gans.settings.Settings"
            )
        self.takes = getattr(module, "TAKES", None)
        if not (isinstance(self.takes, tuple) and self.takes and all(isinstance(t, str) for t in self.takes)):
            raise MiniganError(f'{self.file}: TAKES must say what a batch holds, as in TAKES = ("image",)')
        self.makes, self.data = getattr(module, "MAKES", {}), getattr(module, "DATA", "digits")
        self.slope = getattr(module, "SLOPE", None)
        self.shows = getattr(module, "SHOWS", ())

    @classmethod
    def read(cls, path: Path) -> "Model":
        """The model in a file, called by the file's name. MiniganError if there is none, or it cannot be
        run."""
        name = path.stem
        if not path.is_file():
            raise MiniganError(f"there is no model file {path}")
        spec = importlib.util.spec_from_file_location(f"minigan_model_{name}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look for the types of their fields
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # whatever the file of a stranger raises
            raise MiniganError(
                f"{path} cannot be read as a model: {type(error).__name__}: {error}"
            ) from error
        model = cls(name, module)
        model.source = str(path.resolve())
        return model

    @property
    def file(self) -> str:
        return getattr(self.module, "__file__", self.name)

    @property
    def summary(self) -> str:
        """The first line of the file."""
        return (self.module.__doc__ or self.name).partition("\n")[0]

    @property
    def kinds(self) -> list[str]:
        """The kinds of data it learns from: "image", "point", "pair", ..."""
        return self.takes[0].split(" or ")

    @property
    def from_noise(self) -> bool:
        """Whether there is noise z in what its samples are made of, which can be walked through."""
        return "z" in self.names("make")

    @property
    def labelled(self) -> bool:
        """Whether its batches hold labels, too."""
        return "label" in self.takes[1:]

    @property
    def told(self) -> bool:
        """Whether its samples are made of a text, too, one of those that its batches hold."""
        return "text" in self.takes[1:] and "text" in self.names("make")

    @cached_property
    def asks(self) -> dict[str, Asked]:
        """What a user may ask its samples for, by name: what `inputs` has a default for."""
        return self._asked_of("inputs")

    @cached_property
    def asks_of_pictures(self) -> dict[str, Asked]:
        """What a user may ask `translate` for, by name: what it has a default for; empty without it."""
        return self._asked_of("translate") if self.has("translate") else {}

    def _asked_of(self, function):
        own = getattr(self.module, function)
        told = dict(HELP.findall(own.__doc__ or ""))
        try:  # types may be written as texts
            parameters = inspect.signature(own, eval_str=True).parameters
        except NameError as error:
            raise MiniganError(
                f"{self.file}: a type that {function} asks for is not there: {error}"
            ) from error
        return {
            name: Asked(name, _kind_of(p), p.default, told.get(name, ""))
            for name, p in parameters.items()
            if p.default is not p.empty
        }

    def reach(self, cfg) -> int | None:
        """How many pixels away a pixel of a picture has an influence on what `translate` makes of it, with
        these settings; None where the file does not say."""
        return self._said("REACH", cfg)

    def scale(self, cfg) -> int:
        """How many pixels long a pixel of a picture becomes by `translate`, with these settings."""
        return self._said("SCALE", cfg) or 1

    def _said(self, name, cfg):
        said = getattr(self.module, name, None)
        return said(cfg) if callable(said) else said

    def beside(self, cfg) -> tuple[str, ...]:
        """What a batch holds behind the sample, with these settings: what `takes` says, and BESIDE."""
        return (*self.takes[1:], *(self._said("BESIDE", cfg) or ()))

    def is_conditional(self, cfg) -> bool:
        """Whether a label is what samples are asked for by, with these settings."""
        return "label" in self.asks and "label" in self.beside(cfg)

    def is_critic(self, cfg) -> bool:
        """Whether judges say numbers, not logits, with these settings."""
        return self._said("CRITIC", cfg) or False

    def has(self, function: str) -> bool:
        """Whether the file has this function, one that it may leave out."""
        return inspect.isfunction(getattr(self.module, function, None))

    @property
    def tells_labels(self) -> bool:
        """Whether its `judge` is told the labels."""
        return self.has("judge") and "labels" in self.names("judge")

    def names(self, function: str) -> list[str]:
        """What the function asks for."""
        return [*inspect.signature(getattr(self.module, function)).parameters]

    def call(self, function: str, **known):
        """The function, with what it names of `known`. MiniganError for a name that nothing has."""
        return getattr(self.module, function)(**self.given(function, known))

    def given(self, function: str, known: dict) -> dict:
        """What the function names of `known`. MiniganError for a name that nothing has."""
        given = {}
        for name, p in inspect.signature(getattr(self.module, function)).parameters.items():
            if name in known:
                given[name] = known[name]
            elif p.default is p.empty:
                raise MiniganError(
                    f"{self.file}: {function} asks for {name!r}, which is no part, no input and none of "
                    f"cfg, data, rng; {did_you_mean(name, known)}"
                )
        return given

    def check_names(self, parts: dict, inputs: dict):
        """MiniganError unless there is all that the functions name, and no name stands for two things."""
        for name in inputs:
            if name in parts:
                raise MiniganError(f"{self.file}: {name!r} is a part, and an input, too; call one otherwise")
        known = {**parts, **dict.fromkeys(GIVEN)}
        self.given("train", known)
        self.given("make", {**known, **inputs})
        if self.has("judge"):
            self.given("judge", {**known, "x": None, "labels": None})
        if self.has("code"):
            self.given("code", {**parts, **inputs})
        if self.has("encode"):
            self.given("encode", {**parts, "cfg": None, "x": None})
        if self.has("translate"):
            self.given("translate", {**known, "x": None})

    def parts(self, cfg, data, rng) -> dict:
        """All that learns or remembers, by name. MiniganError for a part that cannot be saved."""
        parts = self.call("parts", cfg=cfg, data=data, rng=rng)
        if not isinstance(parts, dict):
            raise MiniganError(f"{self.file}: parts must give a dict, got {type(parts).__name__}")
        for name in GIVEN:
            if name in parts:
                raise MiniganError(f"{self.file}: a part cannot be called {name!r}; that is something else")
        for name, owner in owners(parts).items():
            for method in ("state_dict", "load_state_dict"):
                if not callable(getattr(owner, method, None)):
                    raise MiniganError(
                        f"{self.file}: part {name!r}, a {type(owner).__name__}, cannot be saved: "
                        f"it has no {method}"
                    )
        return parts

    def makers(self, parts: dict) -> dict[str, Module]:
        """The networks that `make` names: they make the samples."""
        return networks({name: parts[name] for name in self.names("make") if name in parts})

    def inputs(self, n: int, rng, cfg, parts: dict | None = None, data=None, **asked) -> dict:
        """What n samples are made of, arrays by name. MiniganError for what this model cannot be asked
        for."""
        self.check_asked(asked, self.asks)
        return self.call("inputs", **(parts or {}), n=n, rng=rng, cfg=cfg, data=data, **asked)

    def check_asked(self, asked, known: dict[str, Asked]):
        """MiniganError for a name among `asked` that is none of the known ones."""
        for name in asked:
            if name not in known:
                others = f"it takes {', '.join(known)}" if known else "it takes nothing of the kind"
                raise MiniganError(f"{self.name} cannot be asked for a {name}: {others}")

    def make(self, inputs: dict[str, Tensor], parts: dict, cfg) -> dict[str, Tensor]:
        """The samples by name; "samples" where `make` gives them alone."""
        made = self.call("make", **parts, **inputs, cfg=cfg)
        return made if isinstance(made, dict) else {"samples": made}

    def code(self, inputs: dict[str, Tensor], parts: dict) -> Tensor:
        """What walks go through in place of the noise z, of a model that has one."""
        return self.call("code", **parts, **inputs)

    def encode(self, x: Tensor, parts: dict, cfg) -> dict[str, Tensor]:
        """The inputs of `make` that samples are made again of, by name, of a model that has a code for
        each."""
        return self.call("encode", **parts, x=x, cfg=cfg)

    def train(self, parts: dict, data, rng, cfg) -> Iterator[dict]:
        """The loop."""
        return self.call("train", **parts, data=data, rng=rng, cfg=cfg)


def _kind_of(p: inspect.Parameter):
    """The type that a parameter says, or that of its default; text, if it has neither."""
    if p.annotation is not p.empty:
        return p.annotation
    return str if p.default in (p.empty, None) else type(p.default)


def owners(parts: dict) -> dict[str, Any]:
    """All that has a state, by dotted names: parts, and what lies in lists and dicts of them."""
    found = {}
    for name, part in parts.items():
        if isinstance(part, list | tuple):
            part = {str(i): member for i, member in enumerate(part)}
        if isinstance(part, dict):
            found |= {f"{name}.{inner}": owner for inner, owner in owners(part).items()}
        else:
            found[name] = part
    return found


def networks(parts: dict) -> dict[str, Module]:
    """The networks among the parts, by dotted names."""
    return {name: owner for name, owner in owners(parts).items() if isinstance(owner, Module)}


def optimizers(parts: dict) -> dict[str, Optimizer]:
    """The optimisers among the parts, by dotted names."""
    return {name: owner for name, owner in owners(parts).items() if isinstance(owner, Optimizer)}


@contextlib.contextmanager
def in_evaluation(networks: dict[str, Module]):
    """Inside the block the networks are in evaluation mode."""
    before = {name: network.training for name, network in networks.items()}
    for network in networks.values():
        network.eval()
    try:
        yield
    finally:
        for name, training in before.items():
            networks[name].train(training)


def judges(seen) -> list[str]:
    """The judges among the names that a loop yields: "d" of d_real and d_fake."""
    return [
        name.removesuffix("_real") for name in seen if name.endswith("_real") and f"{name[:-5]}_fake" in seen
    ]


def numbers_of(seen: dict, critic: bool) -> tuple[dict[str, float], dict]:
    """(numbers, arrays) of what a loop saw: what a judge said of samples as the mean of it, of logits as that
    of the probability of being real, and as it is."""
    said = {name for judge in judges(seen) for name in (f"{judge}_real", f"{judge}_fake")}
    numbers, arrays = {}, {}
    with no_grad():
        for name, value in seen.items():
            if isinstance(value, Tensor):
                if name in said and value.ndim:
                    arrays[name] = value.data
                    value = value if critic else F.sigmoid(value)
                value = (value.mean() if value.ndim else value).item()
            numbers[name] = value
    return numbers, arrays
