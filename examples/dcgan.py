"""A DCGAN on handwritten digits, in a bare loop: no runner, no run folder.

    python examples/dcgan.py [STEPS] [DEVICE]

Prints the losses and writes dcgan.png. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import model_named
from minigan.gans.noise import dcgan
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 1000)), backend.device(argv.get(2, "auto"))
cfg = dcgan.Config(size=16)
rng = Generator(0)

digits = data.load("digits", size=cfg.size)
batches = digits.batches(cfg.batch_size, device=device)
parts = dcgan.parts(cfg, digits.fields, rng)
G, D = (parts[name].to(device) for name in "GD")
print(G, D, sep="\n")

loop = dcgan.train(batches, rng.to(device), cfg, **parts)
for step, seen in enumerate(itertools.islice(loop, steps), start=1):
    if step % 50 == 0:
        print(step, " ".join(f"{name} {seen[name].item():.3f}" for name in ("d_loss", "g_loss")))

report.save_samples(Path("dcgan.png"), Sampler(model_named("dcgan"), cfg, parts, digits.fields, device)(64))
print("dcgan.png")
