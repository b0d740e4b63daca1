import os

from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


ORACLES = {"test_onnx.py": "ONNX", "_torch.py": "PyTorch"}


def pytest_terminal_summary(terminalreporter):
    """How many comparisons with other libraries ran: none where the library is not installed."""
    passed = [report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("passed", [])]
    for ending, oracle in ORACLES.items():
        count = sum(file.endswith(ending) for file in passed)
        terminalreporter.write_line(f"{count} tests agreed with {oracle}")
