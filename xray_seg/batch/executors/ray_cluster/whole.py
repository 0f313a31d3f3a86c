"""All stages in one worker: how a cluster works whose engines run on CPUs.

A worker reserves a few cores, opens an engine once, and takes block after block of films through
the very stages of one machine, in threads of its own. Paths go in and records come out; nothing
else passes through Ray's store. These are tasks, not actors: they run on whatever node has room,
be it new or what another has left, and a worker that dies takes no queue with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from threading import Event
from types import SimpleNamespace
from typing import Any

from ....errors import ClusterError
from ...journal import Record
from ...options import Summary
from ..threads import Todo, run_stages
from .tasks import Block, Work, import_kernels, open_once, pack_made, uninterrupted, unpack_todo

#: Of those that read, and of those that write, for each of the engine's: while one waits for an
#: object store, another works.
_THREADS = 2
#: Records that are given back at once.
_REPORT = 16


def map_together(films: Any, work: Work) -> Any:
    """A dataset of what is made of a dataset of films."""
    films.context.target_max_block_size = 1  # byte: what a worker yields is not held back
    return films.map_batches(
        all_stages,
        batch_size=None,
        fn_args=(work,),
        num_cpus=work.plan.cores,
        max_retries=work.retries,
    )


def all_stages(block: Block, work: Work) -> Iterator[Block]:
    """Films to records, some at a time and in the order of the films.

    When Ray begins a task anew, what it gave back before is passed over by its place, so that the
    order must be the same each time.
    """
    import_kernels()
    try:
        with uninterrupted():
            engine = open_once(work.opener)
    except Exception as error:  # noqa: BLE001 - engines raise what they like
        yield pack_made(ClusterError(f"an engine cannot be opened: {error}"))
        return
    films = unpack_todo(block)
    summary, told = Summary(len(films)), 0.0
    for records in _run(films, engine, work, summary):
        seconds = summary.engine_seconds
        yield pack_made((records, seconds - told))
        told = seconds


def _run(films: list[Todo], engine: Any, work: Work, summary: Summary) -> Iterator[list[Record]]:
    """The stages in a thread, so that records can be given back while it runs."""
    segmenter: Any = SimpleNamespace(engine=engine, model=work.model)
    options = replace(work.options, workers=work.options.workers or _THREADS * work.plan.threads)
    settled: SimpleQueue[Record | None] = SimpleQueue()
    unwanted = Event()
    todo = (film for film in films if not unwanted.is_set())
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_stages, todo, work.out, segmenter, options, summary, settled.put)
        running.add_done_callback(lambda _: settled.put(None))
        try:
            yield from _in_turn([item.key for item, _ in films], iter(settled.get, None))
        finally:
            unwanted.set()  # an engine serves one task at a time: wait for what is under way
    running.result()


def _in_turn(keys: list[str], settled: Iterator[Record]) -> Iterator[list[Record]]:
    """Records in the order of the keys, as many at once as are reported; fewer if there are."""
    arrived: dict[str, Record] = {}
    for first in range(0, len(keys), _REPORT):
        group = keys[first : first + _REPORT]
        while not all(key in arrived for key in group):
            record = next(settled, None)
            if record is None:
                return
            arrived[record.key] = record
        yield [arrived.pop(key) for key in group]
