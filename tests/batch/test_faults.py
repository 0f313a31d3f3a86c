"""Faults of disks, folders, names, engines: each is named, the rest is done, the status tells."""

import csv
import errno
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import place as place_helper
from helpers.tiny import write_png
from xray_seg import segmenter
from xray_seg.batch import journal, stages
from xray_seg.cli import main
from xray_seg.data.phantom import make_phantom


@pytest.fixture
def films(tmp_path, monkeypatch):
    """Three films, and a stub in the place of weights and engine."""

    stub = place_helper.stub_segmenter()
    monkeypatch.setattr(segmenter, "Segmenter", lambda *args, **how: stub)
    for number, name in enumerate("abc"):
        pixels = (make_phantom(number, 64).radiograph * 255).astype(np.uint8)
        write_png(tmp_path / "films" / f"{name}.png", pixels)
    return tmp_path / "films"


def _batch(films, out, *args):
    """Exit status, and status and error by input name."""
    with pytest.raises(SystemExit) as stop:
        main(["batch", str(films), "--out", str(out), "-q", *args])
    path = Path(out) / "results.csv"
    rows = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.DictReader(file):
                rows[os.path.relpath(row["input"], films)] = (row["status"], row["error"])
    return stop.value.code, rows


def _statuses(rows):
    return {name: status for name, (status, _) in rows.items()}


def _mounted(folder, *options):
    if shutil.which("mount") is None or os.geteuid() != 0:
        return False
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, where one can be mounted."""
    folder = tmp_path / "disk"
    if not _mounted(folder, "-o", "size=64k"):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _full_after(monkeypatch, name, writes):
    """Let the writer of one suffix fail as on a full disk, after some writes."""
    real, lock, left = Path.write_bytes, threading.Lock(), [writes]

    def write_bytes(path, data):
        with lock:
            left[0] -= path.name.endswith(name)
            if path.name.endswith(name) and left[0] < 0:
                real(path, data[:7])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


def test_a_full_disk_is_named_and_what_fits_is_kept(films, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        _full_after(patch, ".tif", 2)
        code, rows = _batch(films, tmp_path / "out")
    assert code == 1
    assert sorted(_statuses(rows).values()) == ["failed", "ok", "ok"]
    (failed,) = (name for name, (status, _) in rows.items() if status == "failed")
    assert "No space left on device" in rows[failed][1]
    assert str(tmp_path / "out" / "labels" / failed[0]) in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob(".xrayseg-*"))
    assert _batch(films, tmp_path / "out")[0] == 0


def test_a_real_full_disk_ends_in_a_named_error(films, small_disk, capsys):
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 40_960)
    code, _ = _batch(films, small_disk / "out", "--save", "labels,probabilities", "--no-report")
    assert code == 1
    assert "No space left on device" in capsys.readouterr().err
    filler.unlink()
    code, rows = _batch(films, small_disk / "out", "--save", "labels", "--no-report")
    assert (code, set(_statuses(rows).values())) == (0, {"ok"})


def test_a_journal_that_cannot_be_written_ends_the_run(films, tmp_path, monkeypatch, capsys):
    def append(self, record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "append", append)
        assert _batch(films, tmp_path / "out")[0] == 1
    assert "out: cannot be written: No space left on device" in capsys.readouterr().err
    assert _batch(films, tmp_path / "out")[0] == 0


def test_a_read_only_output_is_named(films, tmp_path, capsys):
    out = tmp_path / "disk"
    if not _mounted(out, "-o", "ro"):
        pytest.skip("no file system can be mounted here")
    try:
        assert _batch(films, out)[0] == 1
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)
    assert f"{out}: cannot be written: Read-only file system" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_output_folder_is_named(films, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert _batch(films, tmp_path / "out")[0] == 1
    assert "out: cannot be written: Not a directory" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_in_the_place_of_an_output_file_costs_one_film(films, tmp_path):
    (tmp_path / "out" / ".xrayseg").mkdir(parents=True)
    (tmp_path / "out" / "overlay" / "b.jpg").mkdir(parents=True)
    code, rows = _batch(films, tmp_path / "out")
    assert code == 1
    assert _statuses(rows) == {"a.png": "ok", "b.png": "failed", "c.png": "ok"}
    assert "b.jpg: cannot be written: Is a directory" in rows["b.png"][1]
    assert not (tmp_path / "out" / "labels" / "b.tif").exists()


@pytest.mark.parametrize("fault", ["vanishes", "denied", "shrinks", "memory", "stale handle"])
def test_a_film_that_cannot_be_read_any_more_costs_itself(films, tmp_path, monkeypatch, fault):
    real = stages.read

    def read(path, **options):
        if path.name == "b.png":
            if fault == "vanishes":
                path.unlink()
            elif fault == "shrinks":
                os.truncate(path, 60)
            elif fault == "denied":
                raise_in_open(monkeypatch, errno.EACCES)
            elif fault == "stale handle":
                raise_in_open(monkeypatch, errno.ESTALE)
            else:
                raise MemoryError
        return real(path, **options)

    def raise_in_open(patch, number):
        opened = Path.open

        def refuse(self, *args, **kwargs):
            if self.name == "b.png":
                raise OSError(number, os.strerror(number), str(self))
            return opened(self, *args, **kwargs)

        patch.setattr(Path, "open", refuse)

    monkeypatch.setattr(stages, "read", read)
    code, rows = _batch(films, tmp_path / "out")
    assert code == 1
    assert _statuses(rows) == {"a.png": "ok", "b.png": "failed", "c.png": "ok"}
    said = {
        "vanishes": "No such file",
        "denied": "Permission denied",
        "shrinks": "damaged or not supported",
        "memory": "not enough memory",
        "stale handle": "Stale file handle",
    }
    assert "b.png: " in rows["b.png"][1]
    assert said[fault] in rows["b.png"][1]


def test_loops_of_links_end_and_are_named_where_they_are_films(films, tmp_path):
    (films / "loop").symlink_to(films)
    (films / "self.png").symlink_to(films / "self.png")
    code, rows = _batch(films, tmp_path / "out")
    assert code == 1
    assert _statuses(rows) == {
        **dict.fromkeys(("a.png", "b.png", "c.png"), "ok"),
        "self.png": "failed",
    }
    assert "symbolic links" in rows["self.png"][1]


NAMES = {
    "line break": b"two\nlines.png",
    "carriage return": b"a\rb.png",
    "no UTF-8": b"R\xf6ntgen.png",
    "terminal command": b"\x1b[31mred\x1b]0;title\x07.png",
    "markup": b"[red]x[red].png",
    "HTML": b"<img src=x onerror=alert(1)>.png",
    "formula": b"=1+1.png",
    "255 bytes": b"x" * 251 + b".png",
    "255 bytes of two each": "ß".encode() * 125 + b".png",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_bytes(films, tmp_path, capfd, name):
    path = films / os.fsdecode(NAMES[name])
    shutil.copy(films / "a.png", path)
    (films / os.fsdecode(NAMES[name].replace(b".png", b".gif"))).write_bytes(b"GIF89a damaged")
    out = tmp_path / "out"
    code, rows = _batch(films, out, "--save", "labels,organs,overlay", "-v")
    assert code == 1
    assert sorted(_statuses(rows).values()) == ["failed", *["ok"] * 4]
    assert len(list((out / "organs").iterdir())) == 3 * 4
    said = capfd.readouterr().err
    assert "\x1b" not in said
    assert len([line for line in said.splitlines() if line.startswith("failed")]) == 1
    with pytest.raises(SystemExit) as stop:
        main(["verify", str(out)])
    assert stop.value.code == 0


def test_long_names_that_agree_in_their_beginning_stay_apart(films, tmp_path):
    for end in "12":
        shutil.copy(films / "a.png", films / ("x" * 250 + end + ".png"))
    code, _ = _batch(films, tmp_path / "out")
    assert code == 0
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 5


def test_a_name_of_300_characters_is_named(tmp_path, films, capsys):
    long = str(films / ("x" * 300 + ".png"))
    with pytest.raises(SystemExit) as stop:
        main(["batch", long, str(films), "--out", str(tmp_path / "out"), "-q"])
    assert stop.value.code == 1
    assert "File name too long" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 3


def test_two_films_that_would_collide_are_told_apart_or_named(films, tmp_path):
    shutil.copy(films / "a.png", films / "a.PNG")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(films / "b.png", other / "c.png")
    out = tmp_path / "out"
    code, rows = _batch(films, out)
    assert (code, set(_statuses(rows).values())) == (0, {"ok"})
    with pytest.raises(SystemExit) as stop:
        main(["batch", str(other / "c.png"), str(films / "c.png"), "--out", str(out), "-q"])
    assert stop.value.code == 1


def test_a_slow_drive_holds_up_nothing_else(films, tmp_path, monkeypatch):
    real, waiting = stages.read, threading.Event()

    def read(path, **options):
        if path.name == "a.png":
            waiting.wait(30)
        result = real(path, **options)
        if path.name == "c.png":
            waiting.set()  # the last was read while the first was waited for
        return result

    monkeypatch.setattr(stages, "read", read)
    code, rows = _batch(films, tmp_path / "out", "--workers", "2")
    assert (code, set(_statuses(rows).values())) == (0, {"ok"})
    assert waiting.is_set()


def test_an_engine_that_fails_once_costs_nothing(films, tmp_path, monkeypatch):
    predict, calls = place_helper.StubEngine.predict, []

    def failing(self, grids):
        calls.append(len(grids))
        if len(calls) == 1:
            raise RuntimeError("the device was lost")
        return predict(self, grids)

    monkeypatch.setattr(place_helper.StubEngine, "predict", failing)
    assert _batch(films, tmp_path / "out")[0] == 0
    assert calls == [3, 1, 1, 1]


@pytest.mark.parametrize("how", ["mtime", "hash"])
def test_what_counts_as_the_same_input(films, tmp_path, how):
    out = tmp_path / "out"
    data = (films / "b.png").read_bytes()
    (films / "b.png").write_bytes(data + b"1")  # decoders ignore what follows the image
    _batch(films, out, "--verify", how)

    def redone(change):
        before = {path: path.stat().st_mtime_ns for path in (out / "labels").iterdir()}
        time.sleep(0.02)
        change()
        assert _batch(films, out, "--verify", how)[0] == 0
        return {path.stem for path, at in before.items() if path.stat().st_mtime_ns != at}

    assert redone(lambda: None) == set()
    assert redone((films / "a.png").touch) == ({"a"} if how == "mtime" else set())
    state = (films / "b.png").stat()

    def swap():
        (films / "b.png").write_bytes(data + b"2")
        os.utime(films / "b.png", ns=(state.st_atime_ns, state.st_mtime_ns))

    assert redone(swap) == (set() if how == "mtime" else {"b"})
