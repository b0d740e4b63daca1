"""What a launch asks of CuPy, with a stand-in for its modules."""

from types import SimpleNamespace

import fake_cupy
import numpy as np
import pytest

from minigan_kernels.cuda.launch import FOLDER, SHARED_LIMIT, Source


class Function:
    """A kernel, and what is done with it."""

    def __init__(self):
        self.launched, self.allowed = [], []

    def __call__(self, grid, block, args, shared_mem):
        self.launched.append((grid, block, shared_mem))

    max_dynamic_shared_size_bytes = property(fset=lambda self, n: self.allowed.append(n))


@pytest.fixture
def gpu(monkeypatch):
    """CuPy, of which every module finds a kernel each time it is asked; `made` are those kernels, by name."""
    cupy = fake_cupy.install(monkeypatch)
    made, asked = {}, []

    def module(**options):
        asked.append(options)
        return SimpleNamespace(
            get_function=lambda name: made.setdefault(name, []).append(Function()) or made[name][-1]
        )

    monkeypatch.setattr(cupy, "RawModule", module, raising=False)
    return SimpleNamespace(cupy=cupy, made=made, asked=asked)


def test_a_kernel_is_asked_for_once_and_its_shared_memory_only_when_it_grows(gpu):
    source, x = Source("philox.cu"), gpu.cupy.asarray(np.zeros(3, np.float32))
    for kilobytes in (0, 48, 60, 80, 60, 80):
        source.launch("some", 2, 64, x, shared=kilobytes << 10)
    with gpu.cupy.cuda.Device(1):
        source.launch("some", 2, 64, x, shared=60 << 10)
    (some,) = gpu.made["some"]
    assert SHARED_LIMIT == 48 << 10
    assert some.allowed == [60 << 10, 80 << 10, 60 << 10]
    assert len(some.launched) == 7
    assert some.launched[0] == ((2, 1, 1), (64, 1, 1), 0)
    source.launch("other", 1, 1, x)
    assert len(gpu.made["other"]) == len(gpu.asked) == 1


def test_a_module_is_compiled_with_the_macros_and_the_folder_itself(gpu):
    Source("philox.cu", SIZE=3).launch("some", 1, 1, gpu.cupy.asarray(np.zeros(3, np.float32)))
    (asked,) = gpu.asked
    assert {f"-I{FOLDER}", "-DSIZE=3", "-std=c++17"} <= set(asked["options"])
    assert FOLDER.resolve() == FOLDER
    assert asked["backend"] == "nvrtc"
