"""Segmenters without a network, for benchmarks of everything around it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xray_seg import Segmenter
from xray_seg.labels import CLASSES
from xray_seg.models.engines import Engine
from xray_seg.models.model_folder import Model


class BrightnessEngine:
    """An engine that takes each pixel's class from its brightness.

    Args:
        size: side of the grid.
        seconds: time that each step takes.
    """

    name, precision, device, batch_size = "stub", "exact", "cpu", 4

    def __init__(self, size: int, *, seconds: float = 0.0) -> None:
        self.size = size
        self._seconds = seconds

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, S, S) float32 grids in [0, 1] to (B, S, S, 4) float32 class probabilities."""
        time.sleep(self._seconds)
        classes = np.minimum((grids * CLASSES).astype(int), CLASSES - 1)
        return np.where(classes[..., None] == np.arange(CLASSES), 0.97, 0.01).astype(np.float32)


def stub_segmenter(engine: Engine) -> Segmenter:
    """A segmenter with a model without files."""
    card = {"name": "stub", "size": engine.size, "files": {}}
    return Segmenter(Model(Path("stub"), card), engine=engine)
