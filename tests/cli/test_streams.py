"""Standard streams that are closed or cannot be written, and folders that are full."""

import json
import os
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from xray_seg.data.phantom import make_phantom

ROOT = Path(__file__).parents[2]
_MAIN = "import sys; from xray_seg.cli import main; main(sys.argv[1:])"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a radiograph and the batch made of it."""
    folder = tmp_path_factory.mktemp("streams")
    pixels = (make_phantom(1, 64).radiograph * 255).astype(np.uint8)
    (folder / "radiograph.png").write_bytes(imagecodecs.png_encode(pixels))
    done = xrayseg(folder, "batch radiograph.png --out masks -q")
    assert done.returncode == 0, done.stderr
    return folder


def xrayseg(folder, arguments, streams="", **variables):
    """Run a command line in a shell, with redirections of its standard streams."""
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT), **variables}
    shell = f'exec "$0" -P -c "$1" {arguments} {streams}'
    return subprocess.run(
        ["bash", "-c", shell, sys.executable, _MAIN],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


COMMANDS = [
    "--version",
    "--help",
    "info --json",
    "verify masks",
    "verify masks --json",
    "measure masks/labels",
    "batch radiograph.png --out masks",
    "batch radiograph.png --out masks --json",
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_standard_output_that_cannot_be_written(place, arguments):
    done = xrayseg(place, arguments, ">/dev/full")
    assert done.returncode == 1
    *progress, message = done.stderr.splitlines()
    assert message.startswith("xrayseg: standard output: cannot be written: No space left")
    assert all(line.startswith("1/1 done") for line in progress)


def test_a_batch_goes_on_without_its_standard_output(place):
    arguments = "batch radiograph.png --out others --json"
    assert xrayseg(place, arguments, ">/dev/full").returncode == 1
    assert json.loads((place / "others" / "run.json").read_text())["counts"]["done"] == 1


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("batch radiograph.png --out unseen -v", 0),
        ("batch nothing.png --out unseen", 1),
        ("measure nothing.png", 1),
        ("verify unseen/labels", 1),
        ("batch", 2),
        ("bogus", 2),
    ],
)
@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", "2>&- >&- <&-"])
def test_standard_error_that_cannot_be_written_changes_no_status(place, arguments, status, streams):
    assert xrayseg(place, arguments, streams).returncode == status


@pytest.mark.parametrize("command", ["batch - --out masks", "measure -"])
@pytest.mark.parametrize(
    ("streams", "reason"),
    [
        ("<&-", "standard input is closed"),
        ("0>/dev/null", "standard input: cannot be read: Bad file descriptor"),
        ("</dev/null", "standard input names no files"),
    ],
)
def test_standard_input_that_cannot_be_read(place, command, streams, reason):
    done = xrayseg(place, command, streams)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {reason}")


def test_no_output_file_gets_the_number_of_a_closed_stream(place):
    """What libraries print to a closed standard error would go into that file."""
    code = (
        "from xray_seg import cli\n"
        "cli._open_closed_streams()\n"
        "import os\n"
        "file = open('output', 'w')\n"
        "os._exit(file.fileno())"
    )
    command = ["bash", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=place, env=env, check=False).returncode > 2


def test_worker_processes_share_one_warning_and_one_temporary_folder(place):
    cache, temporary = place / "cache", place / "temporary"
    for folder in (cache, temporary):
        folder.mkdir()
    cache.chmod(0o777)
    for name in ("one.png", "two.png", "three.png"):
        (place / name).write_bytes((place / "radiograph.png").read_bytes())
    folders = {"NUMBA_CACHE_DIR": str(cache), "TMPDIR": str(temporary)}
    arguments = "batch one.png two.png three.png --out processes --processes -q"
    done = xrayseg(place, arguments, **folders)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{cache}: other users can write to it")
    assert not list(cache.iterdir())
    assert not list(temporary.iterdir())


def test_no_temporary_folder(place):
    done = xrayseg(place, "batch radiograph.png --out temp", TMPDIR="/nonexistent")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
