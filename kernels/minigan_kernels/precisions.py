"""How exactly a GPU multiplies matrices of float32.

| precision | factors are rounded to          | products and sums | on                              |
|-----------|---------------------------------|-------------------|---------------------------------|
| `fp32`    | nothing                         | float32           | any card                        |
| `tf32`    | 11 significant bits             | float32           | tensor cores, sm_80 and later   |
| `bf16`    | 8 significant bits              | float32           | tensor cores, sm_80 and later   |

It says how `matmul`, `linear` and the convolutions are made by the engines `cuda` and `cuda-emulated`;
arrays are float32 before and after, and all other kernels and engines are as exact as ever. The first is
the default, so that all engines agree to rounding; a benchmark names the one it was run with. In every
kernel of these two engines subnormal numbers, below 2⁻¹²⁶, are zero: CuPy compiles so (-ftz=true).
"""

import os
import threading

from .contexts import context

PRECISIONS = {"fp32": 0.0, "tf32": 2.0**-11, "bf16": 2.0**-8}  # relative errors of a factor, at most


class _Here(threading.local):
    chosen: str | None = None


_here = _Here()
_everywhere: str | None = None


@context
def precision(name: str):
    """Inside the block, on this thread, multiply matrices in precision "fp32", "tf32" or "bf16".

    ValueError for another name.
    """
    before, _here.chosen = _here.chosen, checked(name)
    try:
        yield
    finally:
        _here.chosen = before


def set_precision(name: str):
    """From now on, outside of `precision` blocks, multiply matrices so on every thread. Errors likewise."""
    global _everywhere
    _everywhere = checked(name)


def precision_name() -> str:
    """The precision that this thread multiplies matrices in: by `precision`, by `set_precision`, by the
    environment variable MINIGAN_PRECISION, or "fp32". ValueError for a variable that names none."""
    asked = os.environ.get("MINIGAN_PRECISION") or "fp32"
    return _here.chosen or _everywhere or checked(asked, "MINIGAN_PRECISION: ")


def checked(name, where=""):
    if name not in PRECISIONS:
        raise ValueError(f"{where}no precision is called {name!r}; there are: {', '.join(PRECISIONS)}")
    return name
