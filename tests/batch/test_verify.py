"""What a batch wrote is found whole, or the file that is not is named."""

import hashlib
import json
import os
import shutil

import pytest

from helpers import place as place_helper
from helpers.batches import to_shard
from helpers.dicom import RAMP, make
from xray_seg.batch.inputs import find_inputs
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.batch.verify import verify
from xray_seg.cli import main
from xray_seg.errors import OutputError


@pytest.fixture
def place(tmp_path):
    place = place_helper.Place(tmp_path)
    place.add("a.png", "b.png")
    (place.films / "bad.png").write_bytes(b"no film")
    return place


def _run(place, **options):
    part = options.pop("part", None)
    return run_batch(
        [str(place.films)],
        place.out,
        segmenter=place.segmenter,
        options=BatchOptions(**options),
        shard=to_shard(part),
    )


def _said(place):
    return [problem.replace(f"{place.out}/", "") for problem in verify(place.out).problems]


def test_an_untouched_run_is_whole_and_is_not_changed(place):
    _run(place)
    before = {path: path.stat().st_mtime_ns for path in place.out.rglob("*")}
    found = verify(place.out)
    assert found.problems == []
    assert (found.files, found.images, found.failed, found.earlier) == (4, 2, 1, 0)
    assert {path: path.stat().st_mtime_ns for path in place.out.rglob("*")} == before


@pytest.mark.parametrize("name", ["labels/a.tif", "overlay/b.jpg", "results.csv"])
def test_a_flipped_bit_is_found(place, name):
    _run(place)
    data = bytearray((place.out / name).read_bytes())
    data[len(data) // 2] ^= 1
    (place.out / name).write_bytes(data)
    assert _said(place) == [f"{name}: altered since it was written"]


@pytest.mark.parametrize("change", [-1, 1])
def test_a_row_too_few_or_too_many_is_found_though_the_hash_is_right(place, change):
    """A writer that lost a row would record the SHA-256 of what it wrote."""
    _run(place)
    path = place.out / "results.csv"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 4
    path.write_text("".join(lines[:change] if change < 0 else [*lines, lines[-1]]))
    record = json.loads((place.out / "run.json").read_text())
    assert record["files"].keys() >= {"results.csv"}
    record["files"]["results.csv"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (place.out / "run.json").write_text(json.dumps(record))
    assert _said(place) == [f"results.csv: {3 + change} rows for 3 inputs"]


@pytest.mark.parametrize("name", ["labels/a.tif", "overlay/b.jpg", "results.csv"])
def test_a_missing_file_is_found(place, name):
    _run(place)
    (place.out / name).unlink()
    assert _said(place) == [f"{name}: missing"]


def test_files_that_no_run_made_are_found(place):
    _run(place)
    shutil.copy(place.out / "labels" / "a.tif", place.out / "labels" / "z.tif")
    (place.out / "overlay" / ".xrayseg-1-0123abcd.jpg").touch()
    (place.out / "mine.txt").touch()  # not among the outputs
    assert _said(place) == [
        "labels/z.tif: in no record of a run",
        "overlay/.xrayseg-1-0123abcd.jpg: left by a run that was killed; the next run removes it",
    ]
    _run(place)
    assert _said(place) == ["labels/z.tif: in no record of a run"]


def test_a_run_that_was_stopped_is_found_and_whole_after_the_next(place):
    def stop():
        raise KeyboardInterrupt

    place.engine.before = stop
    assert _run(place).interrupted
    assert _said(place)[0].startswith("run.json: the run was stopped after 1 of 3 inputs")
    place.engine.before = lambda: None
    _run(place)
    assert _said(place) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"counts": 1}'])
def test_a_damaged_record_of_a_run_is_found(place, text):
    _run(place)
    (place.out / "run.json").write_text(text)
    (problem,) = _said(place)
    assert problem.startswith("run.json: ")
    (place.out / "run.json").unlink()
    assert _said(place) == ["run.json: missing; the run was stopped"]


def test_files_of_earlier_settings_are_checked_and_counted(place):
    _run(place)
    _run(place, save=("labels",), suffix=".png")
    found = verify(place.out)
    assert found.problems == []
    assert (found.files, found.earlier) == (6, 4)
    (place.out / "overlay" / "a.jpg").write_bytes(b"other")
    assert _said(place) == ["overlay/a.jpg: altered since it was written"]


def test_parts_are_checked_together(place):
    for index in (1, 2, 3):
        _run(place, part=(index, 3))
    assert verify(place.out).problems == []
    assert verify(place.out).files == 4
    (place.out / "labels" / "b.tif").unlink()
    assert _said(place) == ["labels/b.tif: missing"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(OutputError, match="holds no run"):
        verify(tmp_path)


def test_the_command_tells_by_its_status(place, capsys):
    def status(*args):
        with pytest.raises(SystemExit) as stop:
            main(["verify", *map(str, args)])
        return stop.value.code

    assert status(place.films / "nowhere") == 2
    assert status(place.films) == 1
    _run(place)
    assert status(place.out) == 0
    (place.out / "labels" / "a.tif").unlink()
    capsys.readouterr()
    assert status(place.out, "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["problems"] == [f"{place.out / 'labels' / 'a.tif'}: missing"]
    assert "a.tif: missing" in shown.err


def test_nothing_of_a_patient_is_written_but_where_asked(tmp_path):
    place = place_helper.Place(tmp_path)
    make(
        place.films / "film.dcm",
        RAMP,
        PatientName="SMITH^JOHN",
        PatientID="ID-77",
        StudyInstanceUID="1.2.77",
        BodyPartExamined="SMITH",
        AccessionNumber="../../SMITH",
    )
    private = (b"SMITH", b"ID-77", b"1.2.77")

    def holding():
        files = [path for path in place.out.rglob("*") if path.is_file()]
        assert not [path for path in files if "SMITH" in os.fspath(path)]
        return [
            path.relative_to(place.out).as_posix()
            for path in files
            if any(word in path.read_bytes() for word in private)
        ]

    kinds = ("labels", "organs", "overlay", "probabilities")
    _run(place, save=kinds)
    assert holding() == []
    header = (place.out / "results.csv").read_text().splitlines()[0]
    assert "patient_id" not in header
    _run(place, save=kinds, keep_ids=True)
    assert sorted(holding()) == [".xrayseg/journal.jsonl", "results.csv"]
    table = (place.out / "results.csv").read_text()
    assert "ID-77" in table
    assert "1.2.77" in table
    assert "SMITH" not in table
    assert len(find_inputs([str(place.films)])) == 1


def test_parquet_outputs_are_verified_and_a_changed_part_is_found(place):
    _run(place, output_format="parquet")
    found = verify(place.out)
    assert (found.problems, found.images > 0) == ([], True)
    (place.films / "new.png").write_bytes(next(place.films.glob("*.png")).read_bytes())
    _run(place, output_format="parquet")
    assert verify(place.out).problems == []
    (part, *_) = sorted(place.out.glob("part-*.parquet"))
    part.write_bytes(part.read_bytes() + b"x")
    assert [problem for problem in verify(place.out).problems if "altered" in problem]


def test_after_a_merge_in_place_each_image_counts_once(place):
    from xray_seg.batch.merge import merge

    _run(place, part=(1, 2))
    _run(place, part=(2, 2))
    before = verify(place.out)
    merge([place.out], place.out)
    after = verify(place.out)
    assert after.problems == []
    assert (after.images, after.failed) == (before.images, before.failed)
    assert after.images + after.failed == len(list(place.films.iterdir()))
