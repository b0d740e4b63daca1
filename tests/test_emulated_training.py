"""Whole training steps on the emulated engine, against the same on the CPU's."""

from itertools import islice

import numpy as np
import pytest

import minigan_kernels as kernels
from minigan.speed.minigan_side import prepare
from minigan.speed.steps import Step, job
from minigan.testing import assert_close
from minigan_kernels.engines import kernels_called

pytestmark = [
    pytest.mark.slow,  # each kernel is compiled by g++
    pytest.mark.skipif(
        bool(kernels.engine_missing("cuda-emulated")), reason=str(kernels.engine_missing("cuda-emulated"))
    ),
]

SMALL = {"width": 4, "latent": 8}
STEPS = [
    Step("dcgan-16", "DCGAN, 16×16×1", "dcgan", (1, 16, 16), 4, SMALL),
    Step("wgan-gp-16", "WGAN-GP critic, 16×16×1", "wgan-gp", (1, 16, 16), 4, SMALL),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_two_steps_on_the_emulated_engine_are_those_of_the_cpu(step):
    """By the losses of three: the third are those of the networks that two steps made."""
    work, losses = job(step, given=6), {}
    for engine in ("cpu", "cuda-emulated"):
        with kernels.engine(engine), kernels_called() as called:
            losses[engine] = list(islice(prepare(work), 3))
    assert {ran for ran, _ in called} >= {"cuda-emulated"}
    for found, expected in zip(losses["cuda-emulated"], losses["cpu"], strict=True):
        assert found.keys() == expected.keys()
        for name in found:
            assert_close(np.array(found[name]), np.array(expected[name]), rtol=1e-4, atol=1e-5)
