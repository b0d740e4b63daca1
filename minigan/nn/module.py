"""Module: parameters, buffers and other modules under names."""

from collections.abc import Iterator

import numpy as np

from minigan import backend
from minigan.autograd import Tensor, no_grad
from minigan.backend import c_copy


class Parameter(Tensor):
    """A Tensor that a module learns: a leaf that requires a gradient."""

    def __init__(self, data, dtype=None):
        super().__init__(data, requires_grad=True, dtype=dtype)


class Module:
    """A part of a network. A subclass assigns parameters and modules in `__init__`, and gives `forward`.

    Names, and so the keys of `state_dict`, are PyTorch's: "0.weight", "norm.running_mean".
    """

    training = True
    _forward_hooks: list | tuple = ()

    def __init__(self):
        self._parameters: dict[str, Parameter] = {}
        self._buffers: dict[str, Tensor] = {}
        self._modules: dict[str, Module] = {}

    def forward(self, *inputs, **settings):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs, **settings):
        if backend.capturing():
            backend.depends_on(f"the training mode of {type(self).__name__}", lambda: self.training)
        output = self.forward(*inputs, **settings)
        for hook in self._forward_hooks:
            hook(self, inputs, output)
        return output

    def register_forward_hook(self, hook):
        """Call `hook(module, inputs, output)` after each call of this module; what it returns is not used.
        Returns a function that removes the hook. A launched graph (`minigan.graph`) calls none."""
        self._forward_hooks = [*self._forward_hooks, hook]
        return lambda: setattr(self, "_forward_hooks", [h for h in self._forward_hooks if h is not hook])

    def __setattr__(self, name, value):
        if "_modules" not in self.__dict__ and isinstance(value, (Parameter, Module)):
            raise RuntimeError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
        is_buffer = type(value) is Tensor and name in self.__dict__.get("_buffers", {})
        for registry, belongs in (
            ("_parameters", isinstance(value, Parameter)),
            ("_buffers", is_buffer),
            ("_modules", isinstance(value, Module)),
        ):
            self.__dict__.get(registry, {}).pop(name, None)
            if belongs:
                self.__dict__[registry][name] = value
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        for registry in (self._parameters, self._buffers, self._modules):
            registry.pop(name, None)
        object.__delattr__(self, name)

    def register_buffer(self, name: str, value: Tensor):
        """A tensor that is saved with the module, but not learned."""
        self._buffers[name] = value
        object.__setattr__(self, name, value)

    # Walking

    def named_modules(self, prefix="") -> Iterator[tuple[str, "Module"]]:
        """This module and all within it, with their dotted names."""
        yield prefix, self
        for name, module in self._modules.items():
            yield from module.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator["Module"]:
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator["Module"]:
        return iter(self._modules.values())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once."""
        return self._named("_parameters")

    def parameters(self) -> list[Parameter]:
        return [p for _, p in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        return self._named("_buffers")

    def _named(self, registry):
        seen = set()
        for prefix, module in self.named_modules():
            for name, tensor in module.__dict__[registry].items():
                if tensor not in seen:
                    seen.add(tensor)
                    yield (f"{prefix}.{name}" if prefix else name), tensor

    def apply(self, f) -> "Module":
        """Call f(module) on this module and all within it."""
        for module in self.modules():
            f(module)
        return self

    # Modes

    def train(self, mode=True) -> "Module":
        """Training mode: batch norm uses and collects batch statistics, dropout drops."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> "Module":
        return self.train(False)

    def requires_grad_(self, requires_grad=True) -> "Module":
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self):
        """Forget the gradients that `backward()` left in the parameters."""
        for p in self.parameters():
            p.grad = None

    def to(self, where) -> "Module":
        """Move parameters and buffers to a device, or convert the floating ones to a dtype, in place.

        where: a device such as "gpu", or a dtype. Do so before making an optimiser.
        """
        place = backend.device(where) if backend.names_device(where) else None
        for t in [*self.parameters(), *(b for _, b in self.named_buffers())]:
            if place is not None:
                t.data = place.put(t.data)
            elif t.dtype.kind == "f":
                t.data = backend.as_array(t.data, where)
        return self

    # State

    def state_dict(self) -> dict[str, np.ndarray]:
        """{dotted name: array} of all parameters and buffers: copies, on the module's device.

        They stay as they are when the module learns on, and writing to them does not change the module:
        `load_state_dict` does. They are in C order, whatever that of the parameters is, as
        `safetensors.numpy` and others that read the bare memory expect.
        """
        return {name: c_copy(t.data) for name, t in [*self.named_parameters(), *self.named_buffers()]}

    def load_state_dict(self, state: dict, strict=True):
        """Overwrite parameters and buffers by the arrays of `state`, in place.

        ValueError that lists every missing name, unexpected name and different shape; then nothing
        has been changed. strict=False passes over names that only one side has.
        """
        own = dict([*self.named_parameters(), *self.named_buffers()])
        problems = []
        if strict:
            problems += [f"{name} is missing" for name in own if name not in state]
            problems += [f"{name} is unexpected" for name in state if name not in own]
        shared = [name for name in own if name in state]
        problems += [
            f"{name} has shape {tuple(state[name].shape)}, expected {own[name].shape}"
            for name in shared
            if tuple(state[name].shape) != own[name].shape
        ]
        if problems:
            raise ValueError(f"{type(self).__name__}: the state does not fit: {'; '.join(problems)}")
        with no_grad():
            for name in shared:
                own[name].copy_(state[name])

    # Describing

    def extra_repr(self) -> str:
        """The settings, as `repr` shows them."""
        return ""

    def __repr__(self):
        own = {n: p.shape for n, p in self._parameters.items()}
        details = [part for part in (self.extra_repr(), *(f"{n} {s}" for n, s in own.items())) if part]
        count = sum(p.numel() for p in self.parameters())
        if count:
            details.append(f"{count:,} parameters")
        head = f"{type(self).__name__}({', '.join(details)})"
        rows = [f"({n}): {m!r}".replace("\n", "\n  ") for n, m in self._modules.items()]
        return "\n  ".join([head, *rows])


def functional_call(module: Module, tensors: dict[str, Tensor], *inputs):
    """module(*inputs), with the parameters and buffers named in `tensors` replaced for this call.

    The names are those of `named_parameters` and `named_buffers`. The result is a function of the
    given tensors, so it can be differentiated in them. KeyError for a name that is not there.
    """
    modules = dict(module.named_modules())
    places = {}
    for name in tensors:
        owner, _, attribute = name.rpartition(".")
        places[name] = modules[owner], attribute, getattr(modules[owner], attribute)
    try:
        for name, (owner, attribute, _) in places.items():
            object.__setattr__(owner, attribute, tensors[name])
        return module(*inputs)
    finally:
        for owner, attribute, before in places.values():
            object.__setattr__(owner, attribute, before)
