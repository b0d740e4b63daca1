"""A CGAN on handwritten digits, in a bare loop: one class is asked for, and made.

    python examples/cgan.py [STEPS] [DEVICE]

Prints the losses and writes cgan.png, a column a class. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import cgan
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 1000)), backend.device(argv.get(2, "auto"))
digits = data.load("digits", size=16)
cfg = cgan.Config().fitted(digits.shape, digits.classes)
rng = Generator(0)

batches = data.Batches(digits, cfg.batch_size, labels=True, device=device)
G, D = (net.to(device) for net in cgan.networks(cfg, digits.shape, rng))
opt_g, opt_d = cgan.optimizers(cfg, G, D)
print(G, D, sep="\n")

loop = cgan.train(G, D, opt_g, opt_d, batches, rng.to(device), cfg)
for step, losses in enumerate(itertools.islice(loop, steps), start=1):
    if step % 50 == 0:
        print(step, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))

report.save_samples(Path("cgan.png"), Sampler(cgan, cfg, G, device)(80), columns=cfg.classes)
print("cgan.png")
