"""A batch on a Ray cluster: the pipeline's three stages as tasks, actors and tasks of Ray Data.

Reading and writing are CPU tasks; a pool of actors, one per GPU or per few cores, each holds the
weights. Ray Data streams blocks of films between them and holds back a stage whose successor lags.
What a dead worker or node had is done again; what is lost for good is tried once more film by film,
so that a film that ends its worker costs nobody but itself.

This process keeps the journal: a film counts as done when its record has arrived here.
"""

from __future__ import annotations

import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from .anatomy import CLASSES
from .engines import Engine
from .errors import ClusterError, ReadError
from .inputs import Input
from .journal import Record, failed_row
from .model_card import Model
from .nodes import TASK_CORES, Plan, plan
from .options import BatchOptions, Summary
from .pipeline import Stages
from .polarity import Fitted
from .segmenter import Segmenter
from .stages import Ready, finish, load, load_kernels, predict, prepare

#: Films that are handed to Ray at once; memory here grows with it, not with the list of inputs.
_WAVE = 20_000
#: Films a block at most.
_BLOCK = 16
#: How often a task or actor is begun anew after the death of its worker.
_RETRIES = 3

Block = dict[str, Any]
Todo = tuple[Input, str]


def on_cluster(open_engine: Callable[[], Engine] | None = None) -> Stages:
    """Stages for run() and run_batch() that work on the connected cluster.

    Args:
        open_engine: called once in each actor; None for the segmenter's engine.
    """

    def stages(
        todo: Iterator[Todo],
        out: Path,
        segmenter: Segmenter,
        options: BatchOptions,
        summary: Summary,
        settle: Callable[[Record], None],
    ) -> None:
        import ray

        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        engine = segmenter.engine
        shares = plan(alive, engine.device.startswith("gpu"))
        opened = open_engine or _opener(segmenter, shares)
        sizes = engine.size, engine.batch_size
        work = _Work(out.absolute(), options, segmenter.model, *sizes, opened, shares)
        todo = iter(todo)
        while wave := list(islice(todo, _WAVE)):
            _run_wave(wave, work, summary, settle)

    return stages


@dataclass(frozen=True)
class _Work:
    """What the stages need to know."""

    out: Path
    options: BatchOptions
    model: Model
    size: int
    batch_size: int
    open_engine: Callable[[], Engine]
    plan: Plan


def _opener(segmenter: Segmenter, shares: Plan) -> Callable[[], Engine]:
    folder, engine = segmenter.model.folder.absolute(), segmenter.engine
    device = "gpu" if engine.device.startswith("gpu") else "cpu"
    how = engine.name, engine.precision, device
    return lambda: Segmenter(folder, *how, threads=shares.threads).engine


def _run_wave(
    wave: list[Todo], work: _Work, summary: Summary, settle: Callable[[Record], None]
) -> None:
    """All films of a wave: in blocks, then what was lost one by one, then as failures."""
    waiting = {item.key: (item, fingerprint) for item, fingerprint in wave}
    block = max(1, min(_BLOCK, len(wave) // work.plan.blocks))
    for size in (block, 1):
        if waiting:
            for record, seconds in _stream(list(waiting.values()), size, work):
                summary.engine_seconds += seconds
                if waiting.pop(record.key, None):  # a task that ran twice counts once
                    settle(record)
    for item, fingerprint in waiting.values():
        reason = f"{item.path}: its worker died {2 * (_RETRIES + 1)} times; try it on one machine"
        settle(Record(item.key, fingerprint, failed_row(item.path, reason)))


def _stream(todo: list[Todo], block: int, work: _Work) -> Iterator[tuple[Record, float]]:
    """Records as they are finished, each with its share of an engine's time."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # what is missing in the end is seen by its key
    task: dict[str, Any] = {"num_cpus": TASK_CORES, "max_retries": _RETRIES}
    films = ray.data.from_items(
        [{"todo": pickle.dumps(each)} for each in todo],
        override_num_blocks=-(-len(todo) // block),
    )
    actor: dict[str, Any] = {
        "fn_constructor_args": (work.open_engine,),
        "compute": ActorPoolStrategy(min_size=1, max_size=work.plan.engines),
        "num_cpus": work.plan.cores,
        "num_gpus": work.plan.gpus or None,
        "max_restarts": _RETRIES,
        "max_task_retries": _RETRIES,
    }
    with warnings.catch_warnings():
        # Up to Ray 2.63 retries have no other way in than the one that it warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        read = films.map_batches(_read, batch_size=None, fn_args=(work.size, work.options), **task)
        predicted = read.map_batches(_Engines, batch_size=work.batch_size, **actor)
        done = predicted.map_batches(
            _write, batch_size=None, fn_args=(work.model, work.out, work.options), **task
        )
    try:
        for batch in done.iter_batches(batch_size=None, prefetch_batches=0):
            for record, seconds in zip(batch["record"], batch["seconds"], strict=True):
                yield pickle.loads(record), float(seconds)  # noqa: S301
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the cluster cannot go on: {error}") from error


def _read(batch: Block, size: int, options: BatchOptions) -> Block:
    """Files to grids; of a film that could not be read the grid is empty."""
    _load_kernels()
    grids = np.zeros((len(batch["todo"]), size, size), np.float32)
    packed = []
    for each, grid in zip(batch["todo"], grids, strict=True):
        item, fingerprint = pickle.loads(each)  # noqa: S301 - our own, here and below
        ready = prepare(item, fingerprint, size, options)
        if ready.fitted is not None:
            grid[:] = ready.fitted.grid
        packed.append(_pack(ready))
    return {"ready": packed, "grid": grids}


def _load_kernels() -> None:
    """As load_kernels; a worker in which that is interrupted ends, and Ray begins another.

    Ray interrupts the tasks that nobody waits for any more. What was half imported then stays so,
    and would fail the films of whichever task the worker is given next.
    """
    try:
        load_kernels()
    except Exception:
        raise
    except BaseException:  # noqa: BLE001 - an interruption, whatever its name
        os._exit(1)


def _pack(ready: Ready) -> bytes:
    """Without the grid, which travels beside it, and the pixels, which are read anew where masks
    are written: through Ray's store they would be copied several times."""
    if ready.fitted is None:
        return pickle.dumps((ready, None))
    film = replace(ready.fitted.radiograph, pixels=np.empty(0, np.uint8))
    fitted = replace(ready.fitted, radiograph=film, grid=np.empty(0, np.float32))
    return pickle.dumps((replace(ready, fitted=fitted), ready.fitted.radiograph.shape))


def _with_pixels(ready: Ready, shape: tuple[int, int], options: BatchOptions) -> Fitted:
    if ready.fitted is None:
        raise ValueError("a film that could not be read has no pixels")
    pixels = load(ready.item, options).pixels
    if pixels.shape != shape:
        raise ReadError(f"{ready.item.path}: was changed while it was segmented")
    return replace(ready.fitted, radiograph=replace(ready.fitted.radiograph, pixels=pixels))


class _Engines:
    """An actor that holds an engine."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._segmenter: Any = SimpleNamespace(engine=open_engine())

    def __call__(self, batch: Block) -> Block:
        """Grids to probabilities, or to the reason why there are none."""
        began = time.perf_counter()
        outcomes = predict(self._segmenter, list(batch["grid"]))
        probabilities = np.zeros((*batch["grid"].shape, CLASSES), np.float32)
        for slot, outcome in zip(probabilities, outcomes, strict=True):
            if not isinstance(outcome, str):
                slot[:] = outcome
        seconds = (time.perf_counter() - began) / len(outcomes)
        return {
            "ready": batch["ready"],
            "probabilities": probabilities,
            "failure": [each if isinstance(each, str) else "" for each in outcomes],
            "seconds": np.full(len(outcomes), seconds),
        }


def _write(batch: Block, model: Model, out: Path, options: BatchOptions) -> Block:
    """Probabilities to files and records."""
    _load_kernels()
    columns = batch["ready"], batch["probabilities"], batch["failure"]
    records = [_finish(*each, model, out, options) for each in zip(*columns, strict=True)]
    return {"record": [pickle.dumps(each) for each in records], "seconds": batch["seconds"]}


def _finish(
    packed: bytes,
    probabilities: npt.NDArray[np.float32],
    failure: str,
    model: Model,
    out: Path,
    options: BatchOptions,
) -> Record:
    ready, shape = pickle.loads(packed)  # noqa: S301
    reason = ready.error
    if ready.fitted is not None:
        try:
            fitted = _with_pixels(ready, shape, options)
            return finish(ready, fitted, failure or np.asarray(probabilities), model, out, options)
        except Exception as error:  # noqa: BLE001 - one film that has gone must not end a block
            reason = str(error)
    return Record(ready.item.key, ready.fingerprint, failed_row(ready.item.path, reason))
