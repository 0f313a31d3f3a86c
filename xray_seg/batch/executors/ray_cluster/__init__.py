"""A batch on a Ray cluster, wave after wave of inputs.

Ray Data takes blocks of inputs to workers and limits how much is under way. Where the engine runs
on CPUs, a worker does all stages of a block (``whole``); where it runs on GPUs, the stages are
tasks of their own (``staged``). What a dead worker or node had is done again. Inputs that are
still missing after that are tried once more one by one, so that an input that ends its worker
costs no other input.

The driver keeps the journal: an input counts as done when its record has arrived here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ....errors import ClusterError
from ...job import BatchJob
from ...ledger import Recorder
from ...stages import Task
from .nodes import plan
from .staged import map_staged
from .survey import Survey
from .tasks import Output, RayJob, pack_engine, pack_tasks, unpack_outputs
from .whole import map_whole

#: Inputs that are given to Ray at once, at least; memory here grows with it, not with the number
#: of inputs.
_WAVE = 20_000
#: How often a task or actor is started again after the death of its worker.
_RETRIES = 3


@dataclass(frozen=True)
class RayExecutor:
    """Runs a batch on the connected Ray cluster, see ``nodes.connected``."""

    def run(self, job: BatchJob, pending: Iterator[Task], ledger: Recorder) -> None:
        """See Executor.

        Raises:
            ClusterError: the cluster has no room for an engine, or cannot go on.
        """
        import ray

        engine = job.required_engine
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        shares = plan(alive, engine.device.startswith("gpu"))
        packed = pack_engine(engine, job.model, shares.threads)
        work = RayJob(job.for_worker(), packed, shares, _RETRIES)
        survey = Survey(engine)
        tasks = iter(pending)
        while wave := list(islice(tasks, max(_WAVE, shares.blocks * shares.block))):
            ledger.add_processors(survey.update())
            _run_wave(wave, work, ledger)


def _run_wave(wave: list[Task], work: RayJob, ledger: Recorder) -> None:
    """Do all inputs of a wave: in blocks, then missing ones singly; what is left then failed."""
    missing = {task.item.key: task for task in wave}
    block = max(1, min(work.plan.block, len(wave) // work.plan.blocks))
    for size in (block, 1):
        if missing:
            for output in _stream(list(missing.values()), size, work):
                if isinstance(output, ClusterError):
                    raise output
                results, seconds = output
                ledger.add_engine_seconds(seconds)
                for result in results:
                    if missing.pop(result.record.key, None):  # a task that ran twice counts once
                        ledger.record(result)
    for task in missing.values():
        times = 2 * (work.retries + 1)
        ledger.record(
            task.failed(f"{task.item.path}: its worker died {times} times; try it on one machine")
        )


def _stream(tasks: list[Task], block: int, work: RayJob) -> Iterator[Output]:
    """Outputs of the tasks, as they arrive."""
    import ray.data

    dataset = ray.data.from_items(pack_tasks(tasks), override_num_blocks=-(-len(tasks) // block))
    dataset.context.enable_progress_bars = False
    dataset.context.max_errored_blocks = -1  # missing results are found by their keys
    with warnings.catch_warnings():
        # Up to Ray 2.63, retries can be set only in the way that it warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        outputs = (map_staged if work.plan.apart else map_whole)(dataset, work)
    try:
        for each in outputs.iter_batches(batch_size=None, prefetch_batches=0):
            yield from unpack_outputs(each)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the cluster cannot go on: {error}") from error
