"""A Ray cluster: connecting to it, and how its cores and GPUs are shared out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from .errors import ClusterError
from .segmenter import Segmenter

#: Cores of an engine without a GPU, at most: more serve one film little.
_ENGINE_CORES = 4
#: Cores that Ray reckons for a task that reads or writes: much of its time it waits for the store.
TASK_CORES = 0.25


@dataclass(frozen=True)
class Plan:
    """How a cluster is shared out.

    Attributes:
        engines: actors at most.
        threads: of each one's engine.
        cores: that Ray reckons for each; a little more, so that tasks always find room.
        gpus: of each.
        blocks: blocks a wave at least, so that all cores have work.
    """

    engines: int
    threads: int
    cores: float
    gpus: int
    blocks: int


def plan(nodes: list[dict[str, float]], on_gpu: bool) -> Plan:
    """Share out nodes, each given as its resources by Ray's names (``CPU``, ``GPU``).

    Raises:
        ClusterError: none of them has what an engine needs.
    """
    cores = [int(node.get("CPU", 0)) for node in nodes]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if on_gpu:
        if not gpus:
            raise ClusterError("the cluster has no GPU; give --device cpu")
        return Plan(gpus, 1, 0.5, 1, 4 * max(1, sum(cores)))
    usable = [count for count in cores if count > 1]
    if not usable:
        raise ClusterError("no node of the cluster has two cores, one to read and one to predict")
    threads = min(_ENGINE_CORES, max(1, min(usable) // 2))
    # An engine is begun anew anywhere when its node dies: on no node may engines leave no room for
    # the tasks that feed them.
    least = threads + 0.5
    steps = range(1 + int((min(usable) - TASK_CORES - least) * 8))
    fitting = (
        least + step / 8
        for step in steps
        if all(count % (least + step / 8) >= TASK_CORES for count in usable)
    )
    reserved = next(fitting, least)
    return Plan(sum(int(n // reserved) for n in usable), threads, reserved, 0, 4 * sum(cores))


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of a Ray cluster within the block.

    Args:
        address: ``local`` to start one on this machine, ``auto`` for the one that this machine is
            a node of, or where it is.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClusterError(
            "--cluster needs Ray: pip install 'xray-seg[ray]', here and on each node"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its failures become records
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ClusterError(f"--cluster {address}: cannot connect: {error}") from error
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def plan_segmenter(weights: str | None, engine: str, precision: str, device: str) -> Segmenter:
    """A Segmenter for a connected cluster; its engine is opened here only where it has no GPU.

    Raises:
        WeightsError, EngineError: as Segmenter.
    """
    import ray

    wants_gpu = device.startswith("gpu") or (device == "auto" and precision != "int8")
    if engine == "litert" or not wants_gpu or not ray.cluster_resources().get("GPU"):
        return Segmenter(weights, engine, precision, "cpu" if device == "auto" else device)
    from .model_card import load_model

    model = load_model(weights)
    chosen = SimpleNamespace(
        name="saved-model",
        precision="float16" if precision == "auto" else precision,
        device="gpu:0",
        size=model.size,
        batch_size=64,
    )
    planned: Any = SimpleNamespace(model=model, engine=chosen)
    return planned
