"""``xrayseg train``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_PRECISIONS = ("auto", "float32", "bfloat16")


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--name", help="Of the weights; the run folder's name if not given.")
@click.option("--size", type=click.IntRange(8), default=128, show_default=True, help="Grid side.")
@click.option("--epochs", type=click.IntRange(1), default=50, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=4, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=7e-4)
@click.option("--phantoms", type=click.IntRange(0, 48), default=16, show_default=True)
@click.option("--precision", type=click.Choice(_PRECISIONS), default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--init", metavar="NAME|DIR", help="Weights to start from.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's last whole epoch.")
def command(images: Path, masks: Path, out: Path, name: str | None, **options: Any) -> None:
    """Train InvertedNet on radiographs with masks in the SCR layout.

    A seeded ninth of the cases validates. The run folder keeps a checkpoint and a line of
    history per epoch, and in the end OUT/model, which `xrayseg batch --weights OUT/model` uses.
    """
    from ..batches import Recipe
    from ..dataset import find_cases, split_cases
    from ..release import release
    from ..training import choose_policy, train
    from . import console
    from .metrics import show

    split = split_cases(find_cases(images, masks), options["seed"])
    resume, precision = options.pop("resume"), choose_policy(options.pop("precision"))
    recipe = Recipe(precision=precision, **options)
    console.line(f"{len(split.train)} cases to train on, {len(split.validation)} to validate")
    with console.bar("training", recipe.epochs) as bar:

        def tell(row: dict[str, float]) -> None:
            organs = "  ".join(
                f"{key.removeprefix('val_jaccard_')} {value:.3f}"
                for key, value in row.items()
                if key.startswith("val_jaccard_")
            )
            note = f"loss {row['loss']:.3f}  validation Jaccard: {organs}"
            rate = f"{row['images_per_s']:.1f} images/s"
            console.line(f"epoch {row['epoch']:.0f}/{recipe.epochs}  {note}  {rate}")
            bar.move(int(row["epoch"]), f"loss {row['loss']:.3f}")

        train(out, split, recipe, tell, resume)
    with console.bar("scoring", len(split.validation)) as bar:
        metrics = release(out, split, name or out.resolve().name, bar.move)
    show(metrics)
    console.out.print(f"Use it: xrayseg batch folder/ --weights {out / 'model'} --out masks/")
