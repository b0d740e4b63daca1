"""A GAN of multi-layer perceptrons on handwritten digits, in a bare loop: no runner, no run folder.

    python examples/gan.py [STEPS] [DEVICE]

Prints the losses and writes gan.png. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import model_named
from minigan.gans.noise import gan
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 5000)), backend.device(argv.get(2, "auto"))
cfg = gan.Config()
rng = Generator(0)

digits = data.load("digits")
batches = digits.batches(cfg.batch_size, device=device)
parts = gan.parts(cfg, digits.fields, rng)
G, D = (parts[name].to(device) for name in "GD")
print(G, D, sep="\n")

loop = gan.train(batches, rng.to(device), cfg, **parts)
for step, seen in enumerate(itertools.islice(loop, steps), start=1):
    if step % 250 == 0:
        print(step, " ".join(f"{name} {seen[name].item():.3f}" for name in ("d_loss", "g_loss")))

report.save_samples(Path("gan.png"), Sampler(model_named("gan"), cfg, parts, digits.fields, device)(64))
print("gan.png")
