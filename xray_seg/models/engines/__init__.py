"""Engines: what turns grids into probabilities, behind one small interface."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..._util.concurrency import available_cores
from ...errors import EngineError
from ..model_folder import Model
from .devices import gpu_count, gpu_seems_present

ENGINES = ("auto", "saved-model", "litert")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")


class Engine(Protocol):
    """A loaded network. Not safe to call from several threads at once.

    Attributes:
        name: ``saved-model`` or ``litert``.
        precision: what it computes in.
        device: ``cpu``, or ``gpu:N``.
        size: side of the grid.
        batch_size: how many grids at once serve it well here.
    """

    name: str
    precision: str
    device: str
    size: int
    batch_size: int

    def predict(self, grids: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B, S, S) float32 grids in [0, 1] to (B, S, S, 4) float32 class probabilities."""
        ...


def open_engine(
    model: Model,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> Engine:
    """Load a model into the engine asked for, or into the best one here.

    ``auto`` is the SavedModel in half precision where TensorFlow has a GPU, else LiteRT in
    dynamic-range int8, for which TensorFlow is never imported.

    Args:
        model: a checked model folder.
        engine: one of ENGINES.
        precision: one of PRECISIONS.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
        threads: CPU threads of the engine; None for all cores.

    Raises:
        EngineError: what is asked for does not exist, does not fit together, or cannot run here.
    """
    for what, value, known in (
        ("engine", engine, ENGINES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise EngineError(f"{what} {value!r} does not exist; there are {', '.join(known)}")
    if engine == "auto":
        engine = _choose(precision, device)
    threads = threads or available_cores()
    if engine == "litert":
        from .litert import LiteRTEngine

        return LiteRTEngine(model, precision, device, threads)
    from .saved_model import SavedModelEngine

    return SavedModelEngine(model, precision, device, threads)


def _choose(precision: str, device: str) -> str:
    if precision == "int8":
        return "litert"
    if precision != "auto" or device.startswith("gpu"):
        return "saved-model"
    if device == "auto" and gpu_seems_present():
        return "saved-model" if gpu_count() else "litert"
    return "litert"
