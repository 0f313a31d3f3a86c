"""Batches whose readers and writers are processes: the same outputs, also when some of them die."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from helpers.place import Place
from helpers.slow_file import slow_to_open
from xray_seg.batch import executors
from xray_seg.batch.executors import processes
from xray_seg.errors import XraySegError

pytestmark = pytest.mark.skipif(not processes.AVAILABLE, reason="processes are for Linux")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Films of which one is none; two processes."""
    monkeypatch.setattr(processes, "available_cores", lambda: 2)
    made = Place(tmp_path)
    made.add(*(f"{n:02d}.png" for n in range(14)))
    (made.films / "05x.png").write_text("no film")
    return made


def children(parent=None):
    parent = parent or os.getpid()
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(number) for number in found.split()]


def in_processes(place, **options):
    return place.run(processes=True, **options)


def test_outputs_are_those_of_threads(place, monkeypatch):
    before = set(children())
    summary, rows = in_processes(place)
    assert (summary.done, summary.failed) == (14, 1)
    assert "05x.png: is a text file" in rows["05x.png"][1]
    assert set(map(len, place.engine.batches)) <= {3, 2}  # full ones but for the last
    assert set(children()) == before
    files = place.files()
    _, by_threads = place.run(overwrite=True)
    assert by_threads == rows
    assert place.files() == files


def test_parquet_rows_are_those_of_threads(place, monkeypatch):
    pytest.importorskip("pyarrow")
    summary, rows = in_processes(place, output_format="parquet")
    assert (summary.done, summary.failed) == (14, 1)
    assert place.run(overwrite=True, output_format="parquet")[1] == rows


def _workers_that_ran(place, monkeypatch, **options):
    seen = set()
    before = set(children())
    place.engine.before = lambda: seen.update(set(children()) - before)
    summary, _ = place.run("00.png", **options)
    assert summary.done == 1
    return len(seen)


def test_one_image_has_a_process_unless_threads_are_asked_for(place, monkeypatch):
    monkeypatch.setattr(executors, "BY_DEFAULT", executors.AVAILABLE)
    place.run = partial(place.run, overwrite=True)
    monkeypatch.chdir(place.films)
    assert _workers_that_ran(place, monkeypatch) == 1
    assert _workers_that_ran(place, monkeypatch, processes=False) == 0
    monkeypatch.setattr(executors, "BY_DEFAULT", False)  # as on other systems
    assert _workers_that_ran(place, monkeypatch) == 0


def test_where_nothing_is_pending_no_process_is_left(place):
    place.run()
    before = set(children())
    summary, _ = in_processes(place)
    assert (summary.kept, summary.failed) == (14, 1)
    assert set(children()) == before


def test_processes_where_there_are_none_are_refused(place, monkeypatch):
    monkeypatch.setattr(executors, "AVAILABLE", False)
    with pytest.raises(XraySegError, match="--processes is for Linux"):
        in_processes(place)


def test_what_the_engine_fails_on_and_what_cannot_be_written_is_named(place, monkeypatch):
    (place.out / ".xrayseg").mkdir(parents=True)
    (place.out / "labels" / "03.tif").mkdir(parents=True)
    black = place.films / "06.png"
    black.write_bytes(imagecodecs.png_encode(np.zeros((60, 64), np.uint8)))
    summary, rows = in_processes(place)
    assert (summary.done, summary.failed) == (12, 3)
    assert "the engine failed: ArithmeticError: no contrast" in rows["06.png"][1]
    assert "labels/03.tif: cannot be written" in rows["03.png"][1]


@pytest.mark.parametrize("at", [1, 3])
def test_a_process_that_is_killed_costs_no_film(place, monkeypatch, at):
    before = set(children())

    def kill():
        if len(place.engine.batches) == at:
            os.kill(next(iter(set(children()) - before)), signal.SIGKILL)

    place.engine.before = kill
    summary, _ = in_processes(place)
    assert (summary.done, summary.failed) == (14, 1)
    files = place.files()
    place.engine.before = lambda: None
    place.run(overwrite=True)
    assert place.files() == files


def test_a_film_that_ends_its_process_costs_itself(place, monkeypatch, tmp_path):
    """As a decoder with a fault would: the process aborts while it reads one of the films."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'worker' in ' '.join(sys.orig_argv):\n"
        "    from xray_seg.batch import stages\n"
        "    prepare = stages.prepare\n"
        "    def faulty(job, task):\n"
        "        if task.item.key == '04':\n"
        "            os.abort()\n"
        "        return prepare(job, task)\n"
        "    stages.prepare = faulty\n"
    )
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    summary, rows = in_processes(place)
    assert (summary.done, summary.failed) == (13, 2)
    assert "04.png: ended the process that worked on it, 2 times (SIGABRT)" in rows["04.png"][1]


def test_after_an_interruption_what_was_finished_is_kept(place, monkeypatch):
    told = []

    def interrupt():  # the last film waits for the slot of one that is finished
        if told and told[-1].done:
            raise KeyboardInterrupt

    before = set(children())
    place.engine.before = interrupt
    inputs = 15
    in_processes(place, on_progress=lambda now, record: told.append(now))
    assert set(children()) == before
    assert told[-1].interrupted
    assert 0 < told[-1].done < inputs
    assert len(list((place.out / "labels").iterdir())) == told[-1].done
    assert not list(place.out.rglob(".xrayseg-*"))
    place.engine.before = lambda: None
    summary, _ = in_processes(place)
    assert (summary.kept, summary.done) == (told[-1].done, 14 - told[-1].done)


def test_processes_that_cannot_start_end_the_run(place, monkeypatch):
    monkeypatch.setattr(processes.sys, "executable", "/bin/false")
    with pytest.raises(XraySegError, match="ended as they started"):
        in_processes(place)


def test_processes_amid_an_image_end_with_a_parent_that_is_killed(tmp_path):
    """None of them reads its pipe, whose closing would end it."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from helpers.place import Place\n"
        "place = Place(Path(sys.argv[1]))\n"
        "place.add(*(f'{n:02d}.png' for n in range(4)))\n"
        "print('there', flush=True)\n"
        "sys.stdin.readline()\n"
        "place.run(workers=2, processes=True)\n"
    )
    here = str(Path(__file__).parents[1])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", script, tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as parent:
        assert parent.stdout.readline() == "there\n"
        films = tmp_path / "films"
        with slow_to_open(films / "00.png") as first, slow_to_open(films / "01.png") as second:
            parent.stdin.write("go\n")
            parent.stdin.flush()
            first.wait()
            second.wait()
            workers = children(parent.pid)
            assert len(workers) == 2
            parent.kill()
            until = time.monotonic() + 20
            while any(_runs(worker) for worker in workers):
                assert time.monotonic() < until, "a process outlived its parent"
                time.sleep(0.05)


def test_an_interruption_waits_for_the_image_at_hand(place):
    """A process is asked to end while it reads; its answer is recorded."""
    first = place.films / "00.png"
    first.write_text("no image")
    with slow_to_open(first) as opening:

        def interrupt():
            opening.wait()
            threading.Timer(1, opening.release).start()
            raise KeyboardInterrupt

        place.engine.before = interrupt
        summary, rows = in_processes(place)
    assert summary.interrupted
    assert "00.png: is a text file" in rows["00.png"][1]


def _runs(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
