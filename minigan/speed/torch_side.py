"""The same steps in PyTorch, written as its users would, and at its best.

In-place activations; losses of logits; targets made once; images moved to their memory format before
the first step. `variants` has what is not the same best choice everywhere: the form of Adam, and how
the step of the generator leaves out the gradients of the discriminator's weights.
"""

import functools
import itertools
import math
import os

import torch
from torch import nn
from torch.nn import functional as F

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
    variant = job.get("variant") or variants(job)[0]
    nets = networks(job)
    optimizers = {name: adam(name, net, job, **ADAM[variant["adam"]]) for name, net in nets.items()}
    step, noise = step_of(job, nets, optimizers, variant["g_step"]), given_first(job)
    for batch in itertools.cycle(batches(job)):
        yield step(next(noise), *batch)


def adam(name, net, job, **form):
    """The optimiser of the network `name`, "G" or "D"."""
    settings = job["settings"]
    rate = settings["lr_d" if name == "D" and settings["lr_d"] is not None else "lr"]
    betas = settings["beta1"], settings.get("beta2", 0.999)
    return torch.optim.Adam(net.parameters(), rate, betas, **form)


# The networks.


def networks(job):
    """The networks of a job by name, with its weights, in its memory format."""
    if job["model"] == "wgan-gp":
        nets = {"D": dcgan_discriminator(job, instance_norm)}
    elif job["model"] == "next-frame":
        nets = {"G": Predictor(job), "D": film_judge(job)}
    elif job["model"] == "dcgan":
        nets = {"G": dcgan_generator(job), "D": dcgan_discriminator(job, nn.BatchNorm2d)}
    else:
        nets = dict(zip("GD", mlps(job), strict=True))
    for name, net in nets.items():
        net.load_state_dict({key: torch.from_numpy(a) for key, a in job["weights"][name].items()})
        net.to(memory_format=FORMATS[job["layout"]])
    return nets


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


def instance_norm(channels):
    return nn.InstanceNorm2d(channels, affine=True)


class Predictor(nn.Module):
    """The next frame of the last ones, joined as channels, and of noise."""

    def __init__(self, job):
        super().__init__()
        w, z, (_, C, *_) = job["settings"]["width"], job["settings"]["latent"], job["shape"]
        self.head = nn.Sequential(*leaky(nn.Conv2d(job["settings"]["past"] * C + z, w, 3, 1, 1)))
        self.down = nn.Sequential(*leaky(nn.Conv2d(w, 2 * w, 4, 2, 1)))
        self.inner = nn.Sequential(
            *leaky(nn.Conv2d(2 * w + z, 2 * w, 3, 1, 1)), *leaky(nn.Conv2d(2 * w, 2 * w, 3, 1, 1))
        )
        self.up = nn.Sequential(*leaky(nn.ConvTranspose2d(2 * w, w, 4, 2, 1)))
        self.tail = nn.Conv2d(2 * w, C, 3, 1, 1)

    def forward(self, past, z):
        near = self.head(joined(past, z))
        far = self.down(near)
        far = far + self.inner(joined(far, z))
        return self.tail(torch.cat([self.up(far), near], 1)).tanh_()


def film_judge(job):
    w, past, (_, C, side, _) = job["settings"]["width"], job["settings"]["past"], job["shape"]
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        *leaky(norm(nn.Conv2d((past + 1) * C, w, 4, 2, 1))),
        *leaky(norm(nn.Conv2d(w, 2 * w, 4, 2, 1))),
        *leaky(norm(nn.Conv2d(2 * w, 4 * w, 3, 1, 1))),
        *(nn.Flatten(), norm(nn.Linear(4 * w * (side // 4) ** 2, 1))),
    )


def leaky(layer):
    return layer, nn.LeakyReLU(0.2, inplace=True)


def joined(x, z):
    """Images with noise as more channels, constant over each."""
    return torch.cat([x, z[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


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


def step_of(job, nets, optimizers, g_step=G_STEP[0]):
    """The step of a job: a function of noise and of a batch, that gives the losses."""
    if job["model"] == "wgan-gp":
        return functools.partial(critic_step, job, nets["D"], optimizers["D"])
    if job["model"] == "next-frame":
        return functools.partial(film_step, job, nets, optimizers, g_step)
    n, device = len(job["data"][0]), next(nets["D"].parameters()).device
    targets = torch.ones(n, 1, device=device), torch.zeros(n, 1, device=device)
    return functools.partial(gan_step, nets, optimizers, targets, g_step)


def gan_step(nets, optimizers, targets, g_step, z, real):
    """One step of D, then one of G."""
    G, D, opt_g, opt_d = (both[name] for both in (nets, optimizers) for name in "GD")
    ones, zeros = targets
    bce = F.binary_cross_entropy_with_logits
    fake = G(z)

    d_loss = bce(D(real), ones) + bce(D(fake.detach()), zeros)
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()

    g_loss = moved(G, D, opt_g, g_step, lambda: bce(D(fake), ones))
    return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}


def moved(G, D, opt_g, g_step, loss_of):
    """The loss of a step of G, which leaves out the gradients of D's weights."""
    if g_step == "D frozen":
        D.requires_grad_(False)
        g_loss = loss_of()
        opt_g.zero_grad()
        g_loss.backward()
        D.requires_grad_(True)
    else:
        g_loss = loss_of()
        params = list(G.parameters())
        for p, g in zip(params, torch.autograd.grad(g_loss, params), strict=True):
            p.grad = g
    opt_g.step()
    return g_loss


def film_step(job, nets, optimizers, g_step, z, films):
    """One step of D, then one of G, on all frames that have enough before them; the squared error is that of
    the mean over draws of z."""
    G, D, opt_g, opt_d = (both[name] for both in (nets, optimizers) for name in "GD")
    P, T, draws = job["settings"]["past"], job["shape"][0], job["settings"]["draws"]
    form = {"memory_format": FORMATS[job["layout"]]}
    past = torch.cat([films[:, t - P : t].flatten(1, 2) for t in range(P, T)]).contiguous(**form)
    following = films[:, P:].transpose(0, 1).flatten(0, 1)
    n = len(past)
    made = G(past.repeat(draws, 1, 1, 1).contiguous(**form), z)

    fake = torch.cat([past, made[:n]], 1)
    d_real, d_fake = D(torch.cat([past, following], 1)), D(fake.detach())
    d_loss = F.relu(1 - d_real).mean() + F.relu(1 + d_fake).mean()
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()

    squares = F.mse_loss(made.unflatten(0, (draws, n)).mean(0), following)
    weight = job["settings"]["weight"]
    g_loss = moved(G, D, opt_g, g_step, lambda: weight * squares - D(fake).mean())
    return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}


def critic_step(job, D, opt, u, real, fake):
    """A step of the critic alone. Gulrajani et al. 2017, Algorithm 1."""
    mixed = (u * real + (1 - u) * fake).requires_grad_()

    (gx,) = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
    norm = (gx.square().sum((1, 2, 3)) + job["eps"]).sqrt()
    penalty = (norm - 1).square().mean()
    d_loss = D(fake).mean() - D(real).mean() + job["settings"]["penalty"] * penalty
    opt.zero_grad()
    d_loss.backward()
    opt.step()
    return {"d_loss": d_loss.detach(), "penalty": penalty.detach()}


def batches(job):
    """The batches, each a tuple: real samples; for the critic fakes too."""
    names = ("data", "fakes") if job["model"] == "wgan-gp" else ("data",)
    return list(zip(*([tensor(a, job) for a in job[name]] for name in names), strict=True))


def tensor(array, job):
    x = torch.from_numpy(array)
    return x.to(memory_format=FORMATS[job["layout"]]) if x.ndim == 4 else x


def draw(job, device=None):
    """The noise of one step."""
    n = len(job["data"][0])
    if job["model"] == "wgan-gp":
        return torch.rand(n, 1, 1, 1, device=device)
    if job["model"] == "next-frame":
        n *= job["settings"]["draws"] * (job["shape"][0] - job["settings"]["past"])
    return torch.randn(n, job["settings"]["latent"], device=device)


def given_first(job):
    """The given noise, so that both sides start from the same; then noise without end."""
    yield from map(torch.from_numpy, job["noise"])
    while True:
        yield draw(job)
