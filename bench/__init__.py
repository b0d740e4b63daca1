"""Benchmarks, `python -m bench.cpu` and `python -m bench.gpu`; a compile gate, `python -m bench.compile`.

Benchmarks check first, then time, and write the README's tables and the pages in `bench/results/`. What they
share with `minigan bench`, the two sides and how they take turns, is in `minigan/bench/`.

They run from a plain checkout too, with nothing installed but the libraries.
"""

import atexit
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]

if find_spec("minigan_kernels") is None:
    # The folder is `kernels`; installing gives it its import name, and here a link does, for this process
    # and those it starts.
    _links = tempfile.TemporaryDirectory(prefix="minigan-")
    atexit.register(_links.cleanup)
    (Path(_links.name) / "minigan_kernels").symlink_to(ROOT / "kernels", target_is_directory=True)
    _paths = [_links.name, str(ROOT)]
    sys.path[:0] = _paths
    os.environ["PYTHONPATH"] = os.pathsep.join([*_paths, *filter(None, [os.environ.get("PYTHONPATH")])])
