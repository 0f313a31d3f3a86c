"""A batch killed with SIGKILL again and again, beside one that is left alone.

    python benchmarks/kills.py --films 200 --kills 50 [--processes]

Films are phantoms, the engine a stub, everything else is the product. Prints what was counted as
JSON; the exit status is 1 where the two output folders differ in a byte, a temporary file is left,
a row is missing or doubled, or an image that was finished was computed again.
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
from types import SimpleNamespace

import imagecodecs
import numpy as np

from xray_seg._util.files import is_temporary
from xray_seg.batch.executors.processes import run_in_processes
from xray_seg.batch.executors.threads import run_stages
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run
from xray_seg.batch.verify import verify
from xray_seg.data.phantom import make_phantom


class StubEngine:
    """Classes by brightness, slowly enough that a kill finds something under way."""

    name, precision, device, size, batch_size = "stub", "exact", "cpu", 32, 4

    def predict(self, grids: np.ndarray) -> np.ndarray:
        """(B, S, S) grids to (B, S, S, 4) probabilities."""
        time.sleep(0.01)
        classes = np.minimum((grids * 4).astype(int), 3)
        return np.where(classes[..., None] == np.arange(4), 0.97, 0.01).astype(np.float32)


def make_films(folder: Path, count: int) -> None:
    """Small PNG films, all different."""
    folder.mkdir()
    film = (make_phantom(1, 64).radiograph * 250).astype(np.uint8)
    for number in range(count):
        each = np.roll(film, number, axis=1)
        (folder / f"{number:04d}.png").write_bytes(imagecodecs.png_encode(each))


def segment(films: Path, out: Path, processes: bool) -> None:
    """A whole run, its readers and writers threads or processes."""
    model = SimpleNamespace(sha256="0" * 64, name="stub")
    stub = SimpleNamespace(engine=StubEngine(), model=model)
    stages = run_in_processes if processes else run_stages
    run([str(films)], out, stub, BatchOptions(workers=1, batch_size=1), stages=stages)


def states(out: Path, keys: set[str]) -> dict[Path, tuple[int, int]]:
    """Inode and time of the label maps of some films, which change if they are written again."""
    paths = [out / "labels" / f"{key}.tif" for key in keys]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def finished(out: Path) -> set[str]:
    """Keys that the journal has whole lines of."""
    path = out / ".xrayseg" / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return {record["key"] for record in map(json.loads, lines) if record["row"]["status"] == "ok"}


def wait_for_lines(out: Path, lines: int, child: int) -> None:
    """Until the journal has so many lines, or the run has ended (it is not yet waited for)."""
    path = out / ".xrayseg" / "journal.jsonl"
    state = Path(f"/proc/{child}/stat")
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        if state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.001)


def kill_again_and_again(films: Path, out: Path, kills: int, processes: bool) -> dict:
    """Runs killed at random moments until ``kills`` were, then one to the end."""
    chance = random.Random(1)  # noqa: S311 - it must repeat
    count = len(list(films.iterdir()))
    again = temporaries = within = 0
    for kill in range(kills + 1):
        before = finished(out)
        known = states(out, before)
        child = os.fork()
        if child == 0:
            segment(films, out, processes)
            os._exit(0)
        if kill < kills:
            # On average a run does its share of what is left; some are killed before they begin.
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
        "killed_with_some_films_done": within,
        "kills_that_left_temporary_files": temporaries,
        "finished_images_computed_again": again,
    }


def main() -> None:
    """Parse the command line, run, compare."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--films", type=int, default=200)
    ask.add_argument("--kills", type=int, default=50)
    ask.add_argument("--processes", action="store_true", help="as from 200 films on")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as place:
        films, alone, killed = (Path(place, name) for name in ("films", "alone", "killed"))
        make_films(films, given.films)
        segment(
            films, Path(place, "warm"), False
        )  # kernels are compiled or loaded before the forks
        segment(films, alone, False)
        report = kill_again_and_again(films, killed, given.kills, given.processes)
        report |= compare(alone, killed, given.films)
    print(json.dumps(report))
    sound = all(report[name] == 0 for name in report if name.startswith(("finished", "at_the_end")))
    sys.exit(0 if sound else 1)


def compare(alone: Path, killed: Path, films: int) -> dict[str, int]:
    """What differs between the two folders, beside times in run.json and the order of records."""
    one, other = contents(alone), contents(killed)
    with (killed / "results.csv").open(newline="") as file:
        rows = [row["input"] for row in csv.DictReader(file) if row["status"] == "ok"]
    left = [path for path in killed.rglob("*") if is_temporary(path.name)]
    return {
        "files": len(one),
        "at_the_end_different_files": sum(
            one.get(name) != other.get(name) for name in one.keys() | other.keys()
        ),
        "at_the_end_missing_rows": films - len(set(rows)),
        "at_the_end_doubled_rows": len(rows) - len(set(rows)),
        "at_the_end_temporary_files": len(left),
        "at_the_end_problems_of_verify": len(verify(killed).problems),
    }


def contents(out: Path) -> dict[str, bytes]:
    """Bytes of the masks, overlays and results.csv by path."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".xrayseg" not in path.parts and path.name != "run.json"
    }


if __name__ == "__main__":
    main()
