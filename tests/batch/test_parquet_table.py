"""results.parquet: the cells of results.csv, typed; whole or not there."""

import csv
import math
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.batches import make_films, segmenter, to_shard
from xray_seg.analysis.measurements import MEASURES, measure
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.results import parquet
from xray_seg.batch.results.columns import COLUMNS, failed_row, measured_cells
from xray_seg.batch.results.csv_table import write_csv
from xray_seg.batch.results.parquet import write_parquet
from xray_seg.batch.run import run_batch
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.errors import OutputError

#: The Arrow type of each column by the end of its name.
KINDS = {"_px": pa.int64(), "_mm": pa.float64(), "_cm2": pa.float64(), "_grey": pa.float64()}


def read_csv(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def as_csv(value):
    """A cell of the table as results.csv spells it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value if value[0] in "=+-@\t\r" else value
    return str(value)


def assert_same(folder, mark=""):
    """Both tables of a run hold the same; returns the typed one."""
    table = pq.read_table(folder / f"results{mark}.parquet")
    rows = read_csv(folder / f"results{mark}.csv")
    assert tuple(table.column_names) == COLUMNS == tuple(rows[0])
    found = table.to_pylist()
    assert [{name: as_csv(value) for name, value in row.items()} for row in found] == rows
    return table


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.mark.parametrize("part", [None, (2, 3)])
def test_a_run_leaves_both_tables_alike(films, tmp_path, part):
    options = BatchOptions(save=("labels",), spacing=0.35, parquet=True)
    summary = run_batch(
        [str(films)], tmp_path / "out", segmenter=segmenter(), options=options, shard=to_shard(part)
    )
    table = assert_same(tmp_path / "out", "-2-of-3" if part else "")
    assert table.num_rows == summary.total
    statuses = table.column("status").to_pylist()
    assert (statuses.count("ok"), statuses.count("failed")) == (summary.done, summary.failed)
    leftovers = [each.name for each in (tmp_path / "out").iterdir()]
    assert len([name for name in leftovers if name.endswith(".parquet")]) == 1


def test_types_are_those_of_what_is_measured(tmp_path):
    write_parquet(tmp_path / "t.parquet", [])
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert tuple(schema.names) == COLUMNS
    for name in ("height_px", "width_px", "row_spacing_mm", "column_spacing_mm", *MEASURES):
        kind = next((kind for end, kind in KINDS.items() if name.endswith(end)), pa.float64())
        assert schema.field(name).type == kind, name
    assert schema.field("inverted").type == pa.bool_()
    for name in ("input", "status", "error", "notes", "labels", "format", "not_measured"):
        assert schema.field(name).type == pa.string()
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 0


def rows_of(count):
    """Rows in every state: measured, half measured, failed, of odd names."""
    labels = phantom_labels(make_phantom(1, 64))
    empty = np.zeros((8, 9), np.uint8)
    names = ("plain.png", "=sum.png", 'Röntgen, "1".png', "line\nbreak.png")
    for number in range(count):
        row = {"input": names[number % 4], "status": "ok", "inverted": number % 2 == 0}
        if number % 5 == 4:
            yield failed_row("gone.png", "gone.png: no such file or folder")
        elif number % 5 == 3:
            yield row | {"notes": "", "height_px": 8} | measured_cells(measure(empty))
        else:
            spacing = (0.35, 0.175) if number % 2 else None
            yield (
                row
                | {"height_px": 64}
                | measured_cells(measure(labels, spacing=spacing, pixels=labels))
            )


@pytest.mark.parametrize("count", [1, 6, 7, 20])
def test_groups_of_rows_make_one_table(tmp_path, monkeypatch, count):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 7)
    write_parquet(tmp_path / "results.parquet", rows_of(count))
    write_csv(tmp_path / "results.csv", rows_of(count))
    assert_same(tmp_path)
    groups = pq.ParquetFile(tmp_path / "results.parquet").metadata.num_row_groups
    assert groups == math.ceil(count / 7)


def test_what_is_not_known_is_null(tmp_path):
    write_parquet(tmp_path / "t.parquet", rows_of(5))
    (*_, half, failed) = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert {half[name] for name in MEASURES} == {None}
    assert half["notes"] is None
    assert half["not_measured"].startswith("no clavicles found: clavicles_area_px, ")
    known = {name for name, value in failed.items() if value is not None}
    assert known == {"input", "status", "error"}


def test_columns_of_another_version_are_passed_over(tmp_path):
    write_parquet(tmp_path / "t.parquet", [{"input": "a.png", "status": "ok", "shoe_size": 43}])
    (row,) = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert row["input"] == "a.png"
    assert "shoe_size" not in row


def test_bytes_that_are_no_text_are_spelled_out(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    write_parquet(tmp_path / "t.parquet", [failed_row(name, f"{name}: is empty")])
    (row,) = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert (row["input"], row["error"]) == ("caf\\xe9.png", "caf\\xe9.png: is empty")


@pytest.mark.parametrize("folder", ["run:1", "s3:", "of ward 4%20", "täglich"])
def test_a_relative_folder_may_have_any_name(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir()
    write_parquet(type(tmp_path)(folder) / "t.parquet", rows_of(2))
    assert pq.read_table(tmp_path / folder / "t.parquet").num_rows == 2


def test_a_table_cut_short_does_not_replace_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    write_parquet(tmp_path / "t.parquet", rows_of(3))
    before = (tmp_path / "t.parquet").read_bytes()

    def torn():
        yield from rows_of(5)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_parquet(tmp_path / "t.parquet", torn())
    assert (tmp_path / "t.parquet").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["t.parquet"]


def test_without_pyarrow_nothing_is_begun(films, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(OutputError, match=r"needs pyarrow.*pip install"):
        write_parquet(tmp_path / "t.parquet", [])
    for args in (
        ["batch", str(films), "--out", "out", "--parquet"],
        ["measure", str(films), "--out", "t.parquet"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(args)
        assert stop.value.code == 1
        assert (
            "Parquet needs pyarrow, which is not installed: pip install" in capfd.readouterr().err
        )
        assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it_when_asked(films, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    names = [str(films / name) for name in ("=odd.png", "f3 bad.png")]
    for more in ([], ["--parquet"]):  # the second run keeps the masks and adds the table
        with pytest.raises(SystemExit) as stop:
            main(["batch", *names, "-o", str(tmp_path / "out"), "-q", "--spacing", "0.3", *more])
        assert stop.value.code == 1
        assert (tmp_path / "out" / "results.parquet").exists() is bool(more)
    good, bad = assert_same(tmp_path / "out").to_pylist()
    assert (good["status"], bad["status"]) == ("ok", "failed")
    assert good["heart_area_cm2"] > 0
