"""The suite of faults in its short form; in full it is run by hand: see bench/faults."""

import json
import os

import numpy as np
import pytest

from bench.faults import __main__ as command
from bench.faults.damage import WAYS, damaged
from bench.faults.fuzz import LOADERS, fuzz
from minigan.gans import model_names
from minigan.training import Session, evaluation

posix = pytest.mark.skipif(os.name != "posix", reason="forks, and sends POSIX signals")


@pytest.mark.slow
@posix
@pytest.mark.parametrize("model", model_names())
def test_killed_at_random_moments_a_run_ends_in_the_same_bits(model):
    from bench.faults.kill import kill

    found = kill(model, n=3)
    assert found["signals"] >= 3
    assert found["identical runs"] == found["runs"]


@pytest.mark.slow
@posix
def test_a_run_that_goes_on_otherwise_is_found(monkeypatch):
    """As it would if a checkpoint left out the random numbers."""
    from bench.faults.kill import kill

    restore = Session.restore

    def forgetful(session, checkpoint):
        restore(session, checkpoint)
        session.rng.state = 0, 0

    monkeypatch.setattr(Session, "restore", forgetful)
    found = kill("gan", n=4, say=lambda text: None)
    assert found["identical runs"] < found["runs"]


@pytest.mark.slow
@posix
def test_a_full_disk_costs_no_checkpoint():
    from bench.faults.disk import disk

    found = disk("gan", n=3, way="limit")
    assert found["full disks"] == 3
    assert found["not told in a sentence, or another result"] == 0


@pytest.mark.slow
@posix
def test_a_damaged_file_is_told_or_does_no_harm():
    from bench.faults.corrupt import COMMANDS, corrupt

    rows = corrupt(n=3 * len(COMMANDS))
    assert [row["wrong, hung or a traceback"] for row in rows] == [0] * len(COMMANDS)


@pytest.mark.slow
@posix
def test_the_memory_of_a_process_is_watched():
    from bench.faults.memory import memory

    found = memory("gan", minutes=0.1)
    assert found["steps"] > 0
    assert 10 < found["MB when settled"] < 5000


@pytest.mark.slow
@posix
@pytest.mark.parametrize("loader", LOADERS)
def test_damaged_input_is_taken_or_refused_in_a_sentence(loader):
    found = fuzz(loader, n=25, seed=1)
    assert found["taken"] + found["refused in a sentence"] == 25
    assert found["other exceptions or hung"] == 0


@posix
def test_an_exception_that_gets_through_is_found(monkeypatch):
    def careless(path):
        raise IndexError(path)

    monkeypatch.setattr(evaluation, "read_npz", careless)
    said = []
    assert fuzz("samples .npz", n=2, say=said.append)["other exceptions or hung"] == 2
    assert "IndexError in careless" in said[0]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_damage_takes_any_content(way):
    rng = np.random.default_rng(0)
    for content in (b"", b"x", b'{"step": 1, "d_loss": 0.25}\n' * 40):
        for _ in range(20):
            assert isinstance(way(content, rng), bytes)


def test_damage_is_a_function_of_the_seed():
    one, two = (damaged(b"12345678" * 9, np.random.default_rng(3)) for _ in range(2))
    assert one == two != b"12345678" * 9


def test_results_are_merged_and_a_page_made_of_them(tmp_path, monkeypatch):
    rows = [{"what": "one", "inputs": 3, "bad": 0}, {"what": "two", "inputs": 4, "bad": 1}]
    monkeypatch.setitem(command.KINDS, "fuzz", lambda given: rows[: given.n])
    out = tmp_path / "results.json"
    assert command.main(["fuzz", "--n", "1"], out) == 0
    assert command.main(["fuzz", "--n", "2"], out) == 1
    found = json.loads(out.read_text(encoding="utf-8"))["fuzz"]
    assert [found[name]["inputs"] for name in ("one", "two")] == [3, 4]
    assert found["one"]["command"] == "python -m bench.faults fuzz --n 2"
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| what | inputs |" in page
    assert "| two | 4 |" in page
