"""Compare training steps with augmentation to bare Keras steps on batches in memory.

    python benchmarks/training_step.py [--steps N] [--rounds N]

One model takes both kinds of steps in alternating rounds. Prints the median time of each, their
ratio, and the share of the time that training waited for batches.
"""

from __future__ import annotations

import time
from dataclasses import replace

import click
import numpy as np

from xray_seg._util import tensorflow
from xray_seg.data.arrays import Arrays
from xray_seg.training.build import build_model, resolve_config
from xray_seg.training.config import TrainingConfig
from xray_seg.training.loader import epoch_batches, phantom_arrays
from xray_seg.training.trainer import train_epoch


@click.command()
@click.option(
    "--steps", type=click.IntRange(1), default=10, show_default=True, help="Steps per round."
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--arch", default="inverted-net", show_default=True)
@click.option("--size", default=128, show_default=True)
def main(steps: int, rounds: int, arch: str, size: int) -> None:
    """Measure both kinds of steps and print the comparison."""
    tensorflow.keras()
    config = resolve_config(TrainingConfig(network=arch, size=size, steps=steps))
    phantoms = phantom_arrays(config, size)
    none = Arrays(phantoms.images[:0], phantoms.fractions[:0])
    model = build_model(config, steps)
    batches = list(epoch_batches(none, phantoms, config, 0))
    train_epoch(model, none, phantoms, replace(config, steps=2), 0)  # compile
    bare, full, waited = [], [], []
    for round_ in range(rounds):
        started = time.perf_counter()
        for batch in batches:
            model.train_on_batch(*batch, return_dict=True)
        bare.append((time.perf_counter() - started) / steps)
        row = train_epoch(model, none, phantoms, config, round_)
        full.append(row["seconds"] / steps)
        waited.append(row["waited"])
    ratio = np.median(bare) / np.median(full)
    click.echo(f"{arch} at {size}, {config.precision}, batches of {config.batch_size}")
    click.echo(f"bare Keras step {np.median(bare):.3f} s, training step {np.median(full):.3f} s")
    click.echo(f"ratio {ratio:.3f}; waited for a batch {np.median(waited):.2%} of the time")


if __name__ == "__main__":
    main()
