"""Shards merged: what a single run leaves, byte for byte, and what is refused."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from helpers.batches import batch, files, make_films, segmenter, to_shard
from xray_seg import Segmenter
from xray_seg.batch.merge import merge
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.batch.verify import verify
from xray_seg.cli import main
from xray_seg.errors import OutputError

COUNT = 3


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture
def whole(films, tmp_path):
    batch(films, tmp_path / "whole")
    return tmp_path / "whole"


def shards(films, tmp_path, together, parts=range(1, COUNT + 1)):
    """The folders that so many shards leave, in any order."""
    folders = [tmp_path / ("parts" if together else f"part{index}") for index in parts]
    for index, folder in reversed(list(zip(parts, folders, strict=True))):
        batch(films, folder, (index, COUNT))
    return list(dict.fromkeys(folders))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("in_place", [True, False])
def test_merged_shards_are_the_single_run(films, tmp_path, whole, together, in_place):
    folders = shards(films, tmp_path, together)
    out = folders[0] if in_place else tmp_path / "merged"
    merged = merge(folders, out)
    assert (merged.count, merged.missing, merged.rows, merged.failed) == (COUNT, (), 9, 1)
    assert (out / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    assert files(out) == files(whole)
    assert len(files(out)) == 16
    facts, expected = (json.loads((at / "run.json").read_text()) for at in (out, whole))
    assert facts.pop("shards") == {"count": COUNT, "missing": []}
    assert facts.keys() == expected.keys()
    for key in ("weights", "engine", "settings", "counts", "interrupted", "versions"):
        assert facts[key] == expected[key]


@pytest.mark.parametrize("in_place", [True, False])
def test_what_is_about_all_films_is_that_of_the_single_run(films, tmp_path, in_place):
    """The review page with its pictures, COCO JSON, tables."""
    asked = BatchOptions(
        save=("labels", "rle", "contours", "chexmask"),
        sides=True,
        parquet=True,
        min_quality=0.99,
        include_doubtful=True,
    )
    # A stub engine under the name of weights whose quality is calibrated.
    calibrated = Segmenter(engine=segmenter().engine)

    def leave(out, part=None):
        run_batch([str(films)], out, segmenter=calibrated, options=asked, shard=to_shard(part))

    leave(tmp_path / "whole")
    folders = [tmp_path / f"part{index}" for index in (1, 2, 3)]
    for index, folder in enumerate(folders, 1):
        leave(folder, (index, COUNT))
    out = folders[1] if in_place else tmp_path / "merged"
    merge(folders, out)
    named = ("results.csv", "distrusted.csv", "report.html", "coco.json", "chexmask.csv")
    for name in named:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert (out / "report.html").read_text().count("jpeg") > 8
    assert len((out / "distrusted.csv").read_text().splitlines()) > 4
    tables = [pq.read_table(at / "results.parquet") for at in (out, tmp_path / "whole")]
    assert tables[0].equals(tables[1])
    assert set(json.loads((out / "run.json").read_text())["files"]) == {*named, "results.parquet"}
    assert verify(out).problems == []


def test_a_later_run_keeps_what_the_shards_did(films, tmp_path):
    merge(shards(films, tmp_path, together=False), tmp_path / "merged")
    summary = batch(films, tmp_path / "merged")
    assert (summary.done, summary.kept, summary.failed) == (0, 8, 1)


def test_a_second_merge_changes_nothing(films, tmp_path):
    folders = shards(films, tmp_path, together=True)
    merge(folders, folders[0])
    before = {path: path.read_bytes() for path in folders[0].rglob("*") if path.is_file()}
    merge(folders, folders[0])
    assert before == {path: path.read_bytes() for path in folders[0].rglob("*") if path.is_file()}


def test_a_missing_shard_is_named_and_the_rest_is_merged(films, tmp_path, capsys):
    (out,) = shards(films, tmp_path, True, (1, 3))
    with pytest.raises(SystemExit) as stop:
        main(["merge", str(out)])
    assert stop.value.code == 1
    shown = capsys.readouterr()
    assert "shard 2/3 is missing" in shown.err
    assert "--shard, then merge again: 2/3" in shown.out
    assert json.loads((out / "run.json").read_text())["shards"] == {"count": 3, "missing": [2]}
    assert len((out / "results.csv").read_text().splitlines()) == 1 + 6
    batch(films, out, (2, COUNT))
    assert merge([out], out).missing == ()


def test_an_interrupted_shard_counts_as_missing(films, tmp_path):
    (out,) = shards(films, tmp_path, together=True)
    path = out / "run-2-of-3.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"interrupted": True}))
    assert merge([out], out).missing == (2,)


def test_the_command_says_what_it_did(films, tmp_path, capsys):
    folders = shards(films, tmp_path, together=False)
    with pytest.raises(SystemExit) as stop:
        main(["merge", *map(str, folders), "--out", str(tmp_path / "merged")])
    assert stop.value.code == 1  # one of the films is none
    assert "9 inputs, 1 failed" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["merge", *map(str, folders)])
    assert stop.value.code == 2


def test_what_is_not_one_batch_is_refused(films, tmp_path):
    one, two = (tmp_path / name for name in ("one", "two"))
    batch(films, one, (1, 2))
    with pytest.raises(OutputError, match="no shards"):
        merge([films], tmp_path / "out")

    batch(films, two, (2, 3))
    with pytest.raises(OutputError, match="different numbers of shards"):
        merge([one, two], tmp_path / "out")

    shutil.rmtree(two)
    shutil.copytree(one, two)
    with pytest.raises(OutputError, match=r"run-1-of-2\.json is in .*one and .*two"):
        merge([one, two], tmp_path / "out")

    shutil.rmtree(two)
    batch(films, two, (2, 2), spacing=0.3)
    with pytest.raises(OutputError, match="other weights, settings"):
        merge([one, two], tmp_path / "out")

    shutil.rmtree(two)
    other = segmenter({"saved_model": "another"})
    run_batch([films], two, segmenter=other, options=BatchOptions(), shard=to_shard((2, 2)))
    with pytest.raises(OutputError, match="other weights, settings"):
        merge([one, two], tmp_path / "out")
    assert not (tmp_path / "out" / "results.csv").exists()


def test_shards_of_different_lists_of_inputs_are_refused(films, tmp_path):
    more = tmp_path / "more"
    shutil.copytree(films, more)
    batch(more, tmp_path / "one", (1, 2))
    for number in range(4):
        shutil.copy(films / "f0.png", more / f"z{number}.png")
    batch(more, tmp_path / "two", (2, 2))
    with pytest.raises(OutputError, match="they differ in length"):
        merge([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    batch(more, tmp_path / "three", (1, 2))
    shutil.copy(films / "f0.png", more / "a.png")
    (more / "z3.png").unlink()
    shutil.rmtree(tmp_path / "two")
    batch(more, tmp_path / "two", (2, 2))
    with pytest.raises(OutputError, match="is in two of them"):
        merge([tmp_path / "three", tmp_path / "two"], tmp_path / "out")


def test_masks_that_have_gone_are_named(films, tmp_path):
    folders = shards(films, tmp_path, together=False)
    (folders[1] / "labels" / "f0.tif").unlink()
    with pytest.raises(OutputError, match=r"f0\.tif: is missing"):
        merge(folders, tmp_path / "merged")
