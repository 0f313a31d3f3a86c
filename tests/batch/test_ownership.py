"""What a run may replace or remove in an output folder: only what it wrote itself, unchanged."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.batches import batch, make_films, to_shard
from helpers.place import Place
from xray_seg._util.paths import resolve_inside
from xray_seg.batch.journal import Journal
from xray_seg.batch.merge import merge
from xray_seg.batch.verify import verify
from xray_seg.cli import main
from xray_seg.errors import OutputError


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.add("a.png", "b.png", "c.png")
    return made


def _counts(summary):
    return summary.done, summary.kept, summary.failed


def test_a_mistyped_path_leaves_the_masks_of_the_input_of_that_name(place):
    place.run()
    before = place.files()
    summary, _ = place.run(str(place.films.parent / "typo" / "a.png"))
    assert _counts(summary) == (0, 0, 1)
    assert place.files() == before
    assert _counts(place.run()[0]) == (0, 3, 0)


def test_inputs_that_are_away_for_a_while_are_kept_once_they_are_back(place):
    names = [str(place.films / name) for name in ("a.png", "b.png", "c.png")]
    place.run(*names)
    before = place.files()
    away = place.films.rename(place.films.with_name("away"))
    assert _counts(place.run(*names)[0]) == (0, 0, 3)
    assert place.files() == before
    away.rename(place.films)
    assert _counts(place.run(*names)[0]) == (0, 3, 0)
    assert place.files() == before


def test_masks_of_an_input_that_is_damaged_now_stay_and_the_table_says_so(place):
    place.run()
    before = place.files()
    good = (place.films / "a.png").read_bytes()
    state = (place.films / "a.png").stat()
    (place.films / "a.png").write_bytes(b"\x89PNG\r\n\x1a\ndamaged")
    assert _counts(place.run()[0]) == (0, 2, 1)
    assert place.files() == before
    text = (place.out / "results.csv").read_text()
    assert "masks that an earlier run made of it are kept" in text
    assert verify(place.out).problems == []
    (place.films / "a.png").write_bytes(good)
    os.utime(place.films / "a.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert _counts(place.run()[0]) == (0, 3, 0)
    assert "are kept" not in (place.out / "results.csv").read_text()


@pytest.mark.parametrize(
    "options", [{"save": ("labels", "overlay", "organs")}, {"overwrite": True}]
)
def test_a_rerun_that_cannot_write_leaves_what_was_done(place, monkeypatch, options):
    place.run()
    before = place.files()

    def full(*args, **how):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xray_seg.batch.results.folder_sink.write_bytes", full)
        patch.setattr("xray_seg.batch.report.fragment.write_text", full)
        summary, _ = place.run(**options)
    if "save" in options:
        assert _counts(summary) == (0, 0, 3)
    assert place.files() == before
    assert _counts(place.run()[0]) == (0, 3, 0)


@pytest.mark.parametrize(
    "name",
    ["labels/a.tif", "overlay/x.jpg", "results.csv", "run.json", "report.html", "coco.json"],
)
def test_a_folder_of_somebody_elses_is_not_written_into(place, name):
    path = place.out / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"did not write and would replace.*--adopt"):
        place.run()
    assert path.read_text() == "mine"
    assert {each for each in place.out.rglob("*") if each.is_file()} == {path}
    assert _counts(place.run(adopt=True)[0]) == (3, 0, 0)


def test_a_mask_that_was_edited_is_not_replaced(place):
    place.run()
    (place.out / "labels" / "a.tif").write_bytes(b"corrected by hand")
    summary, rows = place.run(overwrite=True)
    assert _counts(summary) == (2, 0, 1)
    assert "labels/a.tif: was changed since it was written" in rows["a.png"][1]
    assert (place.out / "labels" / "a.tif").read_bytes() == b"corrected by hand"
    assert _counts(place.run(overwrite=True, adopt=True)[0]) == (3, 0, 0)
    assert verify(place.out).problems == []


def test_a_file_in_a_run_folder_that_no_run_wrote_is_not_replaced(place):
    place.run(save=("labels",))
    stranger = place.out / "overlay" / "b.jpg"
    stranger.parent.mkdir()
    stranger.write_text("mine")
    summary, rows = place.run()
    assert _counts(summary) == (2, 0, 1)
    assert "overlay/b.jpg: was not written by xrayseg" in rows["b.png"][1]
    assert stranger.read_text() == "mine"


def test_a_key_with_a_tilde_is_that_of_its_own_file(place, tmp_path):
    place.add("a~.png")
    place.run()
    before = place.files()
    assert "labels/a~.tif" in before
    (tmp_path / "d2").mkdir()
    shutil.copy(place.films / "b.png", tmp_path / "d2" / "a.png")
    assert _counts(place.run(str(tmp_path / "d2" / "a.png"))[0]) == (0, 0, 1)
    assert place.files() == before
    assert _counts(place.run()[0]) == (0, 4, 0)


def test_an_empty_label_map_does_not_count_as_done(place):
    place.run()
    (place.out / "labels" / "a.tif").write_bytes(b"")
    assert _counts(place.run()[0]) == (1, 2, 0)
    (place.out / "labels" / "a.tif").unlink()
    assert _counts(place.run()[0]) == (1, 2, 0)
    assert _counts(place.run()[0]) == (0, 3, 0)


NAMES = [
    "../../.bashrc",
    "/etc/passwd",
    "labels/../../x",
    "",
    ".xrayseg/journal.jsonl",
    "C:/x",
    "a\0b",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(OutputError, match="is no name of an output"):
        resolve_inside(tmp_path, name)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "labels").symlink_to(outside)
    with pytest.raises(OutputError, match="symbolic link"):
        resolve_inside(out, "labels/a.tif")
    assert resolve_inside(out, "overlay/a.jpg") == out / "overlay" / "a.jpg"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    films = make_films(tmp_path_factory.mktemp("films"))
    folders = [tmp_path_factory.mktemp(f"shard{index}") for index in (1, 2)]
    for index, folder in enumerate(folders, 1):
        batch(films, folder, (index, 2))
    assert to_shard((1, 2)).suffix == "-1-of-2"
    return folders


def _tamper(folder, change):
    """Copy of a shard whose first record with masks is changed."""
    path = folder / ".xrayseg" / "journal-1-of-2.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(next(line for line in lines if line["row"]["status"] == "ok"))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("name", ["../../victim.txt", "/victim.txt", ".xrayseg/journal.jsonl"])
def test_a_shard_cannot_make_merge_write_elsewhere(shards, tmp_path, name):
    first = Path(shutil.copytree(shards[0], tmp_path / "s" / "first"))
    (tmp_path / "victim.txt").write_text("mine")
    _tamper(first, lambda record: record.update(outputs=[name], hashes={}))
    with pytest.raises(OutputError, match="is no name of an output"):
        merge([first, shards[1]], tmp_path / "m" / "out")
    assert (tmp_path / "victim.txt").read_text() == "mine"


def test_a_shards_key_cannot_make_merge_write_elsewhere(shards, tmp_path):
    first = Path(shutil.copytree(shards[0], tmp_path / "first"))
    _tamper(first, lambda record: record.update(key="../../../victim"))
    with pytest.raises(OutputError, match="is no name of an output"):
        merge([first, shards[1]], tmp_path / "out")


def test_merge_refuses_an_altered_mask_and_a_foreign_one(shards, tmp_path):
    first = Path(shutil.copytree(shards[0], tmp_path / "first"))
    mask = next((first / "labels").iterdir())
    mask.write_bytes(mask.read_bytes() + b"x")
    with pytest.raises(OutputError, match="was changed since it was written"):
        merge([first, shards[1]], tmp_path / "out")
    out = tmp_path / "other"
    (out / "labels").mkdir(parents=True)
    (out / "labels" / "f0.tif").write_text("mine")
    with pytest.raises(OutputError, match="did not write and would replace"):
        merge(shards, out)
    assert (out / "labels" / "f0.tif").read_text() == "mine"


def test_a_tampered_journal_deletes_nothing(place, tmp_path):
    place.run()
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    path = place.out / ".xrayseg" / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["outputs"] += ["../victim.txt"]
        line["earlier"] = {str(victim): ""}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for film in place.films.iterdir():
        film.write_bytes(b"damaged")
    assert place.run()[0].failed == 3
    assert victim.read_text() == "mine"
    assert any("is no name of an output" in problem for problem in verify(place.out).problems)


WRONG = [
    b"[]",
    b"7",
    b'{"key": 1, "fingerprint": "", "row": {"status": "ok", "input": "x"}}',
    b'{"key": "a", "fingerprint": "", "row": []}',
    b'{"key": "a", "fingerprint": "", "row": {"status": [], "input": "x"}}',
    b'{"key": "a", "fingerprint": "", "row": {"status": "ok", "input": "x"}, "outputs": "labels"}',
    b'{"key": "a", "fingerprint": "", "row": {"status": "ok", "input": "x"}, "hashes": {"a": 1}}',
    b'{"key": "a", "fingerprint": "", "row": {"status": "ok", "input": "x"}, "more": 1}',
    b"[" * 100000,
    b"\xff\xfe",
]


@pytest.mark.parametrize("line", WRONG, ids=range(len(WRONG)))
def test_a_line_of_wrong_types_is_set_aside(place, line):
    place.run()
    with (place.out / ".xrayseg" / "journal.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with Journal(place.out / ".xrayseg" / "journal.jsonl", read_only=True) as journal:
        assert journal.damaged == 1
        assert len(journal) == 3
    assert _counts(place.run()[0]) == (0, 3, 0)
    assert any("1 damaged lines" in problem for problem in verify(place.out).problems)


def test_exit_0_means_that_all_is_on_disk(place, monkeypatch):
    """A disk that keeps only what was flushed: nothing is written after the last flush."""
    from xray_seg.batch import run as running
    from xray_seg.batch.results import folder_sink

    disk = {}

    def flush(folder):
        disk.clear()
        disk.update({path: path.read_bytes() for path in folder.rglob("*") if path.is_file()})

    monkeypatch.setattr(running, "sync_filesystem", flush)
    monkeypatch.setattr(folder_sink, "sync_filesystem", flush)
    assert place.run()[0].done == 3
    there = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    assert there == disk
    assert (place.out / ".xrayseg" / "journal.jsonl").read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("recorded", [True, False])
def test_files_whose_end_did_not_reach_the_disk_are_written_again(place, share, recorded):
    """A power cut leaves names without contents, with and without a record in the journal."""
    place.run()
    before = place.files()
    for name in ("labels/b.tif", "overlay/b.jpg"):
        os.truncate(place.out / name, int(share * len(before[name])))
    if not recorded:
        journal = place.out / ".xrayseg" / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(line for line in lines if json.loads(line)["key"] != "b"))
    summary, rows = place.run()
    again = not recorded or share < 1
    assert rows["b.png"] == ("ok", "")
    assert _counts(summary) == ((1, 2, 0) if again else (0, 3, 0))
    assert place.files() == before
    assert verify(place.out).problems == []


@pytest.mark.parametrize("data", [b"mine", b"II*\0mine"])
def test_a_short_file_with_other_contents_is_not_taken_for_what_a_power_cut_left(place, data):
    place.run()
    (place.out / "labels" / "b.tif").write_bytes(data)
    summary, rows = place.run()
    assert _counts(summary) == (0, 2, 1)
    assert "was changed since it was written" in rows["b.png"][1]
    assert (place.out / "labels" / "b.tif").read_bytes() == data


def test_many_records_are_flushed_on_the_way(place, monkeypatch):
    from xray_seg.batch.results import folder_sink

    flushed = []
    monkeypatch.setattr(folder_sink, "sync_filesystem", flushed.append)
    monkeypatch.setattr(folder_sink, "_SYNC_RECORDS", 2)
    place.run()
    assert len(flushed) == 2  # after two records, and at the end


def test_the_file_system_is_flushed_for_real(tmp_path):
    from xray_seg._util.files import sync_filesystem

    (tmp_path / "x").write_text("x")
    sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_filesystem(tmp_path / "missing")


def test_the_command_names_the_files_in_the_way(place, capsys):
    (place.out / "labels").mkdir(parents=True)
    (place.out / "labels" / "mine.png").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["batch", str(place.films), "--out", str(place.out)])
    assert stop.value.code == 1
    assert f"{place.out / 'labels'}" in capsys.readouterr().err


def test_help_tells_of_adopt():
    code = "from xray_seg.cli import main; main(['batch', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "--adopt" in done.stdout
