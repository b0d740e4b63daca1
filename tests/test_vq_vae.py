"""VQ-VAE: the nearest code, what goes straight through, the codebook by loss and by averages, codes that
begin again, the prior, the two stages, what its samples are asked for, and what cannot be."""

import io
import itertools
import json
import math

import fake_cupy
import numpy as np
import pytest
from rich.console import Console

import minigan_kernels as kernels
from minigan import Generator, Tensor, grad, nn, training
from minigan import functional as F
from minigan.cli import main
from minigan.data import Field, Fields
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.codes import vq_vae
from minigan.gans.parts.codebook import EPSILON, Codebook, perplexity
from minigan.gans.parts.pixelcnn import PixelCNN, chosen
from minigan.testing import assert_close, check_model
from minigan.training import Options, Sampler, Session
from minigan.training.evaluation import _own_numbers

MODEL = model_named("vq-vae")
TINY = {
    "width": 4,
    "blocks": 1,
    "codes": 8,
    "length": 3,
    "prior_width": 4,
    "prior_layers": 2,
    "batch_size": 4,
}


def fields(size=16, channels=1):
    return Fields({"image": Field("image", (channels, size, size))})


def parts_of(size=16, channels=1, **settings):
    cfg = vq_vae.Config(**{**TINY, **settings}).fitted(fields(size, channels))
    return cfg, MODEL.parts(cfg, fields(size, channels), Generator(0))


def a_codebook(codes=5, length=3):
    """With vectors that lie apart, in float64."""
    codebook = Codebook(codes, length, Generator(0)).to(np.float64)
    codebook.weight.data = Generator(1).normal((codes, length), dtype=np.float64)
    return codebook


Z = Generator(2).normal((2, 3, 4, 2), dtype=np.float64)  # what an encoder may say
WIDE = nn.Conv2d(3, 1, 1, generator=Generator(3)).to(np.float64)


def decoder(e):
    """A smooth one, with derivatives of every order."""
    return F.tanh(WIDE(e)) * 3.0


# Quantising


def test_the_nearest_code_is_the_nearest():
    codebook = a_codebook()
    apart = ((Z.transpose(0, 2, 3, 1)[..., None, :] - codebook.weight.numpy()) ** 2).sum(axis=-1)
    codes = codebook.nearest(Tensor(Z, requires_grad=True))
    assert not codes.requires_grad
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes.numpy(), apart.argmin(axis=-1))
    e = codebook(codes).numpy()
    np.testing.assert_array_equal(e.transpose(0, 2, 3, 1), codebook.weight.numpy()[apart.argmin(axis=-1)])


def test_the_gradient_at_what_the_encoder_says_is_that_at_what_the_decoder_gets_to_second_order():
    codebook, x = a_codebook(), Tensor(np.tanh(Z[:, :1]))
    z = Tensor(Z, requires_grad=True)
    likelihood, *_ = vq_vae.terms(x, lambda x: z, decoder, codebook)
    e = Tensor(codebook(codebook.nearest(z)).numpy(), requires_grad=True)
    direct = vq_vae.bernoulli(decoder(e), x)
    np.testing.assert_array_equal(likelihood.numpy(), direct.numpy())
    v, slopes, bends = Generator(4).normal(Z.shape, dtype=np.float64), [], []
    for made, at in ((likelihood, z), (direct, e)):
        (g,) = grad(made.sum(), at, create_graph=True)
        (h,) = grad((g * v).sum(), at)
        slopes.append(g.numpy())
        bends.append(h.numpy())
    np.testing.assert_array_equal(*slopes)
    np.testing.assert_array_equal(*bends)
    assert np.abs(bends[0]).max() > 1e-3
    (none,) = grad(likelihood.sum(), codebook.weight, allow_unused=True)
    assert none is None, "the codebook learns nothing of what the decoder makes of it"


def test_the_terms_of_the_codebook_and_of_the_encoder_have_the_gradients_of_finite_differences():
    codebook, z, x = a_codebook(), Tensor(Z, requires_grad=True), Tensor(np.tanh(Z[:, :1]))

    def value(k):
        return vq_vae.terms(x, lambda x: z, decoder, codebook)[k].sum()

    for k, at, other in ((1, codebook.weight, z), (2, z, codebook.weight)):
        (g,) = grad(value(k), at)
        found = np.zeros(at.shape)
        for place in np.ndindex(at.shape):
            before, h = at.data[place], 1e-6
            sides = []
            for step in (h, -h):
                at.data[place] = before + step
                sides.append(value(k).item())
            at.data[place] = before
            found[place] = (sides[0] - sides[1]) / (2 * h)
        assert_close(g, found, rtol=1e-6, atol=1e-7)
        (none,) = grad(value(k), other, allow_unused=True)
        assert none is None
        (first,) = grad(value(k), at, create_graph=True)
        v = Generator(5).normal(at.shape, dtype=np.float64)
        (second,) = grad((first * v).sum(), at)
        uses = np.bincount(codebook.nearest(z).numpy().ravel(), minlength=5)[:, None] if k == 1 else 1.0
        assert_close(second, 2 * uses * v, rtol=1e-12)


def test_averages_move_as_appendix_a1_has_it():
    codebook, rng = a_codebook(4, 2), Generator(0)
    z = rng.normal((3, 2, 2, 5), dtype=np.float64)
    codebook.begin(Tensor(z), rng)
    N, m, e = (a.numpy().copy() for a in (codebook.counts, codebook.sums, codebook.weight))
    assert_close(N, np.full(4, 30 / 4))
    assert_close(m, e * N[:, None])
    rows = z.transpose(0, 2, 3, 1).reshape(-1, 2)
    assert len({tuple(row) for row in e} & {tuple(row) for row in rows}) == 4, "different places of the batch"
    for batch in range(3):
        z = rng.normal((3, 2, 2, 5), dtype=np.float64)
        rows, codes = z.transpose(0, 2, 3, 1).reshape(-1, 2), codebook.nearest(Tensor(z))
        used = np.eye(4)[codes.numpy().ravel()]
        N = 0.9 * N + 0.1 * used.sum(axis=0)
        m = 0.9 * m + 0.1 * used.T @ rows
        codebook.follow(Tensor(z), codes, 0.9, moves=batch != 1)
        assert_close(codebook.counts, N)
        assert_close(codebook.sums, m)
        if batch != 1:
            e = m / ((N + EPSILON) / (N.sum() + 4 * EPSILON) * N.sum())[:, None]
        assert_close(codebook.weight, e)


def test_dead_codes_begin_again_at_places_of_the_batch_and_others_stay():
    codebook, z = a_codebook(), Tensor(Z)
    codebook.counts.data = np.array([5.0, 0.1, 3.2, 0.0, 0.31])  # of 16 places and 5 codes: alike is 3.2
    codebook.sums.data = codebook.weight.numpy() * 7
    before, sums = codebook.weight.numpy().copy(), codebook.sums.numpy().copy()
    assert codebook.restart(z, 0.0, Generator(1)).item() == 0, "never"
    assert_close(codebook.weight, before)
    assert codebook.restart(z, 0.1, Generator(1)).item() == 3
    rows = {tuple(row) for row in Z.transpose(0, 2, 3, 1).reshape(-1, 3)}
    for i, row in enumerate(codebook.weight.numpy()):
        if i in (0, 2):
            np.testing.assert_array_equal(row, before[i])
            np.testing.assert_array_equal(codebook.sums.numpy()[i], sums[i])
        else:
            assert tuple(row) in rows
            assert_close(codebook.sums.numpy()[i], 3.2 * row)
    assert_close(codebook.counts, [5.0, 3.2, 3.2, 3.2, 3.2])


def test_perplexity_is_how_many_codes_are_used():
    assert perplexity(Tensor(np.zeros((3, 2, 2), int)), 8).item() == pytest.approx(1, rel=1e-5)
    assert perplexity(Tensor(np.arange(8).repeat(3)), 8).item() == pytest.approx(8, rel=1e-5)
    assert perplexity(Tensor(np.array([0, 0, 1, 2])), 8).item() == pytest.approx(2**1.5, rel=1e-5)


# The prior


def a_prior(codes, width, layers):
    """That finds some codes much likelier than others."""
    prior = PixelCNN(codes, width, layers, Generator(0))
    for p in prior.parameters():
        p.data *= 3.0
    nn.init.normal_(prior.end[-1].weight, 0.0, 1.0, Generator(9))
    return prior


def test_at_first_all_codes_are_alike_as_they_are_in_the_first_stage():
    prior, codes = PixelCNN(5, 4, 2, Generator(0)), Tensor(Generator(1).integers(0, 5, (3, 2, 4)))
    assert vq_vae.surprise(codes, prior).item() == pytest.approx(8 * math.log(5), rel=1e-6)
    counts = np.bincount(prior.draw(Generator(2).uniform((500, 2, 5))).ravel())
    assert counts.min() > 900


def test_the_prior_sees_all_that_comes_before_a_place_and_nothing_else():
    """Each place in turn gets another code; no kernel has a blind spot."""
    prior, H, W = a_prior(5, 6, 6).to(np.float64), 4, 5
    codes = Generator(1).integers(0, 5, (1, H, W))
    before = prior(Tensor(codes)).numpy()
    order = [*itertools.product(range(H), range(W))]
    for i, place in enumerate(order):
        other = codes.copy()
        other[0, *place] = (other[0, *place] + 1) % 5
        moved = np.abs(prior(Tensor(other)).numpy() - before).max(axis=(0, 1))
        for k, at in enumerate(order):
            assert (moved[at] > 1e-12) == (k > i), (place, at)


def test_the_prior_draws_grids_as_often_as_it_says():
    prior = a_prior(2, 4, 2)
    grids = np.array([*itertools.product(range(2), repeat=4)]).reshape(-1, 2, 2)
    p = np.exp([-vq_vae.surprise(Tensor(grid[None]), prior).item() for grid in grids])
    assert p.sum() == pytest.approx(1, rel=1e-5)
    assert p.max() > 2 * p.min()
    n = 20_000
    drawn = prior.draw(Generator(1).uniform((n, 2, 2)))
    counts = np.bincount(drawn.reshape(n, 4) @ [8, 4, 2, 1], minlength=16)
    assert ((counts - n * p) ** 2 / (n * p)).sum() < 38, "of 15 degrees of freedom, p = 0.001"


def test_a_grid_is_drawn_as_by_whole_passes_at_each_place():
    """What is computed once a row is what it would be at each place."""
    prior, u = a_prior(7, 4, 3), Generator(1).uniform((6, 4, 3))
    expected = np.zeros(u.shape, int)
    for i, k in itertools.product(range(4), range(3)):
        expected[:, i, k] = chosen(prior(Tensor(expected)).numpy()[:, :, i, k] / 0.7, u[:, i, k])
    np.testing.assert_array_equal(prior.draw(u, 0.7), expected)
    assert len(np.unique(expected)) > 3


def test_a_class_is_chosen_where_the_sum_passes():
    logits = np.log(np.array([[0.25, 0.5, 0.25]])).repeat(5, axis=0)
    np.testing.assert_array_equal(chosen(logits, np.array([0, 0.2499, 0.2501, 0.7501, 1.0])), [0, 0, 1, 2, 2])


# What samples are made of


def test_samples_are_made_of_what_is_asked_for():
    cfg, parts = parts_of(32)

    def drawn(n=200, seed=0, **asked):
        return MODEL.inputs(n, Generator(seed), cfg, parts, **asked)["codes"]

    assert drawn().shape == (200, 8, 8)
    np.testing.assert_array_equal(drawn(), drawn(codes="prior"))
    with_head = parts["prior"].end[-1]
    with_head.bias.data[...] = np.arange(8) / 2
    shares = {t: np.bincount(drawn(temperature=t).ravel(), minlength=8) / 12800 for t in (1.0, 0.2)}
    assert shares[0.2][7] > 0.85 > 0.5 > shares[1.0][7]
    assert np.bincount(drawn(codes="uniform").ravel()).min() > 1400
    for temperature in (0, -1.0, math.inf, math.nan):
        with pytest.raises(MiniganError, match="temperature must be above 0"):
            drawn(temperature=temperature)


@pytest.mark.parametrize(
    ("size", "channels", "halvings"), [(16, 1, 2), (28, 1, 2), (32, 3, 3), (64, 1, 4), (64, 3, 2)]
)
def test_images_of_each_size_have_codes_and_are_made_of_them(size, channels, halvings):
    cfg, parts = parts_of(size, channels, halvings=halvings)
    side = size // 2**halvings
    x = Tensor(Generator(0).uniform((3, channels, size, size), -1, 1))
    codes = MODEL.encode(x, parts, cfg)
    assert codes["codes"].shape == (3, side, side)
    (made,) = MODEL.make(codes, parts, cfg).values()
    assert made.shape == x.shape
    assert np.abs(made.numpy()).max() <= 1
    assert MODEL.inputs(2, Generator(1), cfg, parts)["codes"].shape == (2, side, side)


# The two stages


def session(**settings):
    options = Options(device="cpu", seed=0, data="digits", diagnose_every=0)
    return Session(MODEL, options, vq_vae.Config(**{**TINY, "steps": 8, "first": 0.5, **settings}))


def states(s):
    return {
        name: {k: np.copy(a) for k, a in s.parts[name].state_dict().items()}
        for name in ("encoder", "decoder", "codebook", "prior")
    }


def moved(before, after):
    return {
        name
        for name, state in before.items()
        if any(np.abs(a - after[name][key]).max() > 0 for key, a in state.items())
    }


@pytest.mark.parametrize("learned_by", ["averages", "loss"])
def test_the_stages_follow_the_optimisers_count_and_leave_each_other_alone(learned_by):
    s = session(learned_by=learned_by)
    began = states(s)
    for step in range(4):
        seen = s.next_step()
        assert seen.keys() == {"loss", "reconstruction", "commitment", "perplexity", "restarted"}
        assert 1 <= seen["perplexity"] <= 8
        if step == 0:
            assert seen["perplexity"] > 2, "the codebook begins as what the encoder says"
    between = states(s)
    assert moved(began, between) == {"encoder", "decoder", "codebook"}
    for _ in range(4):
        assert s.next_step().keys() == {"prior_loss"}
    assert moved(between, states(s)) == {"prior"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"first": 0.3}, {"first": 0.8, "learned_by": "loss", "restart": 0.9}, {"first": 0.5, "halvings": 3}],
    ids=["prior", "loss", "between"],
)
def test_vq_vae_keeps_the_contract(settings):
    """Saved in the second stage, in the first one, and between the two."""
    check_model("vq-vae", steps=10, **{**TINY, "restart": 0.5, "batch_size": 8, **settings})


def test_a_sheet_is_drawn_by_the_prior_of_the_day_from_the_same_numbers():
    s = session(first=0.5)
    first = s.fixed["codes"]
    np.testing.assert_array_equal(first, s.fixed["codes"])
    s.parts["prior"].end[-1].bias.data[3] = 50.0
    assert (s.fixed["codes"] == 3).all()
    other = Session("dcgan", Options(data="digits"), model_named("dcgan").Config(width=2, latent=3))
    np.testing.assert_array_equal(other.fixed["z"], other.fixed["z"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    small = {"batch_size": 16, "width": 8, "codes": 16, "length": 4, "prior_width": 8}
    cfg = vq_vae.Config(steps=300, first=0.6, decay=0.9, **small)
    options = Options(data="digits", diagnose_every=50, seed=1)
    return training.train("vq-vae", options, cfg, path, Console(file=io.StringIO()))


@pytest.mark.slow
def test_a_short_run_uses_its_codebook_and_shows_it(trained):
    said = trained.records.metrics.read()
    first, last = said[0], [row for row in said if "loss" in row][-1]
    assert last["reconstruction"] < 0.65 * first["reconstruction"]
    assert last["perplexity"] > 6
    losses = [row["prior_loss"] for row in said if "prior_loss" in row]
    assert np.mean(losses[-10:]) < 0.9 * losses[0]
    assert trained.records.verdict()["verdict"] == "healthy"
    page = trained.page.read_text(encoding="utf-8")
    for sentence in (
        "each beside it as the decoder makes it from its codes",
        "Samples whose codes are drawn by the prior",
        "drawn uniformly",
        "What each code stands for",
        "of 16 are",
    ):
        assert sentence in page
    assert "A walk a row" not in page, "codes have no between"


@pytest.mark.slow
def test_numbers_tell_the_truth_of_the_held_out_images(trained):
    sampler = Sampler.of(trained)
    found = {name: row["value"] for name, row in _own_numbers(sampler, 0).items()}
    data = sampler.data()
    x = data.batch(np.arange(len(data)))
    codes = sampler.encode(x)["codes"]
    made = sampler.make({"codes": codes})["samples"]
    p, coins = (made.astype(np.float64) + 1) / 2, (x.astype(np.float64) + 1) / 2
    surprise = -(coins * np.log(p) + (1 - coins) * np.log1p(-p)).sum(axis=(1, 2, 3)).mean()
    assert found["reconstruction"] == pytest.approx(surprise, rel=1e-4)
    assert found["squared-error"] == pytest.approx(((made - x) ** 2).mean(), rel=1e-5)
    assert found["bound"] == pytest.approx(-found["reconstruction"] - found["kl"])
    assert found["bits"] == pytest.approx(found["kl"] / np.log(2))
    assert found["bits"] < found["bits-uniform"] == 16 * 4
    assert found["in-use"] == len(np.unique(codes)) / 16
    share = np.bincount(codes.ravel()) / codes.size
    share = share[share > 0]
    assert found["perplexity"] == pytest.approx(np.exp(-(share * np.log(share)).sum()))


@pytest.mark.slow
def test_samples_are_measured_as_they_are_asked_for(trained, capsys):
    command = ["evaluate", str(trained.path), "--metrics=diversity", "--n=200", "--draws=1"]
    found = {}
    for codes in ("prior", "uniform"):
        assert main([*command, f"--codes={codes}"]) == 0
        content = json.loads(trained.evaluation_path.read_text(encoding="utf-8"))
        assert content["asked"] == {"codes": codes}
        found[codes] = content["metrics"]["diversity"]["value"]
    assert found["prior"] != found["uniform"]
    assert main(command) == 0
    content = json.loads(trained.evaluation_path.read_text(encoding="utf-8"))
    assert "asked" not in content
    assert content["metrics"]["diversity"]["value"] == found["prior"]
    capsys.readouterr()
    assert main([*command, "--codes=some"]) == 2
    assert "--codes takes 'prior' or 'uniform', got 'some'" in capsys.readouterr().err
    assert main([*command, "--truncation=1"]) == 2
    assert "vq-vae cannot be asked for a truncation: it takes codes, temperature" in capsys.readouterr().err
    assert main(["interpolate", str(trained.path)]) == 2
    assert "no noise z that could be walked through" in capsys.readouterr().err
    assert main(["evaluate", str(trained.path / "x.npz"), "--data=digits", "--codes=uniform"]) == 2
    assert "a .npz has its samples already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_step_on_the_stand_in_for_cupy_is_that_of_the_cpu(monkeypatch):
    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        seen = []
        for device in ("cpu", "gpu"):
            options = Options(data="digits", device=device, diagnose_every=0)
            s = Session(MODEL, options, vq_vae.Config(**{**TINY, "steps": 4, "first": 0.5, "restart": 0.5}))
            seen.append([s.next_step() for _ in range(4)])
    for cpu, gpu in zip(*seen, strict=True):
        assert gpu == pytest.approx(cpu, rel=1e-4, abs=1e-6)


# What cannot be


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"commitment": -0.1}, "commitment must be at least 0, got -0.1"),
        ({"codes": 1}, "codes must be at least 2, got 1"),
        ({"size": 30}, "size must be a multiple of 4 for 2 halvings, got 30"),
        ({"size": 28, "halvings": 3}, "size must be a multiple of 8 for 3 halvings, got 28"),
        ({"decay": 1.0}, "decay must be below 1"),
        ({"first": 1.0}, "first must be below 1"),
        ({"learned_by": "hope"}, "learned_by cannot be 'hope'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        vq_vae.Config(**settings)


def test_a_codebook_that_is_larger_than_a_batch_has_places_is_refused(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "vq-vae", "--codes=512", "--batch-size=8", f"--out={out}"]) == 2
    said = capsys.readouterr().err
    assert "codes must be at most the 128 places that a batch of 8 images has" in said
    assert "got 512" in said
    assert not out.exists()


@pytest.mark.parametrize(("pixels", "halvings", "size"), [(8, 2, 16), (28, 2, 28), (28, 3, 32), (30, 2, 32)])
def test_the_size_is_the_next_that_the_network_divides(pixels, halvings, size):
    assert vq_vae.Config(halvings=halvings).fitted(fields(pixels)).size == size
