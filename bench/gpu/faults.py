"""A pytest plugin: after a fault of the GPU no more tests run.

An access out of bounds, say, leaves the process's CUDA context unusable: whatever is tried there later fails
too, and tells nothing. Other errors of CUDA, such as too large a launch, leave it as it was.
"""

import sys

FAULT = "a fault of the GPU: the rest did not run"


def pytest_exception_interact(node):
    if broken():
        node.session.shouldstop = FAULT


def broken() -> bool:
    """Whether the GPU, if it was in use, no longer answers."""
    cupy = sys.modules.get("cupy")
    try:
        if cupy is not None:
            cupy.cuda.runtime.deviceSynchronize()
    except cupy.cuda.runtime.CUDARuntimeError:
        return True
    return False
