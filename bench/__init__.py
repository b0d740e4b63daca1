"""Benchmarks, `python -m bench.cpu` and `python -m bench.gpu`; a compile gate, `python -m bench.compile`.

Benchmarks check first, then time, and write the README's tables and the pages in `bench/results/`. What they
share with `minigan bench`, the two sides and how they take turns, is in `minigan/speed/`.

    rows.py     what is measured, one `Row` each; on a GPU `gpu/rows.py`
    cpu.py      measures, by `minigan.speed.compare`; on a GPU `gpu/measure.py`
    results.py  the results file, of the CPU and of a GPU alike
    table.py    its tables; the page of a GPU is `gpu/page.py`

They run from a plain checkout too, with nothing installed but the libraries.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]

if find_spec("minigan_kernels") is None:
    _paths = [str(ROOT), str(ROOT / "kernels")]  # for this process, and those it starts
    sys.path[:0] = _paths
    os.environ["PYTHONPATH"] = os.pathsep.join([*_paths, *filter(None, [os.environ.get("PYTHONPATH")])])
