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
from ..batch.run import run
from ..data.phantom import make_phantom, phantom_labels, to_jsrt
from ..labels import CLASSES
from ..segmenter import Segmenter
from .timing import Measurement

_PHANTOMS = 4
#: Of which the engine alone is timed.
_ENGINE_IMAGES = 32


class StubEngine:
    """An engine that costs nothing: the same plausible probabilities for every grid."""

    name = "stub"
    precision = "none"
    device = "cpu"

    def __init__(self, size: int) -> None:
        from ..kernels import area_fractions

        self.size = size
        self.batch_size = 4
        labels = phantom_labels(make_phantom(0, 512))
        self._answer = area_fractions(labels, (size, size), CLASSES)

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See Engine."""
        return np.repeat(self._answer[None], len(grids), axis=0)


@dataclass(frozen=True)
class PipelineRun:
    """One batch.

    Attributes:
        measurement: of the whole.
        engine_share: of its time, in the engine.
        of_engine: its rate by that of the engine alone, measured before and after it; None for
            an engine that costs nothing.
    """

    measurement: Measurement
    engine_share: float
    of_engine: float | None = None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        own = {"engine_share": self.engine_share, "of_engine": self.of_engine}
        return {**self.measurement.facts(), **own}


def bench_pipeline(
    segmenter: Segmenter, films: int = 48, stub_films: int = 576
) -> list[PipelineRun]:
    """Time batches of raw phantoms in a temporary folder, the start of processes included.

    Args:
        segmenter: with the engine to use.
        films: in the batch with the real engine.
        stub_films: in those with an engine that costs nothing.
    """
    with tempfile.TemporaryDirectory(prefix="xrayseg-bench-") as folder:
        place = Path(folder)
        make_films(place / "films", max(films, stub_films))
        real = segmenter.engine
        stub = StubEngine(real.size)
        runs = []
        everything = BatchOptions(save=("labels", "overlay"))
        labels = BatchOptions(save=("labels",), report=False)
        for title, engine, count, options in (
            ("labels and overlays", real, films, everything),
            ("labels, stub engine, no report", stub, stub_films, labels),
            ("labels and overlays, stub engine", stub, stub_films, everything),
        ):
            segmenter.engine = engine
            try:
                _run(place, min(count, 2 * engine.batch_size), segmenter, options)  # warm up
                before = _engine_rate(engine) if engine is real else None
                done = _run(place, count, segmenter, options, title)
                if before:
                    alone = (before + _engine_rate(engine)) / 2
                    done = replace(done, of_engine=done.measurement.images_per_s / alone)
                runs.append(done)
            finally:
                segmenter.engine = real
        return runs


def _run(
    place: Path, count: int, segmenter: Segmenter, options: BatchOptions, title: str = ""
) -> PipelineRun:
    names = [str(path) for path in sorted((place / "films").iterdir())[:count]]
    with tempfile.TemporaryDirectory(dir=place) as out:
        summary = run(names, Path(out), segmenter, options)
        if summary.done != count:
            raise RuntimeError(f"{title}: {summary.done} of {count} films were done")
    measured = Measurement(title, (summary.seconds,), count)
    return PipelineRun(measured, summary.engine_seconds / summary.seconds)


def _engine_rate(engine: Any) -> float:
    """Images a second of an engine with nothing else to do."""
    grids = np.random.default_rng(0).random((engine.batch_size, engine.size, engine.size))
    grids = grids.astype(np.float32)
    engine.predict(grids)
    steps = -(-_ENGINE_IMAGES // engine.batch_size)
    began = time.perf_counter()
    for _ in range(steps):
        engine.predict(grids)
    return steps * engine.batch_size / (time.perf_counter() - began)


def make_films(folder: Path, count: int) -> None:
    """Raw films: a few phantoms under many names, as hard links, so that disk space is small."""
    folder.mkdir()
    for index in range(count):
        path = folder / f"FILM{index:05}.IMG"
        if index < _PHANTOMS:
            path.write_bytes(to_jsrt(make_phantom(index).radiograph).tobytes())
        else:
            os.link(folder / f"FILM{index % _PHANTOMS:05}.IMG", path)
