"""Texts read by networks: numbers of words (N, L), zeros behind them, as vectors."""

import math
import re

import numpy as np

from minigan import functional as F
from minigan import nn
from minigan.autograd import Tensor
from minigan.errors import MiniganError, did_you_mean

FAR = 1e9  # what is taken from the score of a word that is not there


class TextEncoder(nn.Module):
    """Reads texts: integers (N, L) -> (a vector for each, (N, width); one for each of its words, (N, L,
    width); 1 where there is a word and 0 where there is none, (N, L, 1)).

    words: what the numbers stand for; the first is none. by: "mean", where a word is read alone, or "gru",
    where it is read after those before it. The vector of a text is the mean over its words.
    """

    def __init__(self, words, length, width, by, rng):
        super().__init__()
        self.words, self.length = tuple(words), length
        self.table = nn.Embedding(len(words), width, generator=rng)
        is_word = (np.arange(len(words)) > 0).astype(np.float32)[:, None]
        self.register_buffer("is_word", Tensor(is_word))
        self.gru = nn.GRU(width, width, batch_first=True, generator=rng) if by == "gru" else None

    def forward(self, text):
        of_words = self.table(text)
        if self.gru is not None:
            of_words, _ = self.gru(of_words)
        there = F.embedding(text, self.is_word)
        return (of_words * there).sum(axis=1) / F.maximum(there.sum(axis=1), 1.0), of_words, there

    def numbers(self, sentence: str) -> np.ndarray:
        """int64 (L,), a sentence as the numbers of its words; capitals and punctuation do not count.

        MiniganError for one of no words or of more than L, and for a word that is none of the known ones.
        """
        given = re.findall(r"[^\s.,;:!?]+", sentence.lower())
        if not 0 < len(given) <= self.length:
            raise MiniganError(f"a caption has 1 to {self.length} words, got {len(given)}: {sentence!r}")
        for word in given:
            if word not in self.words:
                near = did_you_mean(word, sorted(self.words[1:]))
                raise MiniganError(f"caption: no text that the model learned has the word {word!r}; {near}")
        return np.array([*map(self.words.index, given), *[0] * (self.length - len(given))], np.int64)

    def sentence(self, numbers) -> str:
        """The text of numbers of words (L,)."""
        return " ".join(self.words[i] for i in numbers if i)


class WordAttention(nn.Module):
    """What the words say of each place of a picture: h (N, channels, H, W), and of the words what is
    known, (N, L, width), and where there are any, (N, L, 1) -> (N, channels, H, W).

    Each place has a mean of the words, brought to as many channels, by how well they go with what is there.
    Xu, Zhang, Huang, Zhang, Gan, Huang, He, "AttnGAN: fine-grained text to image generation with attentional
    generative adversarial networks", 2018, equation 2.
    """

    def __init__(self, channels, width, rng):
        super().__init__()
        self.words = nn.Linear(width, channels, bias=False, generator=rng)

    def forward(self, h, of_words, there):
        of_words = self.words(of_words)
        places = F.transpose(F.flatten(h, 2), 1, 2)
        scores = places @ F.transpose(of_words, 1, 2) / math.sqrt(h.shape[1])
        weights = F.softmax(scores + FAR * (F.transpose(there, 1, 2) - 1.0), axis=2)
        return F.reshape(F.transpose(weights @ of_words, 1, 2), *h.shape)
