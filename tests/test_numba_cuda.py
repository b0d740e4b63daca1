"""The engine `numba-cuda`: its kernels in Numba's simulator, under a debugger, and compiled for a GPU.

Numba looks at NUMBA_ENABLE_CUDASIM when it is imported, so most of this runs in other processes.
"""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba import cuda, types

import minigan_kernels as kernels
from minigan_kernels import numba_cuda
from minigan_kernels.numba_cuda.launch import launch

TESTS = Path(__file__).parent
EXAMPLE = TESTS.parent / "examples" / "numba_cuda_matmul.py"
SIMULATOR = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}


def python(*args, **kwargs):
    return subprocess.run([sys.executable, *map(str, args)], capture_output=True, encoding="utf-8", **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["not slow", "slow"])
def test_the_kernels_in_the_simulator(tier):
    file = TESTS / "simulated_numba_cuda.py"
    done = python("-m", "pytest", "-q", "-m", tier, "-p", "no:cacheprovider", file, env=SIMULATOR)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]


@pytest.mark.slow
def test_the_example_agrees_with_numpy():
    done = python(EXAMPLE, env=SIMULATOR)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("as it should be\n")


def session():
    """The lines that the package says to type to the debugger, without the words beside them."""
    return [line.split("   ")[0] for line in re.findall(r"\(Pdb\) (.*)", numba_cuda.__doc__)]


@pytest.mark.slow
def test_a_debugger_stops_inside_a_kernel():
    done = python("-m", "pdb", EXAMPLE, input="\n".join([*session(), "q", ""]), env=SIMULATOR, timeout=60)
    shown = done.stdout.split("(Pdb) ")
    assert "multiply_tiles()\n-> total += tile_a[row, t] * tile_b[t, col]" in shown[2]
    assert shown[3] == "(Dim3(0, 0, 0), Dim3(1, 1, 0), 0, 0)\n"
    assert "array([[0., 1.],\n       [4., 5.]], dtype=float32)" in shown[4]
    assert "for t in range(TILE):" in shown[5]


@pytest.mark.slow
def test_a_debugger_stops_inside_a_kernel_of_the_package():
    file = Path(numba_cuda.__file__).with_name("reduce.py")
    line = file.read_text("utf-8").splitlines().index("    total = totals[0]") + 1
    sums = "import numpy as np, minigan_kernels.numba_cuda as k\nk.channel_sums(np.ones((9, 1), 'f4'))"
    typed = f"b {file}:{line}, t == 3\nc\np totals[0]\nq\n"
    done = python("-c", f"import pdb; pdb.run({sums!r})", input=typed, env=SIMULATOR, timeout=60)
    assert "-> total = totals[0]\n(Pdb) np.float32(9.0)" in done.stdout


without_gpu = pytest.mark.skipif(cuda.is_available(), reason="there is a GPU, or the simulator")


@without_gpu
def test_with_neither_gpu_nor_simulator_a_sentence_says_what_to_set():
    with (
        pytest.raises(ValueError, match=r"'numba-cuda' cannot run here: .*NUMBA_ENABLE_CUDASIM=1"),
        kernels.engine("numba-cuda"),
    ):
        pass


@without_gpu
def test_numpy_arrays_are_for_the_simulator():
    with pytest.raises(TypeError, match=r"a GPU takes CuPy arrays, .* NUMBA_ENABLE_CUDASIM=1"):
        launch(None, (1,), (1,), np.zeros(1))


# Compiled as for a GPU, of which Numba needs NVVM alone: what the simulator takes and a compiler does not,
# and whether float32 stays float32.


def arrays(*axes):
    return tuple(types.Array(types.float32, n, "A") for n in axes)


pair, four = types.UniTuple(types.int64, 2), types.UniTuple(types.int64, 4)
KERNELS = {
    ("adam", "adam_entries"): (
        *(*arrays(1, 1, 1, 1), types.int64[::1], types.float64[::1]),
        *(types.float64, types.float64, types.float32, types.float32),
    ),
    ("im2col", "take_patches"): (*arrays(4, 2), four, four, pair, pair, pair),
    ("im2col", "add_patches"): (*arrays(2, 4), four, four, pair, pair, pair),
    ("matmul", "multiply_tiles"): arrays(3, 3, 3),
    ("norm", "write_normalized"): (*arrays(4, 4, 4, 4, 4), types.float32, *arrays(4)),
    ("norm", "write_gradient"): (*arrays(4, 4, 4, 4, 4), types.float32, *arrays(4, 4, 4)),
    ("pairs", "distances"): arrays(3, 3, 3),
    ("pairs", "gradients"): arrays(3, 3, 3, 3),
    ("pairs", "changes"): arrays(3, 3, 3, 3),
    ("pointwise", "add_bias_entries"): arrays(4, 1),
    ("pointwise", "leaky_relu_entries"): (*arrays(1), types.float32, *arrays(1)),
    ("pointwise", "leaky_relu_backward_entries"): (*arrays(1, 1), types.float32, *arrays(1)),
    ("reduce", "gradient_sums"): (*arrays(4, 4, 4, 4, 4), types.float32, four, *arrays(4, 4)),
    ("reduce", "moments"): (*arrays(4), four, *arrays(4, 4)),
    ("reduce", "sum_entries"): (*arrays(4), four, *arrays(4)),
}


def file(name):
    """A file of the package: some have the name of a function in it."""
    return importlib.import_module(f"{numba_cuda.__name__}.{name}")


def test_every_kernel_is_compiled():
    source = {p.stem: p.read_text("utf-8") for p in Path(numba_cuda.__file__).parent.glob("*.py")}
    found = {(stem, name) for stem in source for name in re.findall(r"@cuda.jit\ndef (\w+)", source[stem])}
    assert found == KERNELS.keys()


def nvvm():
    """Whether the packages that compile are there: numba-cuda and nvidia-nvvm."""
    return all(map(importlib.util.find_spec, ("numba_cuda", "nvidia"))) and any(
        (Path(folder) / "nvvm").exists() or list(Path(folder).glob("*/nvvm"))
        for folder in importlib.util.find_spec("nvidia").submodule_search_locations
    )


@pytest.mark.slow
@pytest.mark.skipif(not nvvm(), reason="needs the packages numba-cuda and nvidia-nvvm")
@pytest.mark.parametrize("capability", [(8, 0), (9, 0)], ids=str)
@pytest.mark.parametrize(("stem", "name"), KERNELS)
def test_a_kernel_compiles_and_computes_in_float32(stem, name, capability, monkeypatch):
    from numba.cuda import dispatcher

    monkeypatch.setattr(  # asked when a kernel calls a function of the device
        dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=capability)
    )
    signature = types.void(*KERNELS[stem, name])
    kernel = getattr(file(stem), name).py_func
    code = cuda.compile(kernel, signature, cc=capability, device=False, abi="numba")[0]
    ptx = code if isinstance(code, str) else code.decode()
    assert f".target sm_{capability[0]}{capability[1]}" in ptx
    assert (".f64" in ptx.replace("//", "")) == (name == "adam_entries")  # whose powers are
