"""text2image's loop against the same written in PyTorch: ten steps, number by number, in float64."""

import itertools

import numpy as np
import pytest
from given import GivenFirst
from threadpoolctl import threadpool_limits

from minigan import Generator
from minigan.data import Field, Fields
from minigan.gans.model import networks, numbers_of
from minigan.gans.time import text2image
from minigan.testing import assert_close

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
tnn = torch.nn
tF = tnn.functional
pytestmark = pytest.mark.torch

STEPS, N, LATENT, WIDTH, EMBEDDING, CONDITION = 10, 6, 5, 4, 6, 3
WORDS = "", "a", "big", "red", "blue", "disc", "box"
FIELDS = Fields({"image": Field("image", (3, 16, 16)), "text": Field("text", (5,), words=WORDS)})


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products as small as these only make threads wait for each other."""
    with threadpool_limits(1):
        yield


class Encoder(tnn.Module):
    def __init__(self, by):
        super().__init__()
        self.table = tnn.Embedding(len(WORDS), EMBEDDING)
        self.register_buffer("is_word", torch.empty(len(WORDS), 1))
        self.gru = tnn.GRU(EMBEDDING, EMBEDDING, batch_first=True) if by == "gru" else None

    def forward(self, text):
        of_words = self.table(text)
        if self.gru is not None:
            of_words = self.gru(of_words)[0]
        sentences = [states[row > 0].mean(0) for states, row in zip(of_words, text, strict=True)]
        return torch.stack(sentences), of_words


class Words(tnn.Module):
    def __init__(self):
        super().__init__()
        self.words = tnn.Linear(EMBEDDING, WIDTH, bias=False)

    def forward(self, h, of_words, text):
        words = self.words(of_words)
        scores = torch.einsum("nchw,nlc->nhwl", h, words) / WIDTH**0.5
        scores = scores.masked_fill((text == 0)[:, None, None], -torch.inf)
        return torch.einsum("nhwl,nlc->nchw", scores.softmax(3), words)


class TheirGenerator(tnn.Module):
    def __init__(self, attention):
        super().__init__()
        self.inner = tnn.Sequential(
            tnn.Unflatten(1, (LATENT + CONDITION, 1, 1)),
            tnn.ConvTranspose2d(LATENT + CONDITION, 2 * WIDTH, 4, bias=False),
            tnn.BatchNorm2d(2 * WIDTH),
            tnn.ReLU(),
            tnn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1, bias=False),
            tnn.BatchNorm2d(WIDTH),
            tnn.ReLU(),
        )
        self.last = tnn.Sequential(tnn.ConvTranspose2d(WIDTH, 3, 4, 2, 1), tnn.Tanh())
        self.condition = tnn.Linear(EMBEDDING, 2 * CONDITION)
        self.attention = Words() if attention else None

    def forward(self, z, noise, sentence, of_words, text):
        mean, log_var = self.condition(sentence).chunk(2, 1)
        h = self.inner(torch.cat([z, mean + (log_var / 2).exp() * noise], 1))
        if self.attention is not None:
            h = h + self.attention(h, of_words, text)
        kl = (mean**2 + log_var.exp() - 1 - log_var).mean() / 2
        return self.last(h), kl


class TheirJudge(tnn.Module):
    def __init__(self, judge):
        super().__init__()
        self.joined, m = judge == "joined", 2 * WIDTH
        body = [
            tnn.Conv2d(3, WIDTH, 4, 2, 1),
            tnn.LeakyReLU(0.2),
            tnn.Conv2d(WIDTH, m, 4, 2, 1, bias=False),
            tnn.BatchNorm2d(m),
            tnn.LeakyReLU(0.2),
        ]
        if self.joined:
            mixed = tnn.Conv2d(m + CONDITION, m, 1, bias=False), tnn.BatchNorm2d(m), tnn.LeakyReLU(0.2)
            self.see = tnn.Sequential(*body)
            self.score = tnn.Sequential(*mixed, tnn.Conv2d(m, 1, 4), tnn.Flatten())
            self.text = tnn.Sequential(tnn.Linear(EMBEDDING, CONDITION), tnn.LeakyReLU(0.2))
        else:
            self.see = tnn.Sequential(
                *body, tnn.Conv2d(m, 2 * EMBEDDING, 4), tnn.Flatten(), tnn.LeakyReLU(0.2)
            )
            self.score = tnn.Linear(2 * EMBEDDING, 1)
            self.text = tnn.Linear(EMBEDDING, 2 * EMBEDDING, bias=False)

    def meet(self, h, sentence):
        t = self.text(sentence)
        if self.joined:
            return self.score(torch.cat([h, t[:, :, None, None].expand(-1, -1, 4, 4)], 1))
        return self.score(h) + torch.einsum("nf,nf->n", h, t)[:, None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "judge", "mismatched", "attention"),
    [
        ("gru", "projection", True, False),
        ("mean", "joined", True, True),
        ("mean", "projection", False, True),
        ("gru", "joined", False, False),
    ],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(encoder, judge, mismatched, attention):
    how = {"encoder": encoder, "judge": judge, "mismatched": mismatched, "attention": attention}
    sizes = {"latent": LATENT, "width": WIDTH, "embedding": EMBEDDING, "condition": CONDITION}
    cfg = text2image.Config(steps=STEPS, batch_size=N, kl=0.7, **how, **sizes).fitted(FIELDS)
    rng = Generator(0)
    texts = rng.integers(1, len(WORDS), (STEPS, N, 5))
    texts[:, np.arange(N) % 3 == 1, 3:] = 0
    data = [(rng.uniform((N, 3, 16, 16), -1, 1, np.float64), text) for text in texts]
    noise = [
        (rng.normal((N, LATENT), dtype=np.float64), rng.normal((N, CONDITION), dtype=np.float64))
        for _ in data
    ]
    parts = text2image.parts(cfg, FIELDS, rng)
    E, G, D = Encoder(encoder), TheirGenerator(attention), TheirJudge(judge)
    for ours, its in zip(networks(parts).values(), (E, G, D), strict=True):
        ours.to(np.float64)
        its.double().load_state_dict({k: torch.from_numpy(a.copy()) for k, a in ours.state_dict().items()})
    opt_g = torch.optim.Adam(G.parameters(), lr=cfg.lr, betas=(cfg.beta1, 0.999))
    opt_d = torch.optim.Adam([*D.parameters(), *E.parameters()], lr=cfg.lr_d, betas=(cfg.beta1, 0.999))
    rates = [
        torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min(1, 2 * (1 - n / STEPS)))
        for opt in (opt_g, opt_d)
    ]

    def bce(said, target):
        return tF.binary_cross_entropy_with_logits(said, torch.full_like(said, target))

    loop = text2image.train(iter(data), GivenFirst(itertools.chain(*noise)), cfg, **parts)
    for seen, (x, words), some in zip(loop, data, noise, strict=True):
        real, text = torch.from_numpy(x), torch.from_numpy(words)
        sentence, of_words = E(text)
        told = sentence.detach(), of_words.detach(), text
        fake, kl = G(*map(torch.from_numpy, some), *told)
        seen_by_d = D.see(real)
        d_real, d_fake = D.meet(seen_by_d, sentence), D.meet(D.see(fake.detach()), sentence)
        expected, d_loss = {}, bce(d_real, 1.0)
        if mismatched:
            d_wrong = D.meet(seen_by_d, sentence.roll(1, 0))
            d_loss = d_loss + (bce(d_wrong, 0.0) + bce(d_fake, 0.0)) / 2
            expected["wrong_text"] = d_wrong.sigmoid().mean()
        else:
            d_loss = d_loss + bce(d_fake, 0.0)
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()
        g_loss = bce(D.meet(D.see(fake), told[0]), 1.0)
        opt_g.zero_grad()
        (g_loss + 0.7 * kl).backward()
        opt_g.step()
        for rate in rates:
            rate.step()
        expected |= {"d_loss": d_loss, "g_loss": g_loss, "kl": kl}
        expected |= {"d_real": d_real.sigmoid().mean(), "d_fake": d_fake.sigmoid().mean()}
        found, _ = numbers_of(seen, critic=False)
        assert found == pytest.approx({k: v.item() for k, v in expected.items()}, rel=1e-8)
    for ours, its in zip(networks(parts).values(), (E, G, D), strict=True):
        theirs_now = its.state_dict()
        for name, array in ours.state_dict().items():
            assert_close(array, theirs_now[name].numpy(), rtol=1e-8, atol=1e-8)
