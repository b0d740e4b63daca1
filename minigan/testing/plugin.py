"""The pytest plugin, on by itself wherever minigan is installed.

--mg-engine NAME   run every kernel of every test on this engine
gpu                a marker: the test needs a GPU, and is skipped where there is none; with
                   MINIGAN_REQUIRE_GPU=1 that is a failure

At the end it says how many gradients were checked on which engine.
"""

import os
import sys
from collections import Counter

import pytest


def pytest_addoption(parser):
    group = parser.getgroup("minigan")
    group.addoption("--mg-engine", metavar="NAME", help="run every minigan kernel on this engine")


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a GPU that CuPy sees")
    engine = config.getoption("--mg-engine")
    if engine:
        from minigan.backend import require_engine
        from minigan.errors import MiniganError

        try:
            require_engine(engine)
        except MiniganError as error:
            raise pytest.UsageError(f"--mg-engine: {error}") from error


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    engine = item.config.getoption("--mg-engine")
    if not engine:
        return (yield)
    import minigan_kernels as kernels

    with kernels.engine(engine):
        return (yield)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") is None:
        return
    from minigan.backend import gpu_status

    found, reason = gpu_status()
    if not found and os.environ.get("MINIGAN_REQUIRE_GPU") == "1":
        pytest.fail(f"MINIGAN_REQUIRE_GPU=1, but there is no GPU: {reason}")
    if not found:
        pytest.skip(f"no GPU: {reason}")


checked: Counter[str] = Counter()  # functions by engine, of the workers of pytest-xdist


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["minigan checked"] = dict(_checked_here())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    checked.update(getattr(node, "workeroutput", {}).get("minigan checked", {}))  # none of one that died


def pytest_terminal_summary(terminalreporter):
    for engine, count in sorted((checked + _checked_here()).items()):
        terminalreporter.write_line(f"minigan: {count} functions had their gradients checked on {engine}")


def _checked_here():
    used = sys.modules.get("minigan.testing.check_grads")  # imported by whoever checked a gradient
    return used.checked if used else Counter()
