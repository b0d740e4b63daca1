"""A DCGAN on handwritten digits, in a bare loop: no runner, no run folder.

    python examples/dcgan.py [STEPS] [DEVICE]

Prints the losses and writes dcgan.png. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import dcgan
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 1000)), backend.device(argv.get(2, "auto"))
cfg = dcgan.Config(size=16)
rng = Generator(0)

digits = data.load("digits", size=cfg.size)
batches = data.Batches(digits, cfg.batch_size, device=device)
G, D = (net.to(device) for net in dcgan.networks(cfg, digits.shape, rng))
opt_g, opt_d = dcgan.optimizers(cfg, G, D)
print(G, D, sep="\n")

loop = dcgan.train(G, D, opt_g, opt_d, batches, rng.to(device), cfg)
for step, losses in enumerate(itertools.islice(loop, steps), start=1):
    if step % 50 == 0:
        print(step, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))

report.save_samples(Path("dcgan.png"), Sampler(dcgan, cfg, G, device)(64))
print("dcgan.png")
