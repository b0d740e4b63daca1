"""What is recorded, and what is checked: switches of the running thread."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan_kernels.contexts import Context, context


class _Mode(threading.local):
    record = True
    anomaly = False  # check every op, forward and backward
    check_roots = False  # check only the values that gradients start from
    trace = None  # what every op is shown after it ran: called with it, its inputs and its output
    graphs = True  # on a GPU, steps of `minigan.graph` are captured


mode = _Mode()


class switched(Context):
    """Inside the block, or the decorated function, the named switches of `mode` have other values.

    A generator function is decorated so too: they have them while its body runs, not while it waits.
    """

    def __init__(self, **switches: Any) -> None:
        self.switches = switches
        self.before: list[dict[str, Any]] = []  # a stack: a block may lie within another of the same object

    def __enter__(self) -> None:
        self.before.append({name: getattr(mode, name) for name in self.switches})
        mode.__dict__.update(self.switches)

    def __exit__(self, *error: Any) -> None:
        mode.__dict__.update(self.before.pop())

    def again(self) -> "switched":
        """Another one, with the same switches."""
        return switched(**self.switches)


def no_grad() -> switched:
    """Inside the block, or the decorated function, ops are computed but not recorded."""
    return switched(record=False)


def enable_grad() -> switched:
    """Inside the block, or the decorated function, ops are recorded again."""
    return switched(record=True)


def set_grad_enabled(enabled: bool) -> switched:
    """Inside the block, or the decorated function, ops are recorded if `enabled`."""
    return switched(record=bool(enabled))


def is_grad_enabled() -> bool:
    """Whether ops are recorded on this thread."""
    return mode.record


@context
def detect_anomaly(every_op: bool = True) -> Iterator[None]:
    """Inside the block, a value that is NaN or infinite raises NonFiniteError and names its maker.

    every_op=True looks at each output and each gradient as it is made, and says where in the
    caller's code the op was called: a thorough, slower search. every_op=False looks only at the
    values that `grad` and `backward` start from, which costs next to nothing; when one is not
    finite, the graph behind it is searched for the first op that is to blame. NumPy's own warnings
    are silent inside the block.
    """
    with switched(anomaly=every_op, check_roots=True), np.errstate(all="ignore"):
        yield
