"""The folder of compiled kernels: whose it is, and what happens where it cannot be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_KERNELS = """
from xray_seg.kernels._jit import kernel

@kernel
def double(number):
    return 2 * number

@kernel
def triple(number):
    return 3 * number
"""

_REPORT = """
import json, sys
values = [few.double(21), few.triple(14)]
stats = few.double.stats
print(json.dumps([values, str(stats.cache_path), sum(stats.cache_hits.values())]))
"""


class Process:
    """A new process that compiles two kernels.

    Attributes:
        values: what the kernels return.
        folder: the folder of their cache; "None" without one.
        hits: how many it loaded from there.
        warnings: lines of standard error.
    """

    def __init__(self, place: Path, code: str = "import few", after: str = "", **variables: str):
        (place / "few.py").write_text(_KERNELS)
        unset = ("NUMBA_CACHE_DIR", "XRAYSEG_KERNEL_CACHE", "XDG_CACHE_HOME")
        env = {key: value for key, value in os.environ.items() if key not in unset}
        env |= {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}", "TMPDIR": str(place), **variables}
        script = "\n".join((code, _REPORT, after))
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=env,
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.values, self.folder, self.hits = json.loads(done.stdout.splitlines()[0])
        self.warnings = done.stderr.splitlines()
        assert self.values == [42, 42]


def _temporary(place):
    return sorted(place.glob("xrayseg-kernels-*"))


def test_a_folder_of_this_user_is_made_private_and_used_again(tmp_path):
    cache = tmp_path / "home" / "cache"
    first = Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    second = Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert (first.hits, second.hits) == (0, 1)
    assert not first.warnings + second.warnings
    made = [cache.parent, cache, *(path for path in cache.rglob("*") if path.is_dir())]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == [oct(0o700)] * len(made)


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    for mode in (0o777, 0o775):
        cache.chmod(mode)
        for _ in range(2):
            process = Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
            assert Path(process.folder).parent == tmp_path
            assert process.hits == 0
            assert len(process.warnings) == 1
            assert f"{cache}: other users can write to it" in process.warnings[0]
    assert not list(cache.iterdir())
    assert not _temporary(tmp_path)


def test_a_folder_in_it_that_others_can_write_to_is_not_used(tmp_path):
    used = Path(Process(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache")).folder)
    used.chmod(0o777)
    process = Process(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert (process.hits, len(process.warnings)) == (0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_not_used(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir(0o755)
    os.chown(cache, 12345, 12345)
    process = Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert not list(cache.iterdir())
    assert f"{cache}: belongs to another user" in process.warnings[0]


def test_a_relative_folder_is_not_used(tmp_path):
    code = "import platformdirs\nplatformdirs.user_cache_dir = lambda *a, **k: '~/.cache'\n"
    for script, named in ((f"{code}import few", {}), ("import few", {"NUMBA_CACHE_DIR": "here"})):
        process = Process(tmp_path, script, **named)
        assert Path(process.folder).is_absolute()
        assert len(process.warnings) == 1
    assert not (tmp_path / "~").exists()
    assert not (tmp_path / "here").exists()


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_truncate, _flip_a_bit, _empty])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_files_are_written_again_with_one_warning(tmp_path, damage, kind):
    cache = tmp_path / "cache"
    Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    files = sorted(cache.rglob(f"*.{kind}"))
    assert len(files) == 2
    for path in files:
        damage(path)
    process = Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert (process.hits, len(process.warnings)) == (0, 1)
    assert "is damaged" in process.warnings[0]
    again = Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert (again.hits, again.warnings) == (1, [])


def test_a_file_that_is_no_machine_code_is_no_failure(tmp_path):
    """Whole by its digest, and yet nothing that numba can load."""
    cache = tmp_path / "cache"
    Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    code = (
        "import hashlib, pathlib, pickle\n"
        f"for path in pathlib.Path({str(cache)!r}).rglob('*.nbc'):\n"
        "    data = pickle.dumps(('no', 'code'))\n"
        "    path.write_bytes(data + hashlib.sha256(data).digest())\n"
        "import few"
    )
    process = Process(tmp_path, code, NUMBA_CACHE_DIR=str(cache))
    assert (process.hits, len(process.warnings)) == (0, 1)


_LIMIT = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"


def test_a_full_file_system_costs_one_warning(tmp_path):
    cache = tmp_path / "cache"
    process = Process(tmp_path, f"{_LIMIT}import few", NUMBA_CACHE_DIR=str(cache))
    assert process.folder == "None"
    assert len(process.warnings) == 1
    assert "cannot be written" in process.warnings[0]
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc", ".tmp")]
    assert not _temporary(tmp_path)


def test_a_file_system_that_fills_later_costs_one_warning(tmp_path):
    process = Process(tmp_path, f"import few\n{_LIMIT}", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert len(process.warnings) == 1
    assert "cannot be written: File too large" in process.warnings[0]


def test_a_full_file_system_does_not_keep_kernels_from_being_read(tmp_path):
    Process(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    process = Process(tmp_path, f"{_LIMIT}import few", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert (process.hits, len(process.warnings)) == (1, 1)


def test_no_temporary_folder_and_no_cache_folder(tmp_path):
    (tmp_path / "file").write_text("")
    cache = str(tmp_path / "file" / "cache")
    code = f"import tempfile\ntempfile._candidate_tempdir_list = lambda: []\n{_LIMIT}import few"
    process = Process(tmp_path, code, NUMBA_CACHE_DIR=cache)
    assert (process.folder, len(process.warnings)) == ("None", 1)


_CHILD = """
import subprocess
child = subprocess.run([sys.executable, "-c", "import few; few.double(1); "
    "print(few.double.stats.cache_path, sum(few.double.stats.cache_hits.values()))"],
    capture_output=True, text=True)
sys.stderr.write(child.stdout + child.stderr)
"""


def test_processes_that_it_starts_share_its_folder_and_do_not_warn(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    process = Process(tmp_path, after=_CHILD, NUMBA_CACHE_DIR=str(cache))
    assert "other users can write" in process.warnings[0]
    assert process.warnings[1:] == [f"{process.folder} 1"]
    limited = Process(
        tmp_path, f"{_LIMIT}import few", _CHILD, NUMBA_CACHE_DIR=str(tmp_path / "other")
    )
    assert limited.warnings[1:] == ["None 0"]


def test_temporary_folders_of_killed_processes_are_removed(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    (tmp_path / "few.py").write_text(_KERNELS)
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    env |= {"TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": str(cache)}
    code = "import few, time; print('ready', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as killed:
        try:
            killed.stdout.readline()
            running = _temporary(tmp_path)
            Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
            assert len(running) == 1
            assert _temporary(tmp_path) == running  # in use
        finally:
            killed.kill()
    assert _temporary(tmp_path) == running
    Process(tmp_path, NUMBA_CACHE_DIR=str(cache))
    assert not _temporary(tmp_path)
