"""A folder of radiographs, a folder of masks, and batches with a stub engine."""

import os
from pathlib import Path

import imagecodecs
import numpy as np

from xray_seg import Segmenter
from xray_seg.batch.options import BatchOptions
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom
from xray_seg.models.model_folder import Model
from xray_seg.outputs import FOLDERS

SIZE = 32


class StubEngine:
    """Classes by brightness; fails on grids without contrast; remembers what it was given."""

    name, precision, device, size, batch_size = "stub", "exact", "cpu", SIZE, 3

    def __init__(self):
        self.batches = []
        self.before = lambda: None

    def predict(self, grids):
        self.before()
        self.batches.append(grids.copy())
        if any(grid.max() == grid.min() for grid in grids):
            raise ArithmeticError("no contrast")
        classes = np.minimum((grids * 4).astype(int), 3)
        return np.where(classes[..., None] == np.arange(4), 0.97, 0.01).astype(np.float32)

    @property
    def seen(self):
        return sum(map(len, self.batches))


def stub_segmenter(engine=None, files=()):
    """A segmenter with a stub engine; models differ by ``files``."""
    card = {"name": "stub", "size": SIZE, "files": dict(files)}
    return Segmenter(Model(Path("stub"), card), engine=engine or StubEngine())


class Place:
    """A folder of radiographs, a folder of masks, and runs from the one to the other."""

    def __init__(self, folder, executor=None):
        self.films, self.out = folder / "films", folder / "masks"
        self.films.mkdir()
        self.engine = StubEngine()
        self.segmenter = stub_segmenter(self.engine)
        self.executor = executor

    def add(self, *names, seed=None):
        for number, name in enumerate(names):
            pixels = make_phantom(number if seed is None else seed, 64).radiograph[:60] * 255
            (self.films / name).write_bytes(imagecodecs.png_encode(pixels.astype(np.uint8)))

    def run(self, *names, on_progress=lambda summary, record: None, **options):
        """The summary, and status and error by file name."""
        self.engine.batches.clear()
        rows = {}

        def noted(summary, record):
            if record is not None:
                name = os.path.relpath(record.row["input"], self.films)
                rows[name] = (record.row["status"], record.row.get("error", ""))
                on_progress(summary, record)

        summary = run_batch(
            names or [self.films],
            self.out,
            segmenter=self.segmenter,
            options=BatchOptions(**options),
            executor=self.executor,
            on_progress=noted,
        )
        assert summary.interrupted or len(rows) == summary.total
        return summary, rows

    def files(self):
        """Content of the outputs of single images, by name."""
        paths = [path for folder in FOLDERS for path in (self.out / folder).rglob("*")]
        return {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in paths
            if path.is_file()
        }
