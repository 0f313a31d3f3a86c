"""`xrayseg batch`: exit status, console output and files."""

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

#: Code of a process that Ctrl-C interrupts, even if the parent process ignores Ctrl-C.
START = """
import signal, sys
from xray_seg.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Run each test in its own folder, with the default weights on the CPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="module")
def pixels():
    radiograph = make_phantom(1, 96).radiograph[:90]
    return (radiograph * 255).astype(np.uint8)


@pytest.fixture
def radiographs(tmp_path, pixels):
    (tmp_path / "radiographs").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "radiographs" / name).write_bytes(imagecodecs.png_encode(pixels))
    return tmp_path / "radiographs"


@pytest.fixture
def xrayseg(capfd):
    """Run a command line; return its exit status, standard output and standard error."""

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


def test_radiographs_are_segmented_and_each_bad_file_is_named(radiographs, xrayseg):
    (radiographs / "notes.txt").write_text("Bring the radiographs of ward 4.\n")
    (radiographs / "cut.IMG").write_bytes(b"\x01\x02" * 1000)
    (radiographs / "empty.png").touch()
    (radiographs / "x.png").mkdir()
    status, _, err = xrayseg("batch", "radiographs", "--out", "masks")
    assert status == 1
    rows = {row["input"]: row for row in _rows()}
    reasons = {
        "radiographs/notes.txt": "text file",
        "radiographs/cut.IMG": "2,000 bytes",
        "radiographs/empty.png": "empty",
        "radiographs/x.png": "folder",
    }
    assert rows.keys() == reasons.keys() | {
        "radiographs/a.png",
        "radiographs/b.png",
        "radiographs/c.png",
    }
    lines = err.splitlines()
    for name, reason in reasons.items():
        assert rows[name]["status"] == "failed"
        assert name in rows[name]["error"]
        assert reason in rows[name]["error"]
        assert any(name in line and reason in line for line in lines)
    for name in ("a", "b", "c"):
        assert rows[f"radiographs/{name}.png"]["status"] == "ok"
        labels = tifffile.imread(f"masks/labels/{name}.tif")
        assert (labels.shape, labels.dtype) == ((90, 96), np.uint8)
        assert set(np.unique(labels)) <= {0, 1, 2, 3}


def test_status_0_if_all_are_done_and_the_second_run_keeps_the_outputs(radiographs, xrayseg):
    assert xrayseg("batch", radiographs, "-o", "masks", "--json")[0] == 0
    status, out, _ = xrayseg("batch", radiographs, "-o", "masks", "--json")
    summary = json.loads(out.splitlines()[-1])
    assert (status, summary["done"], summary["kept"]) == (0, 0, 3)
    status, out, _ = xrayseg("batch", radiographs, "-o", "masks", "--json", "--overwrite")
    assert json.loads(out.splitlines()[-1])["done"] == 3


def test_json_lines_describe_each_input_and_the_summary(radiographs, xrayseg):
    (radiographs / "bad.png").touch()
    status, out, err = xrayseg("batch", radiographs, "-o", "masks", "--json")
    *images, summary = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert {image["event"] for image in images} == {"image"}
    rows = {row["input"]: row for row in _rows()}
    assert {image["input"]: image["status"] for image in images} == {
        name: row["status"] for name, row in rows.items()
    }
    assert {image["key"] for image in images} == {"a", "b", "c", "bad"}
    numbers = {"total": 4, "done": 3, "kept": 0, "failed": 1, "skipped": 0, "doubtful": 0}
    numbers["interrupted"] = False
    assert summary == {"event": "summary", "out": "masks", **numbers}
    assert "radiographs/bad.png" in err


def test_logs_have_plain_lines_only(radiographs, xrayseg):
    (radiographs / "bad.png").touch()
    _, out, err = xrayseg("batch", radiographs, "-o", "masks")
    assert not set("\x1b\r\b") & set(out + err)
    assert [line for line in err.splitlines() if line.startswith("failed ")] == [
        f"failed {radiographs}/bad.png: is empty (0 bytes)"
    ]
    assert "3/4 done, 1 failed" in err


def test_quiet_prints_failures_only_and_verbose_names_each_input(radiographs, xrayseg):
    assert xrayseg("batch", radiographs, "-o", "masks", "-q") == (0, "", "")
    (radiographs / "bad.png").touch()
    _, out, err = xrayseg("batch", radiographs, "-o", "masks", "-q")
    assert (out, len(err.splitlines())) == ("", 1)
    _, _, err = xrayseg("batch", "radiographs", "-o", "masks", "-v", "--overwrite")
    assert {f"done radiographs/{name}.png" for name in "abc"} <= set(err.splitlines())


def test_inputs_may_be_listed_on_standard_input(radiographs, xrayseg, monkeypatch):
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("radiographs/a.png\r\n\n  \nradiographs/gone.png\n")
    )
    status, _, err = xrayseg("batch", "radiographs/b.*", "-", "-o", "masks")
    assert status == 1
    assert "radiographs/gone.png: no such file" in err
    assert {row["input"]: row["status"] for row in _rows()} == {
        "radiographs/b.png": "ok",
        "radiographs/a.png": "ok",
        "radiographs/gone.png": "failed",
    }


def test_all_kinds_of_output_agree_with_each_other(radiographs, xrayseg):
    save = "labels, organs,overlay,probabilities"
    args = ["--save", save, "--format", "png", "--spacing", "0.2", "-q"]
    assert xrayseg("batch", radiographs / "a.png", "-o", "masks", *args) == (0, "", "")
    masks = radiographs.parent / "masks"
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


def test_masks_are_the_same_bytes_for_any_batch_size_and_workers(radiographs, xrayseg, pixels):
    (radiographs / "d.png").write_bytes(
        imagecodecs.png_encode(np.ascontiguousarray(pixels[:, :70]))
    )
    (radiographs / "e.png").write_bytes(imagecodecs.png_encode(255 - pixels))
    made = []
    for out, batch_size, workers in (("one", 1, 1), ("two", 2, 4), ("big", 9, 2)):
        threads = ["--batch-size", batch_size, "--workers", workers]
        save = ["--save", "labels,overlay,probabilities"]
        assert xrayseg("batch", radiographs, "-o", out, *threads, *save, "-q") == (0, "", "")
        names = [
            name for name in _files(radiographs.parent / out) if name.endswith((".tif", ".jpg"))
        ]
        made.append({name: (radiographs.parent / out / name).read_bytes() for name in names})
    assert len(made[0]) == 15
    assert made[0] == made[1] == made[2]


def test_shards_are_disjoint_and_complete(radiographs, xrayseg):
    for index in (1, 2):
        assert xrayseg("batch", radiographs, "-o", "masks", "--shard", f"{index}/2", "-q")[0] == 0
    rows = _rows(mark="-1-of-2") + _rows(mark="-2-of-2")
    assert sorted(row["input"] for row in rows) == [f"{radiographs}/{name}.png" for name in "abc"]
    assert _files(radiographs.parent / "masks" / "labels") == ["a.tif", "b.tif", "c.tif"]


@pytest.mark.parametrize("dtype", [">u2", "<u2", "u1"])
def test_raw_files_of_another_layout_are_read(radiographs, xrayseg, pixels, dtype):
    raw = radiographs.parent / "radiograph.raw"
    raw.write_bytes(b"head" + (255 - pixels).astype(dtype).tobytes())
    layout = ["--raw-shape", "90x96", "--raw-dtype", dtype, "--raw-header", 4]
    assert xrayseg("batch", raw, "-o", "raw", *layout, "-q") == (0, "", "")
    assert xrayseg("batch", radiographs / "a.png", "-o", "masks", "--no-invert", "-q") == (
        0,
        "",
        "",
    )
    one, other = (
        tifffile.imread(f"{out}.tif") for out in ("raw/labels/radiograph", "masks/labels/a")
    )
    assert one.shape == (90, 96)
    assert np.mean(one != other) < 0.01


def test_a_stated_polarity_overrides_the_estimated_one(radiographs, xrayseg, pixels):
    (radiographs / "dark.png").write_bytes(imagecodecs.png_encode(255 - pixels))
    (radiographs / "b.png").unlink()
    (radiographs / "c.png").unlink()
    for option, expected in (
        ("--invert", ["true", "true"]),
        ("--no-invert", ["false", "false"]),
        ("--auto-invert", ["false", "true"]),
    ):
        assert xrayseg("batch", radiographs, "-o", "masks", option, "-q")[0] == 0
        assert [row["inverted"] for row in _rows()] == expected


def test_ctrl_c_keeps_finished_outputs_and_the_next_run_continues(radiographs, xrayseg):
    for number in range(40):
        os.link(radiographs / "a.png", radiographs / f"radiograph {number:02d}.png")
    args = ["batch", "radiographs", "-o", "masks", "--batch-size", "1", "--json"]
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
    masks = radiographs.parent / "masks"
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
