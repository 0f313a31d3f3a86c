"""A folder of radiographs, a folder of masks, and batches with a stub engine."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from xray_seg import Segmenter
from xray_seg.batch.executors import Executor
from xray_seg.batch.journal import Record
from xray_seg.batch.ledger import OnProgress
from xray_seg.batch.options import BatchOptions, Summary
from xray_seg.batch.run import run_batch
from xray_seg.data.phantom import make_phantom
from xray_seg.models.engines import Engine
from xray_seg.models.model_folder import Model
from xray_seg.outputs import FOLDERS

SIZE = 32


class StubEngine:
    """Classes by brightness; fails on grids without contrast; remembers what it was given."""

    name, precision, device, size, batch_size = "stub", "exact", "cpu", SIZE, 3

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []
        self.before: Callable[[], object] = lambda: None

    def predict(self, grids: np.ndarray) -> np.ndarray:
        self.before()
        self.batches.append(grids.copy())
        if any(grid.max() == grid.min() for grid in grids):
            raise ArithmeticError("no contrast")
        classes = np.minimum((grids * 4).astype(int), 3)
        return np.where(classes[..., None] == np.arange(4), 0.97, 0.01).astype(np.float32)

    @property
    def seen(self) -> int:
        return sum(map(len, self.batches))


def stub_segmenter(
    engine: Engine | None = None, files: Mapping[str, str] | None = None
) -> Segmenter:
    """A segmenter with a stub engine; models differ by ``files``."""
    card = {"name": "stub", "size": SIZE, "files": dict(files or {})}
    return Segmenter(Model(Path("stub"), card), engine=engine or StubEngine())


class Place:
    """A folder of radiographs, a folder of masks, and runs from the one to the other."""

    def __init__(self, folder: Path, executor: Executor | None = None) -> None:
        self.films, self.out = folder / "films", folder / "masks"
        self.films.mkdir()
        self.engine = StubEngine()
        self.segmenter = stub_segmenter(self.engine)
        self.executor = executor

    def add(self, *names: str, seed: int | None = None) -> None:
        for number, name in enumerate(names):
            pixels = make_phantom(number if seed is None else seed, 64).radiograph[:60] * 255
            (self.films / name).write_bytes(imagecodecs.png_encode(pixels.astype(np.uint8)))

    def run(
        self,
        *names: str | Path,
        on_progress: OnProgress = lambda summary, record: None,
        **options: Any,
    ) -> tuple[Summary, dict[str, tuple[str, str]]]:
        """The summary, and status and error by file name."""
        self.engine.batches.clear()
        rows: dict[str, tuple[str, str]] = {}

        def noted(summary: Summary, record: Record | None) -> None:
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

    def files(self) -> dict[str, bytes]:
        """Content of the outputs of single images, by name."""
        paths = [path for folder in FOLDERS for path in (self.out / folder).rglob("*")]
        return {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in paths
            if path.is_file()
        }
