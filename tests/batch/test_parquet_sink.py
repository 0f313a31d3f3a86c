"""Parquet outputs: unpacked they are the folder form, whatever run, shard or death made them."""

import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.batches import batch, files, make_films, segmenter
from xray_seg.batch.merge import merge
from xray_seg.batch.results import parquet_sink
from xray_seg.batch.results.columns import COLUMNS
from xray_seg.batch.unpack import unpack
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom
from xray_seg.errors import OutputError


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("films"))


def pack(films, out, part=None, **options):
    summary = batch(films, out, part, output_format="parquet", **options)
    return summary.done, summary.kept, summary.failed


def keys(out):
    """The keys of all rows, by part."""
    return {
        path.name: pq.read_table(path, columns=["key"])["key"].to_pylist()
        for path in sorted(out.glob("*.parquet"))
    }


def rows_of(out):
    """All keys, after a look that none comes twice."""
    found = [key for part in keys(out).values() for key in part]
    assert len(found) == len(set(found))
    return found


def same(unpacked, whole):
    assert (unpacked / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    assert files(unpacked) == files(whole)
    return len(files(whole))


@pytest.fixture
def whole(films, tmp_path):
    batch(films, tmp_path / "whole")
    return tmp_path / "whole"


def test_unpacked_parts_are_the_folder_form(films, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_sink, "_MAX_ROWS", 4)
    out = tmp_path / "packed"
    assert pack(films, out) == (8, 0, 1)
    assert (out / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    assert {name: len(rows) for name, rows in keys(out).items()} == {
        f"part-{number:05}.parquet": count for number, count in enumerate((4, 4, 1))
    }
    assert not list(out.rglob("*.tif"))
    unpack([out], tmp_path / "files")
    assert same(tmp_path / "files", whole) == 16


def test_every_kind_of_output_is_unpacked(films, tmp_path):
    kinds = ("labels", "organs", "probabilities")
    batch(films, tmp_path / "whole", save=kinds, suffix=".png")
    pack(films, tmp_path / "packed", save=kinds, suffix=".png")
    unpack([tmp_path / "packed"], tmp_path / "files")
    found, expected = (
        {path.relative_to(at): path.read_bytes() for path in at.rglob("*.*") if path.is_file()}
        for at in (tmp_path / "files", tmp_path / "whole")
    )
    assert len(found) == 1 + 8 * 5
    assert found.items() <= expected.items()


def test_rows_have_types_and_the_label_map(films, whole, tmp_path):
    pack(films, tmp_path, spacing=0.5)
    table = pq.read_table(tmp_path / "part-00000.parquet")
    assert table.column_names == ["key", "place", *COLUMNS, "label_map", "others"]
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert types["heart_area_px"] == types["height_px"] == "int64"
    assert types["cardiothoracic_ratio"] == types["row_spacing_mm"] == "double"
    assert (types["inverted"], types["label_map"], types["error"]) == ("bool", "binary", "string")
    rows = {row["key"]: row for row in table.to_pylist()}
    bad = rows.pop("f3 bad")
    assert (bad["status"], bad["label_map"], bad["others"]) == ("failed", None, [])
    assert "text file" in bad["error"]
    for row in rows.values():
        labels = imagecodecs.tiff_decode(row["label_map"])
        assert int((labels == 2).sum()) == row["heart_area_px"]


def test_a_second_run_keeps_all_and_writes_nothing_but_the_failure_anew(films, tmp_path):
    pack(films, tmp_path)
    good = (tmp_path / "part-00000.parquet").stat()
    assert pack(films, tmp_path) == (0, 8, 1)
    found = keys(tmp_path)
    assert len(rows_of(tmp_path)) == 9
    assert found["part-00001.parquet"] == ["f3 bad"]
    assert len(found["part-00000.parquet"]) == 8
    assert good.st_size > (tmp_path / "part-00001.parquet").stat().st_size


def test_a_film_done_anew_is_in_one_part_alone(films, tmp_path):
    own = tmp_path / "films"
    shutil.copytree(films, own)
    pack(own, tmp_path / "out")
    film = (make_phantom(9, 64).radiograph * 255).astype(np.uint8)
    (own / "f0.png").write_bytes(imagecodecs.png_encode(film))
    assert pack(own, tmp_path / "out") == (1, 7, 1)
    batch(own, tmp_path / "whole")
    unpack([tmp_path / "out"], tmp_path / "files")
    assert same(tmp_path / "files", tmp_path / "whole") == 16
    assert len(rows_of(tmp_path / "out")) == 9
    (tmp_path / "out" / ".xrayseg" / "journal.jsonl").unlink()  # without it all is done anew
    assert pack(own, tmp_path / "out") == (8, 0, 1)
    assert len(rows_of(tmp_path / "out")) == 9


def test_what_a_killed_run_wrote_twice_is_unpacked_once(films, whole, tmp_path):
    pack(films, tmp_path / "out")
    shutil.copy(tmp_path / "out" / "part-00000.parquet", tmp_path / "out" / "part-00001.parquet")
    unpack([tmp_path / "out"], tmp_path / "files")
    same(tmp_path / "files", whole)
    pack(films, tmp_path / "out")
    assert len(rows_of(tmp_path / "out")) == 9


def test_an_interrupted_run_keeps_what_it_finished(films, whole, tmp_path, monkeypatch):
    made = segmenter()
    calls, predict = [], made.engine.predict

    def interrupted(grids):
        calls.append(grids)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return predict(grids)

    monkeypatch.setattr(made.engine, "predict", interrupted)
    monkeypatch.setattr("helpers.batches.segmenter", lambda: made)
    done, _, _ = pack(films, tmp_path / "out")
    assert 0 < done <= 3
    assert pack(films, tmp_path / "out") == (8 - done, done, 1)
    unpack([tmp_path / "out"], tmp_path / "files")
    same(tmp_path / "files", whole)


@pytest.mark.parametrize("together", [True, False])
def test_shards_are_merged_and_unpacked(films, whole, tmp_path, together):
    folders = [tmp_path / ("parts" if together else f"parts{index}") for index in (1, 2)]
    for index, folder in enumerate(folders, 1):
        pack(films, folder, (index, 2))
    unpack(list(dict.fromkeys(folders)), tmp_path / "direct")
    same(tmp_path / "direct", whole)
    merge(list(dict.fromkeys(folders)), tmp_path / "merged")
    unpack([tmp_path / "merged"], tmp_path / "files")
    same(tmp_path / "files", whole)
    assert pack(films, tmp_path / "merged") == (0, 8, 1)
    assert len(rows_of(tmp_path / "merged")) == 9


def test_the_commands(films, whole, tmp_path, capsys):
    pack(films, tmp_path / "out")
    with pytest.raises(SystemExit) as stop:
        main(["unpack", str(tmp_path / "out"), "--out", str(tmp_path / "files")])
    assert stop.value.code == 0
    assert "9 inputs, 1 failed" in capsys.readouterr().out
    same(tmp_path / "files", whole)


def test_what_is_no_part_is_refused(films, tmp_path):
    with pytest.raises(OutputError, match=r"no part-\*\.parquet"):
        unpack([films], tmp_path)
    with pytest.raises(OutputError, match="is no part"):
        unpack([films / "f0.png"], tmp_path)
    damaged = tmp_path / "part-00000.parquet"
    damaged.write_bytes(b"PAR1 and no more")
    with pytest.raises(OutputError, match=r"part-00000\.parquet: cannot be read"):
        unpack([damaged], tmp_path)


@pytest.mark.parametrize("name", ["../evil.tif", "/evil.tif"])
def test_a_part_does_not_write_outside_the_folder(films, tmp_path, name):
    pack(films, tmp_path / "out", save=("labels",))
    path = tmp_path / "out" / "part-00000.parquet"
    table = pq.read_table(path)
    column = [name if labels else None for labels in table["labels"].to_pylist()]
    place = table.column_names.index("labels")
    pq.write_table(table.set_column(place, "labels", [column]), path)
    with pytest.raises(OutputError, match="is no name of an output"):
        unpack([path], tmp_path / "files")


def test_a_relative_folder_may_have_a_colon_in_its_name(films, tmp_path, monkeypatch):
    """pyarrow takes such a name for a URI."""
    monkeypatch.chdir(tmp_path)
    done, _, _ = pack(films, Path("run:1"))
    assert len(rows_of(tmp_path / "run:1")) >= done > 0
    unpack([Path("run:1")], tmp_path / "unpacked")
    assert len(files(tmp_path / "unpacked")) == 2 * done


@pytest.mark.parametrize("content", ["table", "text"])
def test_a_file_of_somebody_elses_with_the_name_of_a_part_stays(films, tmp_path, content):
    pack(films, tmp_path / "out")
    foreign = tmp_path / "out" / "part-00007.parquet"
    if content == "table":
        pq.write_table(pa.table({"key": ["f0"], "mine": [1]}), foreign)
    else:
        foreign.write_text("mine")
    before = foreign.read_bytes()
    assert pack(films, tmp_path / "out") == (0, 8, 1)
    assert foreign.read_bytes() == before
