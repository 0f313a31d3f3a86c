"""A batch on a Ray cluster: waves of films, what is tried again, and what is given up.

Ray Data takes blocks of films to workers and holds back what they would not get done. Where the
engine runs on CPUs, a worker does all of a block (``together``); where it runs on GPUs, the stages
are apart (``apart``). What a dead worker or node had is done again; what is lost for good is tried
once more film by film, so that a film that ends its worker costs nobody but itself.

This process keeps the journal: a film counts as done when its record has arrived here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from ....errors import ClusterError
from ....models.engines import Engine
from ....segmenter import Segmenter
from ...journal import Record, failed_row
from ...options import BatchOptions, Summary
from ...pipeline import Stages
from ..threads import Todo
from .nodes import plan
from .staged import map_apart
from .tasks import Made, Work, opener_of, pack_opener, pack_todo, unpack_made
from .whole import map_together

#: Films that are handed to Ray at once, at least; memory here grows with it, not with the list of
#: inputs.
_WAVE = 20_000
#: How often a task or actor is begun anew after the death of its worker.
_RETRIES = 3


def on_cluster(open_engine: Callable[[], Engine] | None = None) -> Stages:
    """Stages for run() and run_batch() that work on the connected cluster.

    Args:
        open_engine: called once in each worker that predicts; None for the segmenter's engine.
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
        engine, model = segmenter.engine, segmenter.model
        shares = plan(alive, engine.device.startswith("gpu"))
        opener = pack_opener(open_engine or opener_of(segmenter, shares.threads), model)
        sizes = engine.size, options.batch_size or engine.batch_size
        work = Work(out.absolute(), options, model, *sizes, opener, shares, _RETRIES)
        films = iter(todo)
        while wave := list(islice(films, max(_WAVE, shares.blocks * shares.block))):
            _run_wave(wave, work, summary, settle)

    return stages


def _run_wave(
    wave: list[Todo], work: Work, summary: Summary, settle: Callable[[Record], None]
) -> None:
    """All films of a wave: in blocks, then what was lost one by one, then as failures."""
    waiting = {item.key: (item, fingerprint) for item, fingerprint in wave}
    block = max(1, min(work.plan.block, len(wave) // work.plan.blocks))
    for size in (block, 1):
        if waiting:
            for made in _stream(list(waiting.values()), size, work):
                if isinstance(made, ClusterError):
                    raise made
                records, seconds = made
                summary.engine_seconds += seconds
                for record in records:
                    if waiting.pop(record.key, None):  # a task that ran twice counts once
                        settle(record)
    for item, fingerprint in waiting.values():
        times = 2 * (work.retries + 1)
        reason = f"{item.path}: its worker died {times} times; try it on one machine"
        settle(Record(item.key, fingerprint, failed_row(item.path, reason)))


def _stream(todo: list[Todo], block: int, work: Work) -> Iterator[Made]:
    """What is made of the films, as it comes."""
    import ray.data

    films = ray.data.from_items(pack_todo(todo), override_num_blocks=-(-len(todo) // block))
    films.context.enable_progress_bars = False
    films.context.max_errored_blocks = -1  # what is missing in the end is seen by its key
    with warnings.catch_warnings():
        # Up to Ray 2.63 retries have no other way in than the one that it warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        made = (map_apart if work.plan.apart else map_together)(films, work)
    try:
        for each in made.iter_batches(batch_size=None, prefetch_batches=0):
            yield from unpack_made(each)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the cluster cannot go on: {error}") from error
