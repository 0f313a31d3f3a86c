"""Training as it is done, augmentation and all, beside bare Keras steps on arrays in memory.

    python benchmarks/training_step.py [--steps N] [--rounds N]

One model takes both kinds of steps in turns. Prints their medians, the ratio, and the share of
its time that training waited for a batch.
"""

from __future__ import annotations

import time
from dataclasses import replace

import click
import numpy as np

from xray_seg._util import tensorflow
from xray_seg.data.arrays import Arrays
from xray_seg.training.config import RECIPES
from xray_seg.training.loader import epoch_batches, phantom_arrays
from xray_seg.training.trainer import build, choose_policy, train_epoch


@click.command()
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True, help="A round.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--arch", default="inverted-net", show_default=True)
@click.option("--size", default=128, show_default=True)
def main(steps: int, rounds: int, arch: str, size: int) -> None:
    """Measure and print."""
    tensorflow.keras()
    recipe = replace(
        RECIPES["standard"],
        network=arch,
        size=size,
        steps=steps,
        precision=choose_policy("auto"),
    )
    phantoms = phantom_arrays(recipe)
    none = Arrays(phantoms.images[:0], phantoms.fractions[:0])
    model = build(recipe, steps)
    batches = list(epoch_batches(none, phantoms, recipe, 0))
    train_epoch(model, none, phantoms, replace(recipe, steps=2), 0)  # compile
    bare, ours, waited = [], [], []
    for round_ in range(rounds):
        began = time.perf_counter()
        for batch in batches:
            model.train_on_batch(*batch, return_dict=True)
        bare.append((time.perf_counter() - began) / steps)
        row = train_epoch(model, none, phantoms, recipe, round_)
        ours.append(row["seconds"] / steps)
        waited.append(row["waited"])
    ratio = np.median(bare) / np.median(ours)
    click.echo(f"{arch} at {size}, {recipe.precision}, batches of {recipe.batch_size}")
    click.echo(f"bare Keras step {np.median(bare):.3f} s, training step {np.median(ours):.3f} s")
    click.echo(f"ratio {ratio:.3f}; waited for a batch {np.median(waited):.2%} of the time")


if __name__ == "__main__":
    main()
