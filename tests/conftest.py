"""How the tests run: hypothesis' profile, the workers of pytest-xdist, a browser for tests that look at a
page, and what is said at the end."""

import os

import browser
import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


# Workers share the processors, so each gets one thread, for kernels and for NumPy's products. It is set where
# the workers start from, since NumPy's libraries read it as they are loaded.
ONE_THREAD = ("MINIGAN_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")


ENGINE = {f"test_{name}.py" for name in ("autograd", "checker", "laws", "nn", "ops", "optim")}


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in ENGINE:
            item.add_marker("engine")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if os.name != "posix" or browser.program() is None:
        pytest.skip("there is no Chromium here to show the page in")
    with browser.Browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        try:
            running.call("Browser.getVersion")
        except (RuntimeError, OSError) as error:
            pytest.skip(f"Chromium does not start here: {error}")
        yield running


ORACLES = {"test_onnx.py": "ONNX", "_torch.py": "PyTorch"}


def pytest_terminal_summary(terminalreporter):
    """How many comparisons with other libraries ran: none where the library is not installed."""
    passed = [report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("passed", [])]
    for ending, oracle in ORACLES.items():
        count = sum(file.endswith(ending) for file in passed)
        terminalreporter.write_line(f"{count} tests agreed with {oracle}")
