"""Processes that do not answer, or need too much memory, are replaced; the others go on."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
import tifffile

from batch.test_processes import children
from helpers.place import Place
from helpers.slow_file import slow_to_open
from xray_seg.batch.executors import processes, watchdog
from xray_seg.errors import XraySegError

pytestmark = pytest.mark.skipif(not processes.AVAILABLE, reason="processes are for Linux")

#: More than an image of these takes, also on a busy machine.
LIMIT_S = 6


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Six images that were segmented before, so that no kernel is left to compile."""
    monkeypatch.setattr(processes, "available_cores", lambda: 2)
    made = Place(tmp_path)
    made.add(*(f"{n:02d}.png" for n in range(6)))
    made.run()
    return made


def again(place, **options):
    return place.run(overwrite=True, processes=True, stall_timeout=LIMIT_S, **options)


def test_a_process_that_is_stopped_costs_no_image(place):
    files = place.files()
    stopped = []

    def stop():
        if not stopped:
            stopped.append(children()[-1])
            os.kill(stopped[0], signal.SIGSTOP)

    place.engine.before = stop
    summary, _ = again(place)
    assert (summary.done, summary.failed) == (6, 0)
    assert place.files() == files
    assert not set(children()) & set(stopped)


def test_an_image_that_no_process_can_read_in_time_costs_itself(place):
    with slow_to_open(place.films / "02.png"):
        summary, rows = again(place)
    assert (summary.done, summary.failed) == (5, 1)
    assert f"02.png: no answer within {LIMIT_S} s, twice" in rows["02.png"][1]


def stopped_at_start(monkeypatch, times):
    class Stopped(processes.WorkerProcess):
        started = 0

        def __init__(self, memory):
            super().__init__(memory)
            Stopped.started += 1
            if Stopped.started <= times:
                os.kill(self.process.pid, signal.SIGSTOP)

    monkeypatch.setattr(processes, "WorkerProcess", Stopped)


def test_a_process_that_never_starts_is_replaced(place, monkeypatch):
    stopped_at_start(monkeypatch, 1)
    assert again(place)[0].done == 6


def test_processes_that_never_start_end_the_run(place, monkeypatch):
    before = set(children())
    stopped_at_start(monkeypatch, 1000)
    with pytest.raises(XraySegError, match=f"as they started, 2 times .no answer within {LIMIT_S}"):
        again(place)
    assert set(children()) == before


def test_the_end_of_a_run_waits_for_no_idle_process(place, monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE_S", 1e6)

    def stop(summary, record):
        if summary.processed == summary.total:
            for child in children():
                os.kill(child, signal.SIGSTOP)

    before = set(children())
    assert again(place, on_progress=stop)[0].done == 6
    assert set(children()) == before


def test_an_interruption_kills_a_process_that_is_stopped(place, monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE_S", 1)

    def stop():
        for child in children():
            os.kill(child, signal.SIGSTOP)
        raise KeyboardInterrupt

    before = set(children())
    place.engine.before = stop
    assert again(place)[0].interrupted
    assert set(children()) == before


class Busy:
    """A worker with a command at hand since 0."""

    def __init__(self):
        self.busy_since = 0.0
        self.stalled = threading.Event()
        self.stall = self.stalled.set


@pytest.fixture
def watched(monkeypatch):
    """A watchdog with a limit of eight ticks, its worker, and a clock that a test sets forward."""
    clock = SimpleNamespace(calls=0, step=0.0, ticked=threading.Semaphore(0))

    def monotonic():
        clock.calls += 1
        clock.ticked.release()
        return clock.calls * clock.step

    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=monotonic))
    worker = Busy()
    clock.step = 0.05
    dog = watchdog.Watchdog(0.4, lambda: [worker])
    yield dog, worker, clock
    dog.close()


def test_time_counts_only_while_the_workers_are_waited_for(watched):
    dog, worker, clock = watched
    for _ in range(20):
        clock.ticked.acquire()
    assert dog.seconds == 0
    with dog.waiting():
        assert worker.stalled.wait(60)


def test_a_suspended_machine_is_not_the_workers_fault(watched):
    dog, worker, clock = watched
    clock.step = 1e6
    with dog.waiting():
        before = clock.calls
        assert worker.stalled.wait(60)
        assert clock.calls - before >= 4  # each counts as two ticks


PATCH = """\
import sys
if 'worker' in ' '.join(sys.orig_argv):
    from xray_seg.batch.executors import memory
    memory._BASE, memory._BYTES_PER_SAMPLE = 200 << 20, 0
"""


def test_an_image_that_needs_more_memory_than_it_may_costs_itself(place, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(PATCH)
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    pixels = np.zeros((5000, 6000))  # 240 MB
    tifffile.imwrite(place.films / "large.tif", pixels, compression="zlib", rowsperstrip=50)
    summary, rows = again(place)
    assert (summary.done, summary.failed) == (6, 1)
    assert "large.tif: not enough memory for it" in rows["large.tif"][1]


def test_growth_is_limited_from_what_a_process_has():
    script = (
        "import numpy as np\n"
        "from xray_seg.batch.executors.memory import limit_growth\n"
        "kept = []\n"
        "for _ in range(3):\n"
        "    limit_growth(200 << 20)\n"
        "    kept.append(np.ones(100 << 20, np.uint8))\n"
        "try:\n"
        "    np.ones(300 << 20, np.uint8)\n"
        "except MemoryError:\n"
        "    print('limited')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == "limited\n", done.stderr


@pytest.mark.parametrize(("limit", "status"), [(0.2, 1), (60, 0), (0, 0)])
def test_a_worker_of_a_cluster_ends_when_its_image_takes_too_long(limit, status):
    script = (
        "import sys, time\n"
        "from xray_seg.batch.executors.ray_cluster.tasks import exit_if_stalled\n"
        "with exit_if_stalled(float(sys.argv[1])):\n"
        "    time.sleep(1)\n"
        "with exit_if_stalled(0.2):\n"
        "    pass\n"
        "time.sleep(0.4)\n"
    )
    command = [sys.executable, "-c", script, str(limit)]
    assert subprocess.run(command, check=False).returncode == status


def _blocked_amid_an_answer():
    """A child that waits for room in its socket, or None."""
    for child in children():
        if "sock_alloc_send" in Path(f"/proc/{child}/wchan").read_text():
            return child
    return None


def test_a_process_that_is_stopped_amid_an_answer_costs_no_image(place):
    """Whoever reads the beginning of the answer waits for its end."""
    pytest.importorskip("pyarrow")
    noise = np.random.default_rng(0).integers(0, 255, (3, 1500, 1500), np.uint8)
    for path, pixels in zip(sorted(place.films.iterdir()), noise, strict=False):
        path.write_bytes(imagecodecs.png_encode(pixels))
    save = ("labels", "organs", "probabilities", "overlay")
    place.run(save=save, overwrite=True)  # compiles the kernels
    stopped = []

    def stop():  # in the second batch, while masks of the first are sent
        until = time.monotonic() + 60
        while len(place.engine.batches) == 1 and not stopped and time.monotonic() < until:
            if (child := _blocked_amid_an_answer()) is not None:
                os.kill(child, signal.SIGSTOP)
                stopped.append(child)
            time.sleep(0.01)

    place.engine.before = stop
    place.out = place.out.with_name("parts")
    summary, _ = again(place, output_format="parquet", save=save, workers=1)
    if not stopped:
        pytest.skip("this system does not say where processes wait")
    assert (summary.done, summary.failed) == (6, 0)
