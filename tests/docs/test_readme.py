"""The README's commands and its Python run as they are written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from xray_seg.models.model_folder import load_model

README = Path(__file__).parents[2] / "README.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def _commands() -> list[list[str]]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line and line[0] == "xrayseg"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One folder in which the README is followed from top to bottom."""
    return tmp_path_factory.mktemp("readme")


def _run(code_or_args, place):
    done = subprocess.run(
        [sys.executable, *code_or_args], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run_command(line, place):
    start = "import sys; from xray_seg.cli import main; main(sys.argv[1:])"
    _run(["-c", start, *line[1:]], place)


@pytest.mark.slow
def test_the_readmes_commands_run_in_order(place):
    commands = _commands()
    assert [line[1] for line in commands] == [
        *("phantom", "batch", "verify", "measure", "info", "train", "evaluate")
    ]
    for line in commands:
        _run_command(line, place)
    assert len(list((place / "masks" / "labels").glob("*.tif"))) == 8
    assert (place / "run" / "model" / "card.json").is_file()
    assert (place / "scores" / "metrics.json").is_file()


def test_the_readmes_python_runs(place):
    (code,) = _blocks("python")
    if not (place / "sample").exists():  # the test of the commands was not selected
        _run_command(_commands()[0], place)
    shape = _run(["-c", code + "\nprint(result.labels.shape, result.labels.dtype)"], place)
    assert shape.split("\n")[-2] == "(2048, 2048) uint8"
    assert (place / "mask.tif").is_file()


def test_the_readme_describes_the_default_weights():
    """Name and scores are those of the card."""
    card = load_model().card
    text = README.read_text("utf-8")
    assert f"`{card['name']}`, the default" in text
    assert f"{card['size']} x {card['size']}" in text
    for organ, scores in card["validation"]["organs"].items():
        dice, jaccard = (scores[score]["mean"] for score in ("dice", "jaccard"))
        assert f"| {organ} | {dice:.3f} | {jaccard:.3f} (" in text
