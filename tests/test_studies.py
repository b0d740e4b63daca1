"""The studies that are kept: their files can be read, and their results are of the rows that are there."""

import json
from pathlib import Path

import pytest

from minigan.studies import Study

STUDIES = sorted(Path(__file__).parents[1].glob("bench/studies/*.toml"))
WITH_RESULTS = [file for file in STUDIES if file.with_suffix(".json").exists()]


def each(files):
    return pytest.mark.parametrize("file", files, ids=lambda file: file.stem)


def test_there_are_studies():
    assert STUDIES


@each(STUDIES)
def test_a_study_can_be_read(file):
    study = Study.read(file)
    assert study.rows
    assert study.seeds == tuple(range(len(study.seeds)))


@each(WITH_RESULTS)
def test_results_are_of_the_rows_that_are_there(file):
    results = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert [row["name"] for row in results["rows"]] == [row.name for row in Study.read(file).rows]
    assert file.with_suffix(".md").read_text(encoding="utf-8").startswith(f"# {results['title']}")
