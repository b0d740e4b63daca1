"""WGAN-GP on handwritten digits, in a bare loop: a critic of bounded slope, by a gradient of a gradient.

    python examples/wgan_gp.py [STEPS] [DEVICE]

Prints the losses and writes wgan_gp.png. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import model_named
from minigan.gans.noise import wgan_gp
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 1000)), backend.device(argv.get(2, "auto"))
digits = data.load("digits", size=16)
cfg = wgan_gp.Config().fitted(digits.fields)
rng = Generator(0)

batches = digits.batches(cfg.batch_size, device=device)
parts = wgan_gp.parts(cfg, digits.fields, rng)
G, D = (parts[name].to(device) for name in "GD")
print(G, D, sep="\n")

loop = wgan_gp.train(batches, rng.to(device), cfg, **parts)
for step, seen in enumerate(itertools.islice(loop, steps), start=1):
    if step % 50 == 0:
        print(step, " ".join(f"{name} {seen[name].item():.3f}" for name in ("d_loss", "g_loss")))

report.save_samples(
    Path("wgan_gp.png"), Sampler(model_named("wgan-gp"), cfg, parts, digits.fields, device)(64)
)
print("wgan_gp.png")
