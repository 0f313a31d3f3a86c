"""`xrayseg batch` as it is typed: exit status, what is shown, what is written."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom

#: A command line in its own process, stopped by Ctrl-C even where this one ignores it.
START = """
import signal, sys
from xray_seg.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    """Each test in a folder of its own, with the default weights on the CPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="module")
def pixels():
    film = make_phantom(1, 96).radiograph[:90]
    return (film * 255).astype(np.uint8)


@pytest.fixture
def films(tmp_path, pixels):
    (tmp_path / "films").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "films" / name).write_bytes(imagecodecs.png_encode(pixels))
    return tmp_path / "films"


@pytest.fixture
def xrayseg(capfd):
    """Run a command line; its exit status, standard output and standard error."""

    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        return (stop.value.code, *capfd.readouterr())

    return run


def _rows(out="masks", mark=""):
    with Path(out, f"results{mark}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_good_films_are_done_and_each_bad_file_is_named(films, xrayseg):
    (films / "notes.txt").write_text("Bring the films of ward 4.\n")
    (films / "cut.IMG").write_bytes(b"\x01\x02" * 1000)
    (films / "empty.png").touch()
    (films / "x.png").mkdir()
    status, _, err = xrayseg("batch", "films", "--out", "masks")
    assert status == 1
    rows = {row["input"]: row for row in _rows()}
    reasons = {
        "films/notes.txt": "text file",
        "films/cut.IMG": "2,000 bytes",
        "films/empty.png": "empty",
        "films/x.png": "folder",
    }
    assert rows.keys() == reasons.keys() | {"films/a.png", "films/b.png", "films/c.png"}
    lines = err.splitlines()
    for name, reason in reasons.items():
        assert rows[name]["status"] == "failed"
        assert name in rows[name]["error"]
        assert reason in rows[name]["error"]
        assert any(name in line and reason in line for line in lines)
    for name in ("a", "b", "c"):
        assert rows[f"films/{name}.png"]["status"] == "ok"
        labels = tifffile.imread(f"masks/labels/{name}.tif")
        assert (labels.shape, labels.dtype) == ((90, 96), np.uint8)
        assert set(np.unique(labels)) <= {0, 1, 2, 3}


def test_all_done_is_status_0_and_the_second_run_keeps_it(films, xrayseg):
    assert xrayseg("batch", films, "-o", "masks", "--json")[0] == 0
    status, out, _ = xrayseg("batch", films, "-o", "masks", "--json")
    summary = json.loads(out.splitlines()[-1])
    assert (status, summary["done"], summary["kept"]) == (0, 0, 3)
    status, out, _ = xrayseg("batch", films, "-o", "masks", "--json", "--overwrite")
    assert json.loads(out.splitlines()[-1])["done"] == 3


def test_json_lines_tell_of_each_input_and_of_the_whole(films, xrayseg):
    (films / "bad.png").touch()
    status, out, err = xrayseg("batch", films, "-o", "masks", "--json")
    *images, summary = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert {image["event"] for image in images} == {"image"}
    rows = {row["input"]: row for row in _rows()}
    assert {image["input"]: image["status"] for image in images} == {
        name: row["status"] for name, row in rows.items()
    }
    assert {image["key"] for image in images} == {"a", "b", "c", "bad"}
    numbers = {"total": 4, "done": 3, "kept": 0, "failed": 1, "interrupted": False}
    assert summary == {"event": "summary", "out": "masks", **numbers}
    assert "films/bad.png" in err


def test_off_a_terminal_there_are_plain_lines_only(films, xrayseg):
    (films / "bad.png").touch()
    _, out, err = xrayseg("batch", films, "-o", "masks")
    assert not set("\x1b\r\b") & set(out + err)
    assert [line for line in err.splitlines() if line.startswith("failed ")] == [
        f"failed {films}/bad.png: is empty (0 bytes)"
    ]
    assert "3/4 done, 1 failed" in err


def test_quiet_shows_failures_only_and_verbose_names_each_film(films, xrayseg):
    assert xrayseg("batch", films, "-o", "masks", "-q") == (0, "", "")
    (films / "bad.png").touch()
    _, out, err = xrayseg("batch", films, "-o", "masks", "-q")
    assert (out, len(err.splitlines())) == ("", 1)
    _, _, err = xrayseg("batch", "films", "-o", "masks", "-v", "--overwrite")
    assert {f"done films/{name}.png" for name in "abc"} <= set(err.splitlines())


def test_inputs_may_be_listed_on_standard_input(films, xrayseg, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("films/a.png\r\n\n  \nfilms/gone.png\n"))
    status, _, err = xrayseg("batch", "films/b.*", "-", "-o", "masks")
    assert status == 1
    assert "films/gone.png: no such file" in err
    assert {row["input"]: row["status"] for row in _rows()} == {
        "films/b.png": "ok",
        "films/a.png": "ok",
        "films/gone.png": "failed",
    }


def test_everything_that_can_be_saved_fits_together(films, xrayseg):
    save = "labels, organs,overlay,probabilities"
    args = ["--save", save, "--format", "png", "--spacing", "0.2", "-q"]
    assert xrayseg("batch", films / "a.png", "-o", "masks", *args) == (0, "", "")
    masks = films.parent / "masks"
    with Image.open(masks / "labels" / "a.png") as image:
        labels = np.asarray(image)
    assert (labels.shape, labels.dtype) == ((90, 96), np.uint8)
    total = np.zeros((90, 96), int)
    for label, organ in enumerate(("clavicles", "heart", "lungs"), 1):
        with Image.open(masks / "organs" / f"a.{organ}.png") as image:
            total += label * (np.asarray(image) == 255)
    assert np.array_equal(total, labels)
    planes = tifffile.imread(masks / "probabilities" / "a.tif")
    assert (planes.shape, planes.dtype) == ((4, 90, 96), np.uint16)
    with Image.open(masks / "overlay" / "a.jpg") as image:
        assert image.size == (96, 90)
    (row,) = _rows()
    assert row["row_spacing_mm"] == row["column_spacing_mm"] == "0.2"


def test_masks_are_the_same_bytes_for_any_batch_size_and_workers(films, xrayseg, pixels):
    (films / "d.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels[:, :70])))
    (films / "e.png").write_bytes(imagecodecs.png_encode(255 - pixels))
    made = []
    for out, batch_size, workers in (("one", 1, 1), ("two", 2, 4), ("big", 9, 2)):
        threads = ["--batch-size", batch_size, "--workers", workers]
        save = ["--save", "labels,overlay,probabilities"]
        assert xrayseg("batch", films, "-o", out, *threads, *save, "-q") == (0, "", "")
        names = [name for name in _files(films.parent / out) if name.endswith((".tif", ".jpg"))]
        made.append({name: (films.parent / out / name).read_bytes() for name in names})
    assert len(made[0]) == 15
    assert made[0] == made[1] == made[2]


def test_shards_are_disjoint_and_together_complete(films, xrayseg):
    for index in (1, 2):
        assert xrayseg("batch", films, "-o", "masks", "--shard", f"{index}/2", "-q")[0] == 0
    rows = _rows(mark="-1-of-2") + _rows(mark="-2-of-2")
    assert sorted(row["input"] for row in rows) == [f"{films}/{name}.png" for name in "abc"]
    assert _files(films.parent / "masks" / "labels") == ["a.tif", "b.tif", "c.tif"]


@pytest.mark.parametrize("dtype", [">u2", "<u2", "u1"])
def test_raw_files_of_another_layout_are_read(films, xrayseg, pixels, dtype):
    raw = films.parent / "film.raw"
    raw.write_bytes(b"head" + (255 - pixels).astype(dtype).tobytes())
    layout = ["--raw-shape", "90x96", "--raw-dtype", dtype, "--raw-header", 4]
    assert xrayseg("batch", raw, "-o", "raw", *layout, "-q") == (0, "", "")
    assert xrayseg("batch", films / "a.png", "-o", "masks", "--no-invert", "-q") == (0, "", "")
    one, other = (tifffile.imread(f"{out}.tif") for out in ("raw/labels/film", "masks/labels/a"))
    assert one.shape == (90, 96)
    assert np.mean(one != other) < 0.01


def test_a_stated_polarity_overrides_the_look_of_the_film(films, xrayseg, pixels):
    (films / "dark.png").write_bytes(imagecodecs.png_encode(255 - pixels))
    (films / "b.png").unlink()
    (films / "c.png").unlink()
    for option, expected in (
        ("--invert", ["true", "true"]),
        ("--no-invert", ["false", "false"]),
        ("--auto-invert", ["false", "true"]),
    ):
        assert xrayseg("batch", films, "-o", "masks", option, "-q")[0] == 0
        assert [row["inverted"] for row in _rows()] == expected


def test_ctrl_c_keeps_what_is_done_and_the_next_run_does_the_rest(films, xrayseg):
    for number in range(40):
        os.link(films / "a.png", films / f"film {number:02d}.png")
    args = ["batch", "films", "-o", "masks", "--batch-size", "1", "--json"]
    command = [sys.executable, "-c", START, *args]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as batch:
        assert json.loads(batch.stdout.readline())["status"] == "ok"
        batch.send_signal(signal.SIGINT)
        out, err = batch.communicate()
    assert batch.returncode == 130
    assert "Traceback" not in err
    assert "run the same command to go on" in err
    assert json.loads(out.splitlines()[-1])["interrupted"] is True
    masks = films.parent / "masks"
    assert not list(masks.rglob(".xrayseg-*"))
    rows = _rows()
    done = [row["labels"] for row in rows if row["status"] == "ok"]
    assert 1 <= len(done) < len(rows) == 43
    assert {row["status"] for row in rows} == {"ok", "pending"}
    for name in _files(masks / "labels"):
        assert tifffile.imread(masks / "labels" / name).shape == (90, 96)
    written = {name: (masks / name).stat().st_mtime_ns for name in done}
    status, out, _ = xrayseg(*args)
    summary = json.loads(out.splitlines()[-1])
    assert (status, summary["kept"], summary["done"]) == (0, len(done), 43 - len(done))
    assert {name: (masks / name).stat().st_mtime_ns for name in done} == written
    assert {row["status"] for row in _rows()} == {"ok"}
