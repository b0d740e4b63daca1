"""The β-VAE: divergences, total correlation, capacity, supervision, what measures it, a twin in PyTorch."""

import io
import itertools

import fake_cupy
import numpy as np
import pytest
from rich.console import Console

import minigan_kernels as kernels
from minigan import Generator, Tensor, training
from minigan import functional as F
from minigan.data import Field, Fields, load
from minigan.data.factors import VALUES
from minigan.errors import MiniganError
from minigan.gans import model_named
from minigan.gans.codes import beta_vae
from minigan.gans.parts.correlation import total_correlation
from minigan.gans.parts.gaussian import divergence, divergences
from minigan.optim import Adam
from minigan.studies.study import Study
from minigan.testing import assert_close, check_grads, check_model
from minigan.training import Options, Session

MODEL = model_named("beta-vae")
FIELDS = Fields({"image": Field("image", (1, 16, 16)), "factors": Field("factors", (6,), values=VALUES)})
SMALL = {"batch_size": 8, "latent": 6, "width": 2, "hidden": 8}


def small(**settings):
    return beta_vae.Config(**SMALL | settings)


def draws(n=5, latent=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, n, latent))


# The parts of the loss


def test_the_divergences_of_the_numbers_add_up():
    mean, log_var, _ = map(Tensor, draws())
    each = divergences(mean, log_var)
    assert each.shape == (5, 3)
    assert_close(each.sum(axis=1), divergence(mean, log_var))
    assert (each.numpy() >= 0).all()


def test_total_correlation_is_that_of_a_correlated_normal():
    """By the batch as a mixture: -½ log(1 - ρ²) of two numbers, 0 of independent ones."""
    rng, n = np.random.default_rng(0), 2000
    for rho in (0.0, 0.6, 0.9):
        mean = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
        log_var = np.full((n, 2), 2 * np.log(0.1))
        z = mean + 0.1 * rng.normal(size=mean.shape)
        within = rho / 1.01  # z's own variance is 1.01
        expected = -0.5 * np.log(1 - within**2)
        assert total_correlation(*map(Tensor, (z, mean, log_var))).item() == pytest.approx(expected, abs=0.08)


def test_total_correlation_is_at_most_that_of_samples_apart():
    """Of codes that no other sample can have, each number tells the sample: (latent - 1) log N."""
    mean = 100.0 * np.arange(8.0)[:, None] * np.ones((1, 3))
    found = total_correlation(Tensor(mean), Tensor(mean), Tensor(np.zeros((8, 3))))
    assert found.item() == pytest.approx(2 * np.log(8))


def test_gradients_of_the_losses_to_second_order():
    mean, log_var, noise = draws()
    factors = np.random.default_rng(1).integers(0, 3, (5, 2)) / 2.0
    factors[3] = -1

    def everything(mean, log_var):
        z = mean + F.exp(0.5 * log_var) * noise
        kl = divergences(mean, log_var).sum(axis=1).mean()
        return (
            F.abs(kl - 0.3) * 7.0
            + 2.0 * total_correlation(z, mean, log_var)
            + beta_vae.distance(mean, factors)
            + F.tanh(z).sum()
        )

    check_grads(everything, [mean, log_var], order=2)


def test_the_distance_to_known_factors():
    """Of the images that have any: (2/3 - (-√3))², of the others nothing."""
    mean = np.full((3, 4), 9.0)
    mean[0, :2] = [2 / 3, 0]
    factors = np.array([[0.0, 0.5], [-1, -1], [-1, -1]])
    expected = (2 / 3 + np.sqrt(3)) ** 2
    assert beta_vae.distance(Tensor(mean), factors).item() == pytest.approx(expected)
    assert beta_vae.distance(Tensor(mean), np.full((3, 2), -1.0)).item() == 0


def test_the_capacity_rises_with_the_optimisers_steps():
    cfg, net = small(capacity=25.0, steps=100), MODEL.parts(small(), FIELDS, Generator(0))["encoder"]
    opt, found = Adam(net.parameters()), []
    for opt.steps in (0, 50, 100, 200):
        found.append(beta_vae.capacity(cfg, opt))
    assert found == [0, 12.5, 25, 25]
    assert beta_vae.capacity(small(), opt) == 0


def first_steps(n=3, **settings):
    session = Session("beta-vae", Options(data="factors", seed=3), small(size=16, **settings))
    return [session.next_step() for _ in range(n)]


def test_the_loss_is_what_it_says():
    for seen in first_steps(beta=3.0, total_correlation=2.0, supervision=0.5):
        parts = seen["reconstruction"] + 3 * seen["kl"] + 2 * seen["total_correlation"]
        assert seen["loss"] == pytest.approx(parts + 0.5 * seen["distance"], rel=1e-5)
    assert [*first_steps(1)[0]] == ["loss", "reconstruction", "kl"]
    for step, seen in enumerate(first_steps(steps=10, capacity=5.0, gamma=100.0)):
        expected = seen["reconstruction"] + 100 * abs(seen["kl"] - 5 * step / 10)
        assert seen["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_the_nats_of_a_capacity_say_something_of_the_pictures():
    """Where γ outweighs the pictures they do not: the code has its nats, and each picture is the mean one."""
    cfg = beta_vae.Config(size=16, capacity=6.0, gamma=3.0, steps=1000, width=8, hidden=64, latent=6)
    session = Session("beta-vae", Options(data="factors", samples=4000), cfg)
    last = [session.next_step() for _ in range(cfg.steps)][-50:]
    kl, reconstruction = (np.mean([seen[name] for seen in last]) for name in ("kl", "reconstruction"))
    assert kl == pytest.approx(6, abs=0.5)
    assert reconstruction < 22  # of the mean picture 32


def test_beta_0_and_1_are_an_autoencoder_with_noise_and_a_vae():
    for beta in (0.0, 1.0):
        for seen in first_steps(beta=beta):
            assert seen["loss"] == pytest.approx(seen["reconstruction"] + beta * seen["kl"], rel=1e-5)


# The model


@pytest.mark.parametrize(("side", "layers"), [(16, 2), (32, 3), (64, 4)])
def test_networks_are_those_of_the_table(side, layers):
    fields = Fields({"image": Field("image", (3, side, side))})
    parts = MODEL.parts(beta_vae.Config(width=32, hidden=256), fields, Generator(0))
    weights = [p.shape for name, p in parts["encoder"].named_parameters() if name.endswith("weight")]
    assert [shape[0] for shape in weights] == [*[32, 32, 64, 64][:layers], 256, 20]
    assert weights[0] == (32, 3, 4, 4)
    back = [p.shape for name, p in parts["decoder"].named_parameters() if name.endswith("weight")]
    assert [shape[1] for shape in back[2:]] == [*[32, 32, 64, 64][: layers - 1][::-1], 3]
    assert beta_vae.make(Tensor(np.zeros((2, 10), np.float32)), parts["decoder"]).shape == (2, 3, side, side)


def test_sizes_by_the_data():
    assert [beta_vae.Config().default_size(n) for n in (8, 16, 28, 32, 64, 100)] == [16, 16, 32, 32, 64, 64]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"data": "digits", "capacity": 4.0},
        {"size": 16, "total_correlation": 1.0},
        {"data": "factors:known=0.5", "size": 16, "supervision": 1.0},
    ],
    ids=["capacity", "total-correlation", "supervision"],
)
def test_a_beta_vae_keeps_the_contract(settings):
    check_model("beta-vae", latent=6, width=2, hidden=8, **settings)


def test_supervision_puts_factors_in_the_first_numbers():
    """After some steps the first number goes with the first factor's, which it need not without."""
    found = {}
    for weight in (0.0, 20.0):
        cfg = beta_vae.Config(size=16, width=8, hidden=64, latent=6, supervision=weight, beta=1.0, lr=2e-3)
        session = Session("beta-vae", Options(data="factors", seed=1), cfg)
        for _ in range(150):
            session.next_step()
        test = load("factors", 16, split="test").part(slice(500))
        means = session.sampler.encode(test.batch(slice(None)))["z"]
        found[weight] = [abs(np.corrcoef(means[:, i], test.factors[:, i])[0, 1]) for i in (3, 4)]
    assert min(found[20.0]) > 0.9
    assert min(found[0.0]) < 0.5


@pytest.mark.slow
def test_a_short_run_is_measured_and_shows_its_walks(tmp_path):
    cfg = beta_vae.Config(steps=150, size=16, width=8, hidden=64, latent=4, beta=1.0, lr=2e-3)
    options = Options(data="factors:known=0.1", diagnose_every=50)
    run = training.train("beta-vae", options, cfg, tmp_path / "run", Console(file=io.StringIO()))
    page = run.page.read_text(encoding="utf-8")
    assert "each beside it as the decoder makes it" in page
    assert "A row a number, those first in which most is said" in page
    result, _ = training.evaluate_run(run, names=["disentanglement"], draws=3, say=lambda line: None)
    rows = result["metrics"]
    assert {"mig", "factor-vae-score", "beta-vae-score", "dci-disentanglement"} < {*rows}
    for name in ("mig", "factor-vae-score"):
        assert rows[name]["n"] == 5000
        assert 0 <= rows[name]["value"] <= 1
        assert rows[name]["error"] is rows[name]["floor"] is None
    assert rows["dci-informativeness"]["value"] > 0.1
    assert rows["bound"]["value"] == pytest.approx(-rows["reconstruction"]["value"] - rows["kl"]["value"])
    assert 1 <= rows["active-codes"]["value"] <= 4


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"beta": -1.0}, "beta must be at least 0, got -1"),
        ({"capacity": -2.0}, "capacity must be at least 0, got -2"),
        ({"total_correlation": -1.0}, "total_correlation must be at least 0"),
        ({"supervision": -1.0}, "supervision must be at least 0"),
        ({"latent": 0}, "latent must be at least 1"),
        ({"size": 28}, "size cannot be 28"),
    ],
)
def test_settings_that_cannot_be(settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        beta_vae.Config(**settings)


@pytest.mark.parametrize(
    ("data", "settings", "sentence"),
    [
        ("digits", {"supervision": 1.0}, "beta-vae is to learn from factors, too, and digits has none"),
        ("factors", {"supervision": 1.0, "latent": 5}, "each of 6 factors a number .* latent = 5 of them"),
        ("ring8", {}, "beta-vae learns from data of the kind image, ring8 is of the kind point"),
    ],
)
def test_data_that_it_cannot_learn(data, settings, sentence):
    with pytest.raises(MiniganError, match=sentence):
        Session("beta-vae", Options(data=data), small(**settings))


def test_a_study_knows_which_models_have_codes_to_measure(tmp_path):
    told = 'title = "t"\nseeds = [0]\nmetrics = ["disentanglement"]\n[[rows]]\nname = "a"\ndata = "factors"\n'
    path = tmp_path / "codes.toml"
    path.write_text(told + 'size = 16\nmodel = "beta-vae"\n', encoding="utf-8")
    Study.read(path).check_data()
    path.write_text(told + 'size = 16\nmodel = "dcgan"\n', encoding="utf-8")
    with pytest.raises(MiniganError, match="disentanglement needs a model with an encoder"):
        Study.read(path).check_data()
    digits = told.replace("factors", "digits") + 'model = "beta-vae"\n'
    path.write_text(digits, encoding="utf-8")
    with pytest.raises(MiniganError, match="disentanglement needs data of which all factors are known"):
        Study.read(path).check_data()


# On a GPU: a stand-in, whose rules CuPy has


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"capacity": 4.0}, {"supervision": 1.0, "total_correlation": 1.0}])
def test_captured_steps_are_those_of_the_plain_ones(settings, monkeypatch):
    """Products and convolutions are one kernel each there, as those of the CUDA engine are."""

    def as_kernel(function):
        def launched(x, *others, **how):
            if isinstance(x, fake_cupy.ndarray):
                return fake_cupy.call(function, x, *others, **how)
            return function(x, *others, **how)

        return launched

    fake_cupy.install(monkeypatch)
    with kernels.engine("reference"):
        reference = kernels.engines.engine_for(np.zeros(1))
        for name in ("matmul", "linear", "conv2d", "conv2d_input", "conv2d_weight"):
            monkeypatch.setattr(reference, name, as_kernel(getattr(reference, name)))
        found = []
        for graph in (False, True):
            cfg = small(size=16, steps=8, **settings)
            session = Session("beta-vae", Options(device="gpu", data="factors", graph=graph), cfg)
            found.append(([session.next_step() for _ in range(8)], session.arrays()))
    assert fake_cupy.state.calls.count("launch") == 8 - 3  # the first three are not captured
    assert found[1][0] == found[0][0]
    for name, array in found[0][1].items():
        np.testing.assert_array_equal(found[1][1][name], array, err_msg=name)


# Beside PyTorch

STEPS, N, LATENT = 10, 8, 6


class Given:
    """Random numbers that were drawn before."""

    def __init__(self, arrays):
        self.arrays = iter(arrays)

    def normal(self, shape):
        return next(self.arrays)


@pytest.mark.torch
@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 4.0},
        {"capacity": 3.0, "steps": STEPS, "gamma": 50.0},
        {"beta": 1.0, "total_correlation": 3.0, "supervision": 0.7},
    ],
    ids=["beta", "capacity", "regularised"],
)
def test_ten_steps_are_those_of_a_twin_in_pytorch(settings):
    torch = pytest.importorskip("torch")
    tnn, cfg, rng = torch.nn, small(lr=1e-2, **settings), Generator(0)
    parts = MODEL.parts(cfg, FIELDS, rng)
    data = [rng.uniform((N, 1, 16, 16), -1, 1, np.float64) for _ in range(STEPS)]
    noise = [rng.normal((N, LATENT), dtype=np.float64) for _ in range(STEPS)]
    factors = [rng.uniform((N, 6), dtype=np.float64) for _ in range(STEPS)]
    for array in factors:
        array[::3] = -1
    encoder = tnn.Sequential(
        tnn.Conv2d(1, 2, 4, 2, 1),
        tnn.ReLU(),
        tnn.Conv2d(2, 2, 4, 2, 1),
        tnn.ReLU(),
        tnn.Flatten(),
        tnn.Linear(32, 8),
        tnn.ReLU(),
        tnn.Linear(8, 2 * LATENT),
    ).double()
    decoder = tnn.Sequential(
        tnn.Linear(LATENT, 8),
        tnn.ReLU(),
        tnn.Linear(8, 32),
        tnn.Unflatten(1, (2, 4, 4)),
        tnn.ReLU(),
        tnn.ConvTranspose2d(2, 2, 4, 2, 1),
        tnn.ReLU(),
        tnn.ConvTranspose2d(2, 1, 4, 2, 1),
    ).double()
    nets = {"encoder": encoder, "decoder": decoder}
    for name, net in nets.items():
        parts[name].to(np.float64)
        net.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in parts[name].state_dict().items()})
    opt = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
    normal = torch.distributions.Normal

    batches = zip(data, factors, strict=True) if cfg.supervision else iter(data)
    loop = MODEL.train(parts, batches, Given(noise), cfg)
    for step, seen, x, eps, v in zip(itertools.count(), loop, data, noise, factors, strict=False):
        x, eps, v = map(torch.from_numpy, (x, eps, v))
        mean, log_var = encoder(x).chunk(2, 1)
        q = normal(mean, torch.exp(0.5 * log_var))
        z = mean + q.stddev * eps
        coins = torch.distributions.Bernoulli(logits=decoder(z), validate_args=False)
        reconstruction = -coins.log_prob((x + 1) / 2).sum() / N
        kl = torch.distributions.kl_divergence(q, normal(0.0, 1.0)).sum() / N
        loss = reconstruction + cfg.beta * kl
        if cfg.capacity is not None:
            loss = reconstruction + cfg.gamma * (kl - cfg.capacity * step / STEPS).abs()
        if cfg.total_correlation:
            each = normal(mean[None], q.stddev[None]).log_prob(z[:, None])  # (N, N, latent)
            log_n = np.log(N)
            together = each.sum(2).logsumexp(1) - log_n
            correlation = (together - (each.logsumexp(1) - log_n).sum(1)).mean()
            assert seen["total_correlation"].item() == pytest.approx(correlation.item(), rel=1e-8)
            known = v[:, 0] >= 0
            apart = ((mean[known] - (v[known] - 0.5) * 12**0.5) ** 2).sum(1).mean()
            assert seen["distance"].item() == pytest.approx(apart.item(), rel=1e-8)
            loss = loss + cfg.total_correlation * correlation + cfg.supervision * apart
        opt.zero_grad()
        loss.backward()
        opt.step()
        assert seen["loss"].item() == pytest.approx(loss.item(), rel=1e-8), step
        assert seen["kl"].item() == pytest.approx(kl.item(), rel=1e-8), step
    assert step == STEPS - 1
    for name, net in nets.items():
        for key, array in net.state_dict().items():
            assert_close(parts[name].state_dict()[key], array.numpy(), rtol=1e-8, atol=1e-8)
