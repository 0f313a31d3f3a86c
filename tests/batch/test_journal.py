"""The journal survives kills at any byte; results.csv gives back what was put in."""

import csv
import json
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xray_seg.analysis.measurements import Measurements
from xray_seg.analysis.quality import Quality
from xray_seg.batch.journal import Journal, Record
from xray_seg.batch.results.columns import COLUMNS, done_row, failed_row
from xray_seg.batch.results.csv_table import write_csv
from xray_seg.radiograph import Radiograph
from xray_seg.segmentation import Segmentation

# What a POSIX file name can hold, bytes that are no UTF-8 included.
_FILE_NAMES = st.binary(min_size=1, max_size=20).filter(lambda b: b"\0" not in b).map(os.fsdecode)


def _record(key, note=""):
    row = {"input": f"{key}.png", "status": "ok", "error": note}
    return Record(key, f"print of {key}", row, [f"labels/{key}.tif"])


def _read_csv(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(_FILE_NAMES, st.text()), max_size=8))
def test_a_reopened_journal_gives_the_newest_record_of_each_key(entries):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "deep", "journal.jsonl")
        newest = {}
        with Journal(path) as journal:
            for key, note in entries:
                journal.append(_record(key, note))
                newest[key] = _record(key, note)
                assert journal.get(key) == newest[key]
        with Journal(path) as journal:
            assert {key: journal.get(key) for key in newest} == newest


def test_an_unknown_key_has_no_record(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.get("x") is None


def test_a_record_is_in_the_file_before_the_journal_is_closed(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(_record("x"))
        with Journal(path) as other:
            assert other.get("x") == _record("x")


def test_a_journal_torn_at_any_byte_keeps_its_whole_lines_and_goes_on(tmp_path):
    path = tmp_path / "journal.jsonl"
    keys = ["a", "ß\n", "c"]
    with Journal(path) as journal:
        for key in keys:
            journal.append(_record(key))
    data = path.read_bytes()
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = data[:length].count(b"\n")
        with Journal(path) as journal:
            assert [key for key in keys if journal.get(key)] == keys[:whole]
            journal.append(_record("new"))
        with Journal(path) as journal:
            assert journal.get("new") == _record("new")
            assert [key for key in keys if journal.get(key)] == keys[:whole]


def test_only_what_has_its_masks_counts_as_done():
    assert _record("x").done
    assert not Record("x", "", failed_row(Path("x.png"), "damaged")).done
    assert not Record("x", "", failed_row(Path("x.png"), "not reached", status="pending")).done


def _visible(text):
    """Control characters but tabs and line breaks written out."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", lambda m: f"\\x{ord(m[0]):02x}", text)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(_FILE_NAMES, st.text(st.characters(codec="utf-8")))))
def test_names_with_any_bytes_and_line_breaks_survive_results_csv(rows):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "results.csv")
        write_csv(path, (failed_row(Path("in", name), error) for name, error in rows))
        read = _read_csv(path)
    assert [row["input"] for row in read] == [_visible(str(Path("in", name))) for name, _ in rows]
    assert [row["status"] for row in read] == ["failed"] * len(rows)
    for (_, error), row in zip(rows, read, strict=True):
        on_one_line = _visible(" ".join(error.split()))
        assert row["error"] in (on_one_line, "'" + on_one_line)


DOUBTED = Quality({"heart": 0.60001}, 0.30001, ("empty heart", "image may be rotated"))


@pytest.mark.parametrize("name", ["=1+1.png", "+x.png", "-x.png", "@x.png"])
def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path, name):
    write_csv(tmp_path / "results.csv", [failed_row(Path(name), "damaged")])
    (row,) = _read_csv(tmp_path / "results.csv")
    assert row["input"] == "'" + name


def _result(radiograph, measures):
    """A segmentation with known measurements and quality."""
    nothing = np.zeros((2, 2, 4), np.float32)
    result = Segmentation(radiograph, np.zeros(radiograph.shape, np.uint8), nothing)
    result.masks.__dict__.update(measurements=measures, quality=DOUBTED)
    return result


def test_columns_are_the_documented_ones_and_unknown_cells_are_empty(tmp_path):
    radiograph = Radiograph(np.zeros((3, 5), np.uint8), inverted=False, format="PNG")
    areas = {"clavicles_area_px": 1, "heart_area_px": 2, "lungs_area_px": 3}
    unknown = Measurements(areas, {"heart_width_px": "why"})
    write_csv(
        tmp_path / "results.csv",
        [done_row(Path("x.png"), "labels/x.tif", _result(radiograph, unknown))],
    )
    (row,) = _read_csv(tmp_path / "results.csv")
    assert tuple(row) == COLUMNS
    assert {key: cell for key, cell in row.items() if cell} == {
        "input": "x.png",
        "status": "doubtful",
        "labels": "labels/x.tif",
        "format": "PNG",
        "height_px": "3",
        "width_px": "5",
        "inverted": "false",
        "polarity": "stated",
        "rotation_deg": "0",
        "mirrored": "false",
        "orientation": "assumed",
        "field_of_view_reason": "assumed",
        "quality": "0.3",
        "heart_predicted_dice": "0.6",
        "warnings": "empty heart; image may be rotated",
        "clavicles_area_px": "1",
        "heart_area_px": "2",
        "lungs_area_px": "3",
        "not_measured": "why: heart_width_px",
    }


def test_a_row_holds_spacing_polarity_and_measurements(tmp_path):
    radiograph = Radiograph(np.zeros((3, 5), np.uint8), True, (0.2, 0.1), format="raw")
    measures = Measurements(
        {
            "clavicles_area_cm2": 0.25,
            "lungs_area_cm2": 1.23456,
            "heart_width_px": 4,
            "thorax_width_px": 7,
            "cardiothoracic_ratio": 4 / 7,
        }
    )
    write_csv(tmp_path / "results.csv", [done_row(Path("x"), "", _result(radiograph, measures))])
    (row,) = _read_csv(tmp_path / "results.csv")
    assert (row["row_spacing_mm"], row["column_spacing_mm"]) == ("0.2", "0.1")
    assert row["inverted"] == "true"
    assert (row["heart_width_px"], row["thorax_width_px"]) == ("4", "7")
    assert float(row["cardiothoracic_ratio"]) == pytest.approx(4 / 7, abs=1e-4)
    assert float(row["lungs_area_cm2"]) == pytest.approx(1.23456, abs=1e-3)
    assert float(row["clavicles_area_cm2"]) == 0.25


def test_results_are_whole_or_as_they_were(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("old")

    def rows():
        yield failed_row(Path("x.png"), "damaged")
        raise LookupError

    with pytest.raises(LookupError):
        write_csv(path, rows())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_lines_and_columns_of_other_versions_end_nothing(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(_record("a"))
        journal.append(_record("b"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"{damaged\n" + lines[0] + b'{"key": "b"}\n' + lines[1])
    with Journal(path) as journal:
        assert journal.get("a") == _record("a")
        assert journal.get("b") == _record("b")
    write_csv(tmp_path / "results.csv", [{"input": "x", "status": "ok", "gone": 1}])
    (row,) = _read_csv(tmp_path / "results.csv")
    assert row["input"] == "x"


def test_a_record_of_an_earlier_version_is_read_with_todays_columns(tmp_path):
    path = tmp_path / "journal.jsonl"
    row = {"input": "x.png", "status": "ok", "flags": "empty heart"}
    old = {"key": "x", "fingerprint": "f", "row": row, "outputs": [], "hashes": {}, "earlier": {}}
    path.write_text(json.dumps(old) + "\n")
    with Journal(path) as journal:
        record = journal.get("x")
    assert record.row == {"input": "x.png", "status": "ok", "warnings": "empty heart"}


def test_a_record_of_a_later_version_is_not_guessed_at(tmp_path):
    path = tmp_path / "journal.jsonl"
    line = Record("x", "f", {"status": "ok"}).to_line().replace(b'_version": 1', b'_version": 99')
    path.write_bytes(line)
    with Journal(path) as journal:
        assert journal.get("x") is None
