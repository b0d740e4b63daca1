"""The same steps in PyTorch, written as its users would, and at its best.

In-place activations; losses of logits; targets made once; images moved to their memory format before
the first step. `variants` has what is not the same best choice everywhere: the form of Adam, and how
the step of the generator leaves out the gradients of the discriminator's weights.
"""

import itertools
import math
import os

import torch
from torch import nn

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
ADAM = {"Adam(fused=True)": {"fused": True}, "Adam(foreach=True)": {"foreach": True}, "Adam()": {}}
G_STEP = "D frozen", "autograd.grad"


def about():
    return {"threads": torch.get_num_threads(), "versions": {"PyTorch": torch.__version__}}


def variants(job):
    """The likely best first."""
    steps = (None,) if job["model"] == "wgan-gp" else G_STEP
    return [{"adam": adam, "g_step": step} for step in steps for adam in ADAM]


def prepare(job):
    """The steps of a job (see `steps.job`), each with its losses."""
    settings, variant = job["settings"], job.get("variant") or variants(job)[0]

    def optimizer(net):
        betas = settings["beta1"], settings["beta2"]
        return torch.optim.Adam(net.parameters(), settings["lr"], betas, **ADAM[variant["adam"]])

    def network(net, name):
        weights = {key: torch.from_numpy(a) for key, a in job["weights"][name].items()}
        net.load_state_dict(weights)
        return net.to(memory_format=FORMATS[job["layout"]])

    if job["model"] == "wgan-gp":
        D = network(dcgan_discriminator(job, lambda n: nn.InstanceNorm2d(n, affine=True)), "D")
        return critic_steps(job, D, optimizer(D))
    if job["model"] == "dcgan":
        G, D = dcgan_generator(job), dcgan_discriminator(job, nn.BatchNorm2d)
    else:
        G, D = mlps(job)
    G, D = network(G, "G"), network(D, "D")
    return gan_steps(job, G, D, optimizer(G), optimizer(D), variant["g_step"])


# The networks.


def widths_of(job):
    """Channels, from the image inwards."""
    return [job["settings"]["width"] * 2**i for i in range(int(math.log2(job["shape"][1] // 4)))]


def dcgan_generator(job):
    latent, widths = job["settings"]["latent"], widths_of(job)
    layers = [nn.Unflatten(1, (latent, 1, 1)), nn.ConvTranspose2d(latent, widths[-1], 4, bias=False)]
    for n, m in itertools.pairwise(widths[::-1]):
        layers += [nn.BatchNorm2d(n), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(n, m, 4, stride=2, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
    layers += [nn.ConvTranspose2d(widths[0], job["shape"][0], 4, stride=2, padding=1), nn.Tanh()]
    return nn.Sequential(*layers)


def dcgan_discriminator(job, norm):
    widths = widths_of(job)
    layers = [nn.Conv2d(job["shape"][0], widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
    for n, m in itertools.pairwise(widths):
        layers += [nn.Conv2d(n, m, 4, stride=2, padding=1, bias=False), norm(m)]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4), nn.Flatten())


def mlps(job):
    latent, shape = job["settings"]["latent"], job["shape"]
    if len(shape) == 1:  # points of the plane
        G = nn.Sequential(*mlp([latent, 128, 128, *shape], nn.ReLU(inplace=True)))
        return G, nn.Sequential(*mlp([*shape, 128, 128, 1], nn.LeakyReLU(0.2, inplace=True)))
    pixels, activation = math.prod(shape), nn.LeakyReLU(0.2, inplace=True)
    G = mlp([latent, 128, 256, 512, 1024, pixels], activation, norm=True)
    D = mlp([pixels, 512, 256, 1], activation)
    return nn.Sequential(*G, nn.Tanh(), nn.Unflatten(1, shape)), nn.Sequential(nn.Flatten(), *D)


def mlp(widths, activation, norm=False):
    """Linear layers with activations between them; with batch norm on all but the first."""
    layers = []
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        if i:
            layers += [nn.BatchNorm1d(n)] * (norm and i > 1) + [activation]
        layers += [nn.Linear(n, m)]
    return layers


# The steps.


def gan_steps(job, G, D, opt_g, opt_d, g_step):
    """One step of D, then one of G."""
    n, latent = len(job["data"][0]), job["settings"]["latent"]
    bce, ones, zeros = nn.BCEWithLogitsLoss(), torch.ones(n, 1), torch.zeros(n, 1)
    noise = given_first(job["noise"], lambda: torch.randn(n, latent))
    for real in itertools.cycle(batches(job, "data")):
        fake = G(next(noise))

        d_loss = bce(D(real), ones) + bce(D(fake.detach()), zeros)
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()

        if g_step == "D frozen":
            D.requires_grad_(False)
            g_loss = bce(D(fake), ones)
            opt_g.zero_grad()
            g_loss.backward()
            D.requires_grad_(True)
        else:
            g_loss = bce(D(fake), ones)
            params = list(G.parameters())
            for p, g in zip(params, torch.autograd.grad(g_loss, params), strict=True):
                p.grad = g
        opt_g.step()

        yield {"d_loss": d_loss.item(), "g_loss": g_loss.item()}


def critic_steps(job, D, opt):
    """Steps of the critic alone. Gulrajani et al. 2017, Algorithm 1."""
    noise = given_first(job["noise"], lambda: torch.rand(len(job["data"][0]), 1, 1, 1))
    reals, fakes = batches(job, "data"), batches(job, "fakes")
    for real, fake in itertools.cycle(zip(reals, fakes, strict=True)):
        u = next(noise)
        mixed = (u * real + (1 - u) * fake).requires_grad_()

        (gx,) = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
        norm = (gx.square().sum((1, 2, 3)) + job["eps"]).sqrt()
        penalty = (norm - 1).square().mean()
        d_loss = D(fake).mean() - D(real).mean() + job["penalty"] * penalty
        opt.zero_grad()
        d_loss.backward()
        opt.step()

        yield {"d_loss": d_loss.item(), "penalty": penalty.item()}


def batches(job, name):
    tensors = map(torch.from_numpy, job[name])
    return [x.to(memory_format=FORMATS[job["layout"]]) if x.ndim == 4 else x for x in tensors]


def given_first(arrays, draw):
    """The given arrays, so that both sides start from the same noise; then draws without end."""
    yield from map(torch.from_numpy, arrays)
    while True:
        yield draw()
