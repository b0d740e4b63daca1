"""Melodies for a line of words: a recurrent generator sings each syllable, a critic hears melody and line.

After Yu, Srivastava, Canales, "Conditional LSTM-GAN for melody generation from lyrics", 2021, at small scale:
G goes through time step by step with a gated recurrent unit, told the line y, new noise at each step, and the
word that it wrote before. Words are notes, a rest, and that the note before goes on; G draws one by its
scores, and gradients go through the softmax that the draw came from (Gumbel-softmax, straight through: Jang,
Gu, Poole 2017). D hears a melody beside a line. As in Reed et al. 2016, "Generative adversarial text to image
synthesis", algorithm 1, it tells three kinds apart: real melodies x with their lines, made ones, and real
ones with the line y' of another. Its slope is bounded by the penalty of `wgan_gp.py`:

    L_D = (E[D(G(z, y), y)] + E[D(x, y')]) / 2 - E[D(x, y)] + λ E[(‖∇D(x̂, y)‖ - 1)²]
    L_G = -E[D(G(z, y), y)]

The steps that a phrase is sung in are known, so each step is told the marks of its phrase, and which step of
it it is. With `--choice softmax` the critic and the next step see the softmax itself, as in `text_gan.py`:
then G learns the rhythm of a line, and few tunes.

    G: a GRU of 64, noise of 8 a step       the paper: two layers of LSTM, 400 wide; ours is told which note
                                            was the last one, too
    z 16, which all steps are told          ours: the key is to be agreed on
    D: convolutions of `text_gan.py`        the paper: two layers of LSTM; ours hear at each step which note
                                            was the last one, too, so that an interval is a thing of one step
    λ 10, Adam 1e-3 for G, 2e-3 for D, betas 0.5, 0.9, 1 step of D a step of G: as `text_gan.py`; the
    paper: the cross-entropy
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigan import backend, nn
from minigan import functional as F
from minigan.autograd import Tensor, grad
from minigan.errors import MiniganError, require
from minigan.graph import graph
from minigan.optim import Adam
from minigan.optim.lr_scheduler import LambdaLR

from ..parts import sequences
from ..parts.latent import normal
from ..parts.penalties import gradient_penalty
from ..parts.rates import whole_then_falling
from ..parts.words import as_weights, gumbel_noise
from ..settings import WordSettings

TAKES = "melody", "text"
DATA = "melodies"
CRITIC = True  # D gives numbers, not the logits of being real
PHRASES = 2  # of a line, sung in equal times
SILENT = "-", "."  # words that begin no note
GAIN = 8.0  # of what G hears of itself: Adam moves a weight by the rate, and a score by this many times that
END = "|"  # the mark at the end of a phrase


@dataclass(frozen=True, kw_only=True)
class Config(WordSettings):
    steps: int = 4000
    batch_size: int = 32
    choice: Literal["softmax", "gumbel"] = "gumbel"
    """What D and the next step hear of G's scores: words drawn by them, as sharp as real ones, with the
    gradient straight through (Gumbel-softmax); or their softmax."""
    latent: int = 16
    noise: int = 8
    """Length of the noise of each step of time, beside that of the whole melody."""
    hidden: int = 64
    """Numbers that G remembers from step to step."""
    lr: float = 1e-3
    """The learning rate of G; it falls to 0 in the second half of the steps, and that of D alike."""
    lr_d: float | None = 2e-3
    beta2: float = 0.9

    def __post_init__(self):
        super().__post_init__()
        require(self, "noise", "hidden", at_least=1)
        if self.pack > 1:
            raise MiniganError("pack: D hears each melody beside its own line, not several together")

    def fitted(self, data):
        (steps,), (places,) = data.shape, data["text"].shape
        if steps % PHRASES or places % PHRASES or END not in data["text"].words:
            raise MiniganError(
                f"melodies and their lines have {PHRASES} phrases of equal length that end with {END!r}, "
                f"this data has {steps} steps and {places} places of {', '.join(data['text'].words)}"
            )
        return super().fitted(data)


class Lines(nn.Module):
    """Lines, numbers of marks (N, places) -> what each step of time is told, (N, features, steps): the marks
    of its phrase, as vectors of 4 that are learned, and which step of it it is, 1 of as many numbers."""

    def __init__(self, marks, places, steps, rng):
        super().__init__()
        self.marks = nn.Embedding(marks, 4, generator=rng)
        self.own, self.times = 4 * places // PHRASES, steps // PHRASES
        self.features = self.own + self.times
        self.register_buffer("step", Tensor(np.eye(self.times, dtype=np.float32)))

    def forward(self, lines):
        n = len(lines)
        told = F.reshape(self.marks(lines), n, PHRASES, self.own, 1)
        told = F.expand(told, n, PHRASES, self.own, self.times)
        step = F.expand(self.step, n, PHRASES, self.times, self.times)
        both = F.concat([told, step], axis=2).permute(0, 2, 1, 3)
        return F.reshape(both, n, self.features, PHRASES * self.times)


class LastNotes(nn.Module):
    """Keeps which note was the last: weights of it before a step of time (N, words), and of the word of that
    step (N, words) -> weights of it after the step. A word that is a note in part takes its place in part."""

    def __init__(self, words):
        super().__init__()
        is_note = np.array([word not in SILENT for word in words], np.float32)
        self.register_buffer("notes", Tensor(is_note))

    def forward(self, last, words):
        begins = words * self.notes
        return begins + (1.0 - begins.sum(axis=1, keepdims=True)) * last

    def none(self, n):
        """What there is before the first step of n melodies."""
        return F.expand(0.0 * self.notes, n, len(self.notes))


class Singer(nn.Module):
    """z (N, latent), noise (N, steps, numbers), lines (N, places), chances -> weights of words (N, words,
    steps): the softmax of scores; or with chances (N, steps, words), noise of Gumbel's distribution, words
    drawn by it, 1 and 0, with the gradient of the softmax at temperature tau that the draw is the largest
    entry of. Each step is told the word before it and the last note: what may follow that is learned as a
    table of scores, beside what the memory says.

    marks: the words that lines are of, and places: how many a line has; `read` makes one of a text.
    """

    def __init__(self, cfg, words, steps, marks, places, rng):
        super().__init__()
        self.marks, self.places, self.steps = marks, places, steps
        self.lines, self.last = Lines(len(marks), places, steps, rng), LastNotes(words)
        told, self.tau = cfg.latent + cfg.noise + self.lines.features + 2 * len(words), cfg.tau
        self.memory = nn.GRUCell(told, cfg.hidden, generator=rng)
        self.score = nn.Linear(cfg.hidden, len(words), generator=rng)
        self.follow = nn.Linear(len(words), len(words), bias=False, generator=rng)
        self.register_buffer("words", Tensor(np.eye(len(words), dtype=np.float32)))

    def forward(self, z, noise, lines, chances=None):
        told, sung, memory = self.lines(lines), [], None
        word = last = self.last.none(len(z))
        for step in range(self.steps):
            heard = [z, noise[:, step], told[:, :, step], GAIN * word, GAIN * last]
            memory = self.memory(F.concat(heard, axis=1), memory)
            scores = self.score(memory) + self.follow(GAIN * last)
            word = self.chosen(scores if chances is None else scores + chances[:, step], chances is not None)
            last = self.last(last, word)
            sung.append(word)
        return F.stack(sung, axis=2)

    def chosen(self, scores, drawn):
        """Weights (N, words) by scores of words: their softmax, or, drawn, 1 for the largest."""
        if not drawn:
            return F.softmax(scores, axis=1)
        hard = F.embedding(F.argmax(scores, axis=1), self.words)
        return F.straight_through(hard, F.softmax(scores / self.tau, axis=1))

    def read(self, syllables):
        """The line in a text such as "/u/u|u/u/|", int64 (places,): one phrase alone is sung twice.
        MiniganError for marks that lines do not have, and for phrases that are too many, too long or empty.
        """
        syllables = "".join(syllables.split())
        if strange := [mark for mark in syllables if mark not in self.marks]:
            known = ", ".join(repr(mark) for mark in self.marks if mark)
            raise MiniganError(f"syllables: {strange[0]!r} is no mark of a line; there are: {known}")
        phrases, room = syllables.removesuffix(END).split(END), self.places // PHRASES
        if len(phrases) > PHRASES:
            raise MiniganError(f"syllables: a line has up to {PHRASES} phrases, got {len(phrases)}")
        for phrase in phrases:
            if not 0 < len(phrase) < room:
                raise MiniganError(
                    f"syllables: a phrase has 1 to {room - 1} syllables, got {len(phrase)} in "
                    f"{phrase + END!r}"
                )
        line = np.zeros((PHRASES, room), np.int64)
        for i, row in enumerate(line):
            marks = phrases[i % len(phrases)] + END
            row[: len(marks)] = [self.marks.index(mark) for mark in marks]
        return line.reshape(-1)


class Listener(nn.Module):
    """Weights of words (N, words, steps), lines (N, places) -> numbers (N, 1). It hears beside each step
    which note was the last before it, however long that was held, and whatever rest came after it; and
    products of what it makes of the word and of what it makes of that and the line: a word is right or wrong
    by what it stands beside."""

    def __init__(self, cfg, words, steps, marks, places, rng):
        super().__init__()
        self.lines = Lines(len(marks), places, steps, rng)
        self.last = LastNotes(words)
        beside = len(words) + self.lines.features
        self.own = nn.Conv1d(len(words), cfg.width, 1, generator=rng)
        self.beside = nn.Conv1d(beside, cfg.width, 1, generator=rng)
        channels = len(words) + beside + cfg.width
        self.net = sequences.critic(channels, cfg.width, steps, cfg.blocks, rng)

    def forward(self, melodies, lines):
        beside = F.concat([self.last_notes(melodies), self.lines(lines)], axis=1)
        both = self.own(melodies) * self.beside(beside)
        return self.net(F.concat([melodies, beside, both], axis=1))

    def last_notes(self, melodies):
        """The weights of the last note before each step, (N, words, steps), of melodies of that shape."""
        last, found = self.last.none(len(melodies)), []
        for step in range(melodies.shape[2]):
            found.append(last)
            last = self.last(last, melodies[:, :, step])
        return F.stack(found, axis=2)


def parts(cfg: Config, data, rng):
    """G: z (N, latent), noise (N, steps, noise), lines (N, places) -> weights of words (N, words, steps). D:
    such weights and lines -> numbers (N, 1)."""
    (steps,), text = data.shape, data["text"]
    fit = data.first.words, steps, text.words, *text.shape, rng
    G, D = Singer(cfg, *fit), Listener(cfg, *fit)
    lr_g, lr_d = cfg.rates
    opt_g, opt_d = Adam(G.parameters(), lr_g, cfg.betas), Adam(D.parameters(), lr_d, cfg.betas)

    falling = whole_then_falling(cfg.steps)
    rates = {"rate_g": LambdaLR(opt_g, falling), "rate_d": LambdaLR(opt_d, falling)}
    return {"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d, **rates}


def inputs(n, rng, cfg: Config, G, data, syllables: str | None = None, truncation: float | None = None):
    """n vectors of noise, with noise for each step of time, and n lines, by default of held-out data.

    syllables: the line to sing, / a stressed syllable, u another, | the end of a phrase, as in "/u/u|u/u/|"
    truncation: keep the noise within this distance of 0: below 2, say, samples are better and less diverse
    """
    if syllables is not None:
        lines = np.tile(G.read(syllables), (n, 1))
    else:
        few = n <= len(data)
        rows = rng.permutation(len(data))[:n] if few else rng.integers(0, len(data), n)
        lines = data.text[backend.to_numpy(rows)].astype(np.int64)
    z, noise = (normal(n, numbers, rng, truncation) for numbers in (cfg.latent, G.steps * cfg.noise))
    chances = {} if cfg.choice == "softmax" else {"chances": drawn_chances(n, rng, G)}
    return {"z": z, "noise": noise.reshape(n, G.steps, cfg.noise), "text": lines, **chances}


def drawn_chances(n, rng, G):
    """Noise of Gumbel's distribution for each word at each step of n melodies, (n, steps, words)."""
    return gumbel_noise(rng.uniform((n, G.steps, len(G.words))))


def make(z, noise, text, G, chances=None):
    """(n, latent), (n, steps, noise), lines (n, places) and, where words are drawn, noise for each of them
    (n, steps, words) -> melodies, numbers of words (n, steps)."""
    return F.argmax(G(z, noise, text, chances), axis=1)


def train(data, rng, cfg: Config, G, D, opt_g, opt_d, rate_g, rate_d):
    """n_critic steps of D, then one of G, on batches (melodies, lines). Yields the losses, and what D said in
    the last of its steps; d_other of real melodies with the lines of others."""

    def sung(lines):
        z = Tensor(rng.normal((len(lines), cfg.latent)))
        noise = Tensor(rng.normal((len(lines), G.steps, cfg.noise)))
        chances = None if cfg.choice == "softmax" else Tensor(drawn_chances(len(lines), rng, G))
        return G(z, noise, lines, chances)

    @graph
    def critic_step(melodies, lines):
        fake = sung(lines).detach()
        real = as_weights(melodies, fake)
        u = Tensor(rng.uniform((len(lines), 1, 1)))

        penalty = gradient_penalty(lambda x: D(x, lines), real, fake, u)
        d_real, d_fake = D(real, lines), D(fake, lines)
        d_other = D(real, F.roll(Tensor(lines), 1, 0))
        wasserstein = d_real.mean() - (d_fake.mean() + d_other.mean()) / 2
        d_loss = cfg.penalty * penalty - wasserstein
        opt_d.step(grad(d_loss, opt_d.params))
        said = {"d_real": d_real, "d_fake": d_fake, "d_other": d_other.mean()}
        return {"d_loss": d_loss, "wasserstein": wasserstein, "penalty": penalty, **said}

    @graph
    def generator_step(lines):
        g_loss = -D(sung(lines), lines).mean()
        opt_g.step(grad(g_loss, opt_g.params))
        return {"g_loss": g_loss}

    for i, (melodies, lines) in enumerate(data, start=1):
        seen = critic_step(melodies, lines)
        if i % cfg.n_critic == 0:
            seen |= generator_step(lines)
            rate_g.step()  # after the launch, which takes the rate of the day
            rate_d.step()
            yield seen


def pictures(show, rng, cfg: Config, G, data):
    """One line, sung with different noise."""
    lines = np.repeat(data.text[:1].astype(np.int64), 6, axis=0)
    asked = inputs(6, rng, cfg, G, data) | {"text": lines}
    melodies = make(**{name: Tensor(backend.to_numpy(array)) for name, array in asked.items()}, G=G)
    show("One line of the held-out data, sung with different noise.", melodies)
