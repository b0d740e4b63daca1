"""The page of a run: what it says is what the files say, it needs nothing else, and a browser shows it."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from minigan import nn, training
from minigan.cli import main
from minigan.data import load
from minigan.errors import MiniganError, NonFiniteError
from minigan.gans.noise import cgan, dcgan, gan, wgan_gp
from minigan.metrics.divergence import Cells
from minigan.report.page import Facts, charts
from minigan.report.page.charts import thinned
from minigan.report.page.pictures import FILM, film, shrunk
from minigan.training import Options, Run, Session, write_comparison, write_page
from minigan.training.frame import SIDE, frame

OPTIONS = Options(sample_every=3, diagnose_every=1, seed=5)
IMAGES = dcgan.Config(steps=6, batch_size=8, width=4, latent=8)
POINTS = gan.Config(steps=6, batch_size=8, latent=2, pack=2)
VERDICT = {
    "step": 6,
    "verdict": "mode collapse",
    "findings": [
        {
            "name": "mode collapse",
            "since": 2,
            "evidence": "1 of 8 modes </script> has samples",
            "advice": "--pack 2",
        }
    ],
}
EVALUATION = {
    "metrics": {
        "precision": {"value": 0.625, "error": 0.125, "floor": 0.9375, "n": 100},
        "distance": {"value": None, "error": None, "floor": None, "n": 100},
    },
    "classifier": None,
}


def train(path, cfg=IMAGES, options=OPTIONS, model="dcgan"):
    console = Console(file=io.StringIO(), width=200)
    return training.train(model, options, cfg, path, console), console.file.getvalue()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Runs that were trained once, to be copied."""
    folder = tmp_path_factory.mktemp("pristine")
    train(folder / "images")
    train(folder / "points", POINTS, replace(OPTIONS, data="ring8"), "gan")
    return folder


@pytest.fixture
def images(pristine, tmp_path):
    run = Run.open(shutil.copytree(pristine / "images", tmp_path / "images"))
    run.records.save_verdict(VERDICT)
    (run.path / "evaluation.json").write_text(json.dumps(EVALUATION), encoding="utf-8")
    return run


@pytest.fixture
def points(pristine, tmp_path):
    return Run.open(shutil.copytree(pristine / "points", tmp_path / "points"))


def content(path):
    return path.read_text(encoding="utf-8")


def data_of(path):
    """What the page's scripts draw."""
    (written,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', content(path), re.DOTALL
    )
    return json.loads(written)


# The page of a run


@pytest.mark.slow
def test_a_run_ends_with_its_page(pristine):
    for name in ("images", "points"):
        page = content(pristine / name / "report.html")
        assert page.startswith("<!doctype html>")
        assert f"on {'digits' if name == 'images' else 'ring8'}</h1>" in page


@pytest.mark.slow
def test_the_numbers_in_the_page_are_those_of_the_files(images):
    data = data_of(write_page(images))["charts"]
    metrics, looks = images.records.metrics.read(), images.records.diagnostics.read()
    for series in (*data["losses"]["series"], *data["means-d"]["series"]):
        assert series["x"] == [record["step"] for record in metrics]
        assert series["faint"] == [record[series["name"]] for record in metrics]
    real, fake = data["outputs-d"]["series"]
    for series, kind in ((real, "real"), (fake, "fake")):
        quantiles = [look["judges"]["d"]["output"][kind] for look in looks]
        (low, high), (lower, upper) = series["bands"]
        assert [list(row) for row in zip(low, lower, series["y"], upper, high, strict=True)] == quantiles
    layers = {s["name"]: s["y"] for s in data["gradient_norm-G"]["series"]}
    assert layers["1"] == [look["gradient_norm"]["G"]["1.weight"] for look in looks]
    assert data["variety"]["series"][0]["y"] == [look["diversity"] for look in looks]
    assert data["modes"]["cells"] == [look["modes"] for look in looks]


def test_the_means_are_of_all_steps_though_few_are_drawn(images):
    with open(images.records.metrics.path, "w", encoding="utf-8") as file:
        for step in range(1, 2001):
            file.write(json.dumps({"step": step, "d_loss": float(step), "g_loss": 0.0}) + "\n")
    losses = data_of(write_page(images))["charts"]["losses"]["series"][0]
    assert len(losses["x"]) <= 401
    assert (losses["x"][0], losses["x"][-1]) == (1, 2000)
    assert losses["y"][-1] == np.mean(range(1961, 2001))  # a fiftieth of the run
    assert losses["faint"][-1] == 2000


def test_numbers_of_different_kinds_are_in_charts_of_their_own():
    """A share and a distance have no scale in common; two shares of one kind have."""
    said = (
        "d_loss",
        "wasserstein",
        "clipped",
        "real_label_accuracy",
        "made_label_accuracy",
        "d_real",
        "d_fake",
    )
    drawn = {
        chart.title: [series["name"] for series in chart.series]
        for chart in charts.losses([{"step": 1, **dict.fromkeys(said, 0.5)}], critic=True)
    }
    assert drawn == {
        "Losses": ["d_loss"],
        "What D says on average": ["d_real", "d_fake"],
        "What else a step says: wasserstein": ["wasserstein"],
        "What else a step says: clipped": ["clipped"],
        "What else a step says: accuracy": ["real_label_accuracy", "made_label_accuracy"],
    }


def test_the_sheets_are_the_runs_pictures(images):
    film = data_of(write_page(images))["film"]["sheets"]
    assert film["steps"] == [0, 3, 6]
    for step, uri in zip(film["steps"], film["pictures"], strict=True):
        shown = picture(uri)
        with Image.open(images.sheets.path(step)) as stored:
            assert np.array_equal(shown.resize(stored.size, Image.Resampling.NEAREST), stored)


def picture(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_the_command_can_be_copied_from_the_page(images):
    (told,) = re.findall(r"<pre.*?</pre>", content(write_page(images)), re.DOTALL)
    assert html.unescape(re.sub(r"<.*?>", "", told)) == Facts(images).command()


def test_verdict_evaluation_and_settings_are_told(images):
    page = content(write_page(images))
    for part in (
        "Mode collapse",
        "Since step 2",
        "--pack 2",
        "0.625",
        "0.125",
        "0.9375",
        "batch_size",
        "cpu",
    ):
        assert part in page
    assert "1 of 8 modes &lt;/script&gt; has samples" in page


def test_nothing_in_a_file_can_end_the_script(images):
    config = images.path / "config.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("[run]", '[run]\nstop_on = "collapse"'), encoding="utf-8"
    )
    lines = images.records.metrics.path.read_text(encoding="utf-8").replace("d_loss", "</script><b>_loss")
    images.records.metrics.path.write_text(lines, encoding="utf-8")
    page = content(write_page(Run.open(images.path)))
    assert "</script><b>" not in page
    assert "</script><b>_loss" in [s["name"] for s in data_of(images.page)["charts"]["losses"]["series"]]


@pytest.mark.slow
def test_the_command_trains_the_same_again(images, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    command = Facts(images).command()
    assert command.startswith("minigan train dcgan ")
    assert main([*command.split()[1:], "--out=again"]) == 0
    assert Run.open("again").config == images.config
    assert (tmp_path / "again" / "metrics.jsonl").read_text(
        encoding="utf-8"
    ) == images.records.metrics.path.read_text(encoding="utf-8")


def test_walks_and_neighbours_are_shown_with_their_distances(images):
    page = content(write_page(images))
    assert "Between samples" in page
    shown = training.page.exhibits(images)
    assert len(shown.pairs()) == 10
    apart = np.linalg.norm((shown.samples - shown.neighbours).reshape(10, -1), axis=1)
    np.testing.assert_allclose(shown.distances, apart, rtol=1e-5)
    for distance in shown.distances:
        assert f"<figcaption>{distance:.3g}</figcaption>" in page


def test_neighbours_among_mirrored_images_are_shown_as_they_are_near(images):
    dataset = load("digits", size=16, flip=True)
    shown = training.page.exhibits(images, dataset)
    apart = np.sqrt(((shown.samples - shown.neighbours).astype(float) ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(shown.distances, apart, rtol=1e-6)
    plain = training.page.exhibits(images, replace(dataset, flip=False))
    assert (shown.distances <= plain.distances).all()
    assert (shown.distances < plain.distances).any()


@pytest.mark.slow
def test_a_conditional_run_walks_from_class_to_class(tmp_path):
    run, _ = train(tmp_path / "run", cgan.Config(steps=1, batch_size=8, width=4, latent=8), model="cgan")
    assert "From class to class" in content(run.page)
    assert training.page.exhibits(run).labelled.shape == (6, 19, 1, 16, 16)


# A run that lacks something


def begun(path):
    session = Session("dcgan", OPTIONS, IMAGES)
    return Run.create(path, session.model, session.options.resolved(), session.cfg, session.fields)


def test_a_run_that_has_only_just_begun_has_a_page_that_says_so(tmp_path):
    page = content(write_page(begun(tmp_path / "run")))
    for part in (
        "only just begun",
        "No verdict yet",
        "No samples were drawn yet",
        "no checkpoint yet",
        "no losses yet",
    ):
        assert part.lower() in page.lower()


def test_a_run_in_the_plane_without_frames_has_a_film(points):
    for path in points.sheets.folder.glob("*.npz"):
        path.unlink()
    data = data_of(write_page(points))
    assert data["plane"] is None
    assert data["film"]["sheets"]["steps"] == [0, 3, 6]


def test_without_the_data_the_page_says_what_is_left_out(images, monkeypatch):
    def gone(*args, **how):
        raise MiniganError("there is no folder /nowhere")

    monkeypatch.setattr("minigan.training.options.load", gone)
    page = content(write_page(Run.open(images.path)))
    assert "The training data cannot be read" in page
    assert "Between samples" in page


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "metrics.jsonl",
            '{"step": 1, "d_loss": 1}\n{"ste\n{"step": 3, "d_loss": 1}\n',
            "1 of its lines cannot be read",
        ),
        ("metrics.jsonl", '{"step": 1, "d_loss": "much"}\n', "step 1: d_loss is 'much'"),
        ("metrics.jsonl", '{"step": 1, "d_loss": true}\n', "d_loss is True"),
        ("metrics.jsonl", "\x00\x01\n\n", "1 of its lines cannot be read"),
        ("diagnostics.jsonl", '{"step": 1, "output": {"real": 3}}\n', "real is 3"),
        ("diagnostics.jsonl", '{"step": 1, "output": 3}\n', "output"),
        ("diagnostics.jsonl", '{"step": 1, "modes": [1, [2]]}\n', "modes is [2]"),
        ("diagnostics.jsonl", '{"step": 1, "gradient_norm": []}\n', "gradient_norm"),
        ("evaluations.jsonl", '{"step": 1, "fcd": [1]}\n', "fcd is"),
        ("verdict.json", '{"verdict": "healthy"}', "verdict.json is damaged"),
        ("verdict.json", "{", "verdict.json is damaged"),
        ("evaluation.json", "[]", "evaluation.json is damaged"),
        (
            "evaluation.json",
            '{"metrics": {"fcd": {"value": "x", "error": null, "floor": 0, "n": 1}}}',
            "is damaged",
        ),
        ("samples/step-000003.png", "not a picture", "step-000003.png is no picture"),
    ],
)
def test_a_damaged_file_is_one_sentence(images, name, text, message, capsys):
    (images.path / name).write_text(text, encoding="utf-8")
    assert main(["report", str(images.path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_damaged_frame_is_one_sentence(points):
    points.sheets.frame(3).write_bytes(b"junk")
    with pytest.raises(MiniganError, match=r"step-000003\.npz is damaged"):
        write_page(points)
    with zipfile.ZipFile(points.sheets.frame(3), "w"):
        pass
    with pytest.raises(MiniganError, match="its array points is not one of a frame"):
        write_page(points)


def test_a_last_line_that_was_cut_off_is_left_out(images):
    with open(images.records.metrics.path, "a", encoding="utf-8") as file:
        file.write('{"step": 7, "d_lo')
    assert data_of(write_page(images))["charts"]["losses"]["series"][0]["x"] == [1, 2, 3, 4, 5, 6]


def test_numbers_that_are_not_finite_are_gaps(images):
    with open(images.records.metrics.path, "a", encoding="utf-8") as file:
        file.write('{"step": 7, "d_loss": NaN, "g_loss": Infinity, "d_real": 1, "d_fake": 1}\n')
        file.write('{"step": 8, "d_loss": 1.5, "g_loss": 2.5, "d_real": 1, "d_fake": 1}\n')
    losses = data_of(write_page(images))["charts"]["losses"]["series"]
    assert [series["faint"][-2:] for series in losses] == [[None, 1.5], [None, 2.5]]
    assert [series["y"][-2:] for series in losses] == [[None, 1.5], [None, 2.5]]


# Where the page goes


def test_report_prints_where_the_page_is(images, tmp_path, capsys):
    assert main(["report", str(images.path)]) == 0
    assert capsys.readouterr().out == f"{images.page}\n"
    assert main(["report", str(images.path), f"--out={tmp_path / 'other.html'}"]) == 0
    assert content(tmp_path / "other.html") == content(images.page)


def refuse(path, content):
    raise PermissionError(13, "Permission denied")


def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(images, monkeypatch, capsys):
    monkeypatch.setattr(training.page, "write_atomically", refuse)
    assert main(["report", str(images.path)]) == 2
    assert "Permission denied; --out FILE writes the page elsewhere" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_succeeds_without_its_page(tmp_path, monkeypatch):
    monkeypatch.setattr(training.page, "write_atomically", refuse)
    run, output = train(tmp_path / "run")
    assert run.finished()
    assert "The page of the run is not written: cannot write" in output
    assert "Done after 6 steps" in output


def test_a_run_that_diverges_has_a_page_too(tmp_path):
    with pytest.raises(NonFiniteError):
        train(tmp_path / "run", replace(IMAGES, lr=1e30))
    assert "Diverging" in content(tmp_path / "run" / "report.html")


# The plane


def test_a_frame_lies_beside_each_picture_of_a_run_in_the_plane(points):
    assert [points.sheets.frame(step).exists() for step in (0, 3, 6)] == [True] * 3
    points.forget_after(3)
    assert [points.sheets.frame(step).exists() for step in (0, 3, 6)] == [True, True, False]


def test_the_frame_is_of_the_samples_and_of_d():
    session = Session("gan", replace(OPTIONS, data="ring8"), replace(POINTS, pack=1))
    session.parts["D"] = D = nn.Linear(2, 1)
    D.weight.data[:], D.bias.data[:] = (3.0, -1.0), 0.5
    found = frame(session)
    np.testing.assert_array_equal(found["points"], session.shown()["samples"])
    ticks = np.linspace(-found["extent"], found["extent"], SIDE)
    expected = 1 / (1 + np.exp(-(3 * ticks[None] - ticks[:, None] + 0.5)))
    np.testing.assert_allclose(found["surface"], expected, rtol=1e-4)
    np.testing.assert_array_equal(found["arrows"][:, :2], found["points"][:64])
    np.testing.assert_allclose(found["arrows"][:, 2:], [[3, -1]] * 64, rtol=1e-6)
    corner = session.sampler.make({"z": np.array([[2, -2]], np.float32)})["samples"]
    np.testing.assert_allclose(found["grids"][0, 0, -1], corner[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "cfg", "grids"),
    [
        ("gan", POINTS, (1, 17, 17, 2)),
        ("gan", replace(POINTS, latent=1, pack=1), (1, 1, 17, 2)),
        ("gan", replace(POINTS, latent=3), None),
        ("cgan", cgan.Config(batch_size=8, latent=2, pack=3), (8, 9, 9, 2)),
        ("wgan-gp", wgan_gp.Config(batch_size=8, latent=2), (1, 17, 17, 2)),
    ],
    ids=["packed", "line", "no-grid", "conditional", "critic"],
)
def test_each_model_of_the_plane_has_frames_and_they_change_nothing(model, cfg, grids):
    session, other = (Session(model, replace(OPTIONS, data="ring8"), cfg) for _ in range(2))
    found = frame(session)
    assert found["surface"].shape == (SIDE, SIDE)
    assert np.isfinite(found["arrows"]).all()
    assert grids == (found["grids"].shape if "grids" in found else None)
    assert session.next_step() == other.next_step()


@pytest.mark.slow
def test_of_a_conditional_run_in_the_plane_the_page_says_what_the_surface_is(tmp_path):
    cfg = cgan.Config(steps=1, batch_size=8, latent=2)
    run, _ = train(tmp_path / "run", cfg, replace(OPTIONS, data="ring8"), "cgan")
    assert "the mean over all of them" in content(run.page)
    assert len(data_of(run.page)["plane"]["frames"][0]["grids"]) == 8


def test_divergences_are_0_for_the_same_and_log_2_for_another():
    rng = np.random.default_rng(0)
    real = rng.uniform(-1, 1, (5000, 2))
    cells = Cells(real, 2.0)
    assert cells.divergences(real) == (pytest.approx(0, abs=1e-3), 0)
    kl, js = cells.divergences(real + 100)
    assert js == pytest.approx(np.log(2))
    assert kl > 3


def test_the_page_counts_modes_and_divergences_of_each_frame(points):
    charts = data_of(write_page(points))["charts"]
    real = training.page.exhibits(points).points
    for i, step in enumerate((0, 3, 6)):
        with np.load(points.sheets.frame(step)) as arrays:
            kl, js = Cells(real, float(arrays["extent"])).divergences(arrays["points"])
        assert [series["y"][i] for series in charts["divergence"]["series"]] == [kl, js]
    assert charts["found"]["series"][0]["x"] == [0, 3, 6]


# Small


def test_what_is_drawn_is_thinned_evenly_and_keeps_both_ends():
    assert thinned(0, 5) == []
    assert thinned(5, 5) == [0, 1, 2, 3, 4]
    assert thinned(11, 5) == [0, 3, 6, 9, 10]
    for n in range(1, 200):
        kept = thinned(n, 10)
        assert (kept[0], kept[-1]) == (0, n - 1)
        assert len(kept) <= 11


def test_a_magnified_picture_is_shrunk_to_what_it_was():
    small = Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 7), dtype=np.uint8))
    large = small.resize((21, 15), Image.Resampling.NEAREST)
    assert np.array_equal(shrunk(large), small)
    assert shrunk(small).size == small.size


@pytest.mark.slow
def test_a_film_of_large_colourful_pictures_stays_within_its_size(tmp_path):
    rng = np.random.default_rng(0)
    for step in range(60):
        pixels = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"step-{step:06d}.png")
    made = film({step: tmp_path / f"step-{step:06d}.png" for step in range(60)})
    assert (made["steps"][0], made["steps"][-1]) == (0, 59)
    assert sum(map(len, made["pictures"])) < 1.3 * FILM


# Runs beside each other


def test_compare_shows_only_the_settings_that_differ(images, points, tmp_path):
    page = content(write_comparison([images, points], tmp_path / "compare.html"))
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>', page)
    assert {"model", "data", "pack", "width"} <= set(rows)
    assert not {"seed", "device", "steps", "batch_size"} & set(rows)
    assert "0.625 ± 0.125" in page
    assert "Not evaluated: points" in page


def test_compare_draws_each_quantity_with_a_curve_a_run(images, points, tmp_path):
    data = data_of(write_comparison([images, points], tmp_path / "compare.html"))
    losses = next(chart for chart in data["charts"].values() if chart["title"] == "d_loss")
    assert [series["name"] for series in losses["series"]] == ["images", "points"]
    assert losses["series"][1]["y"] == [float(f"{r['d_loss']:.6g}") for r in points.records.metrics.read()]
    assert data["film"].keys() == {"0", "1"}


def test_runs_of_one_name_are_told_apart_and_one_may_have_only_begun(images, tmp_path):
    path = write_comparison([images, begun(tmp_path / "other" / "images")], tmp_path / "compare.html")
    assert "only just begun" in content(path)
    data = data_of(path)
    assert [series["name"] for series in next(iter(data["charts"].values()))["series"]] == [
        str(images.path),
        str(tmp_path / "other" / "images"),
    ]
    assert data["film"].keys() == {"0"}


def test_compare_from_the_command_line(images, points, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "images", "points"]) == 0
    assert capsys.readouterr().out == "compare.html\n"
    assert main(["compare", "images"]) == 2
    assert "a comparison is of two runs or more, got 1" in capsys.readouterr().err
    assert main(["compare", "images", "nowhere"]) == 2
    assert "nowhere is not a run folder" in capsys.readouterr().err


# In a browser


def wait(tab, condition):
    """Until a JavaScript expression is true."""
    assert tab.run(f"""new Promise((done) => {{
        const began = performance.now();
        const late = () => performance.now() - began > 10000;
        const look = () => ({condition}) || late() ? done({condition}) : setTimeout(look, 20);
        look();
    }})"""), condition


def fine(tab, file):
    assert tab.errors == []
    assert {url for url in tab.requests if not url.startswith("data:")} == {file.resolve().as_uri()}


@pytest.mark.parametrize("name", ["images", "points", "compare"])
def test_the_page_runs_without_errors_or_network_on_a_phone_too(chromium, images, points, tmp_path, name):
    if name == "compare":
        file = write_comparison([images, points], tmp_path / "compare.html")
    else:
        file = write_page(Run.open(tmp_path / name))
    assert file.stat().st_size < 5_000_000
    for how in ({}, {"width": 360, "height": 740, "touch": True}):
        tab = chromium.open(file, **how)
        charts = tab.run("document.querySelectorAll('[data-chart]').length")
        assert charts > 3
        assert tab.run("document.querySelectorAll('[data-chart] svg path').length") > charts
        assert tab.run("document.documentElement.scrollWidth <= innerWidth")
        tab.run("document.querySelectorAll('[data-chart]').forEach((chart) => { chart.style.width = 0; })")
        wait(
            tab,
            "[...document.querySelectorAll('[data-chart]')].every((chart) => !chart.querySelector('path'))",
        )
        fine(tab, file)


def test_the_slider_the_buttons_and_the_keys_step_through_the_samples(chromium, images):
    file = write_page(images)
    tab = chromium.open(file)
    pictures = data_of(file)["film"]["sheets"]["pictures"]
    shown = "document.querySelector('[data-film] img').src"
    assert (tab.text(".player output"), tab.run(shown)) == ("step 6", pictures[2])
    tab.click(".player .back")
    assert (tab.text(".player output"), tab.run(shown)) == ("step 3", pictures[1])
    tab.run("document.querySelector('.player input').focus()")
    tab.press("ArrowLeft")
    assert (tab.text(".player output"), tab.run(shown)) == ("step 0", pictures[0])
    tab.click(".player .play")
    assert tab.run("document.querySelector('.player .play').ariaLabel") == "pause"
    wait(tab, "document.querySelector('.player output').textContent === 'step 6'")
    wait(tab, "document.querySelector('.player .play').ariaLabel === 'play'")
    fine(tab, file)


def test_the_read_out_has_the_exact_numbers(chromium, images):
    tab = chromium.open(write_page(images))
    chart = "[data-chart=losses]"
    last, first = images.records.metrics.read()[-1], images.records.metrics.read()[0]
    assert f"d_loss{last['d_loss']:.9g}, mean" in tab.text(f"{chart} .legend").replace(" ", "").replace(
        ",", ", "
    )
    tab.run(f"document.querySelector('{chart} svg').focus()")
    tab.press("Home")
    assert tab.text(f"{chart} .legend span") == "step 1"
    assert float(tab.text(f"{chart} .legend b").partition(",")[0]) == pytest.approx(first["d_loss"], rel=1e-8)
    tab.point(f"{chart} svg", across=0.999)
    assert tab.text(f"{chart} .legend span") == "step 6"


def test_the_page_is_dark_where_the_system_is_and_the_button_turns_it(chromium, images):
    file = write_page(images)
    light = "(() => { const c = getComputedStyle(document.documentElement).backgroundColor;"
    light += "return c.match(/\\d+/g).map(Number)[0] > 128; })()"
    assert chromium.open(file).run(light)
    tab = chromium.open(file, dark=True)
    assert not tab.run(light)
    tab.click("#theme")
    assert tab.run(light)


@pytest.mark.slow
def test_the_plane_plays_and_its_layers_can_be_hidden(chromium, points):
    file = write_page(points)
    tab = chromium.open(file, still=True)
    drawn = "document.querySelector('canvas').toDataURL()"
    pictures = [tab.run(drawn)]
    for layer in ("surface", "grid", "real", "generated", "arrows"):
        tab.click(f"[data-layer={layer}]")
        pictures.append(tab.run(drawn))
    tab.click("[data-layer=generated]")
    tab.click(".player .back")
    pictures.append(tab.run(drawn))
    assert len(set(pictures)) == len(pictures)
    assert tab.text("[data-chart=divergence] .legend span") == "step 3"
    tab.point("canvas")
    with np.load(points.sheets.frame(3)) as arrays:
        middle = arrays["surface"][SIDE // 2, SIDE // 2]
    told = tab.text(".readout")
    assert "(0.00, 0.00)" in told
    assert float(told.rpartition(" ")[2]) == pytest.approx(middle, rel=1e-6)
    fine(tab, file)


# Installed


@pytest.mark.slow  # builds a wheel
def test_the_templates_and_sources_of_kernels_are_installed(tmp_path):
    pytest.importorskip("setuptools", minversion="77")
    root = Path(__file__).parents[1]
    for name in ("minigan", "kernels", "pyproject.toml", "README.md"):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, tmp_path / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        "wheel",
        ".",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("wheel/*.whl")
    with zipfile.ZipFile(wheel) as file:
        inside = {*file.namelist()}
    for folder, part in ((root, "minigan/report/page"), (root / "kernels", "minigan_kernels/cuda")):
        assert {f"{part}/{path.name}" for path in (folder / part).iterdir() if path.is_file()} <= inside
