"""Compare a batch that is killed with SIGKILL many times to one that is left alone.

    python benchmarks/kills.py --images 200 --kills 50 [--processes]

The images are phantoms and the engine is a stub; the rest is what users run. Prints counts as
JSON. The exit status is 1 if the two output folders differ in a byte, a temporary file is left, a
row is missing or doubled, or an image that was finished was segmented again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
from stubs import BrightnessEngine, stub_segmenter

from xray_seg._util.files import is_temporary
from xray_seg.batch.executors import Executor, ProcessExecutor, ThreadExecutor
from xray_seg.batch.journal import WITH_MASKS
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.batch.verify import verify
from xray_seg.data.phantom import make_phantom

#: Side of the grid, and seconds per step: long enough that a kill interrupts work.
SIZE, STEP_S = 32, 0.01


def write_images(folder: Path, count: int) -> None:
    """Write small PNG images, all different."""
    folder.mkdir()
    image = (make_phantom(1, 64).radiograph * 250).astype(np.uint8)
    for number in range(count):
        rolled = np.roll(image, number, axis=1)
        (folder / f"{number:04d}.png").write_bytes(imagecodecs.png_encode(rolled))


def segment(images: Path, out: Path, executor: Executor) -> None:
    """Run a whole batch, one image per step."""
    run_batch(
        [images],
        out,
        segmenter=stub_segmenter(BrightnessEngine(SIZE, seconds=STEP_S)),
        options=BatchOptions(workers=1, batch_size=1),
        executor=executor,
    )


def journal_lines(out: Path) -> list[bytes]:
    """Complete lines of the journal of an output folder."""
    path = out / ".xrayseg" / "journal.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def finished(out: Path) -> set[str]:
    """Keys of the images that the journal lists as done."""
    records = map(json.loads, journal_lines(out))
    return {record["key"] for record in records if record["row"]["status"] in WITH_MASKS}


def states(out: Path, keys: set[str]) -> dict[Path, tuple[int, int]]:
    """Inode and time of label maps, which change if they are written again."""
    paths = [out / "labels" / f"{key}.tif" for key in keys]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def wait_for_lines(out: Path, lines: int, child: int) -> None:
    """Wait until the journal has so many lines, or the child process is a zombie."""
    state = Path(f"/proc/{child}/stat")
    while len(journal_lines(out)) < lines:
        if state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.001)


def kill_repeatedly(images: Path, out: Path, kills: int, executor: Executor) -> dict[str, int]:
    """Kill ``kills`` runs at random moments, then let one run to its end.

    Returns:
        Counts for the report.
    """
    chance = random.Random(1)  # noqa: S311 - the same moments each time
    count = len(list(images.iterdir()))
    again = temporaries = within = 0
    for kill in range(kills + 1):
        before = finished(out)
        known = states(out, before)
        child = os.fork()
        if child == 0:
            segment(images, out, executor)
            os._exit(0)
        if kill < kills:
            # On average a run does its share of the pending images; some are killed at their start.
            share = (count - len(before)) / (kills + 1 - kill)
            wait_for_lines(out, len(before) + int(chance.uniform(0, 1.6 * share)), child)
            time.sleep(chance.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        again += sum(known[path] != state for path, state in states(out, before).items())
        within += 0 < len(finished(out)) < count
        temporaries += any(is_temporary(path.name) for path in out.rglob("*"))
    return {
        "kills": kills,
        "killed_with_some_images_done": within,
        "kills_that_left_temporary_files": temporaries,
        "finished_images_computed_again": again,
    }


def compare(alone: Path, killed: Path, images: int) -> dict[str, int]:
    """Compare two output folders, except the times in run.json and the order of records.

    Returns:
        Counts for the report.
    """
    one, other = contents(alone), contents(killed)
    with (killed / "results.csv").open(newline="") as file:
        rows = [row["input"] for row in csv.DictReader(file) if row["status"] in WITH_MASKS]
    left = [path for path in killed.rglob("*") if is_temporary(path.name)]
    return {
        "files": len(one),
        "at_the_end_different_files": sum(
            one.get(name) != other.get(name) for name in one.keys() | other.keys()
        ),
        "at_the_end_missing_rows": images - len(set(rows)),
        "at_the_end_doubled_rows": len(rows) - len(set(rows)),
        "at_the_end_temporary_files": len(left),
        "at_the_end_problems_of_verify": len(verify(killed).problems),
    }


def contents(out: Path) -> dict[str, bytes]:
    """Bytes of masks, overlays, results.csv and report.html, by path."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".xrayseg" not in path.parts and path.name != "run.json"
    }


def main() -> None:
    """Parse the command line, run, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", "--films", type=int, default=200, help="number of images")
    parser.add_argument("--kills", type=int, default=50, help="number of runs to kill")
    parser.add_argument(
        "--processes", action="store_true", help="read and write in processes, not in threads"
    )
    given = parser.parse_args()
    executor = ProcessExecutor() if given.processes else ThreadExecutor()
    with tempfile.TemporaryDirectory() as folder:
        images, alone, killed = (Path(folder, name) for name in ("images", "alone", "killed"))
        write_images(images, given.images)
        # Kernels are compiled or loaded before the forks.
        segment(images, Path(folder, "warm"), ThreadExecutor())
        segment(images, alone, ThreadExecutor())
        report = kill_repeatedly(images, killed, given.kills, executor)
        report |= compare(alone, killed, given.images)
    print(json.dumps(report))
    wrong = [name for name in report if name.startswith(("finished", "at_the_end"))]
    sys.exit(1 if any(report[name] for name in wrong) else 0)


if __name__ == "__main__":
    main()
