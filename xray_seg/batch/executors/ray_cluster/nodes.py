"""Connecting to a Ray cluster, and sharing out its cores and GPUs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ....errors import ClusterError

#: Inputs per block at most: where a worker does all stages, and where the stages are tasks of their
#: own, so that grids and probabilities lie in Ray's store.
_BLOCK, _STAGE_BLOCK = 256, 16


@dataclass(frozen=True)
class Plan:
    """How a cluster is shared out.

    Attributes:
        engines: engines at work at once, at most.
        threads: CPU threads of each engine.
        cores: CPU cores that Ray reserves for each.
        gpus: GPUs of each; 0 where the engine runs on CPUs.
        block: inputs per block at most.
        blocks: blocks per wave at least, so that all workers are busy until its end.
        apart: whether the stages are tasks of their own.
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
