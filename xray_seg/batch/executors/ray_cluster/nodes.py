"""A Ray cluster: connecting to it, and how its cores and GPUs are shared out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ....errors import ClusterError
from ....segmenter import Segmenter

#: Films a block at most: of a worker that does all of them, at whose ends some cores wait; and
#: between stages, where grids and probabilities lie in Ray's store.
_BLOCK, _STAGE_BLOCK = 256, 16


@dataclass(frozen=True)
class Plan:
    """How a cluster is shared out.

    Attributes:
        engines: at work at once, at most.
        threads: of each one's engine.
        cores: that Ray reckons for each.
        gpus: of each; 0 where the engine runs on CPUs.
        block: films a block at most.
        blocks: blocks a wave at least, so that all have work until its end.
        apart: whether stages are tasks of their own.
    """

    engines: int
    threads: int
    cores: float
    gpus: int
    block: int
    blocks: int
    apart: bool


def plan(nodes: list[dict[str, float]], on_gpu: bool) -> Plan:
    """Share out nodes, each given as its resources by Ray's names (``CPU``, ``GPU``).

    Without GPUs each core has a worker: several share no interpreter, and one fits on any node, so
    that what a dead node had is done on whichever is left.

    Raises:
        ClusterError: none of them has what an engine needs.
    """
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if on_gpu:
        if not gpus:
            raise ClusterError("the cluster has no GPU; give --device cpu")
        return Plan(gpus, 1, 0.5, 1, _STAGE_BLOCK, 4 * max(1, sum(cores)), True)
    if not cores:
        raise ClusterError("no node of the cluster has a core to work on")
    return Plan(sum(cores), 1, 1, 0, _BLOCK, 8 * sum(cores), False)


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
    from ....models.model_folder import load_model

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
