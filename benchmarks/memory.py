"""Peak memory of a batch by the number of its films, each batch in a process of its own.

    python benchmarks/memory.py [COUNT]...

The engine is a stub, so that films go through as fast as they can; reading, restoring and writing
are the real ones. Films are raw, 2048 x 2048, masks and overlays are written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import click

from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run
from xray_seg.bench.pipeline import StubEngine, make_films
from xray_seg.segmenter import Segmenter


@click.command()
@click.argument("counts", type=int, nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(counts: tuple[int, ...], folder: Path | None) -> None:
    """Print the peak resident memory for each COUNT of films (200 and 2000 if none is given)."""
    if folder:
        click.echo(_peak_mib(folder, counts[0]))
        return
    for count in counts or (200, 2000):
        with tempfile.TemporaryDirectory() as place:
            make_films(Path(place) / "films", count)
            command = [sys.executable, __file__, str(count), "--folder", place]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        click.echo(f"{count} films: {done.stdout.strip()} MiB at most")


def resident_mib() -> float:
    """Memory of this process and its children; what they share counts once (Pss, proc(5))."""
    me = os.getpid()
    children = (path.read_text() for path in Path(f"/proc/{me}/task").glob("*/children"))
    total = 0
    for process in [str(me), *" ".join(children).split()]:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _peak_mib(folder: Path, count: int) -> int:
    segmenter = Segmenter()
    segmenter.engine = StubEngine(segmenter.engine.size)
    seen, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        summary = run([str(folder / "films")], folder / "masks", segmenter, BatchOptions())
    finally:
        done.set()
        watcher.join()
    if summary.done != count:
        raise SystemExit(f"{summary.done} of {count} films were done")
    return round(max(seen))


if __name__ == "__main__":
    main()
