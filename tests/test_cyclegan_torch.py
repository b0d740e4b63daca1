"""CycleGAN's loop against the same written in PyTorch: ten steps, number by number, in float64, with pools of
images that are full after the second."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.images import cyclegan
from minigan.gans.model import networks
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn, tF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

STEPS, N, SIZE, POOL, WIDTH = 10, 3, 8, 5, 2


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Block(tnn.Module):
    def __init__(self, n):
        super().__init__()
        half = [
            [tnn.ReflectionPad2d(1), tnn.Conv2d(n, n, 3, bias=False), tnn.InstanceNorm2d(n)] for _ in range(2)
        ]
        self.body = tnn.Sequential(*half[0], tnn.ReLU(), *half[1])

    def forward(self, x):
        return x + self.body(x)


class Adding(tnn.Module):
    """What is made is added to the image, before the tanh."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return torch.tanh(self.body(x) + torch.atanh(x.clamp(-0.99, 0.99)))


def generator(n, m, halvings, blocks, adds):
    layers, w = [tnn.ReflectionPad2d(3), tnn.Conv2d(n, WIDTH, 7, bias=False)], WIDTH
    layers += [tnn.InstanceNorm2d(w), tnn.ReLU()]
    for _ in range(halvings):
        layers += [tnn.Conv2d(w, 2 * w, 3, 2, 1, bias=False), tnn.InstanceNorm2d(2 * w), tnn.ReLU()]
        w *= 2
    layers += [Block(w) for _ in range(blocks)]
    for _ in range(halvings):
        up = tnn.ConvTranspose2d(w, w // 2, 3, 2, 1, output_padding=1, bias=False)
        layers += [up, tnn.InstanceNorm2d(w // 2), tnn.ReLU()]
        w //= 2
    layers += [tnn.ReflectionPad2d(3), tnn.Conv2d(w, m, 7)]
    return Adding(tnn.Sequential(*layers)) if adds else tnn.Sequential(*layers, tnn.Tanh())


def judge(n):
    """Of one halving."""
    return tnn.Sequential(
        *(tnn.Conv2d(n, WIDTH, 4, 2, 1), tnn.LeakyReLU(0.2)),
        *(
            tnn.Conv2d(WIDTH, 2 * WIDTH, 4, 1, 1, bias=False),
            tnn.InstanceNorm2d(2 * WIDTH),
            tnn.LeakyReLU(0.2),
        ),
        tnn.Conv2d(2 * WIDTH, 1, 4, 1, 1),
    )


class Pool:
    """As `util/image_pool.py` of the authors has it, with coins that were tossed before."""

    def __init__(self, coins):
        self.images, self.coins, self.older = [], iter(coins), 0

    def query(self, images):
        given = []
        for image, (coin, which) in zip(images.detach(), next(self.coins), strict=True):
            if len(self.images) < POOL:
                self.images.append(image.clone())
                given.append(image)
            elif coin < 0.5:
                place = int(which * POOL)
                given.append(self.images[place])
                self.images[place], self.older = image.clone(), self.older + 1
            else:
                given.append(image)
        return torch.stack(given)


class Coins:
    """Hands out what it was given."""

    def __init__(self, *of):
        self.given = iter([each for step in zip(*of, strict=True) for each in step])

    def uniform(self, shape):
        found = next(self.given)
        assert found.shape == shape
        return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channels", "settings"),
    [
        ((3, 3), {}),
        ((3, 3), {"adds": False, "halvings": 2, "blocks": 2, "lr": 2e-4}),
        ((1, 2), {"cycle": 4.0, "cycle_distance": "l2"}),
        ((2, 2), {"identity": 0.0}),
    ],
    ids=["adds", "replaces", "channels-l2", "no-identity"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(channels, settings):
    fields = Fields({k: Field("image", (c, SIZE, SIZE)) for k, c in zip("xy", channels, strict=True)})
    small = {"width": WIDTH, "blocks": 1, "patch": 1, "batch_size": N, "pool": POOL, "steps": STEPS}
    cfg, rng = cyclegan.Config(**{**small, **settings}).fitted(fields), Generator(0)
    parts = cyclegan.parts(cfg, fields, rng)
    data = [tuple(rng.uniform((N, c, SIZE, SIZE), -1, 1, np.float64) for c in channels) for _ in range(STEPS)]
    coins = [[rng.uniform((N, 2)) for _ in range(STEPS)] for _ in "xy"]
    for pool in ("pool_x", "pool_y"):
        parts[pool].images = parts[pool].images.astype(np.float64)

    sizes, (n, m) = (cfg.halvings, cfg.blocks, cfg.adds and channels[0] == channels[1]), channels
    theirs = {"G": generator(n, m, *sizes), "F": generator(m, n, *sizes), "Dx": judge(n), "Dy": judge(m)}
    for name, ours in networks(parts).items():
        ours.to(np.float64)
        state = {k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()}
        theirs[name].double().load_state_dict(state)
    G, F, Dx, Dy = theirs.values()
    opt_g, opt_d = (
        torch.optim.Adam([p for net in nets for p in net.parameters()], lr=lr, betas=(0.5, 0.999))
        for nets, lr in (((G, F), cfg.lr), ((Dx, Dy), cfg.lr_d))
    )
    rates = [
        torch.optim.lr_scheduler.LambdaLR(opt, lambda k: 1 - max(0, k - STEPS / 2) / (STEPS / 2))
        for opt in (opt_g, opt_d)
    ]
    pools, far = [Pool(tossed) for tossed in coins], {"l1": tF.l1_loss, "l2": tF.mse_loss}[cfg.cycle_distance]

    def wanted(said, value):
        return tF.mse_loss(said, torch.full_like(said, value))

    for seen, pair in zip(cyclegan.train(iter(data), Coins(*coins), cfg, **parts), data, strict=True):
        x, y = map(torch.from_numpy, pair)
        to_y, to_x = G(x), F(y)
        g_loss = wanted(Dy(to_y), 1.0) + wanted(Dx(to_x), 1.0)
        g_loss = g_loss + cfg.cycle * (far(F(to_y), x) + far(G(to_x), y))
        if cfg.identity:
            g_loss = g_loss + cfg.cycle * cfg.identity * (tF.l1_loss(G(y), y) + tF.l1_loss(F(x), x))
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()

        old_x, old_y = pools[0].query(to_x), pools[1].query(to_y)
        said = {"dx_real": Dx(x), "dx_fake": Dx(old_x), "dy_real": Dy(y), "dy_fake": Dy(old_y)}
        d_loss = 0.5 * sum(wanted(out, float(name.endswith("real"))) for name, out in said.items())
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        for rate in rates:
            rate.step()

        assert seen["g_loss"].item() == pytest.approx(g_loss.item(), rel=1e-8)
        assert seen["d_loss"].item() == pytest.approx(d_loss.item(), rel=1e-8)
        for name, out in said.items():
            assert_close(seen[name].numpy(), out.detach().numpy(), rtol=1e-8, atol=1e-8)
    assert min(pool.older for pool in pools) > 5, "judges saw images of earlier steps"
    for name, pool in zip("xy", pools, strict=True):
        assert_close(parts[f"pool_{name}"].images, torch.stack(pool.images).numpy(), rtol=1e-8, atol=1e-8)
    for name, ours in networks(parts).items():
        for key, p in theirs[name].named_parameters():
            assert_close(ours.state_dict()[key], p.detach().numpy(), rtol=1e-6, atol=1e-8)
