"""Records, shards and Parquet parts that others have written: one line, nothing outside."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.batches import batch, make_films
from xray_seg.batch.merge import merge
from xray_seg.batch.run_record import RunRecord
from xray_seg.batch.unpack import unpack
from xray_seg.batch.verify import verify
from xray_seg.errors import OutputError


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("radiographs"))


#: Changes of a record: the field, or the object and the field in it, and its value.
CHANGES = [
    (("counts",), {}),
    (("counts", "done"), "3"),
    (("counts", "done"), None),
    (("counts", "failed"), 1.5),
    (("counts",), [1]),
    (("engine",), {}),
    (("engine", "device"), 7),
    (("weights",), "name"),
    (("settings", "save"), 7),
    (("settings", "save"), [["labels"]]),
    (("settings", "min_quality"), "low"),
    (("settings", "sides"), "yes"),
    (("settings",), None),
    (("interrupted",), "no"),
    (("seconds",), "long"),
    (("started",), 7),
    (("files",), {"results.csv": 7}),
    (("processors",), [{}]),
    (("processors",), 7),
    (("processors", 0, "model"), 7),
    (("processors", 0, "features"), "avx2"),
    (("notes",), "one"),
    (("engine", "build"), 7),
    (("schema_version",), "1"),
    (("output_revision",), []),
]


def _change(path, where, value):
    facts = json.loads(path.read_text())
    *objects, field = where
    place = facts
    for each in objects:
        place = place[each]
    place[field] = value
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize(("where", "value"), CHANGES, ids=str)
def test_a_record_with_a_field_of_another_type(radiographs, tmp_path, where, value):
    batch(radiographs / "f1.png", tmp_path / "whole")
    _change(tmp_path / "whole" / "run.json", where, value)
    with pytest.raises(ValueError, match=r"is not|lacks"):
        RunRecord.read(tmp_path / "whole" / "run.json")
    assert any(
        "run.json: is not a run's record" in each for each in verify(tmp_path / "whole").problems
    )
    batch(radiographs / "f1.png", tmp_path / "shards", (1, 1))
    _change(tmp_path / "shards" / "run-1-of-1.json", where, value)
    with pytest.raises(OutputError, match=r"run-1-of-1\.json: cannot be merged"):
        merge([tmp_path / "shards"], tmp_path / "merged")


@pytest.mark.parametrize("field", ["save", "sides", "output_format", "keep_ids", "report"])
def test_a_shard_without_a_setting(radiographs, tmp_path, field):
    batch(radiographs / "f1.png", tmp_path, (1, 1))
    path = tmp_path / "run-1-of-1.json"
    facts = json.loads(path.read_text())
    del facts["settings"][field]
    path.write_text(json.dumps(facts))
    with pytest.raises(OutputError, match=f"lacks {field}"):
        merge([tmp_path], tmp_path / "merged")


@pytest.mark.parametrize(
    "table",
    [b"", b"input,status\n1\n", b'input,status\n"' + b"a" * 200_000, b"\xff\xfe\n", b"a,b\n"],
)
def test_a_shard_with_a_damaged_table(radiographs, tmp_path, table):
    batch(radiographs / "f1.png", tmp_path, (1, 1))
    (tmp_path / "results-1-of-1.csv").write_bytes(table)
    with pytest.raises(OutputError, match="cannot be merged"):
        merge([tmp_path], tmp_path / "merged")
    assert verify(tmp_path).problems


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\0b", "", ".xrayseg/lock"])
def test_a_record_with_names_that_lead_out_of_the_folder(radiographs, tmp_path, name):
    (tmp_path / "secret").write_text("")
    batch(radiographs / "f1.png", tmp_path / "out")
    _change(tmp_path / "out" / "run.json", ("files",), {name: "0" * 64})
    (problem,) = verify(tmp_path / "out").problems
    assert "is no name of an output" in problem


def _part(radiographs, folder):
    batch(radiographs / "f1.png", folder, output_format="parquet")
    return folder / "part-00000.parquet"


@pytest.mark.parametrize("column", ["labels", "others"])
@pytest.mark.parametrize("name", ["labels/a\0b.tif", "../b.tif", "/b.tif", ".xrayseg/lock", ""])
def test_a_part_with_names_that_lead_out_of_the_folder(radiographs, tmp_path, name, column):
    path = _part(radiographs, tmp_path / "out")
    table = pq.read_table(path)
    value = [name] if column == "labels" else [[{"path": name, "content": b"evil"}]]
    field = table.schema.field(column)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, field, pa.array(value, field.type)), path)
    if name:
        with pytest.raises(OutputError, match="is no name of an output"):
            unpack([path], tmp_path / "deep" / "files")
    else:
        unpack([path], tmp_path / "deep" / "files")
    assert not [each for each in tmp_path.rglob("*") if each.name in ("b.tif", "a")]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("key", [7]),
        ("place", ["first"]),
        ("label_map", ["text"]),
        ("labels", [7]),
        ("others", ["text"]),
        ("others", [[{"path": 7, "content": b""}]]),
        ("others", [[{"name": "a"}]]),
        ("height_px", ["tall"]),
    ],
)
def test_a_part_with_columns_of_other_types(radiographs, tmp_path, column, values):
    path = _part(radiographs, tmp_path / "out")
    table = pq.read_table(path)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values)), path)
    with pytest.raises(OutputError, match=r"part-00000\.parquet: cannot be read as a part"):
        unpack([path], tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_a_part_without_a_column_of_each_part(radiographs, tmp_path):
    path = _part(radiographs, tmp_path / "out")
    pq.write_table(pq.read_table(path).drop_columns(["labels"]), path)
    with pytest.raises(OutputError, match="lacks labels"):
        unpack([path], tmp_path / "files")


def test_a_part_with_empty_cells(radiographs, tmp_path):
    path = _part(radiographs, tmp_path / "out")
    table = pq.read_table(path)
    for column in ("key", "place", "labels", "label_map", "others"):
        field = table.schema.field(column)
        place = table.column_names.index(column)
        changed = table.set_column(place, field, pa.nulls(1, field.type))
        pq.write_table(changed, path)
        assert len(unpack([path], tmp_path / column)) == 1
    others = table.schema.field("others")
    place = table.column_names.index("others")
    pq.write_table(table.set_column(place, others, pa.array([[None]], others.type)), path)
    assert len(unpack([path], tmp_path / "files")) == 1


def test_a_truncated_part(radiographs, tmp_path):
    path = _part(radiographs, tmp_path / "out")
    content = path.read_bytes()
    for length in (0, 4, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(OutputError, match=r"part-00000\.parquet: cannot be read"):
            unpack([path], tmp_path / "files")
