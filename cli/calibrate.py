"""The command ``xrayseg calibrate``."""

from __future__ import annotations

from pathlib import Path

import click

from .options import annotation, case_options, engine_options


@click.command()
@case_options
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write.  [default: calibration.json in the model folder]",
)
@click.option(
    "--base",
    metavar="NAME|DIR",
    help="Weights whose calibration is kept for organs that no masks show, such as those that "
    "training started from.",
)
@engine_options
def command(
    images: Path,
    masks: Path,
    organs: tuple[str, ...] | None,
    lungs_include: tuple[str, ...] | None,
    label_maps: bool,
    out: Path | None,
    base: str | None,
    weights: str | None,
    engine: str,
    precision: str,
    device: str,
) -> None:
    """Calibrate predicted Dice for weights of your own.

    Radiographs that the network was not trained on are best; 8 are the fewest, 50 or more are
    better. Each is segmented as it is and degraded in several ways. Some masks must show each
    organ, unless --base is given. The model folder gets calibration.json, which names the weights
    that it belongs to.
    """
    from ..analysis.calibration import calibration_of, save_calibration
    from ..data.cases import find_cases
    from ..errors import OutputError, WeightsError
    from ..evaluation.calibrating import calibrate
    from ..models.model_folder import CALIBRATION_FILE, load_model
    from ..preprocessing.corrections import NONE
    from ..segmenter import Segmenter
    from ..training.model_card import write_model_card
    from . import console

    shown = annotation(organs, lungs_include)
    cases = find_cases(images, masks, annotation=shown, label_maps=label_maps)
    # Degraded copies are meant to stay as they are, inverted or turned.
    segmenter = Segmenter(
        weights, engine=engine, precision=precision, device=device, corrections=NONE
    )
    kept = calibration_of(load_model(base)) if base else None
    if base and kept is None:
        raise WeightsError(f"{base}: has no calibration; leave --base out, or give other weights")
    with console.bar("calibrating", len(cases)) as bar:
        calibration = calibrate(segmenter, cases, base=kept, on_progress=bar.move)
    path = out or segmenter.model.folder / CALIBRATION_FILE
    try:
        save_calibration(calibration, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error}; give another --out") from error
    if not out:
        write_model_card(segmenter.model.folder)
    click.echo(f"calibrated {segmenter.model.name} on {len(cases)} radiographs: {path}")
