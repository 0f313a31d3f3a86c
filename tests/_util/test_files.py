"""Files appear whole or not at all."""

import os
import subprocess
import sys
import threading

import pytest

from xray_seg._util.files import TEMPORARY_PREFIX, atomic_path, write_bytes, write_text


def _names(folder):
    return [path.name for path in folder.iterdir()]


def test_text_is_written_as_utf8_and_nothing_else_stays(tmp_path):
    target = tmp_path / "Röntgen.txt"
    write_text(target, "Herz ♥\n")
    assert target.read_bytes() == b"Herz \xe2\x99\xa5\n"
    assert _names(tmp_path) == ["Röntgen.txt"]


def test_an_older_file_is_replaced(tmp_path):
    target = tmp_path / "card.json"
    write_bytes(target, b"a longer old content")
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_leaves_what_was_there(tmp_path, error, old):
    target = tmp_path / "labels.tif"
    if old is not None:
        target.write_bytes(old)

    def fail_halfway():
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half of it")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert _names(tmp_path) == ([] if old is None else ["labels.tif"])
    assert old is None or target.read_bytes() == old


def test_until_the_block_ends_readers_see_the_old_file(tmp_path):
    target = tmp_path / "labels.tif"
    target.write_bytes(b"old")
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_the_target_is_replaced_in_one_step_not_written_into(tmp_path):
    """An open old file keeps its contents; the new file is the one that was flushed."""
    target = tmp_path / "labels.tif"
    target.write_bytes(b"old")
    with target.open("rb") as before:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"a longer new content")
            flushed = temporary.stat().st_ino
        assert before.read() == b"old"
        assert os.fstat(before.fileno()).st_nlink == 0
    assert target.stat().st_ino == flushed


def test_a_reader_during_writes_of_a_large_file_sees_a_whole_one(tmp_path):
    target, length = tmp_path / "labels.tif", 8 << 20
    write_bytes(target, b"0" * length)
    done, torn = threading.Event(), []

    def look():
        while not done.is_set():
            data = target.read_bytes()
            if data != data[:1] * length:
                torn.append(len(data))

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for letter in b"12345678":
        write_bytes(target, bytes([letter]) * length)
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []


def test_the_temporary_file_is_hidden_beside_the_target_with_its_suffix(tmp_path):
    with atomic_path(tmp_path / "x.y.tif") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tif"
        assert temporary.name.startswith(".")
        assert temporary.name.startswith(TEMPORARY_PREFIX)


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x.tif"):
        pass
    assert _names(tmp_path) == []


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path):
    target = tmp_path / "labels.tif"
    target.mkdir()
    with pytest.raises(OSError, match=r"labels\.tif"):
        write_bytes(target, b"data")
    assert _names(tmp_path) == ["labels.tif"]
    assert target.is_dir()


def test_writers_at_the_same_time_never_mix(tmp_path):
    target = tmp_path / "results.csv"
    start = threading.Barrier(6)

    def write(letter):
        start.wait(30)
        for _ in range(3):
            write_bytes(target, letter * 200_000)

    threads = [threading.Thread(target=write, args=(bytes([65 + n]),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = target.read_bytes()
    assert data == data[:1] * 200_000
    assert _names(tmp_path) == ["results.csv"]


def test_a_killed_process_leaves_the_old_file_and_a_name_to_tell_the_rest_by(tmp_path):
    target = tmp_path / "results.csv"
    target.write_bytes(b"old")
    code = (
        "import os, sys, pathlib\n"
        "from xray_seg._util.files import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half of it')\n"
        "    os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == 9
    assert target.read_bytes() == b"old"
    (left,) = {path.name for path in tmp_path.iterdir()} - {"results.csv"}
    assert left.startswith(TEMPORARY_PREFIX)
