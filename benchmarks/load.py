"""Thousands of films in one batch: memory, open files and throughput from its beginning to its end.

    python benchmarks/load.py --films 10000                    # with a stub for an engine
    python benchmarks/load.py --films 1000 --real --seconds 200

Films are links to eight small phantoms. With --seconds the batch is stopped in time, and the same
command goes on with it, in the same folder --place, until all is done; each part is a line of its
own in the report.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imagecodecs
import numpy as np
from memory import resident_mib

from xray_seg import Segmenter
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run
from xray_seg.data.phantom import make_phantom

_SEEDS = 8


class StubEngine:
    """Classes by brightness, at once."""

    name, precision, device, size, batch_size = "stub", "exact", "cpu", 128, 4

    def predict(self, grids: np.ndarray) -> np.ndarray:
        """(B, S, S) grids to (B, S, S, 4) probabilities."""
        classes = np.minimum((grids * 4).astype(int), 3)
        return np.where(classes[..., None] == np.arange(4), 0.97, 0.01).astype(np.float32)


def make_films(folder: Path, count: int, size: int) -> None:
    """Hard links to a few phantoms, a thousand to a folder."""
    sources = []
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(_SEEDS):
        source = folder.parent / f"source{seed}.png"
        pixels = (make_phantom(seed, size).radiograph * 255).astype(np.uint8)
        source.write_bytes(imagecodecs.png_encode(pixels))
        sources.append(source)
    for number in range(count):
        film = folder / f"{number // 1000:03d}" / f"{number:06d}.png"
        film.parent.mkdir(exist_ok=True)
        if not film.exists():
            film.hardlink_to(sources[number % _SEEDS])


def now() -> dict[str, float]:
    """Memory in MiB with that of children, and open file descriptors of this process."""
    return {
        "mib": resident_mib(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
    }


def measure(films: Path, out: Path, segmenter: Any, seconds: float) -> dict[str, Any]:
    """One batch; what was seen at each tenth of the films done in it."""
    at: list[tuple[int, float]] = []
    seen: list[dict[str, float]] = []
    until = time.perf_counter() + seconds

    def begin(total: int) -> Any:
        from contextlib import nullcontext

        def tell(record: Any, summary: Any) -> None:
            if record.done and summary.done and (not at or summary.done > at[-1][0]):
                at.append((summary.done, time.perf_counter()))
                if summary.done % max(1, total // 20) == 0:
                    seen.append({"done": summary.done, **now()})
            if time.perf_counter() > until:
                raise KeyboardInterrupt

        return nullcontext(tell)

    options = BatchOptions()
    summary = run([str(films)], out, segmenter, options, begin=begin)
    return {
        "done": summary.done,
        "kept": summary.kept,
        "failed": summary.failed,
        "interrupted": summary.interrupted,
        "seconds": round(summary.seconds, 1),
        **_tenths(at),
        "samples": [{key: round(value, 1) for key, value in each.items()} for each in seen],
    }


def _tenths(at: list[tuple[int, float]]) -> dict[str, float]:
    """Films a second in the first and last tenth; the first two batches are start-up."""
    steady = at[16:]
    part = len(steady) // 10
    if part < 8:
        return {}
    first = part / (steady[part][1] - steady[0][1])
    last = part / (steady[-1][1] - steady[-1 - part][1])
    return {
        "first_tenth_per_s": round(first, 1),
        "last_tenth_per_s": round(last, 1),
        "last_to_first": round(last / first, 3),
    }


def main() -> None:
    """Parse the command line; a JSON line; exit status 1 where a film failed."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--films", type=int, default=10_000)
    ask.add_argument("--size", type=int, default=512, help="side of a film")
    ask.add_argument("--real", action="store_true", help="the default engine and weights")
    ask.add_argument("--seconds", type=float, default=1e9)
    ask.add_argument("--place", type=Path, help="a folder to work in and to keep")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.place or Path(temporary)
        make_films(place / "films", given.films, given.size)
        stub = SimpleNamespace(
            engine=StubEngine(), model=SimpleNamespace(sha256="0" * 64, name="stub")
        )
        segmenter = Segmenter() if given.real else stub
        report = measure(place / "films", place / "out", segmenter, given.seconds)
    print(json.dumps(report))
    sys.exit(1 if report["failed"] else 0)


if __name__ == "__main__":
    main()
