"""Training on several devices of one machine at once, through Keras' distribution API on JAX.

The batch is split between the devices, each with its own copy of the weights. JAX compiles the step
for all of them as one program over the whole batch, normalisation included, so that a run gives
what it gives on one device, to rounding. Keras has one backend a process: training has its own.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .dataset import Split
from .errors import TrainingError, XraySegError
from .recipe import Recipe
from .run_folder import Row


def train_on_devices(
    folder: str | Path,
    split: Split,
    recipe: Recipe,
    devices: int,
    tell: Callable[[Row], None] = lambda row: None,
    resume: bool = False,
    finish: bool = False,
) -> None:
    """Train as training.train does, in a process of its own with the JAX backend.

    Args:
        folder, split, recipe, tell, resume, finish: as of training.train; the finished model is
            in the run folder.
        devices: how many of JAX's devices share each batch: GPUs where it has any, else CPUs.

    Raises:
        TrainingError: JAX is not installed or has fewer devices; they cannot share a batch evenly;
            the process ended without a word.
        DatasetError, ReadError, WeightsError: as training.train.
    """
    if recipe.batch_size % devices:
        raise TrainingError(
            f"a batch of {recipe.batch_size} cannot be shared evenly by {devices} devices; "
            "give another --batch-size or --devices"
        )
    context = multiprocessing.get_context("spawn")
    heard, said = context.Pipe(duplex=False)
    job = (said, folder, split, recipe, devices, resume, finish)
    process = context.Process(target=_train, args=job, name="train")
    with _environment(KERAS_BACKEND="jax"):
        process.start()
    said.close()
    try:
        for message in _messages(heard):
            if isinstance(message, BaseException):
                raise message
            tell(message)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if process.exitcode:
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
) -> None:
    """The process that trains: rows, and at last an error if there is one, go into the pipe."""
    try:
        share_batches(devices)
        from .training import train

        train(folder, split, recipe, said.send, resume, finish)
    except XraySegError as error:
        said.send(error)
    finally:
        said.close()


def share_batches(devices: int) -> None:
    """Let models built from now on in this process train on so many devices.

    Raises:
        TrainingError: the backend is not JAX, or it has fewer devices.
    """
    try:
        import jax
    except ImportError as error:
        raise TrainingError(
            "--devices needs JAX: pip install 'xray-seg[devices]', and jax[cuda12] for GPUs"
        ) from error
    from .quiet import keras

    distribution = keras().distribution
    if keras().backend.backend() != "jax":
        raise TrainingError("several devices need Keras' JAX backend: set KERAS_BACKEND=jax")
    there = jax.local_devices()
    if len(there) < devices:
        raise TrainingError(
            f"--devices {devices}: JAX has {len(there)} here ({there[0].platform}); "
            "for GPUs install jax[cuda12]"
        )
    names = [f"{device.platform}:{device.id}" for device in there[:devices]]
    distribution.set_distribution(
        distribution.DataParallel(devices=names, auto_shard_dataset=False)
    )
