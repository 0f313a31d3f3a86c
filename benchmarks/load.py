"""Measure memory, open files and throughput of a batch of thousands of images, start to end.

    python benchmarks/load.py --images 10000                    # with a stub engine
    python benchmarks/load.py --images 1000 --real --seconds 200

The images are links to eight small phantoms. With --seconds the batch is stopped after that time;
the same command with the same --folder continues it. Each call prints a JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from memory import resident_mib
from stubs import BrightnessEngine, stub_segmenter

from xray_seg import Segmenter
from xray_seg.batch.journal import Record
from xray_seg.batch.options import Summary
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom

_SEEDS = 8
_SIZE = 128
#: Images at the start that do not count towards rates, and the fewest that a rate is taken of.
_WARM_UP, _FEWEST = 16, 8


def link_images(folder: Path, count: int, side: int) -> None:
    """Make hard links to a few phantoms, a thousand per folder."""
    sources = []
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(_SEEDS):
        source = folder.parent / f"source{seed}.png"
        pixels = (make_phantom(seed, side).radiograph * 255).astype(np.uint8)
        source.write_bytes(imagecodecs.png_encode(pixels))
        sources.append(source)
    for number in range(count):
        image = folder / f"{number // 1000:03d}" / f"{number:06d}.png"
        image.parent.mkdir(exist_ok=True)
        if not image.exists():
            image.hardlink_to(sources[number % _SEEDS])


def measure(images: Path, out: Path, segmenter: Segmenter, seconds: float) -> dict[str, Any]:
    """Run a batch; returns counts, rates, and memory and open files at each twentieth."""
    finished_at: list[float] = []
    samples: list[dict[str, float]] = []
    until = time.perf_counter() + seconds

    def on_progress(summary: Summary, record: Record | None) -> None:
        if summary.done > len(finished_at):
            finished_at.append(time.perf_counter())
            if summary.done % max(1, summary.total // 20) == 0:
                files = len(list(Path("/proc/self/fd").iterdir()))
                mib = round(resident_mib(), 1)
                samples.append({"done": summary.done, "mib": mib, "files": files})
        if time.perf_counter() > until:
            raise KeyboardInterrupt

    summary = run_batch([images], out, segmenter=segmenter, on_progress=on_progress)
    return {
        "done": summary.done,
        "kept": summary.kept,
        "failed": summary.failed,
        "interrupted": summary.interrupted,
        "seconds": round(summary.seconds, 1),
        **_tenths(finished_at),
        "samples": samples,
    }


def _tenths(finished_at: list[float]) -> dict[str, float]:
    """Images per second in the first and last tenth; empty if there are too few images."""
    steady = finished_at[_WARM_UP:]
    part = len(steady) // 10
    if part < _FEWEST:
        return {}
    first = part / (steady[part] - steady[0])
    last = part / (steady[-1] - steady[-1 - part])
    return {
        "first_tenth_per_s": round(first, 1),
        "last_tenth_per_s": round(last, 1),
        "last_to_first": round(last / first, 3),
    }


def main() -> None:
    """Parse the command line, run, print a JSON line; the exit status is 1 if an image failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", "--films", type=int, default=10_000, help="number of images")
    parser.add_argument("--size", type=int, default=512, help="side of an image in pixels")
    parser.add_argument("--real", action="store_true", help="the default weights and engine")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop the batch after this time")
    parser.add_argument("--folder", type=Path, help="a folder to work in and to keep")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        link_images(folder / "images", given.images, given.size)
        segmenter = Segmenter() if given.real else stub_segmenter(BrightnessEngine(_SIZE))
        report = measure(folder / "images", folder / "out", segmenter, given.seconds)
    print(json.dumps(report))
    sys.exit(1 if report["failed"] else 0)


if __name__ == "__main__":
    main()
