"""Several hosts that train together: where they meet, and what they tell each other.

Each host runs the same program on its share of every batch; JAX connects their processes and
brings shares together. What one host alone knows, such as an error or the scores that decide
whether to stop, is exchanged, so that all of them go the same way: one that went another would
leave the rest waiting.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from .._util.tensorflow import stderr_held_back
from ..errors import TrainingError, XraySegError

Result = TypeVar("Result")

#: Seconds without a sign of life after which a host counts as gone.
_SILENCE = 60
#: Messages are filled up to multiples of this many bytes: JAX compiles once for each length.
_BLOCK = 4096


@dataclass(frozen=True)
class Hosts:
    """Which of the hosts that train together this one is.

    Attributes:
        index: of this host, from 1; the first keeps the run folder and reports.
        count: how many there are.
        coordinator: ``ADDRESS:PORT`` at which the others reach the first host; the port is free
            there. Not needed where there is one host.
        wait: seconds to wait for the others to come.
    """

    index: int = 1
    count: int = 1
    coordinator: str = ""
    wait: int = 300

    def __post_init__(self) -> None:
        """Raise ValueError for an index out of range, or no address where one is needed."""
        if not 1 <= self.index <= self.count:
            raise ValueError(f"host {self.index} is none of 1 to {self.count}")
        address, _, port = self.coordinator.rpartition(":")
        if self.count > 1 and not (address and port.isdigit() and 0 < int(port) < 2**16):
            raise ValueError(
                f"{self.coordinator!r}: give the first host's ADDRESS:PORT, such as 10.0.0.1:9876"
            )

    @property
    def first(self) -> bool:
        """Whether this host keeps the run folder and reports."""
        return self.index == 1


#: No other host.
ALONE = Hosts()


def join(hosts: Hosts) -> None:
    """Connect this process with those of the other hosts, before JAX is used for anything else.

    Where they do not come in time, JAX ends this process: see not_met.

    Raises:
        TrainingError: there is no such address, or the port is taken.
    """
    if hosts.count == 1:
        return
    import jax

    address, _, port = hosts.coordinator.rpartition(":")
    try:
        socket.getaddrinfo(address.strip("[]"), int(port))
        if hosts.first:  # JAX would crash
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", int(port)))
    except OSError as error:
        raise TrainingError(
            f"{hosts.coordinator}: hosts cannot meet there ({error}); give the first host's "
            "address and a port that is free on it as --coordinator"
        ) from error
    with stderr_held_back():  # native stack traces
        # What keras.distribution.initialize calls; that takes no limits of time. Under SLURM JAX
        # would detect what it is not told and so use one GPU a process.
        jax.distributed.initialize(
            hosts.coordinator,
            hosts.count,
            hosts.index - 1,
            cluster_detection_method="deactivate",
            initialization_timeout=hosts.wait,
            heartbeat_timeout_seconds=_SILENCE,
            shutdown_timeout_seconds=_SILENCE,
        )


def leave(hosts: Hosts) -> None:
    """Part from the other hosts, all at the same time; a host that just ends would end them."""
    if hosts.count > 1:
        import jax

        distributed: Any = jax.distributed
        distributed.shutdown()


def exchange(hosts: Hosts, value: Any) -> list[Any]:
    """What each host passes, the first host's first; each waits here for all others.

    Args:
        hosts: which of them this one is.
        value: what JSON can hold; floats arrive as they are.
    """
    if hosts.count == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = process_allgather(np.array([len(text)], np.int32))[:, 0]
    room = np.zeros(-(-int(lengths.max()) // _BLOCK) * _BLOCK, np.uint8)
    room[: len(text)] = text
    texts = process_allgather(room)
    return [
        json.loads(filled[:length].tobytes()) for filled, length in zip(texts, lengths, strict=True)
    ]


def together(hosts: Hosts, work: Callable[[], Result]) -> Result:
    """Do some work on this host, and go on only if the other hosts could do theirs.

    Args:
        hosts: which of them this one is.
        work: uses nothing that all hosts compute together.

    Raises:
        XraySegError: what the work raised here; where it raised on another host, a TrainingError
            with what that one says.
    """
    failed: XraySegError | None = None
    try:
        result = work()
    except XraySegError as error:
        failed = error
    said = exchange(hosts, str(failed) if failed else None)
    if failed:
        leave(hosts)
        raise failed
    for number, text in enumerate(said, 1):
        if text is not None:
            leave(hosts)
            raise TrainingError(f"host {number} of {hosts.count}: {text}")
    return result


def on_first(hosts: Hosts, work: Callable[[], Result]) -> Result:
    """Do some work on the first host alone; each gets its result, which JSON can hold.

    Raises:
        XraySegError: as together.
    """
    result: Result = exchange(hosts, together(hosts, work if hosts.first else _nothing))[0]
    return result


def _nothing() -> Any:
    return None


def check_same(hosts: Hosts, facts: dict[str, Any], advice: str) -> None:
    """Hold the hosts to having the same facts.

    Raises:
        TrainingError: they differ, on any host; the message names in what and ends in the advice.
    """
    digests = {name: _digest(value) for name, value in facts.items()}
    first, *others = exchange(hosts, digests)
    for number, other in enumerate(others, 2):
        differ = [name for name in first | other if first.get(name) != other.get(name)]
        if differ:
            leave(hosts)
            raise TrainingError(
                f"host {number} differs from the first in {' and '.join(differ)}; {advice}"
            )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def not_met(hosts: Hosts) -> TrainingError:
    """What to say where JAX has ended a process that waited for the others."""
    return TrainingError(
        f"{hosts.coordinator}: not all of {hosts.count} hosts met there within {hosts.wait} s; "
        f"give each the same command with its own --host, 1/{hosts.count} to "
        f"{hosts.count}/{hosts.count}, and see that they reach the first host at that port"
    )


def lost(hosts: Hosts, folder: Any, reason: object) -> TrainingError:
    """What to say where this host stops for a reason that may lie with another."""
    return TrainingError(
        f"{folder}: host {hosts.index} of {hosts.count} stopped ({reason}), as it does when "
        "another one ends: see what the others say. The last whole epoch is kept: go on with "
        "--resume on all of them"
    )
