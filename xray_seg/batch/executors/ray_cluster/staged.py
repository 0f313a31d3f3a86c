"""The stages apart: how a cluster works whose engines run on GPUs, of which all cores feed each.

Reading and writing are CPU tasks; a pool of actors, one per GPU, each holds the weights. Ray Data
streams blocks of films between them and holds back a stage whose successor lags.
"""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....errors import ReadError
from ....labels import CLASSES
from ....preprocessing.preprocessor import ModelInput
from ...journal import Record, failed_row
from ...options import BatchOptions
from ..threads import Ready, finish, load, predict, prepare
from .tasks import Block, Work, import_kernels, open_once, pack_made, unpack_todo

#: Cores that Ray reckons for a task that reads or writes: much of its time it waits for the store.
_TASK_CORES = 0.25


def map_apart(films: Any, work: Work) -> Any:
    """A dataset of what is made of a dataset of films."""
    from ray.data import ActorPoolStrategy

    task: dict[str, Any] = {
        "batch_size": None,
        "fn_args": (work,),
        "num_cpus": _TASK_CORES,
        "max_retries": work.retries,
    }
    predicted = films.map_batches(read, **task).map_batches(
        Engines,
        batch_size=work.batch_size,
        fn_constructor_args=(work,),
        compute=ActorPoolStrategy(min_size=1, max_size=work.plan.engines),
        num_cpus=work.plan.cores,
        num_gpus=work.plan.gpus or None,
        max_restarts=work.retries,
        max_task_retries=work.retries,
    )
    return predicted.map_batches(write, **task)


def read(block: Block, work: Work) -> Block:
    """Films to grids; of one that could not be read the grid is empty."""
    import_kernels()
    films = unpack_todo(block)
    grids = np.zeros((len(films), work.size, work.size), np.float32)
    packed = []
    for film, grid in zip(films, grids, strict=True):
        ready = prepare(*film, work.size, work.options)
        if ready.fitted is not None:
            grid[:] = ready.fitted.grid
        packed.append(_pack(ready))
    return {"ready": packed, "grid": grids}


def _pack(ready: Ready) -> bytes:
    """Without the grid, which travels beside it, and the pixels, which are read anew where masks
    are written: through Ray's store they would be copied several times."""
    if ready.fitted is None:
        return pickle.dumps((ready, None))
    film = replace(ready.fitted.radiograph, pixels=np.empty(0, np.uint8))
    fitted = replace(ready.fitted, radiograph=film, grid=np.empty(0, np.float32))
    return pickle.dumps((replace(ready, fitted=fitted), ready.fitted.radiograph.shape))


def _with_pixels(ready: Ready, shape: tuple[int, int], options: BatchOptions) -> ModelInput:
    if ready.fitted is None:
        raise ValueError("a film that could not be read has no pixels")
    pixels = load(ready.item, options).pixels
    if pixels.shape != shape:
        raise ReadError(f"{ready.item.path}: was changed while it was segmented")
    return replace(ready.fitted, radiograph=replace(ready.fitted.radiograph, pixels=pixels))


class Engines:
    """An actor that holds an engine."""

    def __init__(self, work: Work) -> None:
        self._segmenter: Any = SimpleNamespace(engine=open_once(work.opener))

    def __call__(self, block: Block) -> Block:
        """Grids to probabilities, or to the reason why there are none."""
        began = time.perf_counter()
        outcomes = predict(self._segmenter, list(block["grid"]))
        probabilities = np.zeros((*block["grid"].shape, CLASSES), np.float32)
        for slot, outcome in zip(probabilities, outcomes, strict=True):
            if not isinstance(outcome, str):
                slot[:] = outcome
        seconds = (time.perf_counter() - began) / len(outcomes)
        return {
            "ready": block["ready"],
            "probabilities": probabilities,
            "failure": [each if isinstance(each, str) else "" for each in outcomes],
            "seconds": np.full(len(outcomes), seconds),
        }


def write(block: Block, work: Work) -> Block:
    """Probabilities to files and records."""
    import_kernels()
    columns = block["ready"], block["probabilities"], block["failure"]
    records = [_finish(*each, work) for each in zip(*columns, strict=True)]
    return pack_made((records, float(block["seconds"].sum())))


def _finish(
    packed: bytes, probabilities: npt.NDArray[np.float32], failure: str, work: Work
) -> Record:
    ready, shape = pickle.loads(packed)  # noqa: S301 - our own
    reason = ready.error
    if ready.fitted is not None:
        try:
            fitted = _with_pixels(ready, shape, work.options)
            outcome = failure or np.asarray(probabilities)
            return finish(ready, fitted, outcome, work.model, work.out, work.options)
        except Exception as error:  # noqa: BLE001 - one film that has gone must not end a block
            reason = str(error)
    return Record(ready.item.key, ready.fingerprint, failed_row(ready.item.path, reason))
