"""Training on several devices, of one host or several, with Keras' distribution API on JAX.

Each device holds a copy of the weights and computes a share of every batch. JAX compiles the step
of all devices as one program over the whole batch, batch normalisation included, so the results
equal those of a single device up to rounding. Keras has one backend per process: training with JAX
runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.splits import Split
from ..errors import TrainingError, XraySegError
from .config import TrainingConfig
from .hosts import (
    SINGLE_HOST,
    Hosts,
    check_same,
    connection_error,
    join,
    leave,
    lost_host_error,
)
from .run_record import EpochRow


def fit_on_devices(
    folder: str | Path,
    split: Split,
    config: TrainingConfig,
    devices: int,
    *,
    on_epoch: Callable[[EpochRow], None] | None = None,
    resume: bool = False,
    finish: bool = False,
    hosts: Hosts = SINGLE_HOST,
) -> None:
    """Train like ``trainer.fit``, in a child process with the JAX backend.

    Args:
        folder: run folder; the trained network is its ``weights.keras``.
        split: cases to train and validate on.
        config: training configuration.
        devices: number of JAX devices per host that share each batch: GPUs if JAX has any, else
            CPUs.
        on_epoch: called on the first host with each new row of ``history.csv``.
        resume: as in ``trainer.fit``.
        finish: as in ``trainer.fit``.
        hosts: the hosts that share each batch. All hosts call this function with the same
            arguments, except for the index in ``hosts``.

    Raises:
        TrainingError: JAX is not installed or has too few devices; the batch size is not a
            multiple of the number of devices; the child process died; another host does not
            connect, differs, fails or ends.
        DatasetError, ReadError, WeightsError: as ``trainer.fit``.
    """
    if config.batch_size % (devices * hosts.count):
        every = f" on each of {hosts.count} hosts" if hosts.count > 1 else ""
        raise TrainingError(
            f"a batch of {config.batch_size} cannot be shared evenly by {devices} devices{every}; "
            "give another --batch-size or --devices"
        )
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    job = (sender, folder, split, config, devices, resume, finish, hosts)
    process = context.Process(target=_fit_in_child, args=job, name="train")
    # With JAX's preemption service SIGTERM would not end the process.
    with _environment(KERAS_BACKEND="jax", JAX_ENABLE_PREEMPTION_SERVICE="false"):
        process.start()
    sender.close()
    connected = False
    try:
        for message in _messages(receiver):
            if isinstance(message, BaseException):
                raise message
            if message is None:
                connected = True
            elif on_epoch and hosts.first:
                on_epoch(message)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if process.exitcode:
        raise _exit_error(process.exitcode, folder, hosts, connected)


def _exit_error(status: int, folder: str | Path, hosts: Hosts, connected: bool) -> TrainingError:
    """Return the error for a child process that ended without sending one."""
    if hosts.count == 1:
        return TrainingError(
            f"{folder}: the process that trains ended with status {status}; "
            "the last whole epoch is kept: continue with --resume"
        )
    if connected:
        return lost_host_error(hosts, folder, f"its process ended with status {status}")
    return connection_error(hosts)


def _messages(pipe: Any) -> Iterator[Any]:
    """Yield what arrives until the sender closes the pipe."""
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for processes that are started within the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _fit_in_child(
    sender: Any,
    folder: str | Path,
    split: Split,
    config: TrainingConfig,
    devices: int,
    resume: bool,
    finish: bool,
    hosts: Hosts,
) -> None:
    """Train in this process; send None when all hosts are connected, rows, and any error."""
    if hosts.count > 1:  # native code reports its connections on standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        distribute(devices, hosts=hosts, on_connected=lambda: sender.send(None))
        from .trainer import fit

        fit(folder, split, config, on_epoch=sender.send, resume=resume, finish=finish, hosts=hosts)
        leave(hosts)
    except XraySegError as error:
        sender.send(error)
    except Exception as error:
        if hosts.count == 1:
            raise
        # Sent now, because JAX lets the process end only after the other hosts have ended.
        if not isinstance(error, RuntimeError) and "Gloo" not in str(error):
            traceback.print_exc()  # another error than a lost connection
        sender.send(lost_host_error(hosts, folder, str(error).partition("\n")[0]))
    finally:
        sender.close()


def distribute(
    devices: int,
    *,
    hosts: Hosts = SINGLE_HOST,
    on_connected: Callable[[], None] | None = None,
) -> None:
    """Let all models that this process builds from now on train on several devices.

    Args:
        devices: number of devices per host.
        hosts: the hosts that train together.
        on_connected: called when all hosts are connected.

    Raises:
        TrainingError: the backend is not JAX; a host has too few devices; the hosts differ in
            their numbers of devices, options or versions.
    """
    try:
        import jax
    except ImportError as error:
        raise TrainingError(
            "--devices needs JAX: pip install 'xray-seg[devices]', and jax[cuda12] for GPUs"
        ) from error
    join(hosts)  # before Keras, whose import may use JAX
    if on_connected:
        on_connected()
    from .._util.tensorflow import keras

    if keras().backend.backend() != "jax":
        raise TrainingError("several devices need Keras' JAX backend: set KERAS_BACKEND=jax")
    _check_devices(devices, hosts, {"Keras": keras().__version__, "JAX": jax.__version__})
    if hosts.count > 1:
        # Loading a checkpoint first makes random weights, and Keras requires that all hosts
        # create the same values.
        keras().utils.set_random_seed(0)
    # In the order of the hosts, because host i provides the i-th share of a batch's rows.
    names = [
        f"{device.platform}:{device.id}"
        for host in range(hosts.count)
        for device in _devices_of(host)[:devices]
    ]
    distribution = keras().distribution
    distribution.set_distribution(
        distribution.DataParallel(devices=names, auto_shard_dataset=False)
    )


def _check_devices(devices: int, hosts: Hosts, versions: dict[str, str]) -> None:
    """Check that every host has enough devices, and the same number, options and versions.

    Raises:
        TrainingError: one of these does not hold; this host has left the others.
    """
    import jax

    counts = sorted(Counter(device.process_index for device in jax.devices()).values())
    if counts[0] != counts[-1]:  # JAX cannot exchange messages between such hosts
        leave(hosts)
        raise TrainingError(
            f"one host has {counts[0]} devices and another {counts[-1]}: make the numbers equal, "
            "for instance with CUDA_VISIBLE_DEVICES"
        )
    facts = {"--devices": devices, "the number of hosts": hosts.count, **versions}
    check_same(hosts, facts, "give all hosts the same command and the same versions")
    local = jax.local_devices()
    if len(local) < devices:
        leave(hosts)
        raise TrainingError(
            f"--devices {devices}: JAX has {len(local)} here ({local[0].platform}); "
            "for GPUs install jax[cuda12]"
        )


def _devices_of(host: int) -> list[Any]:
    import jax

    return [device for device in jax.devices() if device.process_index == host]
