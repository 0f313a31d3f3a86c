"""``xrayseg evaluate``"""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import engine_options, positive


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder for metrics.json.")
@engine_options
@click.option("--spacing", type=positive, metavar="MM", help="mm between mask pixels.")
@click.option(
    "--clinical",
    type=click.Path(path_type=Path),
    help="Folder of JSRT's clinical tables, to break the scores down by.",
)
@click.option(
    "--validation-only",
    is_flag=True,
    help="Score the cases that the weights were validated on, by their card, and no others.",
)
def command(
    images: Path,
    masks: Path,
    out: Path | None,
    spacing: float | None,
    clinical: Path | None,
    validation_only: bool,
    weights: str | None,
    engine: str,
    precision: str,
    device: str,
) -> None:
    """Score weights against true masks, at the masks' own resolution.

    Reports, per organ, Dice, Jaccard, average symmetric surface distance and 95 % Hausdorff
    distance, worst cases first; with --out also as metrics.json with a row per case.
    """
    from ..atomic import write_text
    from ..clinical import read_clinical
    from ..dataset import find_cases
    from ..errors import DatasetError
    from ..evaluation import evaluate
    from ..segmenter import Segmenter
    from ..summary import summarise
    from . import console
    from .metrics import show

    cases = find_cases(images, masks)
    segmenter = Segmenter(weights, engine, precision, device)
    if validation_only:
        names = set(segmenter.model.card.get("split", {}).get("validation", []))
        cases = [case for case in cases if case.name in names]
        if not cases:
            raise DatasetError(f"{images}: has none of the cases that these weights validate on")
    patients = read_clinical(clinical) if clinical else None
    with console.bar("scoring", len(cases)) as bar:
        metrics = summarise(evaluate(segmenter, cases, spacing, bar.move), patients)
    metrics |= {"weights": segmenter.model.name, "engine": segmenter.engine.name}
    show(metrics)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
