"""What Ray's workers receive and return, and how they load what they need."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ....errors import ClusterError
from ....models.engines import DeferredEngine, Engine, is_deterministic, open_engine
from ....models.model_folder import Model
from ...job import BatchJob
from ...stages import Result, Task, load_kernels
from .nodes import Plan

#: Results and the engine's seconds that they took, or why the cluster cannot go on.
Output = tuple[list[Result], float] | ClusterError
#: A block of rows, as columns by name. Rows that go in have ``task``, a pickled Task each; rows
#: that come out have ``output``, a pickled Output each.
Block = dict[str, Any]


@dataclass(frozen=True)
class RayJob:
    """A batch, as Ray's workers need it.

    Attributes:
        job: the batch, without inputs and engine.
        engine: the pickled engine, see ``pack_engine``.
        plan: how the cluster is shared out.
        retries: how often a task or actor is started again after the death of its worker.
    """

    job: BatchJob
    engine: bytes
    plan: Plan
    retries: int


def plan_engine(
    model: Model, *, engine: str, precision: str, device: str, deterministic: bool = False
) -> Engine | DeferredEngine:
    """An engine for the connected cluster; opened here only where the cluster's CPUs run it.

    Args:
        model: the model folder.
        engine, precision, device, deterministic: as of ``open_engine``.

    Raises:
        EngineError: as ``open_engine``.
    """
    import ray

    wants_gpu = device.startswith("gpu") or (device == "auto" and precision != "int8")
    if (
        deterministic
        or engine == "litert"
        or not wants_gpu
        or not ray.cluster_resources().get("GPU")
    ):
        where = "cpu" if device == "auto" else device
        return open_engine(
            model, engine, precision=precision, device=where, deterministic=deterministic
        )
    half = "float16" if precision == "auto" else precision
    return DeferredEngine(model, "saved-model", half, "gpu:0", batch_size=64)


def pack_engine(engine: Engine, model: Model, threads: int) -> bytes:
    """Pickle an engine for workers; equal bytes mean that one engine serves for both.

    Args:
        engine: of this package, which a worker then opens with ``threads`` threads, or any other
            object, which must be picklable.
        model: the weights that it runs.
        threads: CPU threads of a worker's engine.
    """
    import ray

    if engine.name in ("litert", "saved-model"):
        kind = engine.name, engine.precision, engine.device, engine.batch_size
        engine = DeferredEngine(
            model, *kind, threads=threads, deterministic=is_deterministic(engine)
        )
    return ray.cloudpickle.dumps((model.sha256, engine))


@lru_cache(maxsize=1)
def open_once(packed: bytes) -> Engine:
    """The engine of this process, opened when it is first needed."""
    engine: Engine
    _, engine = pickle.loads(packed)  # noqa: S301 - written by this package, here and below
    return engine.open() if isinstance(engine, DeferredEngine) else engine


@contextmanager
def exit_if_interrupted() -> Iterator[None]:
    """For imports: a worker in which they are interrupted exits, and Ray starts another.

    Ray interrupts tasks whose results nobody waits for any more. A half imported module stays so,
    and would fail the inputs of the next task in this worker.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException:  # noqa: BLE001 - an interruption, whatever its name
        os._exit(1)


@contextmanager
def exit_if_stalled(limit: float) -> Iterator[None]:
    """End this worker if the block takes longer than so many seconds; 0 for any time.

    Ray starts another, and tries the task again. A worker that is stopped does not notice.
    """
    timer = threading.Timer(limit, os._exit, (1,))
    timer.daemon = True
    if limit:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def import_kernels() -> None:
    """Import the kernels in a worker."""
    with exit_if_interrupted():
        load_kernels()


def pack_tasks(tasks: list[Task]) -> list[dict[str, bytes]]:
    """One row per task."""
    return [{"task": pickle.dumps(task)} for task in tasks]


def unpack_tasks(block: Block) -> list[Task]:
    """The tasks of a block's rows."""
    return [pickle.loads(each) for each in block["task"]]  # noqa: S301


def pack_output(output: Output) -> Block:
    """A block of one row."""
    return {"output": [pickle.dumps(output)]}


def unpack_outputs(block: Block) -> list[Output]:
    """The outputs of a block's rows."""
    return [pickle.loads(each) for each in block["output"]]  # noqa: S301
