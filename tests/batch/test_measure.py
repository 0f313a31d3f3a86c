"""`xrayseg measure`: label maps read back give the columns that their batch wrote."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile

from xray_seg._util.csv_cells import csv_cell
from xray_seg.analysis.measurements import MEASURES
from xray_seg.batch.measure import measure_file
from xray_seg.batch.results.columns import COLUMNS
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom, phantom_labels

GREYS = tuple(name for name in MEASURES if name.endswith("_mean_grey"))
KEYS = ("a", "b", "ward/c")


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    """Radiographs of 8 and 16 bits, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("radiographs")
    (folder / "ward").mkdir()
    for number, key in enumerate(KEYS):
        light = make_phantom(number, 96).radiograph[: 96 - number]
        pixels = (light * 4095).astype(np.uint16) if number else (light * 255).astype(np.uint8)
        (folder / f"{key}.png").write_bytes(imagecodecs.png_encode(pixels))
    return folder


def xrayseg(*args):
    with pytest.raises(SystemExit) as stop:
        main([str(arg) for arg in args])
    return stop.value.code


@pytest.fixture(scope="module", params=[(), ("--sides",)], ids=["organs", "sides"])
def batch(radiographs, tmp_path_factory, request):
    """The output folder of a batch with a known spacing, and its rows by file name."""
    out = tmp_path_factory.mktemp("masks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.delenv("XRAYSEG_WEIGHTS", raising=False)
        args = ("--save", "labels", "--spacing", "0.175", "-q", *request.param)
        assert xrayseg("batch", radiographs, "-o", out, *args) == 0
    rows = parse((out / "results.csv").read_text("utf-8"))
    assert all(float(row["cardiothoracic_ratio"]) > 0 for row in rows)
    highest = {tifffile.imread(out / row["labels"]).max() for row in rows}
    assert highest == {5 if request.param else 3}
    return out, {Path(row["input"]).stem: row for row in rows}


def parse(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def assert_as_batch(rows, written, but=()):
    assert [Path(row["input"]).stem for row in rows] == list(written)
    names = (*MEASURES, "height_px", "width_px", "row_spacing_mm", "column_spacing_mm", "notes")
    for row in rows:
        before = written[Path(row["input"]).stem]
        assert tuple(row) == COLUMNS
        assert row["status"] == "ok"
        for name in names:
            if name not in but:
                assert row[name] == before[name], name


def test_maps_measure_as_their_batch_did(batch, capfd):
    out, written = batch
    assert xrayseg("measure", out / "labels") == 0
    shown, err = capfd.readouterr()
    assert err == ""
    rows = parse(shown)
    assert_as_batch(rows, written, but=GREYS)
    for row in rows:
        assert [row[name] for name in GREYS] == ["", "", ""]
        assert "no image is given: clavicles_mean_grey, " in row["not_measured"]
        assert (row["format"], row["labels"]) == ("TIFF", row["input"])


def test_with_their_radiographs_the_greys_are_the_same_too(batch, radiographs, capfd):
    out, written = batch
    assert xrayseg("measure", out / "labels", "--images", radiographs) == 0
    rows = parse(capfd.readouterr().out)
    assert_as_batch(rows, written)
    for row in rows:
        before = written[Path(row["input"]).stem]
        assert row["not_measured"] == before["not_measured"]
        assert all(row[name] for name in GREYS)


def test_csv_parquet_and_standard_output_hold_the_same(batch, radiographs, tmp_path, capfd):
    out, _ = batch
    args = ("measure", out / "labels", "--images", radiographs)
    assert xrayseg(*args) == 0
    shown = capfd.readouterr().out
    for suffix in ("csv", "parquet"):
        assert xrayseg(*args, "-o", tmp_path / "new" / f"found.{suffix}") == 0
        assert capfd.readouterr() == ("", "")
    assert (tmp_path / "new" / "found.csv").read_bytes().decode("utf-8") == shown
    table = pq.read_table(tmp_path / "new" / "found.parquet").to_pylist()
    cells = [
        {name: "" if value is None else str(csv_cell(value)) for name, value in row.items()}
        for row in table
    ]
    assert cells == parse(shown)


def test_spacing_given_goes_before_the_files(batch, capfd):
    out, written = batch
    assert xrayseg("measure", out / "labels" / "a.tif", "--spacing", "0.35") == 0
    (row,) = parse(capfd.readouterr().out)
    assert float(row["row_spacing_mm"]) == float(row["column_spacing_mm"]) == 0.35
    for name in ("heart_width_mm", "left_lung_height_mm"):
        assert float(row[name]) == pytest.approx(2 * float(written["a"][name]), rel=1e-5)
    area = float(written["a"]["heart_area_cm2"])
    assert float(row["heart_area_cm2"]) == pytest.approx(4 * area, rel=1e-5)


def test_one_bad_file_is_a_failed_row_and_the_others_are_measured(batch, tmp_path, capfd):
    out, _ = batch
    masks = tmp_path / "masks"
    masks.mkdir()
    good = (out / "labels" / "a.tif").read_bytes()
    radiograph = (make_phantom(1, 64).radiograph * 255).astype(np.uint8)
    bad = {
        "cut.tif": (good[: len(good) // 2], "damaged"),
        "empty.png": (b"", "is empty"),
        "radiograph.png": (imagecodecs.png_encode(radiograph), "which are no labels"),
        "lossy.jpg": (imagecodecs.jpeg_encode(radiograph), "is JPEG; label maps are TIFF or PNG"),
        "notes.txt": (b"Bring the masks of ward 4.\n", "text file"),
        "six.png": (imagecodecs.png_encode(np.full((4, 4), 6, np.uint8)), "values up to 6"),
    }
    for name, (data, _) in bad.items():
        (masks / name).write_bytes(data)
    (masks / "good.tif").write_bytes(good)
    assert xrayseg("measure", masks, tmp_path / "gone.tif", "-o", tmp_path / "m.csv") == 1
    lines = capfd.readouterr().err.splitlines()
    rows = parse((tmp_path / "m.csv").read_text("utf-8"))
    found = {Path(row["input"]).name: row for row in rows}
    assert found.keys() == bad.keys() | {"good.tif", "gone.tif"}
    assert found["good.tif"]["status"] == "ok"
    reasons = {name: reason for name, (_, reason) in bad.items()} | {"gone.tif": "no such file"}
    for name, reason in reasons.items():
        assert found[name]["status"] == "failed"
        assert reason in found[name]["error"]
        assert name in found[name]["error"]
        assert any(name in line and reason in line for line in lines)
        assert not any(found[name][column] for column in MEASURES)


def test_a_list_on_standard_input(batch, monkeypatch, capfd):
    out, written = batch
    monkeypatch.chdir(out)
    monkeypatch.setattr(sys, "stdin", io.StringIO("labels/b.tif\r\n\nlabels/w*\n"))
    assert xrayseg("measure", "labels/a.tif", "-") == 0
    assert_as_batch(parse(capfd.readouterr().out), written, but=GREYS)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert xrayseg("measure", "-") == 2
    assert "standard input names no files" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["."], None),
        ([".", "-o", "table.xlsx"], "ends in .csv or .parquet"),
        ([".", "--spacing", "0"], "above 0"),
        ([".", "--images", "nowhere"], "nowhere"),
        ([], "Usage"),
    ],
)
def test_wrong_usage_is_status_2(tmp_path, monkeypatch, capfd, args, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.png").write_bytes(imagecodecs.png_encode(np.zeros((4, 5), np.uint8)))
    assert xrayseg("measure", *args) == (2 if hint else 0)
    shown = "".join(capfd.readouterr())
    assert (hint or "no heart found") in shown
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]


def test_a_radiograph_is_looked_for_by_the_name_of_its_map(batch, radiographs, tmp_path, capfd):
    out, written = batch
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.tif").write_bytes((out / "labels" / "a.tif").read_bytes())
    # Two label maps may have the same name: no output file is named after them.
    names = [tmp_path / folder / "a.tif" for folder in ("one", "two")]
    assert xrayseg("measure", *names, "--images", radiographs) == 0
    rows = parse(capfd.readouterr().out)
    assert [row["input"] for row in rows] == list(map(str, names))
    for row in rows:
        assert row["heart_mean_grey"] == written["a"]["heart_mean_grey"]
    names[0].rename(tmp_path / "one" / "stranger.tif")
    assert xrayseg("measure", tmp_path / "one", "--images", radiographs) == 1
    assert "no radiograph has its name, stranger" in capfd.readouterr().err
    (tmp_path / "one" / "stranger.tif").rename(tmp_path / "one" / "b.tif")
    assert xrayseg("measure", tmp_path / "one", "--images", radiographs) == 1
    assert "is (96, 96), but" in capfd.readouterr().err


def test_names_that_are_no_text_come_out_as_they_are(batch, tmp_path):
    out, _ = batch
    name = os.fsencode(tmp_path) + b"/caf\xe9.tif"
    with open(name, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write((out / "labels" / "a.tif").read_bytes())
    start = "import sys; from xray_seg.cli import main; main(['measure', '-'])"
    done = subprocess.run(
        [sys.executable, "-c", start],
        input=name + b"\n",
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},  # as most locales have it
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith(name + b",ok,")


def test_a_reader_that_leaves_early_sees_no_traceback(tmp_path):
    for number in range(200):
        picture = imagecodecs.png_encode(np.zeros((4, 5), np.uint8))
        (tmp_path / f"m{number:03d}.png").write_bytes(picture)
    start = "import sys; from xray_seg.cli import main; main(['measure', '.'])"
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -n 1', sys.executable, start],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == ",".join(COLUMNS)
    assert done.stderr == ""


LABELS = phantom_labels(make_phantom(3, 80))[:70]


def test_a_radiograph_gives_the_spacing_that_a_png_cannot_hold(tmp_path):
    from helpers.dicom import make

    (tmp_path / "radiograph.png").write_bytes(imagecodecs.png_encode(LABELS))
    pixels = (make_phantom(3, 80).radiograph[:70] * 4095).astype(np.uint16)
    make(tmp_path / "radiograph.dcm", pixels, PixelSpacing=[0.4, 0.2])
    row = measure_file(tmp_path / "radiograph.png", image=tmp_path / "radiograph.dcm")
    assert (row["row_spacing_mm"], row["column_spacing_mm"]) == (0.4, 0.2)
    area = (LABELS == 2).sum() * 0.08 / 100
    assert row["heart_area_cm2"] == pytest.approx(area, rel=1e-5)
    assert row["heart_mean_grey"] == pytest.approx(pixels[LABELS == 2].mean(), rel=1e-5)
    assert row["inverted"] is False
    assert measure_file(tmp_path / "radiograph.png")["row_spacing_mm"] is None
