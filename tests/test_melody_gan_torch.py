"""The loop of melodies against the same written in PyTorch: ten steps, number by number, in float64."""

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits
from twins_of_sequences import blocks, penalty_of, weights_of

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.model import networks, numbers_of
from minigan.gans.parts.penalties import EPS
from minigan.gans.time import melody_gan
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
pytestmark = pytest.mark.torch

STEPS, N, LATENT, NOISE, HIDDEN, WIDTH = 10, 8, 5, 3, 7, 8
WORDS, MARKS = ("-", ".", "c4", "d4"), ("", "u", "/", "|")
L, PLACES = 6, 8  # steps of time, places of a line: half of each is a phrase
FIELDS = Fields({"melody": Field("melody", (L,), words=WORDS), "text": Field("text", (PLACES,), words=MARKS)})


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Lines(tnn.Module):
    def __init__(self):
        super().__init__()
        self.marks = tnn.Embedding(len(MARKS), 4)
        self.register_buffer("step", torch.eye(L // 2))

    def forward(self, lines):
        told = self.marks(lines).reshape(len(lines), 2, -1)  # a vector for each phrase
        steps = [
            torch.cat([told[:, t // (L // 2)], self.step[t % (L // 2)].expand(len(lines), -1)], 1)
            for t in range(L)
        ]
        return torch.stack(steps, 2)


class LastNotes(tnn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("notes", torch.tensor([0.0, 0.0, 1.0, 1.0]))

    def forward(self, last, words):
        notes = words[:, 2:]
        return torch.cat([torch.zeros_like(words[:, :2]), notes], 1) + (1 - notes.sum(1, keepdim=True)) * last


class Singer(tnn.Module):
    def __init__(self):
        super().__init__()
        self.lines = Lines()
        self.last = LastNotes()
        self.memory = tnn.GRUCell(LATENT + NOISE + 4 * PLACES // 2 + L // 2 + 2 * len(WORDS), HIDDEN)
        self.score = tnn.Linear(HIDDEN, len(WORDS))
        self.follow = tnn.Linear(len(WORDS), len(WORDS), bias=False)
        self.register_buffer("words", torch.eye(len(WORDS)))

    def forward(self, z, noise, lines, cfg, drawn):
        told, memory, sung = self.lines(lines), torch.zeros(len(z), HIDDEN).double(), []
        word = last = torch.zeros(len(z), len(WORDS)).double()
        chances = next(drawn).transpose(1, 2) if cfg.choice == "gumbel" else None
        for step in range(L):
            memory = self.memory(
                torch.cat([z, noise[:, step], told[:, :, step], 8 * word, 8 * last], 1), memory
            )
            scores = (self.score(memory) + self.follow(8 * last))[:, :, None]
            here = iter([] if chances is None else [chances[:, :, step, None]])
            word = weights_of(scores, cfg, here)[:, :, 0]
            last = self.last(last, word)
            sung.append(word)
        return torch.stack(sung, 2)


class Listener(tnn.Module):
    def __init__(self):
        super().__init__()
        self.lines = Lines()
        self.last = LastNotes()
        words, beside = len(WORDS), len(WORDS) + 4 * PLACES // 2 + L // 2
        self.own, self.beside = tnn.Conv1d(words, WIDTH, 1), tnn.Conv1d(beside, WIDTH, 1)
        first = tnn.Conv1d(words + beside + WIDTH, WIDTH, 1)
        self.net = tnn.Sequential(first, *blocks(WIDTH, 1), tnn.Flatten(), tnn.Linear(WIDTH * L, 1))

    def forward(self, melodies, lines):
        last, before = torch.zeros_like(melodies[:, :, 0]), []
        for step in melodies.unbind(2):
            before.append(last)
            last = self.last(last, step)
        beside = torch.cat([torch.stack(before, 2), self.lines(lines)], 1)
        return self.net(torch.cat([melodies, beside, self.own(melodies) * self.beside(beside)], 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"choice": "softmax"}, {"tau": 0.7}, {"n_critic": 2}], ids=["softmax", "gumbel", "two"]
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(settings):
    sizes = {"latent": LATENT, "noise": NOISE, "hidden": HIDDEN, "width": WIDTH, "blocks": 1}
    cfg = melody_gan.Config(steps=15, **sizes, **settings)
    rng, critics = Generator(0), STEPS * cfg.n_critic
    data = [
        (rng.integers(0, len(WORDS), (N, L)), rng.integers(0, len(MARKS), (N, PLACES)))
        for _ in range(critics)
    ]
    noise = []

    def draw():
        noise.append(rng.normal((N, LATENT), dtype=np.float64))
        noise.append(rng.normal((N, L, NOISE), dtype=np.float64))
        if cfg.choice == "gumbel":
            noise.append(rng.uniform((N, L, len(WORDS)), dtype=np.float64))

    for step in range(1, critics + 1):
        draw()
        noise.append(rng.uniform((N, 1, 1), dtype=np.float64))
        if step % cfg.n_critic == 0:
            draw()
    parts = melody_gan.parts(cfg, FIELDS, rng)
    G, D = Singer(), Listener()
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        ours.to(np.float64)
        its.double().load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()})
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.lr, betas=cfg.betas)
    opt_d = torch.optim.Adam(D.parameters(), lr=cfg.lr_d, betas=cfg.betas)
    rates = [torch.optim.lr_scheduler.LambdaLR(o, lambda n: min(1, 2 - n * 2 / 15)) for o in (opt_g, opt_d)]

    loop = melody_gan.train(iter(data), GivenFirst(noise), cfg, **parts)
    batches, drawn = iter(data), (torch.from_numpy(a) for a in noise)

    def sung(lines):
        return G(next(drawn), next(drawn), lines, cfg, drawn)

    for seen in loop:
        for _ in range(cfg.n_critic):
            melodies, lines = map(torch.from_numpy, next(batches))
            with torch.no_grad():
                fake = sung(lines)
            real = tnn.functional.one_hot(melodies, len(WORDS)).double().transpose(1, 2)
            u = next(drawn)
            penalty = penalty_of(lambda x, y=lines: D(x, y), u * real + (1 - u) * fake, EPS)
            d_real, d_fake = D(real, lines).mean(), D(fake, lines).mean()
            d_other = D(real, lines.roll(1, 0)).mean()
            wasserstein = d_real - (d_fake + d_other) / 2
            d_loss = cfg.penalty * penalty - wasserstein
            opt_d.zero_grad()
            d_loss.backward()
            opt_d.step()
        g_loss = -D(sung(lines), lines).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        for rate in rates:
            rate.step()
        expected = {
            "d_loss": d_loss,
            "wasserstein": wasserstein,
            "d_other": d_other,
            "penalty": penalty,
            "d_real": d_real,
            "d_fake": d_fake,
            "g_loss": g_loss,
        }
        found, _ = numbers_of(seen, critic=True)
        assert found == pytest.approx({k: x.item() for k, x in expected.items()}, rel=1e-8, abs=1e-12)
    assert parts["opt_d"].steps == critics
    for ours, its in zip(networks(parts).values(), (G, D), strict=True):
        theirs = its.state_dict()
        for name, array in ours.state_dict().items():
            assert_close(array, theirs[name].numpy(), rtol=1e-8, atol=1e-9)
