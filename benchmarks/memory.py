"""Measure the peak memory of batches of several sizes, each in a process of its own.

    python benchmarks/memory.py [COUNT]...

The engine is a stub, so that reading, restoring and writing run at their full rate. Images are
raw, 2048 x 2048; label maps and overlays are written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import click

from xray_seg.batch.run import run_batch
from xray_seg.bench.pipeline import StubEngine, write_raw_images
from xray_seg.models.model_folder import load_model
from xray_seg.segmenter import Segmenter


@click.command()
@click.argument("counts", type=click.IntRange(1), nargs=-1)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(counts: tuple[int, ...], folder: Path | None) -> None:
    """Print the peak resident memory for batches of COUNT images (default: 200 and 2000)."""
    if folder:
        click.echo(_peak_mib(folder, counts[0]))
        return
    for count in counts or (200, 2000):
        with tempfile.TemporaryDirectory() as name:
            write_raw_images(Path(name) / "images", count)
            command = [sys.executable, __file__, str(count), "--folder", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        click.echo(f"{count} images: {done.stdout.strip()} MiB at most")


def resident_mib() -> float:
    """Memory of this process and its children; shared memory counts once (Pss, proc(5))."""
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
    """Run a batch, and return the largest memory seen meanwhile."""
    model = load_model()
    segmenter = Segmenter(model, engine=StubEngine(model.size))
    samples, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            samples.append(resident_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        summary = run_batch([folder / "images"], folder / "masks", segmenter=segmenter)
    finally:
        done.set()
        watcher.join()
    if summary.done != count:
        raise SystemExit(f"{summary.done} of {count} images were segmented")
    return round(max(samples))


if __name__ == "__main__":
    main()
