"""The command ``xrayseg evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import case_options, engine_options, pixel_spacing


@click.command()
@case_options
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Output folder for metrics.json."
)
@engine_options
@click.option(
    "--spacing",
    type=pixel_spacing,
    metavar="MM",
    help="Pixel spacing of the masks in mm, for distances.  [default: from the radiographs]",
)
@click.option(
    "--clinical",
    type=click.Path(path_type=Path),
    help="Folder of the JSRT clinical tables; adds scores per patient group.",
)
@click.option(
    "--part",
    type=click.Choice(["all", "validation", "test"]),
    default="all",
    show_default=True,
    help="Score only the cases that the model card lists as this part of the split.",
)
def command(
    images: Path,
    masks: Path,
    out: Path | None,
    spacing: float | None,
    clinical: Path | None,
    part: str,
    weights: str | None,
    engine: str,
    precision: str,
    device: str,
) -> None:
    """Score weights against reference masks, at the resolution of the masks.

    Reports Dice, Jaccard, average symmetric surface distance and 95 % Hausdorff distance per
    organ, and the cases with the lowest Dice. With --out, metrics.json holds all cases.
    """
    from .._util.files import write_text
    from ..data.cases import find_cases
    from ..data.clinical import read_clinical
    from ..errors import DatasetError
    from ..evaluation.scoring import evaluate
    from ..evaluation.summary import summarise
    from ..models.model_folder import trained_names
    from ..segmenter import Segmenter
    from . import console
    from .metrics import show

    cases = find_cases(images, masks)
    segmenter = Segmenter(weights, engine=engine, precision=precision, device=device)
    split = segmenter.model.card.get("split", {})
    if part != "all":
        cases = [case for case in cases if case.name in split.get(part, [])]
        if not cases:
            raise DatasetError(
                f"{images}: has no {part} case of {segmenter.model.name}'s model card; "
                "use --part all"
            )
    patients = read_clinical(clinical) if clinical else None
    with console.bar("scoring", len(cases)) as bar:
        scores = evaluate(segmenter, cases, spacing=spacing, on_progress=bar.move)
    metrics = summarise(scores, patients=patients, trained_on=trained_names(segmenter.model))
    metrics |= {"weights": segmenter.model.name, "engine": segmenter.engine.name}
    show(metrics)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
