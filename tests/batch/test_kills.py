"""A batch that is killed at random moments, and then continued, gives the same outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.place import Place
from xray_seg._util.files import atomic_path, is_temporary, sweep
from xray_seg._util.folder_lock import lock_output_folder
from xray_seg.errors import OutputError
from xray_seg.outputs import KINDS

ROOT = Path(__file__).parents[2]
KINDS_OF_PNG = tuple(kind for kind in KINDS if kind != "dicom-seg")


@pytest.mark.parametrize("how", [[], ["--processes"]])
@pytest.mark.slow
def test_killed_again_and_again_a_batch_ends_as_if_left_alone(how):
    script = ROOT / "benchmarks" / "kills.py"
    command = [sys.executable, script, "--images", "40", "--kills", "8", *how]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] == 8
    assert report["files"] == 2 * 40 + 2  # results.csv and report.html
    assert report["finished_images_computed_again"] == 0
    assert {value for name, value in report.items() if name.startswith("at_the_end")} == {0}


@pytest.fixture(scope="module")
def opened():
    """Paths opened for writing while the list is not None; an audit hook cannot be removed."""
    seen = {"paths": None}

    def note(event, arguments):
        if event == "open" and seen["paths"] is not None:
            path, _, flags = arguments
            if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR):
                seen["paths"].append(path)

    sys.addaudithook(note)
    return seen


def test_no_output_of_a_batch_is_ever_opened_for_writing_under_its_own_name(tmp_path, opened):
    """A kill at any moment leaves an output whole or missing, however short the moment is."""
    place = Place(tmp_path)
    place.add("a.png", "b.png")
    opened["paths"] = []
    try:
        for seed in (None, 7):  # new files, then replaced ones
            place.add("a.png", seed=seed)
            place.run(save=KINDS_OF_PNG)
    finally:
        written, opened["paths"] = opened["paths"], None
    paths = {Path(path) for path in written if path.startswith(str(place.out))}
    # A folder stands for a file in it that never gets a name.
    names = {path.relative_to(place.out) for path in paths if not path.is_dir()}
    direct = {name for name in names if not is_temporary(name.name)}
    assert {str(name) for name in direct} == {".xrayseg/journal.jsonl", ".xrayseg/lock"}
    folders = {str(name.parent) for name in names - direct}
    assert folders >= {".", ".xrayseg/report", "labels", "organs", "overlay", "rle", "chexmask"}


def _leave(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"half")


def test_only_temporary_files_of_our_pattern_go_and_only_in_the_folders_of_outputs(tmp_path):
    ours = ".xrayseg-12-0123abcd.tif"
    others = (".xrayseg-x.tif", ".xrayseg-12-0123abc.tif", "image.tif", ".hidden", "x" + ours)
    elsewhere = tmp_path / "elsewhere"
    _leave(elsewhere, ours)
    out = tmp_path / "out"
    for folder in (out, out / "labels" / "ward", out / "images"):
        _leave(folder, ours, *others)
    (out / "labels" / "link").symlink_to(elsewhere)
    (out / "labels" / ".xrayseg-13-0123abcd.tif").symlink_to(out / "image.tif")
    assert sweep(out, ("labels", "overlay")) == 2
    assert not (out / ours).exists()
    assert not (out / "labels" / "ward" / ours).exists()
    for kept in (elsewhere / ours, out / "images" / ours, *(out / name for name in others)):
        assert kept.exists()


def test_the_pattern_is_the_one_that_files_are_written_under(tmp_path):
    for name in ("a.tif", "results.csv", "no suffix", "x.y\n.z"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.touch()
            assert is_temporary(temporary.name)
        assert not is_temporary(name)


def test_a_run_leaves_no_temporary_file_of_a_killed_one_also_not_among_its_own(tmp_path):
    """Parts of the review page are such files, too."""
    own = tmp_path / ".xrayseg" / "report" / "ward"
    _leave(own, ".xrayseg-12-0123abcd.json", "image.json")
    with lock_output_folder(tmp_path, "", ("labels",)):
        assert [path.name for path in own.iterdir()] == ["image.json"]


def test_a_run_leaves_no_temporary_file_of_a_worker_that_died_under_way(tmp_path):
    with lock_output_folder(tmp_path, "", ("labels",)):
        _leave(tmp_path / "labels", ".xrayseg-12-0123abcd.tif", "image.tif")
    assert [path.name for path in (tmp_path / "labels").iterdir()] == ["image.tif"]


def test_parts_at_the_same_time_keep_their_temporary_files_and_the_last_leaves_none(tmp_path):
    ours, kinds = ".xrayseg-12-0123abcd.tif", ("labels",)
    with lock_output_folder(tmp_path, "-1-of-2", kinds):
        _leave(tmp_path / "labels", ours)
        with lock_output_folder(tmp_path, "-2-of-2", kinds):
            assert (tmp_path / "labels" / ours).exists()
        assert (tmp_path / "labels" / ours).exists()
    assert not (tmp_path / "labels" / ours).exists()


@pytest.mark.parametrize(("one", "other"), [("", ""), ("-1-of-2", ""), ("-1-of-2", "-1-of-2")])
def test_two_runs_that_would_write_the_same_are_refused(tmp_path, one, other):
    with (
        lock_output_folder(tmp_path, one, ()),
        pytest.raises(OutputError, match="another run writes here"),
        lock_output_folder(tmp_path, other, ()),
    ):
        pass
    with lock_output_folder(tmp_path, other, ()):
        pass


def test_a_part_is_refused_while_a_whole_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("xray_seg._util.folder_lock._PATIENCE_S", 0.1)
    with (
        lock_output_folder(tmp_path, "", ()),
        pytest.raises(OutputError, match="another run writes here"),
        lock_output_folder(tmp_path, "-1-of-2", ()),
    ):
        pass
