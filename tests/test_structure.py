"""The import rules, read from the source: which part may use which, and what is imported late."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KERNELS, MINIGAN = ROOT / "kernels" / "minigan_kernels", ROOT / "minigan"

# What each file or folder of minigan imports of the others, no more and no less; "__init__" is minigan.
MAY_IMPORT = {
    "backend": "errors",
    "errors": "",
    "checks": "",
    "random": "backend checks errors",
    "extras": "errors",
    "contents": "checks errors",
    "files": "",
    "autograd": "backend errors",
    "functional": "arguments autograd backend checks random",
    "arguments": "autograd backend checks errors random",
    "states": "autograd backend errors",
    "graph": "autograd backend errors",
    "__init__": "autograd errors functional graph random",
    "testing": "autograd backend errors export functional gans nn optim random training",
    "nn": "arguments autograd backend checks functional random states",
    "optim": "arguments autograd backend checks errors states",
    "gans": "autograd backend errors functional graph metrics nn optim random",
    "data": "backend checks errors files random",
    "metrics": "autograd backend checks contents data errors files functional nn optim random",
    "diagnostics": "autograd backend data gans graph metrics nn random",
    "report": "__init__ autograd contents data errors files functional gans metrics",
    "training": "__init__ autograd backend contents data diagnostics errors extras files functional gans"
    " graph metrics optim random report",
    "control": "autograd backend data errors functional gans metrics optim random training",
    "export": "__init__ autograd data errors extras files functional gans nn random training",
    "studies": "__init__ contents data environment errors files gans metrics random training",
    "environment": "__init__ backend data",
    "speed": "__init__ backend data environment errors gans graph",
    "cli": "__init__ backend control data diagnostics environment errors export extras files gans metrics"
    " play random report speed studies testing training",
    "play": "data errors gans random report training",
    "__main__": "cli",
}
MAY_IMPORT = {part: set(others.split()) for part, others in MAY_IMPORT.items()}

# The same within gans, where a model is a file in a folder.
OF_A_MODEL = {"settings", "parts"}
MAY_IMPORT_IN_GANS = {
    "settings": {"parts"},
    "parts": set(),
    "noise": OF_A_MODEL,
    "codes": OF_A_MODEL,
    "images": OF_A_MODEL,
    "time": OF_A_MODEL,
    "model": {"settings"},
    "__init__": {"model"},  # models by name alone
}


def files(root):
    return sorted(root.rglob("*.py"))


def module_name(file):
    """The import name of a source file; of an `__init__.py` with that as its last part."""
    root = KERNELS if file.is_relative_to(KERNELS) else MINIGAN
    return ".".join([root.name, *file.relative_to(root).with_suffix("").parts])


def imports(source, package):
    """(absolute name, whether it is imported at load) of all that a file of `package` imports."""

    def walk(node, at_load):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, at_load) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                parents = package.split(".")[: 1 - child.level or None] if child.level else []
                origin = ".".join([*parents, *filter(None, [child.module])])
                yield from ((f"{origin}.{alias.name}", at_load) for alias in child.names)
            else:
                late = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_checkers(child)
                yield from walk(child, at_load and not late)

    return list(walk(ast.parse(source), at_load=True))


def _is_for_checkers(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"


def imports_of(file):
    return imports(file.read_text(encoding="utf-8"), module_name(file).rpartition(".")[0])


def belongs_to(name, package):
    return name == package or name.startswith(f"{package}.")


def part_of(name):
    """The part of minigan that an imported name lies in."""
    part = name.split(".")[1] if "." in name else "__init__"
    return part if part in MAY_IMPORT else "__init__"


def test_every_part_of_minigan_has_a_rule():
    parts = {p.stem for p in MINIGAN.glob("*.py")} | {p.parent.name for p in MINIGAN.glob("*/__init__.py")}
    assert parts == MAY_IMPORT.keys()


def test_the_rules_go_one_way():
    TopologicalSorter(MAY_IMPORT).prepare()  # raises CycleError


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_what_it_may_and_nothing_else(part):
    own = files(MINIGAN / part) or [MINIGAN / f"{part}.py"]
    used = {part_of(name) for file in own for name, _ in imports_of(file) if belongs_to(name, "minigan")}
    assert used - {part} == MAY_IMPORT[part]


def test_imports_go_from_a_row_of_the_readme_to_rows_above_it():
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2]
    rows = [
        line.split("|")[1] for line in table.partition("Imports point one way")[0].splitlines() if "`" in line
    ]
    place = {part: i for i, row in enumerate(rows) for part in re.findall(r"`minigan/(\w+)", row)}
    assert MAY_IMPORT.keys() >= place.keys() >= {"autograd", "gans", "graph", "training", "cli"}
    upside_down = [
        (part, other)
        for part in place
        for other in MAY_IMPORT[part] & place.keys()
        if place[other] > place[part]
    ]
    assert upside_down == []


@pytest.mark.slow
def test_no_module_is_loaded_in_a_circle():
    modules = {module_name(file).removesuffix(".__init__"): file for file in files(MINIGAN)}

    def module(name):
        """The one that an imported name lies in."""
        return name if name in modules else module(name.rpartition(".")[0])

    TopologicalSorter(
        {
            of: {
                module(name) for name, at_load in imports_of(file) if at_load and belongs_to(name, "minigan")
            }
            - {of}
            for of, file in modules.items()
        }
    ).prepare()  # raises CycleError


@pytest.mark.parametrize("part", MAY_IMPORT_IN_GANS)
def test_a_part_of_gans_imports_what_it_may_and_nothing_else(part):
    gans = MINIGAN / "gans"
    assert {p.stem for p in gans.glob("*.py")} | {p.parent.name for p in gans.glob("*/*.py")} == (
        MAY_IMPORT_IN_GANS.keys()
    )
    own = files(gans / part) or [gans / f"{part}.py"]
    names = [name for file in own for name, _ in imports_of(file) if belongs_to(name, "minigan.gans")]
    assert {name.split(".")[2] for name in names} - {part} == MAY_IMPORT_IN_GANS[part]


@pytest.mark.parametrize("file", files(KERNELS), ids=module_name)
def test_kernels_know_nothing_of_minigan(file):
    assert [name for name, _ in imports_of(file) if belongs_to(name, "minigan")] == []


@pytest.mark.parametrize("file", files(MINIGAN) + files(KERNELS), ids=module_name)
def test_gpu_libraries_are_imported_late_and_only_where_they_belong(file):
    found = [
        (name, at_load)
        for name, at_load in imports_of(file)
        if any(belongs_to(name, library) for library in ("cupy", "cupyx", "numba.cuda"))
    ]
    late = file.parent == KERNELS / "numba_cuda"  # itself imported when its engine is asked for
    assert late or not any(at_load for _, at_load in found)
    assert not found or file.is_relative_to(KERNELS) or file == MINIGAN / "backend.py"


def test_the_rules_see_every_form_of_import():
    source = """
import numpy as np, os.path
from minigan import functional as F
from . import init
from .. import errors
from ..autograd.tensor import Tensor
try:
    import cupy
except ImportError:
    pass
if TYPE_CHECKING:
    from .function import Function
class A:
    import json
    def f(self):
        from numba import cuda
"""
    assert imports(source, package="minigan.nn") == [
        *(("numpy", True), ("os.path", True), ("minigan.functional", True), ("minigan.nn.init", True)),
        *(("minigan.errors", True), ("minigan.autograd.tensor.Tensor", True), ("cupy", True)),
        *(("minigan.nn.function.Function", False), ("json", True), ("numba.cuda", False)),
    ]


# Imports of names that are not there, which only a run of the very line would show

BENCH = ROOT / "bench"
PLACES = {file: module_name(file).removesuffix(".__init__") for file in files(MINIGAN) + files(KERNELS)}
PLACES |= {file: file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in files(BENCH)}
MODULES = {name.removesuffix(".__init__"): file for file, name in PLACES.items()}


@cache
def names_given(file):
    """The names that a module's own code binds, whatever `if`, `try`, `with` or `for` it does that in."""

    def bound(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield child.name
            elif isinstance(child, ast.alias):
                yield child.asname or child.name.partition(".")[0]
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                yield child.id
            elif not isinstance(child, ast.Lambda):
                yield from bound(child)

    return {"__doc__", *bound(ast.parse(file.read_text(encoding="utf-8")))}


def is_there(name):
    """Whether an imported name of ours is a module, or bound by the module that it is imported from."""
    origin, _, last = name.rpartition(".")
    return name in MODULES or (origin in MODULES and (last == "*" or last in names_given(MODULES[origin])))


def dead_imports(file):
    package = PLACES.get(file, "").rpartition(".")[0] if file.stem != "__init__" else PLACES[file]
    ours = [name for name, _ in imports(file.read_text(encoding="utf-8"), package) if is_ours(name)]
    return [name for name in ours if not is_there(name)]


def is_ours(name):
    return any(belongs_to(name, package) for package in ("minigan", "minigan_kernels", "bench"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [*PLACES, *files(ROOT / "tests"), *files(ROOT / "examples")],
    ids=lambda file: file.relative_to(ROOT).as_posix(),
)
def test_what_is_imported_is_there(file):
    assert dead_imports(file) == []


def test_a_dead_import_is_seen_wherever_it_is(tmp_path):
    (tmp_path / "file.py").write_text(
        """
import minigan.gone, bench.cpu, minigan
from minigan.data import load, loat
from minigan_kernels.cpu import gone
def late():
    from bench.gone import a
    from bench import cpu
    from minigan.metrics.evaluate import Evaluation
""",
        encoding="utf-8",
    )
    assert dead_imports(tmp_path / "file.py") == [
        *("minigan.gone", "minigan.data.loat", "minigan_kernels.cpu.gone", "bench.gone.a")
    ]


# Text in files

SOURCES = [
    file for part in ("minigan", "kernels", "bench", "examples", "tests") for file in files(ROOT / part)
]
OF_TEXT = {"read_text": 0, "write_text": 1}  # methods, and where their `encoding` may stand
OPENERS = {"open": 1, "fdopen": 1}  # what opens a file, text unless its mode has a b, and where that stands
BINARY = {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "TextIOWrapper"}
ELSEWHERE = {"Image", "Run", "chromium", "os", "webbrowser"}  # whose `open` opens no text


def in_the_locale(source):
    """The lines of all calls that read or write text in whatever encoding the user's locale has."""
    return [
        node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _is_such(node)
    ]


def _is_such(call):
    named = {word.arg: word.value for word in call.keywords}
    if "encoding" in named:
        return False
    name = getattr(call.func, "attr", getattr(call.func, "id", None))
    if any(_is(named.get(word), True) for word in ("text", "universal_newlines")):
        return name not in ("batches", "Batches")  # of a dataset, whose text is numbers
    value = getattr(call.func, "value", None)
    owner = getattr(value, "attr", getattr(value, "id", None))
    if name in OF_TEXT:
        return len(call.args) <= OF_TEXT[name]
    if name == "TextIOWrapper":
        return True
    if name in BINARY:
        return "mode" in named and not _binary(named["mode"])
    if name not in OPENERS or (name == "open" and owner in ELSEWHERE):
        return name in (
            "getoutput",
            "getstatusoutput",
            "popen",
            "FileHandler",
            "savetxt",
            "loadtxt",
            "genfromtxt",
        )
    method = isinstance(call.func, ast.Attribute) and owner not in ("io", "gzip", "os", "builtins")
    place = OPENERS[name] - method  # a path's own method
    mode = named.get("mode", call.args[place] if len(call.args) > place else None)
    return not _binary(mode) and not (owner == "gzip" and mode is None)


def _is(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def _binary(mode):
    """Whether each string that the mode can be has a b."""
    words = [node.value for node in ast.walk(mode) if isinstance(node, ast.Constant)] if mode else []
    words = [word for word in words if isinstance(word, str)]
    return bool(words) and all("b" in word for word in words)


@pytest.mark.slow
def test_text_is_read_and_written_in_an_encoding_that_is_named():
    found = {file: in_the_locale(file.read_text(encoding="utf-8")) for file in SOURCES}
    assert len(found) > 200
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_the_rule_sees_text_in_every_form():
    text = """
open(p)
open(p, "w")
open(p, mode="a+")
p.open()
p.open("w")
io.open(p)
gzip.open(p, "rt")
os.fdopen(handle, "w")
p.read_text()
p.read_text(errors="replace")
p.write_text(x)
subprocess.run(c, text=True)
subprocess.Popen(c, universal_newlines=True)
tempfile.NamedTemporaryFile("w", mode="w")
io.TextIOWrapper(f)
open(p, mode)
np.savetxt(p, x)
"""
    assert in_the_locale(text) == list(range(2, 19))
    fine = """
open(p, "rb")
open(p, "ab" if x else "wb")
open(p, encoding="utf-8")
p.open("rb")
p.open("w", encoding="utf-8")
gzip.open(p)
os.fdopen(handle, "wb")
p.read_text("utf-8")
p.read_text(encoding="utf-8")
p.write_text(x, "utf-8")
subprocess.run(c)
subprocess.run(c, text=True, encoding="utf-8")
tempfile.TemporaryFile()
Image.open(p)
Run.open(p)
os.open(p, os.O_RDONLY)
"""
    assert in_the_locale(fine) == []


@pytest.mark.parametrize("module", ["minigan", "minigan.gans", "minigan.metrics"])
def test_importing_is_light_and_silent(module):
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'cupy', 'numba', 'matplotlib', 'sklearn', 'PIL', 'scipy'}\n"
        "sys.exit(', '.join(sorted(heavy & sys.modules.keys())) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
