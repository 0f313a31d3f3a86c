"""A session fails with a skip that is not listed, in one process and in several."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.skips import EXPECTED, NO_DATA, unexpected

TESTS = Path(__file__).parent
CONFTEST = """
from helpers.skips import *
from helpers.skips import pytest_configure, pytest_sessionfinish, pytest_terminal_summary
"""
LISTED, REASON = "batch/test_report.py", "no /usr/bin/chromium"
OTHER = "batch/test_other.py"


def run(folder, files, *more):
    """Status and output of pytest on a project that has these files below ``tests``."""
    for name, text in {"conftest.py": CONFTEST, **files}.items():
        path = folder / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import pytest\n" + text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", folder, *more],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    return done.returncode, done.stdout


def skipping(reason):
    return f"def test_a(): pytest.skip({reason!r})\ndef test_b(): pass\n"


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["one", "several"])
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (LISTED, skipping(REASON), ""),
        (LISTED, skipping("no time"), r"test_report\.py::test_a: no time"),
        (OTHER, skipping(REASON), r"test_other\.py::test_a: no /usr/bin/chromium"),
        (OTHER, "pytest.importorskip('nonsense')\n", r"test_other\.py: skipped as a whole: could"),
        (OTHER, "@pytest.mark.skip\ndef test_a(): pass\n", r"test_a: unconditional skip"),
        (OTHER, "@pytest.mark.xfail\ndef test_a(): assert False\n", ""),
        (
            OTHER,
            f"@pytest.fixture\ndef f(): pytest.skip({REASON!r})\ndef test_a(f): pass\n",
            r"test_other\.py::test_a: no /usr/bin/chromium",
        ),
    ],
)
def test_a_session(tmp_path, name, text, expected, more):
    status, said = run(tmp_path, {name: text, "test_good.py": "def test_c(): pass\n"}, *more)
    assert status == (1 if expected else 0), said
    assert ("skips that are not expected" in said) == bool(expected)
    assert re.search(expected, said), said


def test_each_listed_file_is_there_and_may_skip():
    for name, _ in EXPECTED:
        assert re.search(r"def \w+\([^)]*\bjsrt\b|skip", (TESTS / name).read_text("utf-8")), name
        assert unexpected([(f"tests/{name}::test_x", "because")]), name
        assert unexpected([(f"tests/{name}", "no /usr/bin/chromium")]), name


def test_files_that_need_real_radiographs_are_listed():
    """Where the data are, nothing else would show that an entry is missing."""
    needing = {
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("test_*.py")
        if re.search(r"def \w+\([^)]*\bjsrt\b", path.read_text("utf-8"))
    }
    assert needing == {name for name, reason in EXPECTED if reason == NO_DATA}
