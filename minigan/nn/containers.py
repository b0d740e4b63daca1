"""Modules that hold other modules, and call none of them: a list and a dict. Their manners are PyTorch's."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self

from minigan.checks import shown

from .module import Module


class ModuleList(Module):
    """Modules under the names "0", "1", ...: a list of them, whose parameters are those of the network.

    Has `[i]`, `[a:b]` (a ModuleList), `[i] = module`, `del`, `len`, `in`, iteration, `+=`, `append`,
    `extend`, `insert` and `pop`; those behind a module that was put in or taken out are numbered anew.
    modules: several modules, such as a list. TypeError for what is none, IndexError for a place that is not
    there.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def __getitem__(self, i: int | slice) -> Any:
        found = list(self)[i]
        return ModuleList(found) if isinstance(i, slice) else found

    def __setitem__(self, i: int, module: Module) -> None:
        with_it = list(self)
        with_it[i] = module
        self._hold(with_it)

    def __delitem__(self, i: int | slice) -> None:
        without = list(self)
        del without[i]
        self._hold(without)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        self.extend(modules)
        return self

    def append(self, module: Module) -> "ModuleList":
        """Put a module behind the last one. Returns the list, and so do `extend` and `insert`."""
        return self._hold([*self, module])

    def extend(self, modules: Iterable[Module]) -> "ModuleList":
        """Put several modules behind the last one."""
        if isinstance(modules, str) or not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList: modules must be a list of modules, got {shown(modules)}")
        return self._hold([*self, *modules])

    def insert(self, i: int, module: Module) -> "ModuleList":
        """Put a module in front of the one at place `i`."""
        with_it = list(self)
        with_it.insert(i, module)
        return self._hold(with_it)

    def pop(self, i: int = -1) -> Module:
        """Take the module at place `i` out of the list, and return it."""
        module = self[i]
        del self[i]
        return module

    def _hold(self, modules):
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"ModuleList: modules must be modules, but number {i} is {shown(module)}")
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            setattr(self, str(i), module)
        return self


class ModuleDict(Module):
    """Modules under names of one's own: a dict of them, whose parameters are those of the network.

    Has `[name]`, `[name] = module`, `del`, `len`, `in`, iteration over the names, `keys`, `values`, `items`,
    `update`, `pop` and `clear`; the order is that of a dict.
    modules: a dict of modules, pairs of a name and a module, or another ModuleDict. TypeError for what is no
    Module or no text, ValueError for a name that is empty, has a dot, or is an attribute of every ModuleDict,
    such as "keys"; KeyError for a name that is not there.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def __getitem__(self, name: str) -> Module:
        return self._modules[self._known(name)]

    def __setitem__(self, name: str, module: Module) -> None:
        self.update({name: module})

    def __delitem__(self, name: str) -> None:
        delattr(self, self._known(name))

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def keys(self) -> KeysView[str]:
        """The names, in the order in which they came."""
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The modules, in the order in which they came."""
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """The names with their modules, in the order in which they came."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Put modules under their names, in the place of those that had them. An error changes nothing."""
        try:
            given = dict(modules)
        except (TypeError, ValueError):
            raise TypeError(
                f"ModuleDict: modules must be a dict of modules by name, got {shown(modules)}"
            ) from None
        for name, module in given.items():
            if not isinstance(name, str):
                raise TypeError(f"ModuleDict: the names of modules are texts, got {shown(name)}")
            if not isinstance(module, Module):
                raise TypeError(f"ModuleDict: modules must be modules, but {name!r} is {shown(module)}")
            if not name or "." in name:
                raise ValueError(
                    f"ModuleDict: the name of a module is not empty and has no dot, got {name!r}"
                )
            if name not in self._modules and hasattr(self, name):
                raise ValueError(f"ModuleDict: no module can be called {name!r}, an attribute of ModuleDict")
        for name, module in given.items():
            setattr(self, name, module)

    def pop(self, name: str) -> Module:
        """Take the module of that name out of the dict, and return it."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in list(self):
            del self[name]

    def _known(self, name):
        if name not in self._modules:
            raise KeyError(
                f"ModuleDict: there is no {name!r}, there are: {', '.join(self._modules) or 'none'}"
            )
        return name
