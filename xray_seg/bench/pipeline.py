"""Whole batches: raw files in, label maps (and overlays) out, with the real engine and a stub."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..batch.options import BatchOptions
from ..batch.run import run_batch
from ..data.phantom import make_phantom, phantom_labels, to_jsrt
from ..labels import CLASSES
from ..models.engines import Engine
from ..segmenter import Segmenter
from .timing import Measurement

_PHANTOMS = 4
#: Images of which the engine alone is timed.
_ENGINE_IMAGES = 32


class StubEngine:
    """An engine that takes no time: the same plausible probabilities for every grid."""

    name = "stub"
    precision = "none"
    device = "cpu"
    batch_size = 4

    def __init__(self, size: int) -> None:
        from ..kernels import area_fractions

        self.size = size
        labels = phantom_labels(make_phantom(0, 512))
        self._answer = area_fractions(labels, (size, size), CLASSES)

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See Engine."""
        return np.repeat(self._answer[None], len(grids), axis=0)


@dataclass(frozen=True)
class PipelineRun:
    """The measurement of one batch.

    Attributes:
        measurement: of the whole batch.
        engine_share: share of the time spent in the engine.
        of_engine: rate of the batch relative to that of the engine alone, measured before and
            after it; None for an engine that takes no time.
    """

    measurement: Measurement
    engine_share: float
    of_engine: float | None = None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        own = {"engine_share": self.engine_share, "of_engine": self.of_engine}
        return {**self.measurement.facts(), **own}


def bench_pipeline(
    segmenter: Segmenter, *, images: int = 48, stub_images: int = 576
) -> list[PipelineRun]:
    """Time batches of raw phantoms in a temporary folder, the start of processes included.

    Args:
        segmenter: with the engine to use.
        images: in the batch with the real engine.
        stub_images: in those with an engine that takes no time.
    """
    stub = Segmenter(segmenter.model, engine=StubEngine(segmenter.engine.size))
    everything = BatchOptions(save=("labels", "overlay"))
    labels = BatchOptions(save=("labels",), report=False)
    with tempfile.TemporaryDirectory(prefix="xrayseg-bench-") as name:
        folder = Path(name)
        write_raw_images(folder / "images", max(images, stub_images))
        return [
            _run_beside_engine(folder, images, segmenter, everything, "labels and overlays"),
            _run_warm(folder, stub_images, stub, labels, "labels, stub engine, no report"),
            _run_warm(folder, stub_images, stub, everything, "labels and overlays, stub engine"),
        ]


def _run_beside_engine(
    folder: Path, count: int, segmenter: Segmenter, options: BatchOptions, title: str
) -> PipelineRun:
    """A batch, and its rate relative to that of the engine alone before and after it."""
    _run(folder, min(count, 2 * segmenter.engine.batch_size), segmenter, options)
    before = _engine_rate(segmenter.engine)
    done = _run(folder, count, segmenter, options, title)
    alone = (before + _engine_rate(segmenter.engine)) / 2
    return replace(done, of_engine=done.measurement.images_per_s / alone)


def _run_warm(
    folder: Path, count: int, segmenter: Segmenter, options: BatchOptions, title: str
) -> PipelineRun:
    _run(folder, min(count, 2 * segmenter.engine.batch_size), segmenter, options)
    return _run(folder, count, segmenter, options, title)


def _run(
    folder: Path, count: int, segmenter: Segmenter, options: BatchOptions, title: str = ""
) -> PipelineRun:
    names = [str(path) for path in sorted((folder / "images").iterdir())[:count]]
    with tempfile.TemporaryDirectory(dir=folder) as out:
        summary = run_batch(names, out, segmenter=segmenter, options=options)
        if summary.done != count:
            raise RuntimeError(f"{title}: {summary.done} of {count} images were done")
    measured = Measurement(title, (summary.seconds,), count)
    return PipelineRun(measured, summary.engine_seconds / summary.seconds)


def _engine_rate(engine: Engine) -> float:
    """Images a second of an engine with nothing else to do."""
    shape = engine.batch_size, engine.size, engine.size
    grids = np.random.default_rng(0).random(shape, np.float32)
    engine.predict(grids)
    steps = -(-_ENGINE_IMAGES // engine.batch_size)
    began = time.perf_counter()
    for _ in range(steps):
        engine.predict(grids)
    return steps * engine.batch_size / (time.perf_counter() - began)


def write_raw_images(folder: Path, count: int) -> None:
    """Write raw images: a few phantoms under many names, as hard links, to save disk space."""
    folder.mkdir()
    for index in range(count):
        path = folder / f"IMAGE{index:05}.IMG"
        if index < _PHANTOMS:
            path.write_bytes(to_jsrt(make_phantom(index).radiograph).tobytes())
        else:
            os.link(folder / f"IMAGE{index % _PHANTOMS:05}.IMG", path)
