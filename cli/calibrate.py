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
@engine_options
def command(
    images: Path,
    masks: Path,
    organs: tuple[str, ...] | None,
    lungs_include: tuple[str, ...] | None,
    label_maps: bool,
    out: Path | None,
    weights: str | None,
    engine: str,
    precision: str,
    device: str,
) -> None:
    """Calibrate predicted Dice for weights of your own.

    Radiographs that the network was not trained on are best; 8 are the fewest, 50 or more are
    better. Each is segmented as it is and degraded in several ways. Some masks must show each
    organ. The model folder gets calibration.json, which names the weights that it belongs to.
    """
    from ..analysis.calibration import save_calibration
    from ..data.cases import find_cases
    from ..errors import OutputError
    from ..evaluation.calibrating import calibrate
    from ..models.model_folder import CALIBRATION_FILE
    from ..preprocessing.corrections import NONE
    from ..segmenter import Segmenter
    from . import console

    shown = annotation(organs, lungs_include)
    cases = find_cases(images, masks, annotation=shown, label_maps=label_maps)
    # Degraded copies are meant to stay as they are, inverted or turned.
    segmenter = Segmenter(
        weights, engine=engine, precision=precision, device=device, corrections=NONE
    )
    with console.bar("calibrating", len(cases)) as bar:
        calibration = calibrate(segmenter, cases, on_progress=bar.move)
    path = out or segmenter.model.folder / CALIBRATION_FILE
    try:
        save_calibration(calibration, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error}; give another --out") from error
    click.echo(f"calibrated {segmenter.model.name} on {len(cases)} radiographs: {path}")
