"""next-frame's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans import model_named
from minigan.gans.model import networks, numbers_of
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
norm = torch.nn.utils.parametrizations.spectral_norm
pytestmark = pytest.mark.torch

STEPS, N, T, P, SIZE, LATENT, WIDTH = 10, 3, 5, 3, 8, 2, 4
MODEL = model_named("next-frame")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


def conv(n, m, k, stride):
    return [tnn.Conv2d(n, m, k, stride, 1), tnn.LeakyReLU(0.2)]


class Predictor(tnn.Module):
    def __init__(self, channels):
        super().__init__()
        w = WIDTH
        self.head = tnn.Sequential(*conv(P * channels + LATENT, w, 3, 1))
        self.down = tnn.Sequential(*conv(w, 2 * w, 4, 2))
        self.inner = tnn.Sequential(*conv(2 * w + LATENT, 2 * w, 3, 1), *conv(2 * w, 2 * w, 3, 1))
        self.up = tnn.Sequential(tnn.ConvTranspose2d(2 * w, w, 4, 2, 1), tnn.LeakyReLU(0.2))
        self.tail = tnn.Conv2d(2 * w, channels, 3, padding=1)

    def forward(self, past, z):
        def join(x):
            return torch.cat([x, z[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)

        near = self.head(join(past))
        far = self.down(near)
        far = far + self.inner(join(far))
        return torch.tanh(self.tail(torch.cat([self.up(far), near], 1)))


def judge(channels):
    w, layers = WIDTH, []
    for n, m, k, stride in (((P + 1) * channels, w, 4, 2), (w, 2 * w, 4, 2), (2 * w, 4 * w, 3, 1)):
        layers += [norm(tnn.Conv2d(n, m, k, stride, 1)), tnn.LeakyReLU(0.2)]
    return tnn.Sequential(*layers, tnn.Flatten(), norm(tnn.Linear(4 * w * (SIZE // 4) ** 2, 1)))


@pytest.mark.parametrize(
    ("channels", "settings"),
    [(1, {}), (3, {"weight": 0.0, "draws": 1}), (1, {"game": "none", "weight": 1.0})],
    ids=["default", "game-alone", "squares-alone"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(channels, settings):
    shape = (T, channels, SIZE, SIZE)
    fields, rng = Fields({"clip": Field("clip", shape)}), Generator(0)
    cfg = MODEL.Config(steps=STEPS, batch_size=N, past=P, latent=LATENT, width=WIDTH, **settings).fitted(
        fields
    )
    draws = 1 if cfg.game == "none" else cfg.draws
    data = [rng.uniform((N, *shape), -1, 1, np.float64) for _ in range(STEPS)]
    n = N * (T - P)
    noise = [rng.normal((draws * n, LATENT), dtype=np.float64) for _ in range(STEPS)]
    parts = MODEL.parts(cfg, fields, rng)
    ours, theirs = networks(parts), {"G": Predictor(channels), "D": judge(channels)}
    theirs = {name: net.double() for name, net in theirs.items() if name in ours}
    for name, net in theirs.items():
        state = ours[name].to(np.float64).state_dict()
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in state.items()})
    opts = {
        name: torch.optim.Adam(net.parameters(), lr=rate, betas=(cfg.beta1, 0.999))
        for (name, net), rate in zip(theirs.items(), (cfg.lr, cfg.lr_d), strict=False)
    }

    def moved(name, loss):
        opts[name].zero_grad()
        loss.backward()
        opts[name].step()

    loop = MODEL.train(parts, iter(data), GivenFirst(noise), cfg)
    for i, (seen, films, z) in enumerate(zip(loop, data, noise, strict=True)):
        opts["G"].param_groups[0]["lr"] = cfg.lr * min(1, 2 * (1 - i / STEPS))
        films = torch.from_numpy(films)
        past = torch.cat([films[:, t - P : t].flatten(1, 2) for t in range(P, T)])
        following = torch.cat([films[:, t] for t in range(P, T)])
        made = [theirs["G"](past, torch.from_numpy(part)) for part in np.split(z, draws)]
        squares = ((sum(made) / draws - following) ** 2).mean()
        expected, g_loss = {"squares": squares}, cfg.weight * squares
        if "D" in theirs:
            D, fake = theirs["D"], torch.cat([past, made[0]], 1)
            d_real, d_fake = D(torch.cat([past, following], 1)), D(fake.detach())
            d_loss = torch.relu(1 - d_real).mean() + torch.relu(1 + d_fake).mean()
            moved("D", d_loss)
            g_loss = g_loss - D(fake).mean()
            expected |= {"d_loss": d_loss, "d_real": d_real.mean(), "d_fake": d_fake.mean()}
        moved("G", g_loss)
        found, _ = numbers_of(seen, critic=True)
        expected |= {"g_loss": g_loss}
        assert found == pytest.approx({name: v.item() for name, v in expected.items()}, rel=1e-8, abs=1e-10)
    for name, net in theirs.items():
        now = net.state_dict()
        for key, array in ours[name].state_dict().items():
            assert_close(array, now[key].numpy(), rtol=1e-8, atol=1e-8)
