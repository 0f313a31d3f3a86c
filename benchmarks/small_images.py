"""Time batches of small images without a network: reading, writing, journal and flushes.

    python benchmarks/small_images.py --images 400 --turns 5

8-bit PNG phantoms of 512 x 512, and an engine that answers with the same drawn chest at once;
label maps only, and with overlays, in turns.
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
import numpy.typing as npt
from stubs import BrightnessEngine, stub_segmenter

from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom
from xray_seg.labels import CLASSES

_SIDE, _SIZE, _SEEDS = 512, 128, 8
_KINDS = {"labels": ("labels",), "labels and overlays": ("labels", "overlay")}


#: Label, and centre and half axes (x, y) as shares of the grid: lungs, heart, clavicles.
_CHEST = (
    *((3, x, 0.5, 0.15, 0.3) for x in (0.3, 0.7)),
    (2, 0.55, 0.65, 0.15, 0.13),
    *((1, x, 0.2, 0.17, 0.025) for x in (0.3, 0.7)),
)


class ChestEngine(BrightnessEngine):
    """An engine that answers with plain ellipses: ragged organs would be smoothed, at a cost."""

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, S, S) grids to (B, S, S, 4) probabilities, the same for each."""
        y, x = (np.indices((self.size, self.size)) + 0.5) / self.size
        labels = np.zeros((self.size, self.size), np.uint8)
        for label, across, down, wide, tall in _CHEST:
            labels[((x - across) / wide) ** 2 + ((y - down) / tall) ** 2 < 1] = label
        answer = np.where(labels[..., None] == np.arange(CLASSES), 0.97, 0.01).astype(np.float32)
        return np.broadcast_to(answer, (len(grids), *answer.shape)).copy()


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
    segmenter = stub_segmenter(ChestEngine(_SIZE))
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
