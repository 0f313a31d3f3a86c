"""What Ray's workers are given, what they give back, and how they load what they need."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ....errors import ClusterError
from ....models.engines import Engine
from ....models.model_folder import Model
from ....segmenter import Segmenter
from ...journal import Record
from ...options import BatchOptions
from ..threads import Todo, load_kernels
from .nodes import Plan

#: Records and the engine's time that they took, or why the cluster cannot go on.
Made = tuple[list[Record], float] | ClusterError
#: Columns of rows by their names. Rows of what is to do have ``todo``, a pickled Todo each; rows of
#: what comes out have ``made``, a pickled Made each.
Block = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What a worker needs to know.

    Attributes:
        out: the output folder, absolute.
        options: see BatchOptions.
        model: that the engine holds.
        size: side of the grid.
        batch_size: grids a step of the engine.
        opener: what opens the engine, as ``pack_opener`` gives it.
        plan: how the cluster is shared out.
        retries: how often a task or actor is begun anew after the death of its worker.
    """

    out: Path
    options: BatchOptions
    model: Model
    size: int
    batch_size: int
    opener: bytes
    plan: Plan
    retries: int


def opener_of(segmenter: Segmenter, threads: int) -> Callable[[], Engine]:
    """What opens the segmenter's engine in a worker, with so many threads."""
    folder, engine = segmenter.model.folder.absolute(), segmenter.engine
    device = "gpu" if engine.device.startswith("gpu") else "cpu"
    how = engine.name, engine.precision, device
    return lambda: Segmenter(folder, *how, threads=threads).engine


def pack_opener(open_engine: Callable[[], Engine], model: Model) -> bytes:
    """The bytes of two openers are equal only where the engine of one serves for the other."""
    import ray

    return ray.cloudpickle.dumps((model.sha256, open_engine))


@lru_cache(maxsize=1)
def open_once(opener: bytes) -> Engine:
    """The engine of this process, opened when it is first asked for."""
    _, open_engine = pickle.loads(opener)  # noqa: S301 - our own, here and below
    return open_engine()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """For imports: a worker in which they are interrupted ends, and Ray begins another.

    Ray interrupts the tasks that nobody waits for any more. What was half imported then stays so,
    and would fail the films of whichever task the worker is given next.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException:  # noqa: BLE001 - an interruption, whatever its name
        os._exit(1)


def import_kernels() -> None:
    """As load_kernels, in a worker."""
    with uninterrupted():
        load_kernels()


def pack_todo(films: list[Todo]) -> list[dict[str, bytes]]:
    """A row each."""
    return [{"todo": pickle.dumps(film)} for film in films]


def unpack_todo(block: Block) -> list[Todo]:
    """The films of a block's rows."""
    return [pickle.loads(each) for each in block["todo"]]  # noqa: S301


def pack_made(made: Made) -> Block:
    """A block of one row."""
    return {"made": [pickle.dumps(made)]}


def unpack_made(block: Block) -> list[Made]:
    """What a block's rows hold."""
    return [pickle.loads(each) for each in block["made"]]  # noqa: S301
