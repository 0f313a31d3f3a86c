"""Processes killed (SIGKILL) while they put an output in place, and what the next run does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.batches import batch, files, make_films
from helpers.place import Place
from xray_seg._util.files import is_temporary
from xray_seg.batch.inputs import find_inputs
from xray_seg.batch.unpack import unpack
from xray_seg.batch.verify import verify

ROOT = Path(__file__).parents[2]

#: Ends the process as the n-th file whose name has a given ending is to get its name.
_KILL = """
import os, signal, sys
from pathlib import Path
rename, left = Path.replace, int(sys.argv[1])
def replace(self, target):
    global left
    if str(target).endswith(sys.argv[2]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.replace = replace
"""


def killed(count, ending, code):
    """Run code in a process that is killed before the count-th file of an ending is in place."""
    tests = str(ROOT / "tests")
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tests}"}
    done = subprocess.run(
        [sys.executable, "-c", _KILL + code, str(count), ending], env=env, check=False
    )
    assert done.returncode == -signal.SIGKILL


def temporary(folder):
    return [path for path in folder.rglob("*") if is_temporary(path.name)]


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("radiographs"))


@pytest.mark.parametrize("ending", [".parquet", "results.parquet"])
def test_a_killed_run_with_parquet_output_leaves_nothing(radiographs, tmp_path, ending):
    out = tmp_path / "out"
    code = f"""
from helpers.batches import batch
batch({str(radiographs)!r}, Path({str(out)!r}), output_format="parquet", parquet=True)
"""
    killed(1, ending, code)
    assert temporary(out)
    assert [path.name for path in out.glob("[!.]*.parquet")] == ["part-00000.parquet"] * (
        ending == "results.parquet"
    )
    batch(radiographs, out, output_format="parquet", parquet=True)
    assert not temporary(out)
    assert sorted(path.name for path in out.glob("[!.]*.parquet"))[0] == "part-00000.parquet"
    assert not verify(out).problems


@pytest.mark.parametrize("count", [1, 5])
def test_a_killed_unpack_leaves_nothing_when_it_runs_again(radiographs, tmp_path, count):
    batch(radiographs, tmp_path / "whole")
    batch(radiographs, tmp_path / "out", output_format="parquet")
    target = tmp_path / "files"
    code = f"""
from xray_seg.batch.unpack import unpack
unpack([Path({str(tmp_path / "out")!r})], Path({str(target)!r}))
"""
    killed(count, ".tif", code)
    assert temporary(target)
    whole = files(tmp_path / "whole")
    written = {name: of for name, of in files(target).items() if ".xrayseg-" not in name}
    assert written.items() <= whole.items()
    unpack([tmp_path / "out"], target)
    assert not temporary(target)
    assert files(target) == whole


def test_unpacked_outputs_are_no_inputs_of_later_batches(radiographs, tmp_path):
    batch(radiographs, tmp_path / "out", output_format="parquet")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "radiograph.png").write_bytes((radiographs / "f1.png").read_bytes())
    unpack([tmp_path / "out"], tmp_path / "in" / "files")
    assert [item.key for item in find_inputs([str(tmp_path / "in")])] == ["radiograph"]
    assert [item.key for item in find_inputs([f"{tmp_path}/in/**/*"])] == ["radiograph"]


def _code(place, **options):
    return f"""
from pathlib import Path
from helpers.place import stub_segmenter
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
run_batch([{str(place.films)!r}], {str(place.out)!r}, segmenter=stub_segmenter(),
          options=BatchOptions(processes=False, **{options!r}))
"""


@pytest.mark.parametrize("kills", [1, 2])
def test_outputs_that_a_killed_run_replaced_are_replaced_again(tmp_path, kills):
    """The kill comes between the label map and the overlay, so that no record names either."""
    place = Place(tmp_path)
    place.add("a.png", "b.png")
    assert place.run()[0].done == 2
    before = place.files()
    for number in range(kills):
        killed(1, "a.jpg", _code(place, spacing=0.2 + number, inverted=number == 0))
    assert place.files()["labels/a.tif"] != before["labels/a.tif"]
    summary, rows = place.run(spacing=0.7)
    assert (summary.done, summary.failed) == (2, 0), rows
    assert not verify(place.out).problems
    assert not list((place.out / ".xrayseg" / "replacing").iterdir())


def test_a_file_changed_by_hand_is_still_refused_after_a_kill(tmp_path):
    place = Place(tmp_path)
    place.add("a.png")
    place.run()
    killed(1, "a.jpg", _code(place, inverted=True))
    (place.out / "labels" / "a.tif").write_bytes(b"mine")
    _, rows = place.run(spacing=0.7)
    assert "was changed since it was written" in rows["a.png"][1]
    (note,) = (place.out / ".xrayseg" / "replacing").iterdir()
    for content in ("{", "[]", json.dumps({"labels/a.tif": 7}), json.dumps({"../x": ["0"]})):
        note.write_text(content)
        assert place.run(spacing=0.7)[1]["a.png"][0] == "failed"
    assert (place.out / "labels" / "a.tif").read_bytes() == b"mine"
