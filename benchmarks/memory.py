"""Peak memory of a batch by the number of its films, each batch in a process of its own.

    python benchmarks/memory.py [COUNT]...

The engine is a stub, so that films go through as fast as they can; reading, restoring and writing
are the real ones. Films are raw, 2048 x 2048, masks and overlays are written.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from xray_seg.bench.pipeline import StubEngine, make_films
from xray_seg.options import BatchOptions
from xray_seg.run import run
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


def _peak_mib(folder: Path, count: int) -> int:
    segmenter = Segmenter()
    segmenter.engine = StubEngine(segmenter.engine.size)
    summary = run([str(folder / "films")], folder / "masks", segmenter, BatchOptions())
    if summary.done != count:
        raise SystemExit(f"{summary.done} of {count} films were done")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
