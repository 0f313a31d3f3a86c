"""Training on several devices, of one host or several, through Keras' distribution API on JAX.

The batch is split between the devices, each with its own copy of the weights. JAX compiles the step
for all of them as one program over the whole batch, normalisation included, so that a run gives
what it gives on one device, to rounding. Keras has one backend a process: training has its own.
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
from .config import Recipe
from .hosts import ALONE, Hosts, check_same, join, leave, lost, not_met
from .run_folder import Row


def train_on_devices(
    folder: str | Path,
    split: Split,
    recipe: Recipe,
    devices: int,
    tell: Callable[[Row], None] = lambda row: None,
    resume: bool = False,
    finish: bool = False,
    hosts: Hosts = ALONE,
) -> None:
    """Train as training.train does, in a process of its own with the JAX backend.

    Args:
        folder, split, recipe, tell, resume, finish: as of training.train; the finished model is
            in the run folder. Only the first host tells.
        devices: how many of JAX's devices share each batch: GPUs where it has any, else CPUs; of
            each host as many.
        hosts: which of the hosts that share each batch this one is. All are called with the same
            arguments but for this one's index.

    Raises:
        TrainingError: JAX is not installed or has fewer devices; they cannot share a batch evenly;
            the process ended without a word; another host does not come, differs, fails or ends.
        DatasetError, ReadError, WeightsError: as training.train.
    """
    if recipe.batch_size % (devices * hosts.count):
        every = f" on each of {hosts.count} hosts" if hosts.count > 1 else ""
        raise TrainingError(
            f"a batch of {recipe.batch_size} cannot be shared evenly by {devices} devices{every}; "
            "give another --batch-size or --devices"
        )
    context = multiprocessing.get_context("spawn")
    heard, said = context.Pipe(duplex=False)
    job = (said, folder, split, recipe, devices, resume, finish, hosts)
    process = context.Process(target=_train, args=job, name="train")
    # JAX's preemption service would keep SIGTERM from ending the process.
    with _environment(KERAS_BACKEND="jax", JAX_ENABLE_PREEMPTION_SERVICE="false"):
        process.start()
    said.close()
    met = False
    try:
        for message in _messages(heard):
            if isinstance(message, BaseException):
                raise message
            if message is None:
                met = True
            elif hosts.first:
                tell(message)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if process.exitcode:
        if hosts.count > 1 and not met:
            raise not_met(hosts)
        if hosts.count > 1:
            raise lost(hosts, folder, f"its process ended with status {process.exitcode}")
        raise TrainingError(
            f"{folder}: the process that trains ended with status {process.exitcode}; "
            "the last whole epoch is kept: go on with --resume"
        )


def _messages(pipe: Any) -> Iterator[Any]:
    while True:
        try:
            yield pipe.recv()
        except EOFError:  # the other side has closed it
            return


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """What a process started within the block inherits."""
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


def _train(
    said: Any,
    folder: str | Path,
    split: Split,
    recipe: Recipe,
    devices: int,
    resume: bool,
    finish: bool,
    hosts: Hosts,
) -> None:
    """The process that trains: None once hosts have met, rows, and an error go into the pipe."""
    if hosts.count > 1:  # where native code reports its connections
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        share_batches(devices, hosts, met=lambda: said.send(None))
        from .trainer import train

        train(folder, split, recipe, said.send, resume, finish, hosts)
        leave(hosts)
    except XraySegError as error:
        said.send(error)
    except Exception as error:
        if hosts.count == 1:
            raise
        # Said at once: ending by itself, JAX would first wait for the other hosts to end, too.
        if not isinstance(error, RuntimeError) and "Gloo" not in str(error):
            traceback.print_exc()  # no lost connection
        said.send(lost(hosts, folder, str(error).partition("\n")[0]))
    finally:
        said.close()


def share_batches(
    devices: int, hosts: Hosts = ALONE, met: Callable[[], None] = lambda: None
) -> None:
    """Let models built from now on in this process train on so many devices of each host.

    Args:
        devices: how many; of each host as many.
        hosts: which of them this one is.
        met: called when all hosts have come.

    Raises:
        TrainingError: the backend is not JAX, or a host has fewer devices; hosts differ in what
            they were asked for or have installed.
    """
    try:
        import jax
    except ImportError as error:
        raise TrainingError(
            "--devices needs JAX: pip install 'xray-seg[devices]', and jax[cuda12] for GPUs"
        ) from error
    join(hosts)  # before Keras, which may use JAX as it is imported
    met()
    from .._util.tensorflow import keras

    distribution = keras().distribution
    if keras().backend.backend() != "jax":
        raise TrainingError("several devices need Keras' JAX backend: set KERAS_BACKEND=jax")
    there = jax.local_devices()
    counts = sorted(Counter(device.process_index for device in jax.devices()).values())
    if counts[0] != counts[-1]:  # JAX lets such hosts exchange nothing
        leave(hosts)
        raise TrainingError(
            f"one host has {counts[0]} devices and another {counts[-1]}: let all have as many, "
            "with CUDA_VISIBLE_DEVICES for instance"
        )
    facts: dict[str, Any] = {"--devices": devices, "the number of hosts": hosts.count}
    facts |= {"Keras": keras().__version__, "JAX": jax.__version__}
    check_same(hosts, facts, "give all hosts the same command and the same versions")
    if len(there) < devices:
        leave(hosts)
        raise TrainingError(
            f"--devices {devices}: JAX has {len(there)} here ({there[0].platform}); "
            "for GPUs install jax[cuda12]"
        )
    if hosts.count > 1:
        # A checkpoint's network begins with weights that no seed of a recipe decides, and Keras
        # takes no variable that is not the same on all hosts.
        keras().utils.set_random_seed(0)
    # The order is that of the hosts, as each feeds the rows of a batch that are its share.
    names = [
        f"{device.platform}:{device.id}"
        for host in range(hosts.count)
        for device in _devices_of(host)[:devices]
    ]
    distribution.set_distribution(
        distribution.DataParallel(devices=names, auto_shard_dataset=False)
    )


def _devices_of(host: int) -> list[Any]:
    import jax

    return [device for device in jax.devices() if device.process_index == host]
