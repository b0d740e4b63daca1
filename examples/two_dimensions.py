"""A GAN in the plane, where all of it can be seen: a film of D's surface, and of the points G makes.

    python examples/two_dimensions.py [STEPS] [DEVICE]

The data are eight narrow Gaussians on a circle. At first G makes all points alike, D turns against the place
where they are, and they move on together: mode collapse. Then they spread, and find all eight. Prints the
losses and writes two_dimensions.gif. DEVICE is cpu, gpu, or auto: a GPU if there is one.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

from minigan import Generator, backend, data, report
from minigan.gans import model_named
from minigan.gans.noise import gan
from minigan.training import Sampler

FRAMES = 40

argv = dict(enumerate(sys.argv))
steps, device = int(argv.get(1, 8000)), backend.device(argv.get(2, "auto"))
cfg = gan.Config(latent=2, batch_size=256, lr=1e-3)
rng = Generator(0)

ring = data.load("ring8")
batches = ring.batches(cfg.batch_size, device=device)
real = np.asarray(next(ring.batches(500)))  # behind the points, in each frame
parts = gan.parts(cfg, ring.fields, rng)
G, D = (parts[name].to(device) for name in "GD")
sampler = Sampler(model_named("gan"), cfg, parts, ring.fields, device)

moments = {1 + round((steps - 1) * (i / (FRAMES - 1)) ** 2) for i in range(FRAMES)}  # most happens early
frames = []
loop = gan.train(batches, rng.to(device), cfg, **parts)
for step, seen in enumerate(itertools.islice(loop, steps), start=1):
    if step in moments:
        print(step, " ".join(f"{name} {seen[name].item():.3f}" for name in ("d_loss", "g_loss")))
        points = sampler(500)  # of the same noise in every frame, so that one sees where a point goes
        frames.append(report.surface(D, points, real, title=f"step {step}"))

report.save_gif(Path("two_dimensions.gif"), frames)
print("two_dimensions.gif")
