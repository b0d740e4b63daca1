"""The loop of texts against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits
from twins_of_sequences import Residual, blocks, penalty_of, weights_of

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.model import networks, numbers_of
from minigan.gans.parts.penalties import EPS
from minigan.gans.time import text_gan
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT, WORDS, L, WIDTH = 10, 8, 6, 5, 7, 8
FIELDS = Fields({"text": Field("text", (L,), words=("", *"abcd"))})


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"choice": "gumbel", "tau": 0.7}, {"n_critic": 2, "pack": 2, "penalty": 3.0}],
    ids=["softmax", "gumbel", "packs"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(settings):
    cfg = text_gan.Config(latent=LATENT, width=WIDTH, blocks=1, steps=15, **settings)
    rng, critics = Generator(0), STEPS * cfg.n_critic
    data = [rng.integers(0, WORDS, (N, L)) for _ in range(critics)]
    noise = []
    for step in range(1, critics + 1):
        made = [rng.normal((N, LATENT), dtype=np.float64)]
        if cfg.choice == "gumbel":
            made.append(rng.uniform((N, WORDS, L), dtype=np.float64))
        noise += [*made, rng.uniform((N // cfg.pack, 1, 1), dtype=np.float64)]
        if step % cfg.n_critic == 0:
            noise += [array / 2 for array in made]
    parts = text_gan.parts(cfg, FIELDS, rng)
    G = tnn.Sequential(
        tnn.Linear(LATENT, WIDTH * L),
        tnn.Unflatten(1, (WIDTH, L)),
        *blocks(WIDTH, 1),
        tnn.Conv1d(WIDTH, WORDS, 1),
    )
    D = tnn.Sequential(
        *[tnn.Identity()] * (cfg.pack > 1),
        tnn.Conv1d(cfg.pack * WORDS, WIDTH, 1),
        *blocks(WIDTH, 1),
        tnn.Flatten(),
        tnn.Linear(WIDTH * L, 1),
    )
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        ours.to(np.float64)
        its.double().load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()})
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.lr, betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=cfg.lr_d, betas=cfg.betas)
    rates = [torch.optim.lr_scheduler.LambdaLR(o, lambda n: min(1, 2 - n * 2 / 15)) for o in (opt_g, opt_d)]

    loop = text_gan.train(iter(data), GivenFirst(noise), cfg, **parts)
    reals, drawn = iter(data), (torch.from_numpy(a) for a in noise)

    def packed(x):
        return torch.cat(x.chunk(cfg.pack), 1)

    def made():
        return weights_of(G(next(drawn)), cfg, drawn)

    for seen in loop:
        for _ in range(cfg.n_critic):
            with torch.no_grad():
                fake = made()
            real = tnn.functional.one_hot(torch.from_numpy(next(reals)), WORDS).double().transpose(1, 2)
            u = next(drawn).repeat(cfg.pack, 1, 1)
            penalty = penalty_of(lambda x: D(packed(x)), u * real + (1 - u) * fake, EPS, packed)
            d_real, d_fake = D(packed(real)).mean(), D(packed(fake)).mean()
            d_loss = cfg.penalty * penalty + d_fake - d_real
            opt_d.zero_grad()
            d_loss.backward()
            opt_d.step()
        g_loss = -D(packed(made())).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        for rate in rates:
            rate.step()
        expected = {
            "d_loss": d_loss,
            "wasserstein": d_real - d_fake,
            "penalty": penalty,
            "d_real": d_real,
            "d_fake": d_fake,
            "g_loss": g_loss,
        }
        found, _ = numbers_of(seen, critic=True)
        assert found == pytest.approx({k: x.item() for k, x in expected.items()}, rel=1e-8, abs=1e-12)
    assert parts["opt_g"].steps == STEPS
    assert parts["opt_g"].lr == pytest.approx(cfg.lr * (2 - 20 / 15))
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        theirs = its.state_dict()
        for name, array in ours.state_dict().items():
            assert_close(array, theirs[name].numpy(), rtol=1e-8, atol=1e-9)


def test_the_twin_has_blocks_of_its_own():
    """That add 0.3 of what they make, not all of it."""
    block = Residual(tnn.Identity())
    assert block(torch.ones(1)).item() == pytest.approx(1.3)
