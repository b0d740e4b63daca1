"""The GAN of texts: what its critic sees, that it is differentiable, and what it cannot be told."""

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor, grad
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields, load
from minigan.gans import model_named
from minigan.gans.parts import sequences
from minigan.gans.parts.words import as_weights, chosen
from minigan.gans.time import text_gan
from minigan.testing import assert_close, check_grads, check_model

MODEL = model_named("text-gan")
TINY = {"latent": 4, "width": 4, "blocks": 1, "batch_size": 4}
FIELDS = Fields({"text": Field("text", (7,), words=("", *"abcd"))})


def parts_of(**settings):
    cfg = text_gan.Config(**{**TINY, **settings}).fitted(FIELDS)
    return cfg, MODEL.parts(cfg, FIELDS, Generator(0))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"choice": "gumbel"}, {"pack": 2, "n_critic": 3}], ids=str)
def test_it_keeps_the_contract(settings):
    check_model("text-gan", steps=6, **{**TINY, **settings})


def test_networks_of_texts():
    cfg, parts = parts_of(pack=2)
    z = Tensor(Generator(1).normal((6, 4)))
    scores = parts["G"](z)
    assert scores.shape == (6, 5, 7)
    assert parts["D"](scores).shape == (3, 1)
    made = MODEL.make({"z": z}, parts, cfg)["samples"]
    assert (made.shape, made.dtype) == ((6, 7), np.int64)
    np.testing.assert_array_equal(made.numpy(), scores.numpy().argmax(axis=1))


def test_real_texts_are_weights_of_one_word_each():
    like = Tensor(np.zeros((2, 4, 3)))
    weights = as_weights(np.array([[1, 0, 3], [2, 2, 2]]), like)
    assert (weights.dtype, weights.shape) == (np.float64, (2, 4, 3))
    assert weights.numpy().argmax(axis=1).tolist() == [[1, 0, 3], [2, 2, 2]]
    assert (weights.numpy().sum(axis=1) == 1).all()


def test_the_critic_sees_how_likely_words_are_or_words_that_are_drawn():
    scores = Tensor(Generator(0).normal((2000, 3, 2)) * 0 + np.log([[0.2], [0.5], [0.3]]).astype(np.float32))
    soft = chosen(scores, text_gan.Config(), Generator(1)).numpy()
    assert_close(soft[7], [[0.2, 0.2], [0.5, 0.5], [0.3, 0.3]], rtol=1e-5)
    drawn = chosen(scores, text_gan.Config(choice="gumbel"), Generator(1)).numpy()
    assert_close(drawn, np.rint(drawn), atol=1e-6)
    assert_close(drawn.sum(axis=1), np.ones((2000, 2)), atol=1e-6)
    assert drawn.mean(axis=(0, 2)) == pytest.approx([0.2, 0.5, 0.3], abs=0.02)


@pytest.mark.parametrize("choice", ["softmax", "gumbel"])
def test_gradients_go_through_the_choice(choice):
    """Those of drawn words are not of their values: they are those of the softmax that was drawn from."""
    scores = Tensor(Generator(0).normal((2, 3, 4), dtype=np.float64), requires_grad=True)
    cfg, weights = (
        text_gan.Config(choice=choice, tau=0.7),
        Tensor(Generator(1).normal((2, 3, 4), dtype=np.float64)),
    )

    def seen(x):
        if choice == "softmax":
            return chosen(x, cfg, None)
        return F.gumbel_softmax(x, 0.7, axis=1, generator=Generator(2))

    (found,) = grad((chosen(scores, cfg, Generator(2)) * weights).sum(), scores)
    (expected,) = grad((seen(scores) * weights).sum(), scores)
    assert_close(found.numpy(), expected.numpy(), rtol=1e-12)
    check_grads(lambda x: F.square(seen(x)) * weights, [scores.numpy()])


def test_networks_have_derivatives_to_second_order():
    rng = Generator(0)
    G, D = sequences.generator(3, 4, 3, 5, 1, rng), sequences.critic(3, 4, 5, 1, rng)
    for net in (G, D):
        net.to(np.float64)
    check_grads(lambda z: D(F.softmax(G(z), axis=1)), [rng.normal((2, 3), dtype=np.float64)])


def test_rates_fall_to_nothing_in_the_second_half():
    cfg, parts = parts_of(steps=4)
    rng = Generator(1)
    data = (rng.integers(0, 5, (4, 7)) for _ in range(4))
    seen = [parts["opt_d"].lr for _ in MODEL.train(parts, data, rng, cfg)]
    assert seen == pytest.approx([2e-3, 2e-3, 1e-3, 0])
    assert parts["opt_g"].lr == pytest.approx(0)


def test_what_it_learns_from_by_default_are_sentences():
    assert MODEL.data == "sentences"
    assert MODEL.parts(text_gan.Config(**TINY), load("sentences").fields, Generator(0))["G"] is not None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"choice": "softmx"}, "choice cannot be 'softmx'; did you mean 'softmax'"),
        ({"tau": 0.0}, "tau must be at least 0.01, got 0.0"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"minibatch_features": 5}, "does not go with the gradient penalty"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        text_gan.Config(**settings)


def test_data_that_are_no_texts_are_refused(capsys):
    assert main(["train", "text-gan", "--data=digits"]) == 2
    assert "text-gan learns from" in capsys.readouterr().err
    with pytest.raises(MiniganError, match="augment"):
        text_gan.Config(augment="shift").fitted(FIELDS)
