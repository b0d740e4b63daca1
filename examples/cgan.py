"""A CGAN on handwritten digits, in a bare loop: one class is asked for, and made.

    python examples/cgan.py [STEPS] [DEVICE]

Prints the losses and writes cgan.png, a column a class. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import model_named
from minigan.gans.noise import cgan
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 1000)), backend.device(argv.get(2, "auto"))
digits = data.load("digits", size=16)
cfg = cgan.Config().fitted(digits.fields)
rng = Generator(0)

batches = digits.batches(cfg.batch_size, labels=True, device=device)
parts = cgan.parts(cfg, digits.fields, rng)
G, D = (parts[name].to(device) for name in "GD")
print(G, D, sep="\n")

loop = cgan.train(batches, rng.to(device), cfg, **parts)
for step, seen in enumerate(itertools.islice(loop, steps), start=1):
    if step % 50 == 0:
        print(step, " ".join(f"{name} {seen[name].item():.3f}" for name in ("d_loss", "g_loss")))

report.save_samples(
    Path("cgan.png"), Sampler(model_named("cgan"), cfg, parts, digits.fields, device)(80), columns=cfg.classes
)
print("cgan.png")
