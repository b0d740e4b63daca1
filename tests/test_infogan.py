"""InfoGAN: its bounds by formula and by channels whose information is known, and what its codes are said to
mean, of generators that are known."""

import io
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from minigan import Generator, MiniganError, Tensor, nn, training
from minigan.cli import main
from minigan.data import Dataset
from minigan.files import read_npz
from minigan.gans import model_named
from minigan.gans.noise import infogan
from minigan.metrics import assignment_error, correlation_within
from minigan.speed.steps import fields_of
from minigan.testing import assert_close, check_grads, check_model
from minigan.training import Options, Run, Sampler

INFOGAN = model_named("infogan")
IMAGES = fields_of((1, 16, 16))


def small(**settings):
    return infogan.Config(**{"batch_size": 8, "latent": 4, "width": 2, "categories": 3, **settings})


def parts_of(cfg, seed=0):
    return INFOGAN.parts(cfg, IMAGES, Generator(seed))


# The bounds


def bounds(said, category, values, **settings):
    said, values = (Tensor(np.asarray(a, np.float64)) for a in (said, values))
    given = said, np.asarray(category), values
    return [bound.item() for bound in infogan.information(*given, small(**settings))]


def test_the_bound_of_the_category_is_the_information_of_a_channel_for_the_posterior_and_less_for_others():
    """Three categories, of which 8 of 10 come through, and one each comes out as each of the others."""
    sent, came = np.array([(a, b) for a in range(3) for b in range(3) for _ in range(8 if a == b else 1)]).T
    posterior = np.where(np.eye(3, dtype=bool), 0.8, 0.1)
    truth = math.log(3) + 0.8 * math.log(0.8) + 0.2 * math.log(0.1)

    def bound(q):
        return bounds(np.log(q)[came], sent, np.zeros((len(sent), 0)), codes=0)[0]

    assert bound(posterior) == pytest.approx(truth)
    assert bound(np.full((3, 3), 1 / 3)) == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(0)
    assert all(bound(rng.dirichlet(np.ones(3), 3)) < truth for _ in range(20))


@pytest.mark.parametrize("spread", ["learned", "unit"])
def test_the_bound_of_the_codes_is_the_entropy_and_the_density_that_scipy_has(spread):
    rng = np.random.default_rng(0)
    codes, mean, log_var = rng.uniform(-1, 1, (50, 2)), rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    said = np.concatenate([np.zeros((50, 3)), mean, *([log_var] if spread == "learned" else [])], axis=1)
    deviation = np.exp(0.5 * log_var) if spread == "learned" else 1.0
    expected = 2 * math.log(2) + stats.norm.logpdf(codes, mean, deviation).sum(axis=1).mean()
    assert bounds(said, np.zeros(50, int), codes, spread=spread)[1] == pytest.approx(expected)


def test_the_bound_of_a_code_is_below_the_information_of_a_channel_with_noise():
    """c uniform in [-1, 1], x = c + 0.1 ε: I = h(x) - h(ε), h(x) by integration."""
    c, sigma = np.random.default_rng(0).uniform(-1, 1, (200_000, 1)), 0.1
    x = c + sigma * np.random.default_rng(1).standard_normal(c.shape)
    grid = np.linspace(-2, 2, 40_001)
    p = 0.5 * (stats.norm.cdf((grid + 1) / sigma) - stats.norm.cdf((grid - 1) / sigma))
    h = -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0)) * (grid[1] - grid[0])
    truth = h - 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    said = np.concatenate([np.zeros((len(x), 3)), x, np.full(x.shape, 2 * math.log(sigma))], axis=1)
    bound = bounds(said, np.zeros(len(x), int), c, codes=1, spread="learned")[1]
    assert truth - 0.1 < bound < truth + 0.005


def test_gradients_of_the_bounds_are_right_to_second_order():
    rng = np.random.default_rng(0)
    category, codes = np.array([0, 2, 1, 1]), Tensor(rng.uniform(-1, 1, (4, 2)))

    def both(said):
        of_category, of_codes = infogan.information(said, category, codes, small(spread="learned"))
        return of_category + 0.3 * of_codes

    check_grads(both, [rng.normal(size=(4, 3 + 2 + 2))], order=2)


# The game


def moved_by_a_step(**settings):
    """Which networks a step changes."""
    cfg = small(**settings)
    parts = parts_of(cfg)
    before = {name: {k: np.copy(v) for k, v in parts[name].state_dict().items()} for name in "GDQ"}
    loop = INFOGAN.train(parts, iter([Generator(1).uniform((8, 1, 16, 16), -1, 1)]), Generator(2), cfg)
    seen = next(loop)
    weights = {name: dict(parts[name].named_parameters()) for name in "GDQ"}
    changed = {
        name for name, own in weights.items() for k, p in own.items() if (p.numpy() != before[name][k]).any()
    }
    return changed, seen


def test_each_optimiser_moves_its_own():
    assert moved_by_a_step(lr_d=0.0)[0] == {"G"}
    assert moved_by_a_step(lr=0.0)[0] == {"D", "Q"}
    assert moved_by_a_step()[0] == {"G", "D", "Q"}
    assert moved_by_a_step(lr=0.0, weight=0.0, weight_codes=0.0)[0] == {"D"}


def test_both_bounds_are_told_and_no_more_than_there_are():
    names = {"d_loss", "g_loss", "d_real", "d_fake", "category_information"}
    assert moved_by_a_step()[1].keys() == names | {"codes_information"}
    assert moved_by_a_step(codes=0)[1].keys() == names


@pytest.mark.parametrize("size", [16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_are_of_the_size_of_the_images(size, channels):
    cfg = infogan.Config(width=2)
    parts = INFOGAN.parts(cfg, fields_of((channels, size, size)), Generator(0))
    made = INFOGAN.make({k: Tensor(a) for k, a in infogan.inputs(4, Generator(1), cfg).items()}, parts, cfg)
    images = made["samples"]
    assert images.shape == (4, channels, size, size)
    h = parts["D"].body(images)
    assert h.shape == (4, 32)
    assert parts["D"](images).shape == (4, 1)
    assert parts["Q"](h).shape == (4, 10 + 2)


@pytest.mark.slow
def test_the_papers_networks_are_those_of_width_64():
    parts = INFOGAN.parts(infogan.Config(width=64), fields_of((1, 28, 28)), Generator(0))
    weights = {name: [p.shape for p in parts[name].parameters() if len(p.shape) > 1] for name in "GDQ"}
    assert weights == {
        "G": [(1024, 74), (6272, 1024), (128, 64, 4, 4), (64, 1, 4, 4)],
        "D": [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 6272), (1, 1024)],
        "Q": [(128, 1024), (12, 128)],
    }


def test_the_size_is_by_default_the_smallest_that_the_data_fits_in():
    found = [infogan.Config().fitted(fields_of((1, n, n))).size for n in (8, 20, 28, 30, 50, 100)]
    assert found == [16, 28, 28, 32, 64, 64]


# What may be asked for


def test_a_category_and_codes_are_what_was_asked_for():
    cfg = small(codes=3)
    given = infogan.inputs(5, Generator(0), cfg, category=2, code2=1.5, truncation=0.5)
    np.testing.assert_array_equal(given["category"], [[0, 0, 1]] * 5)
    np.testing.assert_array_equal(given["codes"][:, 1], [1.5] * 5)
    assert np.abs(given["z"]).max() <= 0.5
    free = infogan.inputs(5, Generator(0), cfg)
    np.testing.assert_array_equal(free["category"].argmax(axis=1), [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(free["codes"][:, [0, 2]], given["codes"][:, [0, 2]])
    assert "codes" not in infogan.inputs(5, Generator(0), small(codes=0))
    many = infogan.inputs(1000, Generator(0), cfg)["codes"]
    assert -1 <= many.min() < -0.99 < 0.99 < many.max() < 1


@pytest.mark.parametrize(
    ("asked", "codes", "says"),
    [
        ({"category": 3}, 2, "category 3 is not one of the 3 categories, 0 to 2"),
        ({"category": -1}, 2, "category -1 is not one of the 3 categories"),
        ({"code3": 1.0}, 2, "the model has no code3; its continuous codes: code1, code2"),
        ({"code1": 1.0}, 0, "the model has no code1; its continuous codes: none"),
    ],
)
def test_what_the_model_has_not_is_refused(asked, codes, says):
    with pytest.raises(MiniganError, match=says):
        infogan.inputs(4, Generator(0), small(codes=codes), **asked)


def test_codes_of_a_model_that_has_none_are_refused():
    with pytest.raises(MiniganError, match="dcgan cannot be asked for a code2: it takes truncation"):
        model_named("dcgan").inputs(4, Generator(0), model_named("dcgan").Config(), code2=1.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"codes": -1}, "codes must be at least 0, got -1"),
        ({"codes": 5}, "codes must be below 5, got 5"),
        ({"categories": 1}, "categories must be at least 2, got 1"),
        ({"weight": -0.5}, "weight must be at least 0"),
        ({"weight_codes": -0.5}, "weight_codes must be at least 0"),
        ({"spread": "one"}, "spread cannot be 'one'"),
        ({"pack": 2}, "pack must be 1: Q reads the codes off single images, got 2"),
        ({"size": 20}, "size cannot be 20"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(MiniganError, match=says):
        infogan.Config(**settings)


def test_images_of_another_size_are_refused():
    with pytest.raises(MiniganError, match=r"images of 16, 28, 32 or 64 pixels a side, not \(1, 20, 20\)"):
        INFOGAN.parts(infogan.Config(), fields_of((1, 20, 20)), Generator(0))


# What the codes are said to mean


def test_the_error_of_the_best_assignment_is_that_of_all_permutations():
    rng = np.random.default_rng(0)
    for _ in range(20):
        categories, labels = rng.integers(0, 4, (2, 60))
        best = max(
            np.mean(np.array(order)[categories] == labels) for order in itertools.permutations(range(4))
        )
        assert assignment_error(categories, labels) == pytest.approx(1 - best)
    assert assignment_error(np.array([2, 2, 0, 1]), np.array([0, 0, 1, 2])) == 0
    assert assignment_error(np.array([0, 0, 0, 0]), np.array([0, 0, 1, 2])) == 0.5
    assert assignment_error(np.array([0, 1, 2, 3]), np.array([0, 0, 0, 0])) == 0.75


def test_correlation_is_taken_within_groups():
    rng = np.random.default_rng(0)
    groups, code = np.arange(300) % 3, rng.normal(size=300)
    offset = np.array([0.0, 50.0, -20.0])[groups]
    assert correlation_within(code, offset - 2 * code, groups) == pytest.approx(-1)
    assert abs(correlation_within(rng.normal(size=300), offset, groups)) == 0
    within = [(code - 1)[groups == 0], (code**2)[groups == 0]]
    found = correlation_within(*within, np.zeros(100, int))
    assert found == pytest.approx(np.corrcoef(within)[0, 1])


class Strokes(nn.Module):
    """Draws upright bars: code 1 shears them by 0.6 of itself, code 2 widens them; the category is how high
    they are."""

    def forward(self, x):
        z, category, code = (x.numpy()[:, a:b] for a, b in ((0, 4), (4, 7), (7, 9)))
        y, x = np.mgrid[:28, :28] - 13.5
        height = (6 + 2 * category.argmax(axis=1))[:, None, None]
        along = x + 0.6 * code[:, :1, None] * y + z[:, :1, None]
        inside = (np.abs(y) < height) & (np.abs(along) < 3 + code[:, 1:, None])
        return Tensor(np.where(inside, 1.0, -1.0)[:, None].astype(np.float32))


class Reader(nn.Module):
    """Knows which digit it is from the first pixel, and says its category: all right but for those of 2."""

    def forward(self, x):
        digit = np.rint(x.numpy()[:, 0] * 127.5 + 127.5).astype(int)
        return Tensor(np.eye(7, dtype=np.float32)[np.array([2, 0, 0])[digit]])


def test_numbers_find_what_codes_mean_where_it_is_known():
    labels = np.arange(90) % 3
    data = Dataset("known", np.zeros((90, 1, 28, 28), np.uint8), labels)
    data.samples[:, 0, 0, 0] = labels
    D = SimpleNamespace(body=nn.Flatten())
    numbers = infogan.numbers(data, Generator(0), small(), Strokes(), D, Reader())
    assert {name: n for name, (_, n) in numbers.items() if n != infogan.MADE} == {
        "assignment-error": len(data)
    }
    found = {name: value for name, (value, _) in numbers.items()}
    assert found["assignment-error"] == pytest.approx(1 / 3)
    assert found["slant-code1"] == found["slant"] > 0.98
    assert found["width-code2"] == found["width"] > 0.9
    assert abs(found["slant-code2"]) < 0.1
    assert abs(found["width-code1"]) < 0.1
    plain = infogan.numbers(Dataset("plain", data.samples), Generator(0), small(), Strokes(), D, Reader())
    assert plain == {name: pair for name, pair in numbers.items() if name != "assignment-error"}


def test_pictures_have_a_row_a_category_and_move_one_code_at_a_time():
    shown = []
    infogan.pictures(lambda text, *columns: shown.append(np.stack([c.numpy() for c in columns], 1)),
                     Generator(0), small(), Strokes())  # fmt: skip
    assert [a.shape for a in shown] == [(3, 3, 1, 28, 28), (3, 9, 1, 28, 28), (3, 9, 1, 28, 28)]
    from minigan.metrics import slant_and_width

    for array, measure in zip(shown[1:], (0, 1), strict=True):
        for row in array:
            values = slant_and_width(row)
            assert (np.abs(np.diff(values[measure])) > 0).sum() >= 6
            assert np.ptp(values[1 - measure]) < 0.5 * np.ptp(values[measure])


# Whole runs


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"codes": 3, "spread": "learned"}, {"codes": 0}])
def test_an_infogan_keeps_the_contract(settings):
    check_model("infogan", latent=3, width=2, **settings)


@pytest.mark.slow
def test_a_short_run_is_sampled_by_its_codes_and_evaluated(tmp_path, capsys):
    cfg = infogan.Config(steps=30, batch_size=16, width=4)
    run = training.train("infogan", Options(seed=1), cfg, tmp_path / "run", Console(file=io.StringIO()))
    page = run.page.read_text(encoding="utf-8")
    assert "A row a category" in page
    assert "Along a row code 2 goes from -2 to 2" in page
    last = run.records.metrics.read()[-1]
    assert last["category_information"] < math.log(10)
    ask = ["sample", str(run.path), "--category", "3", "--code2", "1.5", "--n", "5"]
    assert main([*ask, "--out", str(tmp_path / "some.npz")]) == 0
    expected = Sampler.of(Run.open(run.path))(5, category=3, code2=1.5)
    assert_close(read_npz(tmp_path / "some.npz")["samples"], expected)
    assert main([*ask[:2], "--code3", "1"]) == 2
    assert "the model has no code3; its continuous codes: code1, code2" in capsys.readouterr().err
    assert main([*ask[:2], "--category", "three"]) == 2
    assert "--category takes a value of the kind int, got 'three'" in capsys.readouterr().err
    result, _ = training.evaluate_run(run, names=["diversity"], draws=1, say=lambda line: None)
    assert 0 < result["metrics"]["assignment-error"]["value"] < 1
