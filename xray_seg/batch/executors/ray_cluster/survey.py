"""The processors of a cluster's nodes, and a warning where they can give different label maps."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from ...._util.processor import Processor, this_processor
from ....models.engines import Engine, is_deterministic
from ...processors import mixture

#: With no handler set, Python shows warnings on standard error.
_log = logging.getLogger(__name__)

#: Seconds that nodes may take to answer; a node that does not is asked again before the next wave.
_PATIENCE_S = 60.0


class Survey:
    """Asks each node for its processor once, and warns once.

    Args:
        engine: what runs on the nodes; where it runs on GPUs, their processors decide nothing.
    """

    def __init__(self, engine: Engine) -> None:
        self._on_cpu = not engine.device.startswith("gpu")
        self._deterministic = is_deterministic(engine)
        self._known: dict[str, Processor] = {}
        self._has_warned = False

    def update(self) -> list[Processor]:
        """The processors of all nodes that have worked so far, new ones included."""
        import ray

        working = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU", 0) >= 1]
        new = [node["NodeID"] for node in working if node["NodeID"] not in self._known]
        self._known |= ask(new) if new else {}
        found = list(self._known.values())
        problem = mixture(found, deterministic=self._deterministic)
        if problem and self._on_cpu and not self._has_warned:
            _log.warning("the cluster's nodes are mixed: %s", problem)
            self._has_warned = True
        return found


def ask(nodes: list[str]) -> dict[str, Processor]:
    """The processor of each node, by its ID; nodes that do not answer are left out."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(num_cpus=0)(_own_processor)
    answers = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        answers[node] = task.options(scheduling_strategy=there).remote()
    ray.wait(list(answers.values()), num_returns=len(answers), timeout=_PATIENCE_S)
    found = {}
    for node, answer in answers.items():
        with suppress(ray.exceptions.RayError):  # it died meanwhile, or is too slow
            found[node] = ray.get(answer, timeout=0)
    return found


def _own_processor() -> Processor:
    return this_processor()
