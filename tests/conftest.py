import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture
def mnist_dir():
    """The folder of the real MNIST files, where MINIGAN_DATA_DIR names one that has them."""
    folder = Path(os.environ.get("MINIGAN_DATA_DIR") or "nowhere")
    if not any(folder.glob("train-images*")):
        pytest.skip("the MNIST files are not there: set MINIGAN_DATA_DIR to their folder")
    return folder


ORACLES = {"test_onnx.py": "ONNX", "_torch.py": "PyTorch"}


def pytest_terminal_summary(terminalreporter):
    """How many comparisons with other libraries ran: none where the library is not installed."""
    passed = [report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("passed", [])]
    for ending, oracle in ORACLES.items():
        count = sum(file.endswith(ending) for file in passed)
        terminalreporter.write_line(f"{count} tests agreed with {oracle}")
