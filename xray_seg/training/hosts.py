"""Communication between hosts that train together.

Each host runs the same program on its share of every batch. JAX connects the processes and
combines their results. State that only one host has, such as an error or the scores that decide
when to stop, is exchanged so that all hosts take the same branch: a host that took another one
would leave the others waiting forever.
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

#: Seconds without a heartbeat after which a host counts as lost.
_HEARTBEAT_TIMEOUT = 60
#: Messages are padded to a multiple of this many bytes, since JAX compiles once for each length.
_BLOCK = 4096


@dataclass(frozen=True)
class Hosts:
    """Position of this host among the hosts that train together.

    Attributes:
        index: number of this host, from 1; the first writes the run folder and reports.
        count: number of hosts.
        coordinator: ``ADDRESS:PORT`` of the first host, with a port that is free there; unused
            with a single host.
        wait: seconds to wait for all hosts to connect.
    """

    index: int = 1
    count: int = 1
    coordinator: str = ""
    wait: int = 300

    def __post_init__(self) -> None:
        """Check index and address.

        Raises:
            ValueError: the index is out of range, or several hosts have no valid address.
        """
        if not 1 <= self.index <= self.count:
            raise ValueError(f"host {self.index} is none of 1 to {self.count}")
        address, _, port = self.coordinator.rpartition(":")
        if self.count > 1 and not (address and port.isdigit() and 0 < int(port) < 2**16):
            raise ValueError(
                f"{self.coordinator!r}: give the first host's ADDRESS:PORT, such as 10.0.0.1:9876"
            )

    @property
    def first(self) -> bool:
        """Whether this host writes the run folder and reports."""
        return self.index == 1


#: This host trains without others.
SINGLE_HOST = Hosts()


def join(hosts: Hosts) -> None:
    """Connect this process to those of the other hosts; call it before any other use of JAX.

    JAX ends the process if a host does not connect in time, see ``connection_error``.

    Raises:
        TrainingError: the address does not exist, or the port is in use.
    """
    if hosts.count == 1:
        return
    import jax

    address, _, port = hosts.coordinator.rpartition(":")
    try:
        socket.getaddrinfo(address.strip("[]"), int(port))
        if hosts.first:  # JAX would crash on a port in use
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", int(port)))
    except OSError as error:
        raise TrainingError(
            f"{hosts.coordinator}: hosts cannot meet there ({error}); give the first host's "
            "address and a free port on it as --coordinator"
        ) from error
    with stderr_held_back():  # native stack traces
        # keras.distribution.initialize calls this too, but has no options for timeouts. Without
        # "deactivate" JAX would take settings from SLURM and use one GPU per process.
        jax.distributed.initialize(
            hosts.coordinator,
            hosts.count,
            hosts.index - 1,
            cluster_detection_method="deactivate",
            initialization_timeout=hosts.wait,
            heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT,
            shutdown_timeout_seconds=_HEARTBEAT_TIMEOUT,
        )


def leave(hosts: Hosts) -> None:
    """Disconnect from the other hosts, all at once; ending without it would end them too."""
    if hosts.count > 1:
        import jax

        distributed: Any = jax.distributed
        distributed.shutdown()


def exchange(hosts: Hosts, value: Any) -> list[Any]:
    """Gather a value from every host; blocks until all hosts have called it.

    Args:
        hosts: the hosts that train together.
        value: a JSON value; floats are transferred exactly.

    Returns:
        The values of all hosts, in their order.
    """
    if hosts.count == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = process_allgather(np.array([len(text)], np.int32))[:, 0]
    padded = np.zeros(-(-int(lengths.max()) // _BLOCK) * _BLOCK, np.uint8)
    padded[: len(text)] = text
    messages = process_allgather(padded)  # (hosts, bytes)
    return [
        json.loads(message[:length].tobytes())
        for message, length in zip(messages, lengths, strict=True)
    ]


def run_on_all(hosts: Hosts, work: Callable[[], Result]) -> Result:
    """Call a function on every host, and fail on all hosts if it fails on one.

    Args:
        hosts: the hosts that train together.
        work: function without arguments that does not communicate with other hosts.

    Returns:
        The function's result on this host.

    Raises:
        XraySegError: the error that the function raised on this host.
        TrainingError: it raised one on another host; the message repeats that error's.
    """
    failed: XraySegError | None = None
    try:
        result = work()
    except XraySegError as error:
        failed = error
    messages = exchange(hosts, str(failed) if failed else None)
    if failed:
        leave(hosts)
        raise failed
    for number, message in enumerate(messages, 1):
        if message is not None:
            leave(hosts)
            raise TrainingError(f"host {number} of {hosts.count}: {message}")
    return result


def run_on_first(hosts: Hosts, work: Callable[[], Result]) -> Result:
    """Call a function on the first host only, and return its result on every host.

    Args:
        hosts: the hosts that train together.
        work: function without arguments; its result is a JSON value.

    Raises:
        XraySegError: as ``run_on_all``.
    """
    result: Result = exchange(hosts, run_on_all(hosts, work if hosts.first else _do_nothing))[0]
    return result


def _do_nothing() -> Any:
    return None


def check_same(hosts: Hosts, facts: dict[str, Any], advice: str) -> None:
    """Check that all hosts have the same values.

    Args:
        hosts: the hosts that train together.
        facts: JSON values by a name for the message.
        advice: end of the message: what the user should do.

    Raises:
        TrainingError: a host differs from the first; raised on all hosts, with the names of the
            values that differ.
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


def connection_error(hosts: Hosts) -> TrainingError:
    """Return the error for a process that JAX ended because not all hosts connected."""
    return TrainingError(
        f"{hosts.coordinator}: not all of {hosts.count} hosts met there within {hosts.wait} s; "
        f"give each the same command with its own --host, 1/{hosts.count} to "
        f"{hosts.count}/{hosts.count}, and check that they can reach the first host at that port"
    )


def lost_host_error(hosts: Hosts, folder: Any, reason: object) -> TrainingError:
    """Return the error for a host that stops, possibly because another host did."""
    return TrainingError(
        f"{folder}: host {hosts.index} of {hosts.count} stopped ({reason}). A host also stops "
        "when another one ends: read the messages of the others. The last whole epoch is kept: "
        "go on with --resume on all of them"
    )
