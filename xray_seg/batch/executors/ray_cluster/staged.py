"""The stages as tasks of their own, for clusters whose engines run on GPUs: all cores feed each.

Reading and writing are CPU tasks; a pool of actors, one per GPU, each holds the weights. Ray Data
streams blocks of inputs between them, and slows a stage whose successor is behind.
"""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ....errors import ReadError
from ....labels import CLASSES
from ....preprocessing.preprocessor import ModelInput
from ....second_look import Prediction
from ...options import BatchOptions
from ...stages import Failure, Prepared, Result, finish, load, predict, prepare
from .tasks import (
    Block,
    RayJob,
    exit_if_stalled,
    import_kernels,
    open_once,
    pack_output,
    unpack_tasks,
)

#: Cores that Ray reserves for a task that reads or writes: much of its time it waits for the store.
_TASK_CORES = 0.25


def map_staged(tasks: Any, work: RayJob) -> Any:
    """A dataset of outputs of a dataset of tasks."""
    from ray.data import ActorPoolStrategy

    task: dict[str, Any] = {
        "batch_size": None,
        "fn_args": (work,),
        "num_cpus": _TASK_CORES,
        "max_retries": work.retries,
    }
    predicted = tasks.map_batches(read, **task).map_batches(
        Predictor,
        batch_size=work.job.batch_size,
        fn_constructor_args=(work,),
        compute=ActorPoolStrategy(min_size=1, max_size=work.plan.engines),
        num_cpus=work.plan.cores,
        num_gpus=work.plan.gpus or None,
        max_restarts=work.retries,
        max_task_retries=work.retries,
    )
    return predicted.map_batches(write, **task)


def read(block: Block, work: RayJob) -> Block:
    """Read inputs onto grids; the grid of an unreadable input is empty."""
    import_kernels()
    tasks, size = unpack_tasks(block), work.job.size
    grids = np.zeros((len(tasks), 2, size, size), np.float32)
    packed = []
    for task, (grid, whole) in zip(tasks, grids, strict=True):
        with exit_if_stalled(work.job.options.stall_timeout):
            prepared = prepare(work.job, task)
        if prepared.model_input is not None:
            grid[:] = prepared.model_input.grid
            if prepared.model_input.whole:
                whole[:] = prepared.model_input.whole.grid
        packed.append(_pack(prepared))
    return {"prepared": packed, "grid": grids}


def _pack(prepared: Prepared) -> bytes:
    """Pickle without the grid, which travels beside it, and without the pixels.

    The pixels are read again where masks are written: Ray's store would copy them several times.
    """
    if prepared.model_input is None:
        return pickle.dumps((prepared, None))
    shape = prepared.model_input.radiograph.shape
    return pickle.dumps((replace(prepared, model_input=prepared.model_input.facts), shape))


def _with_pixels(
    prepared: Prepared, shown: ModelInput, shape: tuple[int, int], options: BatchOptions
) -> ModelInput:
    pixels = load(prepared.task.item, options).pixels
    if pixels.shape != shape:
        raise ReadError(f"{prepared.task.item.path}: was changed while it was segmented")
    return shown.with_pixels(pixels)


class Predictor:
    """An actor that holds an engine."""

    def __init__(self, work: RayJob) -> None:
        self._engine, self._model = open_once(work.engine), work.job.model

    def __call__(self, block: Block) -> Block:
        """Predict a block of grids: probabilities, or the reason of a failure."""
        began = time.perf_counter()
        inputs: dict[int, ModelInput] = {}
        for place, packed in enumerate(block["prepared"]):
            shown = pickle.loads(packed)[0].model_input  # noqa: S301 - written by this package
            if shown is not None:
                inputs[place] = shown.with_grids(*block["grid"][place])
        found = predict(self._engine, list(inputs.values()), self._model)
        outcomes = dict(zip(inputs, found, strict=True))
        count, _, *sides = block["grid"].shape
        probabilities = np.zeros((count, *sides, CLASSES), np.float32)
        sent: list[bytes] = []
        for place, slot in enumerate(probabilities):
            outcome = outcomes.get(place)
            if isinstance(outcome, Prediction):
                slot[:] = outcome.probabilities
            known = outcome.model_input.facts if isinstance(outcome, Prediction) else outcome
            sent.append(pickle.dumps(known))
        return {
            "prepared": block["prepared"],
            "probabilities": probabilities,
            "outcome": sent,
            "seconds": np.full(count, (time.perf_counter() - began) / count),
        }


def write(block: Block, work: RayJob) -> Block:
    """Write masks, and return the results."""
    import_kernels()
    columns = block["prepared"], block["probabilities"], block["outcome"]
    results = []
    for each in zip(*columns, strict=True):
        with exit_if_stalled(work.job.options.stall_timeout):
            results.append(_finish(*each, work))
    return pack_output((results, float(block["seconds"].sum())))


def _finish(
    packed: bytes, probabilities: npt.NDArray[np.float32], sent: bytes, work: RayJob
) -> Result:
    prepared: Prepared
    prepared, shape = pickle.loads(packed)  # noqa: S301 - written by this package
    outcome: ModelInput | Failure | None = pickle.loads(sent)  # noqa: S301 - likewise
    if outcome is None:
        return prepared.failure
    if isinstance(outcome, Failure):
        return finish(work.job, prepared, outcome)
    try:
        shown = _with_pixels(prepared, outcome, shape, work.job.options)
    except Exception as error:  # noqa: BLE001 - one lost input must not end a block
        return prepared.task.failed(str(error))
    return finish(work.job, prepared, Prediction(shown, np.asarray(probabilities)))
