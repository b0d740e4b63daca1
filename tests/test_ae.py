"""The autoencoder: a linear one beside principal components, the distribution of its codes, its options."""

import numpy as np
import pytest

from minigan import Generator, MiniganError, Tensor
from minigan.data import Dataset, load
from minigan.gans import model_named
from minigan.gans.codes import ae
from minigan.gans.parts.fitted import FittedNormal
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_grads, check_model
from minigan.training import Options, Session, evaluate_run, train

AE = model_named("ae")
SHAPE = (1, 4, 4)


def small(**settings):
    return ae.Config(**{"batch_size": 8, "latent": 3, "hidden": 6, **settings})


def plane(n, dims, seed=0):
    """Images near a plane of so many dimensions, uint8, in a Dataset."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(9).standard_normal((dims, 16))
    x = 127.5 + 12 * rng.standard_normal((n, dims)) @ directions + 4 * rng.standard_normal((n, 16))
    return Dataset("plane", np.rint(x).clip(0, 255).astype(np.uint8).reshape(n, *SHAPE))


@pytest.mark.slow
def test_a_linear_autoencoder_comes_to_the_error_of_principal_components_and_not_below():
    data = plane(500, 3)
    cfg, rng = small(layers=0, batch_size=100, lr=3e-3, steps=3000), Generator(0)
    parts = AE.parts(cfg, data.fields, rng)
    networks = {name: parts[name] for name in ("encoder", "decoder")}
    loop = AE.train(parts, data.batches(100, 0), rng, cfg)
    before = ae.numbers(data, rng, cfg=cfg, **networks)
    for _ in range(cfg.steps):
        next(loop)
    found = ae.numbers(data, rng, cfg=cfg, **networks)
    error, (least, n) = found["error"], found["error-pca"]
    assert n == 500
    assert least <= error < 1.03 * least
    assert before["error"] > 5 * least


def test_the_error_of_principal_components_is_that_of_the_best_plane():
    """Of as many dimensions as there are numbers in a code: beside scikit-learn's."""
    from sklearn.decomposition import PCA

    data = plane(200, 4)
    parts = AE.parts(small(), data.fields, Generator(0))
    found = ae.numbers(data, Generator(0), parts["encoder"], parts["decoder"], small())
    x = data.batch(np.arange(200)).reshape(200, -1).astype(np.float64)
    pca = PCA(3).fit(x)
    again = pca.inverse_transform(pca.transform(x))
    assert found["error-pca"][0] == pytest.approx(((again - x) ** 2).mean(), rel=1e-6)


@pytest.mark.slow
def test_with_hidden_layers_it_does_better_than_any_plane(tmp_path):
    from rich.console import Console

    cfg = ae.Config(steps=600, latent=5)
    run = train("ae", Options(), cfg, tmp_path / "run", Console(quiet=True))
    result, _ = evaluate_run(run, names=["diversity"], draws=1, say=lambda line: None)
    rows = result["metrics"]
    assert rows["error"]["value"] < 0.8 * rows["error-pca"]["value"]
    page = run.page.read_text(encoding="utf-8")
    assert "each beside it as the decoder makes it" in page
    assert "straight from code to code" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"layers": 0, "error": "bernoulli"}, {"masked": 0.3, "sparse": 0.1, "activation": "tanh"}],
    ids=["default", "linear", "masked-sparse"],
)
def test_an_autoencoder_keeps_the_contract(settings):
    check_model("ae", hidden=8, latent=3, **settings)


@pytest.mark.slow
def test_its_samples_are_averaged_with_the_distribution_of_the_codes(tmp_path):
    from rich.console import Console

    from minigan.training import Sampler

    cfg = small(steps=6, latent=3)
    run = train("ae", Options(ema=0.9), cfg, tmp_path / "run", Console(quiet=True))
    plain, averaged = (Sampler.of(run, average=average)(5, seed=1) for average in (False, True))
    assert plain.shape == averaged.shape == (5, 1, 16, 16)
    assert not np.array_equal(plain, averaged)


# The distribution of the codes


def test_it_follows_to_the_mean_and_the_covariance():
    rng, prior = np.random.default_rng(0), FittedNormal(2)
    root, mean = np.array([[2.0, 0.0], [-1.0, 0.5]]), np.array([3.0, -1.0])
    for _ in range(2000):
        prior.follow(Tensor((mean + rng.standard_normal((20, 2)) @ root.T).astype(np.float32)))
    assert_close(prior.mean, mean, atol=0.1)
    assert_close(prior.covariance, root @ root.T, atol=0.4)
    codes = prior(Tensor(rng.standard_normal((50_000, 2)).astype(np.float32))).numpy()
    assert_close(codes.mean(axis=0), prior.mean.numpy(), atol=0.05)
    assert_close(np.cov(codes.T), prior.covariance.numpy(), atol=0.1)


def test_one_step_of_following_is_the_rate_times_the_way_to_the_unbiased_estimates():
    prior, codes = FittedNormal(3), np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    prior.follow(Tensor(codes))
    assert_close(prior.mean, 0.01 * codes.mean(axis=0), rtol=1e-4, atol=1e-7)
    assert_close(prior.covariance, 0.99 * np.eye(3) + 0.01 * np.cov(codes.T), rtol=1e-4, atol=1e-6)


def test_noise_and_codes_are_made_of_each_other():
    prior = FittedNormal(3).to(np.float64)
    rng = np.random.default_rng(0)
    prior.covariance.data[...] = np.cov(rng.standard_normal((3, 9)))
    prior.mean.data[...] = rng.standard_normal(3)
    noise = rng.standard_normal((5, 3))
    assert_close(prior.noise_of(prior(Tensor(noise))), noise, rtol=1e-9)
    check_grads(prior, [noise], order=2)


def test_codes_that_do_not_vary_can_be_drawn():
    prior = FittedNormal(2)
    prior.covariance.data[...] = 0
    codes = prior(Tensor(np.ones((4, 2), np.float32))).numpy()
    assert_close(codes, np.zeros((4, 2)), atol=0.01)


def test_what_is_encoded_is_made_again():
    session = Session("ae", Options(), small())
    for _ in range(3):
        session.next_step()
    x = load("digits", 16).batch(range(5))
    inputs = session.sampler.encode(x)
    assert inputs["z"].shape == (5, 3)
    networks = (session.parts[name] for name in ("encoder", "decoder"))
    encoder, decoder = networks
    again = ae.decoded(encoder(Tensor(x)), decoder, session.cfg)
    assert_close(session.sampler.make(inputs)["samples"], again.numpy(), rtol=1e-3, atol=1e-4)


# Options


def test_masked_pixels_are_black_in_all_channels_and_the_others_as_they_were():
    x = np.random.default_rng(0).uniform(-0.9, 1, (200, 3, 5, 4)).astype(np.float32)
    seen = ae.masked(x, Generator(0), 0.25)
    hidden = seen == -1
    assert seen.dtype == np.float32
    assert (hidden.all(axis=1) == hidden.any(axis=1)).all()
    assert np.array_equal(seen[~hidden], x[~hidden])
    assert hidden.mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.slow
def test_a_denoising_one_makes_masked_digits_whole_better():
    data, errors = load("digits", 16), []
    for masked in (0.0, 0.3):
        cfg, rng = ae.Config(masked=masked, hidden=200), Generator(0)
        parts = AE.parts(cfg, data.fields, rng)
        loop = AE.train(parts, data.batches(128, 0), rng, cfg)
        for _ in range(400):
            next(loop)
        x = data.batch(range(500))
        seen = Tensor(ae.masked(x, Generator(7), 0.3))
        again = ae.decoded(parts["encoder"](seen), parts["decoder"], cfg).numpy()
        errors.append(((again - x) ** 2).mean())
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.slow
def test_sparse_codes_have_few_numbers_far_from_0():
    """The kurtosis of the numbers: 3 where they are normal, more where most are small and a few large."""
    data, found = load("digits", 16), []
    for sparse in (0.0, 1.0):
        cfg, rng = ae.Config(sparse=sparse, hidden=200), Generator(0)
        parts = AE.parts(cfg, data.fields, rng)
        loop = AE.train(parts, data.batches(128, 0), rng, cfg)
        for _ in range(600):
            next(loop)
        codes = parts["encoder"](Tensor(data.batch(range(1000)))).numpy()
        found.append((codes**4).mean() / (codes**2).mean() ** 2)
    assert found[1] > 1.3 * found[0]


def test_samples_lie_within_the_range_of_images():
    cfg = small(layers=0)
    parts = AE.parts(cfg, fields_of(SHAPE), Generator(0))
    z = Tensor(50 * Generator(1).normal((20, 3)))
    made = ae.make(z, parts["decoder"], parts["prior"], cfg).numpy()
    assert made.min() == -1
    assert made.max() == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent": 0}, "latent must be at least 1, got 0"),
        ({"layers": -1}, "layers must be at least 0, got -1"),
        ({"masked": 1.0}, r"masked must be below 1, got 1\.0"),
        ({"masked": -0.1}, r"masked must be at least 0, got -0\.1"),
        ({"sparse": -1.0}, r"sparse must be at least 0, got -1\.0"),
        ({"sparse": float("nan")}, "sparse must be at least 0, got nan"),
        ({"error": "l1"}, "error cannot be 'l1'"),
    ],
)
def test_what_it_cannot_be_told(settings, message):
    with pytest.raises(MiniganError, match=message):
        ae.Config(**settings)
