"""Timing of engines, precisions and batch sizes of one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..errors import EngineError
from ..models.engines import Engine, open_engine
from ..models.model_folder import Model
from .timing import Measurement, take_turns

#: Engines and their precisions, as --engine and --precision name them.
ENGINE_PRECISIONS = (
    ("litert", "int8"),
    ("saved-model", "float32"),
    ("saved-model", "bfloat16"),
    ("saved-model", "float16"),
)
#: Mean absolute difference in probability between two precisions; a broken engine exceeds it.
_TOLERANCE = 0.25


def bench_inference(
    model: Model,
    batch_sizes: Sequence[int] = (1, 2, 4, 8),
    repeats: int = 5,
    device: str = "auto",
) -> list[Measurement]:
    """Time a model in each engine and precision, at several batch sizes.

    Args:
        model: the model folder.
        batch_sizes: images per step.
        repeats: rounds.
        device: of the SavedModel: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``; LiteRT runs on the CPU.

    Returns:
        Measurements named ``ENGINE PRECISION batch N``, fastest first.

    Raises:
        EngineError: an engine cannot run here, or its result differs from that of the others.
    """
    random = np.random.default_rng(0)
    grids = random.random((max(batch_sizes), model.size, model.size), np.float32)
    engines = list(_open_all(model, device))
    reference = engines[0].predict(grids[:1])
    calls: dict[str, Callable[[], Any]] = {}
    images = {}
    for engine in engines:
        difference = float(np.abs(engine.predict(grids[:1]) - reference).mean())
        if difference > _TOLERANCE:
            raise EngineError(
                f"{engine.name} {engine.precision} differs from {engines[0].name} "
                f"{engines[0].precision} by {difference:.3f} on average: not timed"
            )
        for size in batch_sizes:
            name = f"{engine.name} {engine.precision} batch {size}"
            calls[name] = partial(engine.predict, grids[:size])
            images[name] = size
    seconds = take_turns(calls, repeats)
    found = [Measurement(name, times, images[name]) for name, times in seconds.items()]
    return sorted(found, key=lambda each: -each.images_per_s)


def _open_all(model: Model, device: str) -> list[Engine]:
    engines = []
    for engine, precision in ENGINE_PRECISIONS:
        where = "cpu" if engine == "litert" else device
        engines.append(open_engine(model, engine, precision=precision, device=where))
    return engines
