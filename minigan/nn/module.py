"""Module: parameters, buffers and other modules under names."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minigan import backend, states
from minigan.autograd import Tensor, no_grad
from minigan.backend import c_copy
from minigan.checks import mapping, names_that_differ, shown
from minigan.random import Generator


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf that requires a gradient."""

    def __init__(self, data: Any, dtype: npt.DTypeLike | None = None) -> None:
        try:
            super().__init__(data, requires_grad=True, dtype=dtype)
        except TypeError as error:
            raise TypeError(f"Parameter: data must be floats: {error}") from error


class Module:
    """A part of a network. A subclass assigns parameters and modules in `__init__`, and gives `forward`.

    Names, and so the keys of `state_dict`, are PyTorch's: "0.weight", "norm.running_mean".
    """

    training = True
    not_kept: tuple[str, ...] = ()  # names that PyTorch's twin has in its state, and this one has no use for
    _forward_hooks: list | tuple = ()

    def __init__(self) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._buffers: dict[str, Tensor] = {}
        self._modules: dict[str, Module] = {}

    def forward(self, *inputs: Any, **settings: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any, **settings: Any) -> Any:
        if backend.capturing():
            backend.depends_on(f"the training mode of {type(self).__name__}", lambda: self.training)
            backend.lies_in(self._arrays)
        output = self.forward(*inputs, **settings)
        for hook in self._forward_hooks:
            hook(self, inputs, output)
        return output

    def _arrays(self):
        return [t.data for t in (*self._parameters.values(), *self._buffers.values())]

    def register_forward_hook(self, hook: Callable[[Any, tuple, Any], object]) -> Callable[[], None]:
        """Call `hook(module, inputs, output)` after each call of this module; what it returns is not used.
        Returns a function that removes the hook. A launched graph (`minigan.graph`) calls none."""
        self._forward_hooks = [*self._forward_hooks, hook]
        return lambda: setattr(self, "_forward_hooks", [h for h in self._forward_hooks if h is not hook])

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__ and isinstance(value, (Parameter, Module)):
            raise RuntimeError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
        if name in _parametrized(self):
            raise AttributeError(
                f"{type(self).__name__}: {name} is made of parametrizations.{name}.original, set that instead"
            )
        is_buffer = type(value) is Tensor and name in self.__dict__.get("_buffers", {})
        for registry, belongs in (
            ("_parameters", isinstance(value, Parameter)),
            ("_buffers", is_buffer),
            ("_modules", isinstance(value, Module)),
        ):
            if belongs:  # in the place of what had the name, as in PyTorch
                self.__dict__[registry][name] = value
            else:
                self.__dict__.get(registry, {}).pop(name, None)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """What is no attribute: a tensor of `nn.utils.parametrizations`, which is made when it is read."""
        made = _parametrized(self)
        if name in made:
            return made[name]()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            registry.pop(name, None)
        object.__delattr__(self, name)

    def register_buffer(self, name: str, value: Tensor) -> None:
        """A tensor that is saved with the module, but not learned."""
        self._buffers[name] = value
        object.__setattr__(self, name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Registries of its own for every copy, a shallow one too: what is assigned to it is its own."""
        self.__dict__.update(state)
        for registry in ("_parameters", "_buffers", "_modules"):
            self.__dict__[registry] = dict(self.__dict__[registry])

    # Walking

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all within it, with their dotted names, each once."""
        seen = set()
        for name, module in self._places(prefix):
            if module not in seen:
                seen.add(module)
                yield name, module

    def _places(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """The same, but a module that is registered twice comes under both its names."""
        yield prefix, self
        for name, module in self._modules.items():
            yield from module._places(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator["Module"]:
        """This module and all within it, each once."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator["Module"]:
        """The modules right within this one, each once."""
        return iter(dict.fromkeys(self._modules.values()))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once."""
        return self._named("_parameters")

    def parameters(self) -> list[Parameter]:
        """All parameters of this module and those within it, each once."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names, each once."""
        return self._named("_buffers")

    def named_generators(self) -> Iterator[tuple[str, Generator]]:
        """The Generators that layers draw from, such as a Dropout's, with their dotted names, each once: what
        has to be saved beside `state_dict` for a run to go on with the same numbers. Layers that were given
        none draw from `minigan.random.default_generator`, which is none of them."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Generator) and value not in seen:
                    seen.add(value)
                    yield (f"{prefix}.{name}" if prefix else name), value

    def _named(self, registry: str) -> Iterator[tuple[str, Any]]:
        seen = set()
        for prefix, module in self.named_modules():
            for name, tensor in module.__dict__[registry].items():
                if tensor not in seen:
                    seen.add(tensor)
                    yield (f"{prefix}.{name}" if prefix else name), tensor

    def apply(self, f: Callable[["Module"], object]) -> Self:
        """Call f(module) on this module and all within it, but not on what f puts there."""
        for module in list(self.modules()):
            f(module)
        return self

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Training mode: batch norm uses and collects batch statistics, dropout drops."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: batch norm uses its running statistics, dropout lets all through."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether gradients are wanted for the parameters. Returns the module."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget the gradients that `backward()` left in the parameters."""
        for p in self.parameters():
            p.grad = None

    def to(self, where: str | backend.Device | npt.DTypeLike) -> Self:
        """Move parameters and buffers to a device, or convert the floating ones to a dtype, in place.

        where: a device such as "gpu", or a dtype. Do so before the first step of its optimiser.
        """
        place = backend.device(where) if backend.names_device(where) else None
        for t in [*self.parameters(), *(b for _, b in self.named_buffers())]:
            if place is not None:
                t.data = place.put(t.data)
            elif t.dtype.kind == "f":
                t.data = backend.as_array(t.data, where)
        return self

    # State

    def _names(self) -> dict[str, Tensor]:
        """All parameters and buffers by their dotted names; one that is registered twice under both."""
        return {
            f"{prefix}.{name}" if prefix else name: tensor
            for prefix, module in self._places()
            for name, tensor in (*module._parameters.items(), *module._buffers.items())
        }

    def state_dict(self) -> dict[str, np.ndarray]:
        """{dotted name: array} of all parameters and buffers: copies, on the module's device. One that is
        registered under several names is there under each.

        They stay as they are when the module learns on, and writing to them does not change the module:
        `load_state_dict` does. They are in C order, whatever that of the parameters is, as
        `safetensors.numpy` and others that read the bare memory expect.
        """
        return {name: c_copy(tensor.data) for name, tensor in self._names().items()}

    def load_state_dict(self, state: dict, strict: bool = True) -> None:
        """Overwrite parameters and buffers by the arrays of `state`, in place.

        state: arrays of any library, converted where they are floats of another width. A tensor that is
            registered under several names is taken from any of them.
        ValueError that lists every missing name, unexpected name, different shape or kind of number, and
        several values for one tensor; then nothing has been changed. strict=False passes over names that only
        one side has.
        """
        arrays, problems = self._fitted(state, strict)
        if problems:
            raise ValueError(f"{type(self).__name__}: the state does not fit: {'; '.join(problems)}")
        with no_grad():
            for tensor, array in arrays.items():
                tensor.copy_(array)

    def misfits(self, state: dict, strict: bool = True) -> list[str]:
        """What hinders a state from being loaded, a sentence each."""
        return self._fitted(state, strict)[1]

    def _fitted(self, state, strict):
        """The array that each tensor is to be given, and what hinders."""
        mapping(type(self).__name__, state)
        own, problems = self._names(), []
        given = {own[name] for name in own if name in state}
        if strict:
            wanted = {name: t for name, t in own.items() if name in state or t not in given}
            passed = {f"{prefix}.{n}" if prefix else n for prefix, m in self._places() for n in m.not_kept}
            problems = names_that_differ([name for name in state if name not in passed], wanted)
        arrays, misfits = states.fitted(state, {name: t.data for name, t in own.items() if name in state})
        first = {}
        for name, array in arrays.items():
            known = first.setdefault(own[name], name)
            if known != name and not _same(array, arrays[known]):
                misfits.append(f"{known} and {name} are one tensor, but have different values")
        return {tensor: arrays[name] for tensor, name in first.items()}, problems + misfits

    # Describing

    def extra_repr(self) -> str:
        """The settings, as `repr` shows them."""
        return ""

    def __repr__(self) -> str:
        own = {n: p.shape for n, p in self._parameters.items()}
        details = [part for part in (self.extra_repr(), *(f"{n} {s}" for n, s in own.items())) if part]
        count = sum(p.numel() for p in self.parameters())
        if count:
            details.append(f"{count:,} parameters")
        head = f"{type(self).__name__}({', '.join(details)})"
        rows = [f"({n}): {m!r}".replace("\n", "\n  ") for n, m in self._modules.items()]
        return "\n  ".join([head, *rows])


def _parametrized(module):
    """What `nn.utils.parametrizations` gave a module, by the names of the tensors that it makes."""
    held = module.__dict__.get("parametrizations")
    return held._modules if isinstance(held, Module) else {}


def _same(a, b):
    return np.array_equal(backend.to_numpy(a), backend.to_numpy(b), equal_nan=True)


def functional_call(module: Module, tensors: dict[str, Tensor], *inputs: Any) -> Any:
    """module(*inputs), with the parameters and buffers named in `tensors` replaced for this call.

    The names are those of `state_dict`; one of several names of a tensor replaces it under all of them. The
    result is a function of the given tensors, so it can be differentiated in them. KeyError for a name that
    is not there, ValueError for two tensors in the place of one.
    """
    if not isinstance(module, Module):
        raise TypeError(f"functional_call: module must be a Module, got {shown(module)}")
    if not isinstance(tensors, Mapping):
        raise TypeError(f"functional_call: tensors must be a dict of Tensors by name, got {shown(tensors)}")
    own = module._names()
    given: dict[Tensor, Any] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"functional_call: tensors[{name!r}] must be a Tensor, got {shown(tensor)}")
        if name not in own:
            raise KeyError(f"functional_call: {type(module).__name__} has no {name}")
        if given.setdefault(own[name], tensor) is not tensor:
            raise ValueError(
                f"functional_call: {name} is given twice, under another name with another tensor"
            )
    places = [
        (owner, attribute, tensor)
        for owner in module.modules()
        for attribute, tensor in (*owner._parameters.items(), *owner._buffers.items())
        if tensor in given
    ]
    try:
        for owner, attribute, tensor in places:
            object.__setattr__(owner, attribute, given[tensor])
        return module(*inputs)
    finally:
        for owner, attribute, tensor in places:
            object.__setattr__(owner, attribute, tensor)
