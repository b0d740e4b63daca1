"""All modules of `bench` that can be run say what they do, and do nothing, when they are asked for help."""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
CAN_BE_RUN = [file for file in sorted(BENCH.rglob("*.py")) if "if __name__ ==" in file.read_text("utf-8")]
OF_TORCH = dict.fromkeys(("bench.studies.pytorch", "bench.studies.pytorch_vae"), "torch")
NEEDS = {"bench.compile": "cuda.core", **OF_TORCH}


def name_of(file):
    """What stands behind `python -m`."""
    name = ".".join(file.relative_to(BENCH.parent).with_suffix("").parts)
    return name.removesuffix(".__main__")


def test_what_can_be_run_is_found():
    assert {name_of(file) for file in CAN_BE_RUN} >= {"bench.cpu", "bench.doctor", "bench.doctor.cost"}
    assert {file for file in CAN_BE_RUN if file.stem == "__main__"} == {*BENCH.rglob("__main__.py")}


@pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
@pytest.mark.parametrize("file", CAN_BE_RUN, ids=name_of)
def test_asking_for_help_measures_and_writes_nothing(file, tmp_path, monkeypatch, capsys):
    name = name_of(file)
    pytest.importorskip(NEEDS.get(name, "sys"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which some set for good
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    package = ".".join(file.relative_to(BENCH.parent).parent.parts)
    code = compile(file.read_text(encoding="utf-8"), file, "exec")
    with pytest.raises(SystemExit) as end:
        exec(code, {"__name__": "__main__", "__package__": package, "__file__": str(file)})
    said, complaints = capsys.readouterr()
    assert (end.value.code, complaints) == (0, "")
    assert said.lower().strip().startswith(f"usage: python -m {name} ")
    assert "--help" in said
    assert list(tmp_path.iterdir()) == []
