"""What editors and type checkers see is what is there: the methods of Tensor, and the types of all that is
public. That the types are right is what mypy is for, which `.ci/run` calls."""

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import minigan
from minigan import Tensor
from minigan.autograd import tensor
from minigan.autograd.methods import Methods

PARTS = ["autograd", "data", "functional", "nn", "nn.init", "nn.utils", "optim", "random", "testing"]
PARTS += ["testing.strategies", "errors", "graph"]
PUBLIC = ["minigan", *(f"minigan.{part}" for part in PARTS)]


def parameters(function):
    """(name, kind, default) of each but the first, which is the tensor itself."""
    given = list(inspect.signature(function).parameters.values())[1:]
    return [(p.name, p.kind, p.default) for p in given]


def is_operator(name):
    return name.startswith("__")


def first_paragraph(thing):
    return " ".join(inspect.getdoc(thing).partition("\n\n")[0].split())


def own_names():
    """The names that the class Tensor defines itself, read from its source."""
    (body,) = (
        node.body
        for node in ast.parse(Path(tensor.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "Tensor"
    )
    return {node.name for node in body if isinstance(node, ast.FunctionDef)} | {"__hash__"}


DECLARED = {name: value for name, value in vars(Methods).items() if inspect.isroutine(value) or name == "T"}
INSTALLED = {
    name: value
    for name, value in vars(Tensor).items()
    if name not in own_names() | set(Tensor.__slots__) | {"__module__", "__doc__", "__slots__"}
    if not name.startswith("__annotations")
}


def test_tensor_has_the_methods_that_are_declared_and_no_others():
    assert DECLARED.keys() == INSTALLED.keys()


@pytest.mark.parametrize("name", [name for name in DECLARED if inspect.isfunction(INSTALLED.get(name))])
def test_a_declared_method_has_the_parameters_of_the_installed_one(name):
    declared, installed = parameters(DECLARED[name]), parameters(INSTALLED[name])
    if is_operator(name):  # which are called by position
        assert [kind for _, kind, _ in declared] == [kind for _, kind, _ in installed]
    else:
        assert declared == installed


@pytest.mark.parametrize("name", [name for name in DECLARED if not is_operator(name)])
def test_a_declared_method_says_what_the_installed_one_says(name):
    said = first_paragraph(DECLARED[name])
    if INSTALLED[name].__doc__:
        assert said == first_paragraph(INSTALLED[name])


def public_values():
    """(where it is found, the value) of all that is public: names of modules, and attributes of classes."""
    for module in map(importlib.import_module, PUBLIC):
        names = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        ]
        for name in names:
            value, where = getattr(module, name), f"{module.__name__}.{name}"
            if inspect.isfunction(value) or inspect.isclass(value):
                yield where, value
            if inspect.isclass(value):
                yield from ((f"{where}.{part}", of) for part, of in attributes(value))


def attributes(kind):
    """(name, value) of the methods and properties of a class and of those of ours that it inherits from."""
    for base in kind.__mro__:
        if base.__module__.startswith("minigan"):
            for name, value in vars(base).items():
                if not name.startswith("_") or name in ("__init__", "__call__", "__getitem__", "__len__"):
                    value = DECLARED.get(name, value) if base is Tensor else value
                    if inspect.isroutine(value) or isinstance(value, property):
                        yield name, value


def functions_of(value):
    """The functions that are called: of a property two, of a class none."""
    value = getattr(value, "__func__", value)
    found = (value.fget, value.fset) if isinstance(value, property) else (value,)
    return [inspect.unwrap(f) for f in found if inspect.isfunction(f)]


VALUES = {id(value): (where, value) for where, value in reversed(list(public_values()))}.values()  # each once
FUNCTIONS = {f"{where} {i}": f for where, value in VALUES for i, f in enumerate(functions_of(value))}
WRITTEN = "<string>"  # by a dataclass


def test_what_is_public_is_found():
    places = {where for where, _ in VALUES}
    assert places >= {"minigan.grad", "minigan.nn.Conv1d.__init__", "minigan.functional.conv2d"}
    assert places >= {"minigan.Tensor.exp", "minigan.Tensor.T", "minigan.optim.Adam.__init__"}
    assert len(FUNCTIONS) > 400


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_what_is_public_has_types(function):
    signature = inspect.signature(function)
    given = [p for name, p in signature.parameters.items() if name not in ("self", "cls")]
    if function.__code__.co_filename != WRITTEN:
        assert [p.name for p in given if p.annotation is inspect.Parameter.empty] == []
        assert signature.return_annotation is not inspect.Signature.empty


def test_mypy_reads_every_module_that_minigan_takes_names_from():
    root = Path(minigan.__file__).parent
    settings = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    read = {Path(file).with_suffix("").name for file in settings["tool"]["mypy"]["files"]}
    tree = ast.parse((root / "__init__.py").read_text(encoding="utf-8"))
    from_imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    taken = {name for node in from_imports for name in [node.module] * bool(node.module)}
    taken |= {alias.name for node in from_imports if not node.module for alias in node.names}
    assert taken >= {"autograd", "errors", "graph"}
    assert {name.partition(".")[0] for name in taken} <= read


# What leans on a neighbour, whom whoever hovers over the name has not read, or has no subject.
LEANING = re.compile(
    r"(The same|Those|That|What (that|its)|As (in|of)|As `|Of|See|Likewise|Some of them"
    r"|By|From|To|If|With(out)?|For the)\b"
)
OF_THE_CLASS = {"forward", "extra_repr"}  # of a layer, whose class says what it does


@pytest.mark.parametrize(("where", "value"), VALUES, ids=[where for where, _ in VALUES])
def test_what_is_public_says_what_it_is(where, value):
    name = where.rpartition(".")[2]
    if is_operator(name) or name in OF_THE_CLASS:
        return
    said = inspect.getdoc(value)
    assert said
    assert not LEANING.match(said)


# The rest of minigan, which is not imported for this: some of it needs what may not be installed.
SOURCE = Path(minigan.__file__).parent
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(SOURCE.rglob("*.py"))}
HAVE_ALL = ["metrics", "report", "speed", "studies", "training"]  # docstrings: of these parts
ALIKE = {"report/page", "speed/serve.py", "speed/torch_side.py", "speed/minigan_side.py"}  # but for these


def own_docstrings():
    """(file, dotted name, docstring or None) of all public classes, functions, methods and properties."""

    def within(file, node, prefix=""):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
                yield file.relative_to(SOURCE).as_posix(), prefix + child.name, ast.get_docstring(child)
                if isinstance(child, ast.ClassDef):
                    yield from within(file, child, f"{prefix}{child.name}.")

    for file, tree in TREES.items():
        yield from within(file, tree)


def test_no_public_docstring_of_any_part_leans_on_a_neighbour():
    said = {f"{file} {name}": text for file, name, text in own_docstrings() if text}
    assert len(said) > 1000
    assert {place: text.splitlines()[0] for place, text in said.items() if LEANING.match(text)} == {}
    assert LEANING.match("Those of the run in `folder`.")
    assert LEANING.match("Of labels. weight: a factor")


def test_what_shares_the_runs_says_what_it_is():
    silent = [
        f"{file} {name}"
        for file, name, text in own_docstrings()
        if file.partition("/")[0] in HAVE_ALL and not file.startswith(tuple(ALIKE)) and not text
    ]
    assert silent == []
