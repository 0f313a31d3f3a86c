"""Time batches of small images without a network: reading, writing, journal and flushes.

    python benchmarks/small_images.py --images 400 --turns 5

8-bit PNG phantoms of 512 x 512 and a stub engine; label maps only, and with overlays, in turns.
Each batch has a folder of its own, and its time includes the flush to disk before it ends. Prints
images per second of each turn, and their median, as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
from stubs import BrightnessEngine, stub_segmenter

from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom

_SIDE, _SIZE, _SEEDS = 512, 128, 8
_KINDS = {"labels": ("labels",), "labels and overlays": ("labels", "overlay")}


def write_images(folder: Path, count: int) -> None:
    """Write PNG phantoms; every eighth is the same."""
    folder.mkdir()
    images = [
        imagecodecs.png_encode((make_phantom(seed, _SIDE).radiograph * 255).astype(np.uint8))
        for seed in range(min(count, _SEEDS))
    ]
    for number in range(count):
        (folder / f"{number:05d}.png").write_bytes(images[number % _SEEDS])


def images_per_second(images: Path, out: Path, save: tuple[str, ...]) -> float:
    """Time one batch, and check that it did all images."""
    segmenter = stub_segmenter(BrightnessEngine(_SIZE))
    count = len(list(images.iterdir()))
    began = time.perf_counter()
    summary = run_batch(
        [images], out, segmenter=segmenter, options=BatchOptions(save=save, report=False)
    )
    seconds = time.perf_counter() - began
    if summary.done != count:
        raise SystemExit(f"{count - summary.done} of {count} images failed")
    return count / seconds


def main() -> None:
    """Parse the command line, time, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=400, help="number of images")
    parser.add_argument("--turns", type=int, default=5, help="batches of each kind")
    given = parser.parse_args()
    rates: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder / "images", given.images)
        images_per_second(folder / "images", folder / "warm", ("labels", "overlay"))
        for turn in range(given.turns):
            for kind, save in _KINDS.items():
                rate = images_per_second(folder / "images", folder / f"{kind} {turn}", save)
                rates[kind].append(round(rate, 1))
    medians = {kind: statistics.median(each) for kind, each in rates.items()}
    print(json.dumps({"images_per_s": rates, "medians": medians}))


if __name__ == "__main__":
    main()
