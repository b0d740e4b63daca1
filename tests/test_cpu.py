"""The CPU engine's own machinery: products of any layout, its threads, its cache of compiled code."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import minigan_kernels as kernels
from minigan.testing import assert_close
from minigan_kernels.cpu.gemm import gemm, linear, matmul, product_of

LAYOUTS = {
    "rows": lambda a: a,
    "columns": np.asfortranarray,
    "a block of a larger matrix": lambda a: np.pad(a, 3)[3 : 3 + a.shape[0], 3 : 3 + a.shape[1]],
    "every second row": lambda a: np.repeat(a, 2, 0)[::2],
    "every second column": lambda a: np.repeat(a, 2, 1)[:, ::2],
    "rows backwards": lambda a: a[::-1].copy()[::-1],
    "one row repeated": lambda a: np.broadcast_to(a[:1], a.shape),
    "one column repeated": lambda a: np.broadcast_to(a[:, :1], a.shape),
}
sizes = st.integers(0, 70)
layouts = st.sampled_from(list(LAYOUTS.values()))


@pytest.mark.slow
@given(sizes, sizes, sizes, layouts, layouts, st.sampled_from([np.float32, np.float64]))
def test_matrix_products_of_every_layout(M, K, N, left, right, dtype):
    rng = np.random.default_rng(0)
    a = left(rng.standard_normal((M, K)).astype(dtype))
    b = right(rng.standard_normal((K, N)).astype(dtype))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    size = (np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)).max(initial=1)
    assert_close(
        matmul(a, b).astype(np.float64), expected, atol=float(size * (K + 4) * np.finfo(dtype).eps / 2)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("M", "K", "N"),
    [
        (64, 300, 600),  # two parts, each of blocks with an end
        (30, 5, 37),  # the last panel not full
        (500, 1, 2),  # columns that would fill a panel with zeros
        (9000, 100, 3),
        (60, 0, 40),
    ],
)
def test_products_that_are_made_as_their_transpose(M, K, N, bias, dtype):
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-9, 10, shape).astype(dtype) for shape in ((M, K), (N, K), N))
    expected = x @ w.T + (b if bias else 0)
    np.testing.assert_array_equal(linear(x, w, b if bias else None), expected)  # small whole numbers
    activated = np.where(expected > 0, expected, expected / 4)
    np.testing.assert_array_equal(linear(x, w, b if bias else None, 0.25), activated)


@njit
def product(code, a, b, c, accumulate):
    gemm(code, a, b, c, accumulate)


lengths = st.one_of(sizes, st.sampled_from([255, 256, 257, 300]))
dtypes = st.sampled_from([np.float32, np.float64])


@pytest.mark.slow
@settings(max_examples=60)
@given(lengths, lengths, lengths, layouts, layouts, st.booleans(), dtypes)
def test_products_of_blocks_in_place(M, K, N, left, right, accumulate, dtype):
    """Whole and partial tiles, panels and blocks, from strided memory; nothing beside c is written."""
    rng = np.random.default_rng(0)
    a = left(rng.integers(-9, 10, (M, K)).astype(dtype))
    b = right(rng.integers(-9, 10, (K, N)).astype(dtype))
    around = rng.integers(-9, 10, (M + 2, N + 2)).astype(dtype)
    expected = around.copy()
    expected[1:-1, 1:-1] = a @ b + (expected[1:-1, 1:-1] if accumulate else 0)
    if not accumulate:
        around[1:-1, 1:-1] = np.nan
    a, b = (np.array(m) if 0 in m.strides else m for m in (a, b))
    product(product_of[a.dtype], a, b, around[1:-1, 1:-1], accumulate)
    np.testing.assert_array_equal(around, expected)  # sums of small whole numbers are exact


def python(code, **environment):
    """What a fresh process prints."""
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=os.environ | environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


CONV = """
import numpy as np, minigan_kernels as kernels
x, w = np.ones((8, 8, 16, 16), np.float32), np.ones((8, 8, 4, 4), np.float32)
def conv():
    with kernels.engine("cpu"):
        return kernels.conv2d(x, w, (2, 2), (1, 1), (1, 1), 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.slow
def test_kernels_run_in_a_forked_child():
    fork = """
import os
y = conv()
if os.fork():
    print(os.wait()[1])
else:
    os._exit(0 if np.allclose(conv(), y) else 1)
"""
    assert python(CONV + fork) == ["0"]


@pytest.mark.slow
def test_two_threads_take_turns_at_a_pool_that_takes_one_at_a_time():
    """Numba's work queue ends the process when two threads enter it at once."""
    at_once = """
import numba
from concurrent.futures import ThreadPoolExecutor
y = conv()
with ThreadPoolExecutor(2) as pool:
    same = [np.allclose(z, y) for z in pool.map(lambda _: conv(), range(200))]
print(all(same), numba.threading_layer())
"""
    assert python(CONV + at_once, NUMBA_THREADING_LAYER="workqueue") == ["True", "workqueue"]


@pytest.mark.slow
def test_compiled_kernels_are_kept_for_the_next_process(tmp_path):
    listen = """
with kernels.on_compile(print):
    conv()
"""
    first, second = (python(CONV + listen, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first
    assert second == []


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dcgan", "cgan", "wgan-gp", "stylegan", "vae"])
def test_kernels_that_were_kept_give_the_bits_of_the_process_that_compiled_them(tmp_path, model):
    """Functions that kernels call may have one name in two kernels, and only one of them be taken."""
    steps = f"""
import hashlib
from minigan.gans import model_named
from minigan.training import Options, Session
small = {{"vae": {{}}}}.get("{model}", {{"width": 2, "latent": 4}})
session = Session("{model}", Options(device="cpu"), model_named("{model}").Config(batch_size=16, **small))
for _ in range(2):
    session.next_step()
for name, array in session.arrays().items():
    print(name, hashlib.sha256(array.tobytes()).hexdigest())
"""
    first, second = (python(steps, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first == second


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows names a user's folders in another way")
def test_without_a_place_for_compiled_code_it_works_and_says_so_once(tmp_path):
    """No folder can lie below a file, nor take the place of one: not even for root."""
    (tmp_path / "file").touch()
    package, nowhere = tmp_path / "minigan_kernels", str(tmp_path / "file" / "cache")
    shutil.copytree(Path(kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "cpu" / "__pycache__").touch()
    add = """
import numpy as np, minigan_kernels as kernels
y = np.zeros((256, 64), np.float32)
with kernels.engine("cpu"), kernels.on_compile(print):
    kernels.add_bias(y, np.arange(64, dtype=np.float32))
assert (y == np.arange(64)).all()
print(kernels.__file__)
"""
    places = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), nowhere)
    for _ in range(2):  # the second process finds nothing that the first one left
        done = subprocess.run(
            [sys.executable, "-c", add],
            env=os.environ | places | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        *compiled, found = done.stdout.split()
        assert "_add_bias" in compiled
        assert Path(found).parent == package
        said = [line for line in done.stderr.splitlines() if "Warning" in line]
        assert len(said) == 1
        assert "compiled kernels cannot be kept on disk, so every start compiles them again; " in said[0]


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_a_steady_training_step_asks_the_system_for_no_new_memory():
    """A page that is touched for the first time is a fault. Here glibc, left to itself, has 1,500 a step."""
    steps = """
import resource
from itertools import islice, repeat
from minigan import Generator
from minigan.speed.steps import fields_of
from minigan.gans.noise import dcgan
from minigan.training.session import numbers_of
cfg, rng = dcgan.Config(latent=8, width=8, batch_size=32), Generator(0)
parts = dcgan.parts(cfg, fields_of((3, 64, 64)), rng)
images = rng.uniform((32, 64, 64, 3), -1, 1).transpose(0, 3, 1, 2)
game = map(lambda seen: numbers_of(seen, critic=False)[0], dcgan.train(repeat(images), rng, cfg, **parts))
def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert len(list(islice(game, steps))) == steps
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(5), faults(20))
"""
    memory = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    for _ in range(2):  # the first may compile, which leaves room in memory that hides what steps take
        done = subprocess.run(
            [sys.executable, "-c", steps], env=memory, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
    first, steady = map(int, done.stdout.split())
    assert first > 1000
    assert steady < 5 * 20


@pytest.mark.slow
@pytest.mark.parametrize("features", [{}, {"avx2": True}, {"neon": True}])
def test_narrow_vectors_make_the_same_products(tmp_path, features):
    narrow = f"""
from llvmlite import binding
features = binding.FeatureMap({features})
binding.get_host_cpu_features = lambda: features
import numpy as np
from minigan_kernels.cpu import gemm, microkernel
rng = np.random.default_rng(0)
for M, K, N in ((70, 300, 90), (3, 5, 7), (257, 16, 32), (32, 9, 300)):
    a, b = (rng.integers(-9, 10, shape).astype(np.float32) for shape in ((M, K), (K, N)))
    for left in (a, np.asfortranarray(a)):
        for right in (b, np.asfortranarray(b)):
            assert (gemm.matmul(left, right) == a @ b).all()
print(microkernel.VECTOR, microkernel.ROWS)
"""
    expected = ["32" if "avx2" in features else "16", "8" if "neon" in features else "4"]
    assert python(narrow, NUMBA_CACHE_DIR=str(tmp_path)) == expected


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system does not list its threads")
def test_threads_that_were_not_asked_for_stay_asleep():
    count = """
import os, numpy as np, minigan_kernels as kernels
a = np.ones((512, 512), np.float32)
before = len(os.listdir("/proc/self/task"))
kernels.matmul(a, a)
import numba
print(numba.threading_layer(), len(os.listdir("/proc/self/task")) - before)
"""
    environment = {"NUMBA_NUM_THREADS": "8", "MINIGAN_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    layer, begun = python(count, **environment)
    assert begun == {"workqueue": "8"}.get(layer, "1")  # which starts them all, and wakes two


@pytest.mark.slow
def test_more_threads_than_there_are_is_an_error():
    code = "import minigan_kernels as k; k.num_threads()"
    env = os.environ | {"NUMBA_NUM_THREADS": "2", "MINIGAN_NUM_THREADS": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8")
    assert "MINIGAN_NUM_THREADS must be at most 2, the threads there are, got 3" in done.stderr


@pytest.mark.parametrize("n", [0, -1, True, 2.0, "2", 10**6])
def test_a_number_of_threads_outside_the_pool_is_refused(n):
    with pytest.raises(ValueError, match="an integer from 1 to"):
        kernels.set_num_threads(n)


def test_one_thread_and_all_give_the_same_convolution():
    rng, before = np.random.default_rng(0), kernels.num_threads()
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((5, 16, 12, 12), (24, 16, 4, 4)))
    results = []
    try:
        for n in (1, before):
            kernels.set_num_threads(n)
            with kernels.engine("cpu"):
                results.append(kernels.conv2d(x, w, (2, 2), (1, 1), (1, 1), 1))
    finally:
        kernels.set_num_threads(before)
    assert_close(*results, rtol=1e-5, atol=1e-4)


def test_a_moving_average_does_not_stay_below_the_smallest_normal_number():
    tiny = np.finfo(np.float32).tiny
    small = np.array([tiny / 2, -tiny / 4, 8 * tiny, np.nan], np.float32)

    def averages(step, *rest, n=1):
        p, g = np.zeros((2, 4), np.float32)
        states = [small.copy() for _ in range(n)]
        step(p, g, *states, *rest)
        return states

    found = [
        *averages(kernels.adam, 3, 0.1, 0.9, 0.999, 1e-8, 0.0, n=2),
        *averages(kernels.rmsprop, 0.1, 0.99, 1e-8, 0.0),
        *averages(kernels.sgd, 0.1, 0.9, 0.0, 0.0, False, False),
    ]
    for average in found:
        assert average[:2].tolist() == [0, 0]
        assert average[2] > tiny
        assert np.isnan(average[3])
