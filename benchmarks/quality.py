"""Fit and evaluate predicted Dice and warnings on degraded radiographs with known masks.

    python benchmarks/quality.py --images IMAGES --masks MASKS --cache FOLDER [--write]

The fit uses degraded training radiographs. It is evaluated on degraded validation radiographs,
which neither it nor the network has seen. Features of each radiograph are cached, so that an
interrupted run can continue. ``--write`` replaces the shipped calibration.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from degrade import FAMILIES, OTHERS
from quality_fit import fit_calibration
from quality_report import print_report
from quality_sample import Sample

from xray_seg.analysis.calibration import save_calibration
from xray_seg.analysis.features import extract_features
from xray_seg.analysis.shape_features import shape_features
from xray_seg.data.cases import Case, find_cases, read_truth
from xray_seg.evaluation.metrics import dice
from xray_seg.kernels import area_mean
from xray_seg.labels import BACKGROUND, ORGANS
from xray_seg.models.model_folder import load_model
from xray_seg.postprocessing.laterality import find_sides
from xray_seg.preprocessing.normalisation import normalise
from xray_seg.radiograph import Radiograph
from xray_seg.readers import read
from xray_seg.segmenter import Segmenter

SIDE = 512
#: Degraded copies of a radiograph per family; images of each kind that is not a chest.
_COPIES, _OTHERS = 2, 40


def samples_of(segmenter: Segmenter, case: Case, seed: int) -> Iterator[Sample]:
    """Segment a radiograph as it is, and degraded in each way."""
    truth = read_truth(case)
    step = truth.shape[0] // SIDE
    truth = truth[::step, ::step]
    radiograph = read(case.image)
    pixels = area_mean(radiograph.pixels, (truth.shape[0], truth.shape[1]))
    normalise(pixels, inverted=bool(radiograph.inverted))
    for number, degrade in enumerate(FAMILIES):
        for copy in range(1 if number == 0 else _COPIES):
            random = np.random.default_rng((seed, number, copy))
            degraded, masks = degrade(pixels, truth, random)
            yield _sample(segmenter, case.name, degrade.__name__, degraded, masks)


def others(segmenter: Segmenter, seed: int, count: int) -> Iterator[Sample]:
    """Segment images that are not chest radiographs."""
    for draw in OTHERS:
        for copy in range(count):
            image = draw(np.random.default_rng((seed, copy)), SIDE)
            nothing = np.full(image.shape, BACKGROUND, np.uint8)
            yield _sample(segmenter, f"{draw.__name__}{copy}", draw.__name__, image, nothing)


def _sample(
    segmenter: Segmenter,
    case: str,
    family: str,
    image: npt.NDArray[np.float32],
    truth: npt.NDArray[np.uint8],
) -> Sample:
    result = segmenter(Radiograph(np.ascontiguousarray(image, np.float32)))
    features = extract_features(result.radiograph, result.labels, result.probabilities)
    scores = {}
    for organ in ORGANS:
        mine, true = result.labels == organ.label, truth == organ.label
        if true.any() or family in {draw.__name__ for draw in OTHERS}:
            scores[organ.name] = dice(mine, true) if true.any() else 0.0
        else:
            scores[organ.name] = np.nan
    return Sample(case, family, features, scores)


def _cached(path: Path, make: Iterator[Sample]) -> list[Sample]:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(list(make)))
    found: list[Sample] = pickle.loads(path.read_bytes())  # noqa: S301 - written above
    return found


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option(
    "--cache", type=click.Path(path_type=Path), required=True, help="Folder of cached features."
)
@click.option("--weights", default=None, help="Shipped weights or a model folder.")
@click.option("--every", default=2, show_default=True, help="Use every n-th training radiograph.")
@click.option("--write", is_flag=True, help="Replace the shipped calibration.")
def main(
    images: Path, masks: Path, cache: Path, weights: str | None, every: int, write: bool
) -> None:
    """Make or load the samples, fit the calibration, evaluate it, print tables."""
    model = load_model(weights)
    segmenter = Segmenter(weights)
    cases = {case.name: case for case in find_cases(images, masks)}
    folder = cache / model.sha256[:12]
    parts: dict[str, list[Sample]] = {"train": [], "validation": []}
    truths = []
    for part, step in (("train", every), ("validation", 1)):
        for place, name in enumerate(model.card["split"][part]):
            seed = place + (0 if part == "train" else 10_000)
            if place % step == 0:
                made = samples_of(segmenter, cases[name], seed)
                parts[part] += _cached(folder / f"{name}.pickle", made)
            if part == "train":
                truths.append(shape_features(find_sides(read_truth(cases[name])[::2, ::2])))
        seed = 0 if part == "train" else 1
        made = others(segmenter, seed, _OTHERS)
        parts[part] += _cached(folder / f"others-{part}.pickle", made)
    calibration = fit_calibration(np.array(truths), parts["train"], model.sha256)
    print_report(calibration, parts["train"], parts["validation"], np.array(truths))
    if write:
        save_calibration(calibration)


if __name__ == "__main__":
    main()
