"""Fit the calibrations that are shipped, and evaluate them on sources that the fit has not seen.

    python benchmarks/quality.py --images IMAGES --masks MASKS --cache FOLDER \
        [--lungs NAME FOLDER]... [--weights NAME] [--write]

IMAGES and MASKS are of JSRT and SCR. A FOLDER of ``--lungs`` holds ``images/`` of another hospital
and ``lungs/`` with a mask of both lungs for each. Samples are cached, so that an interrupted run
can continue. ``--write`` replaces the calibration in the model folder.

Masks of other hospitals may contain the lung behind the heart and the clavicles. There, lungs are
compared only where the network sees neither heart nor clavicle.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from quality_report import print_sources, print_warnings

from xray_seg.analysis.anatomy import load_anatomy
from xray_seg.analysis.calibration import save_calibration
from xray_seg.analysis.features import extract_features
from xray_seg.analysis.fit import Sample, fit_calibration
from xray_seg.data.cases import find_cases, read_mask
from xray_seg.data.degrade import FAMILIES, Labels
from xray_seg.evaluation.calibrating import (
    SIDE,
    degraded_samples,
    drawn_samples,
    read_reduced,
    structure_dice,
)
from xray_seg.kernels import area_mean, nearest
from xray_seg.labels import BACKGROUND, CLAVICLES, HEART, LUNGS
from xray_seg.models.model_folder import CALIBRATION_FILE, trained_names
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.preprocessing.corrections import NONE
from xray_seg.preprocessing.letterbox import shape_within
from xray_seg.preprocessing.normalisation import normalise
from xray_seg.radiograph import Radiograph
from xray_seg.readers import read
from xray_seg.segmenter import Segmenter

#: Name of the source with masks of all organs.
JSRT = "jsrt"
#: Degraded copies of each radiograph of another hospital, of families drawn at random.
_COPIES = 2


def jsrt_samples(segmenter: Segmenter, images: Path, masks: Path, every: int) -> Iterator[Sample]:
    """Samples of JSRT: validation radiographs, and every n-th training radiograph."""
    seen = trained_names(segmenter.model)
    trained = 0
    for number, case in enumerate(find_cases(images, masks)):
        trained += case.name in seen
        if case.name in seen and trained % every:
            continue
        image, truth = read_reduced(case)
        yield from degraded_samples(
            segmenter, case.name, JSRT, image, truth, seed=number, seen=case.name in seen
        )


def lung_samples(segmenter: Segmenter, source: str, folder: Path) -> Iterator[Sample]:
    """Samples of radiographs with masks of the lungs alone."""
    masks = {path.stem: path for path in (folder / "lungs").iterdir()}
    trained = trained_names(segmenter.model)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        mask = read_mask(masks[path.stem])
        shape = shape_within(mask.shape, SIDE)
        image = area_mean(read(path).pixels, shape)
        normalise(image, inverted=False)
        truth = nearest(np.where(mask, np.uint8(LUNGS.label), np.uint8(BACKGROUND)), shape)
        random = np.random.default_rng(number)
        chosen = random.choice(np.arange(1, len(FAMILIES)), _COPIES, replace=False)
        for degrade in (FAMILIES[0], *(FAMILIES[index] for index in chosen)):
            changed, reference = degrade(image, truth, random)
            result = segmenter(Radiograph(np.ascontiguousarray(changed, np.float32)))
            features = extract_features(
                result.radiograph, result.labels, GridPrediction(result.probabilities)
            )
            scores = _lung_dice(result.labels, np.ascontiguousarray(reference))
            yield Sample(
                path.stem, source, degrade.__name__, features, scores, path.stem in trained
            )


def _lung_dice(labels: Labels, truth: Labels) -> dict[str, float]:
    """Dice of the lungs where the network sees neither heart nor clavicle."""
    hidden = (labels == HEART.label) | (labels == CLAVICLES.label)
    scores = structure_dice(
        np.where(hidden, np.uint8(BACKGROUND), labels),
        np.where(hidden, np.uint8(BACKGROUND), truth),
    )
    return {name: value for name, value in scores.items() if "lung" in name}


def _cached(path: Path, make: Iterator[Sample]) -> list[Sample]:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(list(make)))
    found: list[Sample] = pickle.loads(path.read_bytes())  # noqa: S301 - written above
    return found


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--lungs", type=(str, click.Path(path_type=Path)), multiple=True, help="Repeatable.")
@click.option(
    "--cache", type=click.Path(path_type=Path), required=True, help="Folder of cached samples."
)
@click.option("--weights", default=None, help="Shipped weights or a model folder.")
@click.option("--every", default=2, show_default=True, help="Use every n-th training radiograph.")
@click.option("--write", is_flag=True, help="Write calibration.json into the model folder.")
def main(
    images: Path,
    masks: Path,
    lungs: tuple[tuple[str, Path], ...],
    cache: Path,
    weights: str | None,
    every: int,
    write: bool,
) -> None:
    """Make or load the samples, fit the calibration, evaluate it, print tables."""
    segmenter = Segmenter(weights, corrections=NONE)
    model, anatomy = segmenter.model, load_anatomy()
    folder = cache / model.sha256[:12]
    samples = _cached(folder / f"{JSRT}.pickle", jsrt_samples(segmenter, images, masks, every))
    for source, place in lungs:
        samples += _cached(folder / f"{source}.pickle", lung_samples(segmenter, source, place))
    drawn = _cached(folder / "drawn.pickle", drawn_samples(segmenter))
    held_back = {each.case for each in samples if each.source == JSRT and not each.seen}
    train = [each for each in samples if each.case not in held_back]
    calibration = fit_calibration([*train, *drawn], anatomy, model.sha256)
    print_sources(samples, drawn, held_back, anatomy)
    print_warnings(samples, calibration, anatomy, held_back)
    if write:
        save_calibration(calibration, model.folder / CALIBRATION_FILE)


if __name__ == "__main__":
    main()
