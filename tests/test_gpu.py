"""On a GPU: devices and graphs as CuPy and CUDA have them. Skipped where there is none."""

import fake_cupy
import numpy as np
import pytest
from test_device import draws, losses, values_and_gradients
from test_graph import REFUSED

import minigan_kernels as kernels
from minigan import Generator, Tensor, graph
from minigan.errors import MiniganError
from minigan.graph import WARM_UP, graphs
from minigan.testing import assert_close
from minigan.testing.op_table import ROWS
from minigan.training import Options, Session

pytestmark = pytest.mark.gpu


def test_every_op_to_second_order():
    with kernels.engine("reference"):
        for row in ROWS:
            if "there and back" in row.name:
                continue  # by way of long double, which no GPU has
            here, there = (values_and_gradients(row, place) for place in ("cpu", "gpu"))
            for a, b in zip(here, there, strict=True):
                assert_close(b, a, rtol=1e-10, atol=1e-12)


def test_cupy_keeps_the_rules_of_the_stand_in():
    import cupy

    host = np.ones(3)
    x = cupy.asarray(host)
    for mixed in (
        lambda: np.asarray(x),
        lambda: x + host,
        lambda: host * x,
        lambda: x.__setitem__(slice(0, 3), host),
    ):
        with pytest.raises((TypeError, ValueError)):
            mixed()
    assert type(x.sum()) is cupy.ndarray
    assert (np.maximum(x > 0, np.float32(0.2))).dtype == np.float32  # NumPy 2's dtype rules
    assert not set(fake_cupy.METHODS.split()) - set(dir(cupy.ndarray))
    assert not set(fake_cupy.LACKING.split()) & set(dir(cupy))


def test_random_numbers():
    here, there = Generator(7), Generator(7, device="gpu")
    for a, b in zip(draws(here), draws(there), strict=True):
        assert_close(b.get(), a, rtol=1e-6, atol=1e-7)
    assert here.state == there.state


@pytest.mark.parametrize("model", ["gan", "dcgan"])
def test_training_follows_the_cpu(model):
    (here, *_), (there, *_) = (losses(model, place) for place in ("cpu", "gpu"))
    for a, b in zip(here, there, strict=True):
        assert_close(np.array(list(b.values())), np.array(list(a.values())), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", ["gan", "dcgan"])
def test_replays_train_to_the_same_bits(model):
    from minigan.gans import MODELS

    def run(with_graph):
        session = Session(model, Options(device="gpu", graph=with_graph), MODELS[model].Config(batch_size=16))
        return [session.next_step() for _ in range(12)], session.arrays(), session.state()

    (eager, arrays, state), (replayed, other_arrays, other_state) = run(False), run(True)
    assert replayed == eager
    assert other_state == state
    for name, a in arrays.items():
        np.testing.assert_array_equal(other_arrays[name], a, err_msg=name)


def test_memory_that_others_take_between_two_launches_does_no_harm():
    import cupy

    step = graph(lambda x: (Tensor(x).exp() * 2).sum(axis=0))
    for i in range(WARM_UP + 5):
        x = cupy.full((1000, 100), i, np.float32)
        with graphs(False):
            expected = step(x).numpy()
        found = step(x).numpy()
        np.testing.assert_array_equal(found, expected)
        cupy.get_default_memory_pool().free_all_blocks()
        poison = [cupy.full(10**5, np.nan, np.float32) for _ in range(100)]
        del poison
    assert step.captured


@pytest.mark.parametrize("name", [n for n in REFUSED if n not in ("cuRAND", "cuBLAS")])
def test_a_capture_names_what_it_cannot_hold(name):
    f, who, _ = REFUSED[name]
    x = Tensor([1.0, 2.0, 3.0], device="gpu").data
    step = graph(f)
    for _ in range(WARM_UP):
        step(x)
    with pytest.raises(MiniganError, match=f"graph: {who}, "):
        step(x)
    assert (Tensor(x) * 2).tolist() == [2, 4, 6]
