"""Timing of batches of raw files, with the real engine and with a stub."""

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

#: Different images in a batch.
_PHANTOMS = 4
#: Images for the timing of the engine alone.
_ENGINE_IMAGES = 32


class StubEngine:
    """An engine that takes no time: it returns the probabilities of a phantom for every grid."""

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
        measurement: time of the whole batch.
        engine_share: share of the time that the engine took.
        of_engine: rate of the batch relative to the rate of the engine alone, measured before and
            after the batch; None for an engine that takes no time.
    """

    measurement: Measurement
    engine_share: float
    of_engine: float | None = None

    def facts(self) -> dict[str, Any]:
        """The measurement as JSON has it."""
        own = {"engine_share": self.engine_share, "of_engine": self.of_engine}
        return {**self.measurement.facts(), **own}


def bench_pipeline(
    segmenter: Segmenter, *, images: int = 48, stub_images: int = 576
) -> list[PipelineRun]:
    """Time batches of raw phantoms in a temporary folder, including the start of processes.

    Args:
        segmenter: model and engine.
        images: images in the batch with the real engine.
        stub_images: images in batches with an engine that takes no time.

    Returns:
        One batch with the engine of the segmenter, and two with an engine that takes no time:
        label maps only, and with overlays and report.
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
    """Time a batch, and the engine alone before and after it."""
    _warm_up(folder, count, segmenter, options)
    before = _engine_rate(segmenter.engine)
    done = _run(folder, count, segmenter, options, title)
    alone = (before + _engine_rate(segmenter.engine)) / 2
    return replace(done, of_engine=done.measurement.images_per_s / alone)


def _run_warm(
    folder: Path, count: int, segmenter: Segmenter, options: BatchOptions, title: str
) -> PipelineRun:
    """Time a batch after a small one that is not timed."""
    _warm_up(folder, count, segmenter, options)
    return _run(folder, count, segmenter, options, title)


def _warm_up(folder: Path, count: int, segmenter: Segmenter, options: BatchOptions) -> None:
    """Run a small batch, so that everything is loaded and compiled."""
    _run(folder, min(count, 2 * segmenter.engine.batch_size), segmenter, options, "warm-up")


def _run(
    folder: Path, count: int, segmenter: Segmenter, options: BatchOptions, title: str
) -> PipelineRun:
    """Time a batch of the first ``count`` images of ``folder / "images"``."""
    names = [str(path) for path in sorted((folder / "images").iterdir())[:count]]
    with tempfile.TemporaryDirectory(dir=folder) as out:
        summary = run_batch(names, out, segmenter=segmenter, options=options)
        if summary.done != count:
            raise RuntimeError(f"{title}: {summary.done} of {count} images were segmented")
    measured = Measurement(title, (summary.seconds,), count)
    return PipelineRun(measured, summary.engine_seconds / summary.seconds)


def _engine_rate(engine: Engine) -> float:
    """Images per second of the engine alone."""
    shape = engine.batch_size, engine.size, engine.size
    grids = np.random.default_rng(0).random(shape, np.float32)
    engine.predict(grids)
    steps = -(-_ENGINE_IMAGES // engine.batch_size)
    began = time.perf_counter()
    for _ in range(steps):
        engine.predict(grids)
    return steps * engine.batch_size / (time.perf_counter() - began)


def write_raw_images(folder: Path, count: int) -> None:
    """Write raw images of 2048 x 2048: a few phantoms, and hard links to them.

    Args:
        folder: folder to make.
        count: number of images.
    """
    folder.mkdir()
    for index in range(count):
        path = folder / f"IMAGE{index:05}.IMG"
        if index < _PHANTOMS:
            path.write_bytes(to_jsrt(make_phantom(index).radiograph).tobytes())
        else:
            os.link(folder / f"IMAGE{index % _PHANTOMS:05}.IMG", path)
