"""Steps of the models of films on a GPU, by a stand-in whose rules CuPy has: captured, and resumed."""

import fake_cupy
import numpy as np
import pytest

import minigan_kernels as kernels
from minigan.gans import model_named
from minigan.training import Options, Session
from minigan.training.checkpoint import Checkpoint

KERNELS = "matmul", "linear", "conv2d", "conv2d_input", "conv2d_weight"  # one each, as the CUDA engine's


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("dvdgan", {"latent": 3, "width_d": 2}),
        ("next-frame", {"latent": 2}),
        ("next-frame", {"game": "none"}),
    ],
    ids=str,
)
def test_captured_steps_are_those_of_the_plain_ones_and_go_on_from_a_checkpoint(name, settings, monkeypatch):
    def as_kernel(function):
        def launched(x, *others, **how):
            if isinstance(x, fake_cupy.ndarray):
                return fake_cupy.call(function, x, *others, **how)
            return function(x, *others, **how)

        return launched

    def session_of(graph):
        cfg = model_named(name).Config(width=2, batch_size=2, **settings)
        return Session(name, Options(device="gpu", graph=graph), cfg)

    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        reference = kernels.engines.engine_for(np.zeros(1))
        for kernel in KERNELS:
            monkeypatch.setattr(reference, kernel, as_kernel(getattr(reference, kernel)))
        found = []
        for graph in (False, True):
            session = session_of(graph)
            said = [session.next_step() for _ in range(5)]
            half = Checkpoint(name, 5, {}, session.arrays(), session.state())
            said += [session.next_step() for _ in range(3)]
            found.append((said, session.arrays(), session.state()))
        resumed = session_of(True)
        resumed.restore(half)
        again = [resumed.next_step() for _ in range(3)]
    assert fake_cupy.state.calls.count("launch") == 5, "the first three of each are not captured"
    assert found[1][0] == found[0][0]
    assert again == found[0][0][5:]
    assert found[1][2] == found[0][2] == resumed.state()
    for array_name, array in found[0][1].items():
        np.testing.assert_array_equal(found[1][1][array_name], array, err_msg=array_name)
        np.testing.assert_array_equal(resumed.arrays()[array_name], array, err_msg=array_name)
