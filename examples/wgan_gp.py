"""WGAN-GP on handwritten digits, in a bare loop: a critic of bounded slope, by a gradient of a gradient.

    python examples/wgan_gp.py [STEPS] [DEVICE]

Prints the losses and writes wgan_gp.png. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

from minigan import Generator, backend, data, report
from minigan.gans import wgan_gp
from minigan.training import Sampler

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 1000)), backend.device(argv.get(2, "auto"))
digits = data.load("digits", size=16)
cfg = wgan_gp.Config().fitted(digits.shape, digits.classes)
rng = Generator(0)

batches = data.Batches(digits, cfg.batch_size, device=device)
G, D = (net.to(device) for net in wgan_gp.networks(cfg, digits.shape, rng))
opt_g, opt_d = wgan_gp.optimizers(cfg, G, D)
print(G, D, sep="\n")

loop = wgan_gp.train(G, D, opt_g, opt_d, batches, rng.to(device), cfg)
for step, losses in enumerate(itertools.islice(loop, steps), start=1):
    if step % 50 == 0:
        print(step, " ".join(f"{name} {value:.3f}" for name, value in losses.items()))

report.save_samples(Path("wgan_gp.png"), Sampler(wgan_gp, cfg, G, device)(64))
print("wgan_gp.png")
