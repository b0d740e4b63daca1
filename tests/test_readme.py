"""The README's text is run: its code, its commands' names, its links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.cli import app
from minigan.gans import model_names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_the_code_runs_as_one_file_under_plain_pytest(tmp_path):
    """All blocks but the sketch of the training loop, which uses names of its file."""
    code = "\n".join(block for block in blocks("python") if "for real in data" not in block)
    assert "check_op" in code
    (tmp_path / "test_mine.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert "1 passed" in result.stdout, result.stdout + result.stderr
    assert "gradients checked on reference" in result.stdout


def test_the_loop_shown_is_the_loop_of_the_file():
    (loop,) = [block for block in blocks("python") if "for real in data" in block]
    source = (ROOT / "minigan" / "gans" / "noise" / "lsgan.py").read_text(encoding="utf-8")
    for line in loop.splitlines():
        assert line.strip() in source


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_every_command_is_there(line):
    for command in re.findall(r"minigan (\w+)(?: ([\w./-]+))?", line):
        assert command[0] in list(app)
        if command[0] == "train":
            assert command[1] in model_names() or command[1].endswith("/model.py")


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(target):
    assert target.startswith("https://") or (ROOT / target).exists()
