"""A folder of pictures, started from twice: `python -m bench.folder [FOLDER]`, by default 20,000 JPEGs of
178x218, CelebA's size, which are made first. The first start decodes, the second finds what was kept.

Each start is a process of its own: it loads the folder at 64 pixels, and takes BATCHES batches. Memory is
beside what the process has before.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench.machine import machine

PICTURES, WIDTH, HEIGHT = 20_000, 178, 218
BATCHES = 100

START = f"""
import json, sys, time
from minigan.data import Batches, load

def memory(kind):
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(kind)) / 1024

import PIL.Image, concurrent.futures
peak_before, own_before, began = memory("VmHWM"), memory("RssAnon"), time.perf_counter()
batches = Batches(load("folder:" + sys.argv[1]), 64)
loaded = time.perf_counter() - began
loaded_peak = memory("VmHWM")
for _ in range({BATCHES}): next(batches)
print(json.dumps(dict(
    seconds=loaded,
    batch_ms=(time.perf_counter() - began - loaded) / {BATCHES} * 1000,
    loaded_mb=loaded_peak - peak_before,
    own_mb=memory("RssAnon") - own_before,
    data_mb=batches.dataset.samples.nbytes / 2**20,
)))
"""


def make(folder: Path, n: int):
    """n JPEGs of coloured clouds and noise, in ten classes."""
    from PIL import Image

    def one(i):
        rng = np.random.default_rng(i)
        cloud = Image.fromarray(rng.integers(0, 256, (7, 6, 3), np.uint8)).resize((WIDTH, HEIGHT), 3)
        noisy = np.asarray(cloud) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
        place = folder / str(i % 10) / f"{i:06d}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place, quality=85)

    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(n)))


def start(folder: Path, cache: Path) -> dict:
    """What a process measures that starts from the folder."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(folder)],
        env=os.environ | {"MINIGAN_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(prog="python -m bench.folder", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="made if there is none; by default for a while")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = given.folder or Path(place, "pictures")
        if not folder.exists():
            make(folder, PICTURES)
        print(machine())
        starts = {name: start(folder, Path(place, "cache")) for name in ("first", "second")}
    for name, found in starts.items():
        print(
            f"{name} start: {found['seconds']:.2f} s and at most {found['loaded_mb']:.0f} MB to load "
            f"{found['data_mb']:.0f} MB; {found['batch_ms']:.1f} ms a batch, and {found['own_mb']:.0f} MB "
            f"beside the mapped file after {BATCHES}"
        )
    ratio = starts["first"]["seconds"] / starts["second"]["seconds"]
    print(f"the second start takes 1/{ratio:.0f} of the first one's time")


if __name__ == "__main__":
    main()
