"""text2image: pictures that are what a sentence says, and a discriminator that has to read."""

import io
from itertools import islice, repeat

import fake_cupy
import numpy as np
import pytest
from rich.console import Console

import minigan_kernels as kernels
from minigan import Generator, MiniganError, Tensor, training
from minigan import functional as F
from minigan.cli import main
from minigan.data import Dataset, Field, Fields
from minigan.gans import model_named
from minigan.gans.parts.reading import TextEncoder, WordAttention
from minigan.gans.time import text2image
from minigan.nn import functional_call
from minigan.testing import assert_close, check_grads, check_model
from minigan.training import Options, Run, Sampler, Session
from minigan.training.checkpoint import Checkpoint

MODEL = model_named("text2image")
WORDS = "", "a", "big", "red", "blue", "disc", "box"
FIELDS = Fields({"image": Field("image", (3, 16, 16)), "text": Field("text", (5,), words=WORDS)})
SMALL = {"latent": 4, "width": 2, "embedding": 6, "condition": 3, "batch_size": 4}
JUDGES = pytest.mark.parametrize("judge", ["projection", "joined"])
TEXT = np.array([[1, 2, 3, 5, 0], [1, 4, 6, 0, 0], [3, 0, 0, 0, 0], [1, 2, 2, 3, 6]])


def config(**settings):
    return text2image.Config(**SMALL | settings).fitted(FIELDS)


def made(**settings):
    """(cfg, parts, the loop), on one batch of random pictures again and again."""
    cfg, rng = config(**settings), Generator(0)
    parts = text2image.parts(cfg, FIELDS, rng)
    batch = rng.uniform((4, 3, 16, 16), -1, 1), TEXT
    return cfg, parts, text2image.train(repeat(batch), rng, cfg, **parts)


def encoder(by, width=6):
    return TextEncoder(WORDS, 5, width, by, Generator(0))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    cfg = MODEL.Config(**SMALL | {"steps": 6, "size": 16})
    out = tmp_path_factory.mktemp("runs") / "run"
    return training.train(MODEL, Options(device="cpu", ema=0.9), cfg, out, Console(file=io.StringIO()))


def test_the_model_keeps_the_contract():
    check_model("text2image", size=16, **SMALL)


@pytest.mark.slow
def test_the_model_keeps_the_contract_with_its_other_forms():
    check_model(
        "text2image", size=16, encoder="gru", judge="joined", mismatched=False, attention=True, **SMALL
    )


# Reading


def test_a_sentence_is_the_mean_of_its_words_whatever_fills_it_up():
    E = encoder("mean")
    sentence, of_words, there = E(TEXT)
    assert (there.numpy()[:, :, 0] == (TEXT > 0)).all()
    assert (sentence.shape, of_words.shape) == ((4, 6), (4, 5, 6))
    table = E.table.weight.numpy()
    for row, found in zip(TEXT, sentence.numpy(), strict=True):
        assert_close(found, table[row[row > 0]].mean(axis=0))


@pytest.mark.parametrize("by", ["gru", "mean"])
def test_what_fills_a_text_up_says_nothing(by):
    E = encoder(by)
    longer = np.pad(TEXT, [(0, 0), (0, 3)])
    assert_close(E(TEXT)[0].numpy(), E(longer)[0].numpy())
    nothing, *_ = E(np.zeros((1, 5), np.int64))
    assert (nothing.numpy() == 0).all()


def test_the_order_of_words_counts_where_they_are_read_one_after_the_other():
    turned = TEXT[:1, [2, 1, 0, 3, 4]]
    for by, same in (("mean", True), ("gru", False)):
        E = encoder(by)
        apart = np.abs(E(TEXT[:1])[0].numpy() - E(turned)[0].numpy()).max()
        assert (apart < 1e-6) == same


def test_sentences_and_their_numbers():
    E = encoder("mean")
    assert E.numbers("A big, red disc.").tolist() == [1, 2, 3, 5, 0]
    assert E.numbers("red").tolist() == [3, 0, 0, 0, 0]
    assert E.numbers("red").dtype == np.int64
    assert E.sentence([1, 2, 3, 5, 0]) == "a big red disc"


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("a grean disc", "no text that the model learned has the word 'grean'; there are: a, big, blue, box"),
        ("a rad disc", "no text that the model learned has the word 'rad'; did you mean 'red'?"),
        ("", "a caption has 1 to 5 words, got 0: ''"),
        (" , ", "a caption has 1 to 5 words, got 0: ' , '"),
        ("a big big red red disc", "a caption has 1 to 5 words, got 6: 'a big big red red disc'"),
    ],
)
def test_captions_that_cannot_be_read(caption, message):
    with pytest.raises(MiniganError) as raised:
        encoder("gru").numbers(caption)
    assert message in str(raised.value)


def test_each_place_looks_at_the_words_that_are_there():
    """By the formula, and with a word that is not there changed."""
    attention, E, h = WordAttention(2, 6, Generator(1)), encoder("mean"), Generator(2).normal((4, 2, 3, 3))
    _, of_words, there = E(TEXT)
    found = attention(Tensor(h), of_words, there).numpy()
    words = of_words.numpy() @ attention.words.weight.numpy().T
    for i, text in enumerate(TEXT):
        known = words[i, text > 0]
        scores = np.exp(h[i].reshape(2, 9).T @ known.T / np.sqrt(2))
        expected = (scores / scores.sum(axis=1, keepdims=True)) @ known
        assert_close(found[i].reshape(2, 9), expected.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("by", ["gru", "mean"])
def test_gradients_of_reading_to_second_order(by):
    """In what is read at a place, in the table of words, and in what they are brought to."""
    E, attention = encoder(by, 3).to(np.float64), WordAttention(2, 3, Generator(1)).to(np.float64)
    table, words, text = E.table.weight.numpy(), attention.words.weight.numpy(), TEXT[:2]

    def read(h, table, words):
        sentence, of_words, there = functional_call(E, {"table.weight": table}, text)
        return functional_call(attention, {"words.weight": words}, h, of_words, there), sentence

    h = Generator(2).normal((2, 2, 2, 2), dtype=np.float64)
    check_grads(read, [h, table, words], order=2, allow_unused=True)


@JUDGES
def test_gradients_of_the_judge_to_second_order(judge):
    """In the picture and the text: of one that judges each by itself."""
    D = text2image.Judge(config(judge=judge), (3, 16, 16), Generator(0)).to(np.float64).eval()
    x = Generator(1).normal((2, 3, 16, 16), dtype=np.float64)
    sentence = Generator(2).normal((2, 6), dtype=np.float64)
    check_grads(lambda x, sentence: F.tanh(D(x, sentence)), [x, sentence], order=2)


# The game


@JUDGES
def test_a_picture_is_looked_at_once_for_all_texts(judge):
    _, parts, _ = made(judge=judge)
    D, E = parts["D"], parts["E"]
    x, (sentence, *_) = Tensor(Generator(1).uniform((4, 3, 16, 16), -1, 1)), E(TEXT)
    seen = D.see(x)
    assert D(x, sentence).shape == (4, 1)
    assert_close(D.meet(seen, sentence).numpy(), D(x, sentence).numpy())
    other = D.meet(seen, F.roll(sentence, 1, axis=0)).numpy()
    assert np.abs(other - D(x, sentence).numpy()).max() > 1e-4


def test_the_projection_is_an_inner_product_with_the_features():
    _, parts, _ = made()
    D, (sentence, *_) = parts["D"], parts["E"](TEXT)
    seen = D.see(Tensor(Generator(1).uniform((4, 3, 16, 16), -1, 1)))
    expected = D.score(seen).numpy()[:, 0] + (seen.numpy() * D.text(sentence).numpy()).sum(axis=1)
    assert_close(D.meet(seen, sentence).numpy()[:, 0], expected)


@pytest.mark.parametrize("mismatched", [True, False])
def test_the_losses_are_what_their_formulas_say(mismatched):
    cfg, _, loop = made(lr=0.0, lr_d=0.0, mismatched=mismatched)
    seen = next(loop)
    _, again, _ = made()
    rng, E, G, D = Generator(0), *(again[name] for name in "EGD")
    text2image.parts(cfg, FIELDS, rng)
    real = Tensor(rng.uniform((4, 3, 16, 16), -1, 1))
    z, noise = Tensor(rng.normal((4, 4))), Tensor(rng.normal((4, 3)))
    sentence, *more = E(TEXT)
    fake, mean, log_var = G(z, noise, sentence, *more)
    s_r, s_f, s_w = (
        F.sigmoid(said).numpy().astype(float)
        for said in (D(real, sentence), D(fake, sentence), D(real, F.roll(sentence, 1, axis=0)))
    )
    fakes = -(np.log(1 - s_w) + np.log(1 - s_f)) / 2 if mismatched else -np.log(1 - s_f)
    assert seen["d_loss"].item() == pytest.approx((-np.log(s_r) + fakes).mean(), rel=1e-5)
    assert seen["g_loss"].item() == pytest.approx(-np.log(s_f).mean(), rel=1e-5)
    m, v = mean.numpy(), np.exp(log_var.numpy())
    assert seen["kl"].item() == pytest.approx((0.5 * (m**2 + v - 1 - np.log(v))).mean(), rel=1e-4)
    assert ("wrong_text" in seen) == mismatched
    if mismatched:
        assert seen["wrong_text"].item() == pytest.approx(s_w.mean(), rel=1e-5)


def test_a_judge_that_is_shown_wrong_texts_learns_to_tell_them():
    """Real pictures of one colour each, and made ones that stay noise."""
    settings = {"lr": 0.0, "lr_d": 5e-3, "batch_size": 4, "steps": 1000}
    text = np.array([[3, 5, 0, 0, 0], [4, 5, 0, 0, 0]] * 2)
    colours = np.array([[1, -1, -1], [-1, -1, 1]] * 2, np.float32)
    images = np.broadcast_to(colours[:, :, None, None], (4, 3, 16, 16))
    said = {}
    for mismatched in (True, False):
        cfg, rng = config(mismatched=mismatched, **settings), Generator(0)
        parts = text2image.parts(cfg, FIELDS, rng)
        for _ in islice(text2image.train(repeat((images, text)), rng, cfg, **parts), 60):
            pass
        (sentence, *_), D = parts["E"](text), parts["D"]
        wrong = D(Tensor(images), F.roll(sentence, 1, axis=0))
        said[mismatched] = F.sigmoid(wrong).numpy().mean()
    assert said[True] < 0.1 < 0.5 < said[False]


def test_the_encoder_learns_by_the_judge_alone():
    _, parts, loop = made(lr=1e-2, lr_d=0.0)
    before = {name: parts[name].state_dict() for name in "EGD"}
    before = {name: {k: np.array(a) for k, a in state.items()} for name, state in before.items()}
    next(loop)
    changed = {
        name: any(
            not np.array_equal(a, before[name][k])
            for k, a in parts[name].state_dict().items()
            if "weight" in k
        )
        for name in "EGD"
    }
    assert changed == {"E": False, "G": True, "D": False}
    _, parts, loop = made(lr=0.0, lr_d=1e-2)
    first = parts["E"].table.weight.numpy().copy()
    next(loop)
    assert not np.array_equal(parts["E"].table.weight.numpy(), first)


def test_the_rates_fall_in_the_second_half():
    _, parts, loop = made(steps=10)
    rates = [(parts["opt_g"].lr, parts["opt_d"].lr) for _ in islice(loop, 10)]  # after each step
    assert rates[4] == (1e-3, 5e-4)
    assert rates[8] == pytest.approx((2e-4, 1e-4))
    assert rates[9] == (0, 0)


# What a user asks for


def held_out():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 3, 16, 16)).astype(np.uint8)
    return Dataset(
        "some", images, text=rng.integers(0, len(WORDS), (5, 5)).astype(np.uint8), text_words=WORDS
    )


def test_texts_are_those_of_held_out_data_or_the_one_that_is_asked_for():
    cfg, parts, _ = made()
    data, E = held_out(), parts["E"]
    given = text2image.inputs(50, Generator(1), cfg, data, E)
    assert {k: (a.shape, a.dtype.kind) for k, a in given.items()} == {
        "z": ((50, 4), "f"),
        "noise": ((50, 3), "f"),
        "text": ((50, 5), "i"),
    }
    assert {tuple(row) for row in given["text"]} == {tuple(row) for row in data.text}
    asked = text2image.inputs(3, Generator(1), cfg, data, E, caption="a red box")
    assert asked["text"].tolist() == [[1, 3, 6, 0, 0]] * 3


def test_the_command_line_makes_what_a_caption_says(run, capsys, tmp_path):
    out = tmp_path / "made.npz"
    assert (
        main(["sample", str(run.path), "--caption=A large red circle, at the left", "--n=3", f"--out={out}"])
        == 0
    )
    samples = np.load(out)["samples"]
    sampler = Sampler.of(run)
    assert_close(samples, sampler(3, caption="a large red circle at the left"))
    assert np.abs(samples - sampler(3, caption="a small blue square at the top")).max() > 1e-6
    open_ = ["sample", str(run.path), "--caption=circle", f"--out={tmp_path / 'open.png'}"]
    assert main(open_) == 0
    capsys.readouterr()
    assert main(["sample", str(run.path), "--caption=a large purple circle"]) == 2
    assert "no text that the model learned has the word 'purple'; there are: a, and, at" in _told(capsys)
    assert main(["sample", str(run.path), "--caption=a larg circle"]) == 2
    assert "the word 'larg'; did you mean 'large'?" in _told(capsys)
    assert main(["sample", str(run.path), f"--caption={'red ' * 11}"]) == 2
    assert "a caption has 1 to 10 words, got 11" in _told(capsys)


def _told(capsys):
    return " ".join(capsys.readouterr().err.split())


def test_data_without_texts_is_refused(capsys):
    assert main(["train", "text2image", "--data=digits"]) == 2
    assert "text2image is to learn from text, too, and digits has none; there are: captions" in _told(capsys)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 20}, "size cannot be 20; there are: (16, 32, 64)"),
        ({"encoder": "lstm"}, "encoder cannot be 'lstm'"),
        ({"judge": "project"}, "judge cannot be 'project'; did you mean 'projection'?"),
        ({"condition": 0}, "condition must be at least 1, got 0"),
        ({"kl": -1.0}, "kl must be at least 0, got -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(MiniganError) as raised:
        text2image.Config(**settings)
    assert message in str(raised.value)


def test_an_evaluation_asks_for_the_texts_of_held_out_data(run):
    result, _ = training.evaluate_run(run, names=["captions"], n=50, draws=1, say=lambda line: None)
    rows = result["metrics"]
    assert rows["caption-all"]["floor"] == rows["unseen-all"]["floor"] == 1
    assert 0 <= rows["unseen-shape"]["value"] <= 1
    asked = {"caption": "a red circle"}
    result, _ = training.evaluate_run(
        run, names=["captions"], n=50, draws=1, asked=asked, say=lambda line: None
    )
    assert not any(name.startswith("unseen") for name in result["metrics"])
    assert result["asked"] == asked


def test_what_is_measured_in_training_can_choose_the_checkpoint():
    cfg = MODEL.Config(**SMALL | {"steps": 4, "size": 16})
    options = Options(device="cpu", evaluate_every=2, evaluate_n=20, keep="best=unseen-all")
    session = Session(MODEL, options, cfg)
    found = training.evaluation.Examiner(session, 20, say=lambda line: None).evaluate()
    assert {"caption-all", "unseen-all", "unseen-shape"} <= found.keys()


def test_the_page_shows_sentences_with_what_is_made_of_them(run):
    shown = []
    sampler, data = Sampler.of(run), run.held_out()
    sampler.call("pictures", 1, data=data, show=lambda text, *arrays: shown.append((text, arrays)))
    words = sampler.parts["E"].words
    assert len(shown) == 6
    for row, (text, images) in zip(data.text, shown, strict=False):
        assert text == " ".join(words[i] for i in row if i).capitalize() + "."
        assert [image.shape for image in images] == [(1, 3, 16, 16)] * 8
    assert Run(run.path, {}).page.exists()
    assert shown[0][0] in run.page.read_text(encoding="utf-8")


# On a GPU: a stand-in, whose rules CuPy has


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"encoder": "gru", "judge": "joined", "attention": True, "mismatched": False}],
    ids=["as it is", "other forms"],
)
def test_captured_steps_are_those_of_the_plain_ones_and_go_on_from_a_checkpoint(monkeypatch, settings):
    """Products and convolutions are one kernel each there, as those of the CUDA engine are."""

    def as_kernel(function):
        def launched(x, *others, **how):
            if isinstance(x, fake_cupy.ndarray):
                return fake_cupy.call(function, x, *others, **how)
            return function(x, *others, **how)

        return launched

    def session_of(graph):
        cfg = MODEL.Config(**SMALL | {"steps": 10, "size": 16} | settings)
        return Session(MODEL, Options(device="gpu", graph=graph), cfg)

    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        reference = kernels.engines.engine_for(np.zeros(1))
        for name in ("matmul", "linear", "conv2d", "conv2d_input", "conv2d_weight"):
            monkeypatch.setattr(reference, name, as_kernel(getattr(reference, name)))
        found = []
        for graph in (False, True):
            session = session_of(graph)
            said = [session.next_step() for _ in range(5)]
            half = Checkpoint("text2image", 5, {}, session.arrays(), session.state())
            said += [session.next_step() for _ in range(5)]
            found.append((said, session.arrays(), session.state()))
        resumed = session_of(True)
        resumed.restore(half)
        again = [resumed.next_step() for _ in range(5)]
    assert fake_cupy.state.calls.count("launch") == 7 + 2  # the first three of each are not captured
    assert found[1][0] == found[0][0]
    assert again == found[0][0][5:]
    assert found[1][2] == found[0][2] == resumed.state()
    for name, array in found[0][1].items():
        np.testing.assert_array_equal(found[1][1][name], array, err_msg=name)
        np.testing.assert_array_equal(resumed.arrays()[name], array, err_msg=name)
