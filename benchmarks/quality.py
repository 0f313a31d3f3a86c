"""Calibrate and judge predicted Dice and flags: spoilt films whose true Dice is known.

    python benchmarks/quality.py --images IMAGES --masks MASKS --cache FOLDER [--write]

The fit sees spoilt training films; it is judged on spoilt validation films, which neither it nor
the network has seen. What was computed of a film is kept in the cache, so that a stopped run goes
on. ``--write`` replaces the calibration that is shipped.
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
from xray_seg.analysis.features import gather
from xray_seg.analysis.shape import describe
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
#: Spoilt copies of a film by each family; what is no chest film is drawn so often.
_COPIES, _OTHERS = 2, 40


def samples_of(segmenter: Segmenter, case: Case, seed: int) -> Iterator[Sample]:
    """A film as it is, and spoilt in each way."""
    truth = read_truth(case)
    step = truth.shape[0] // SIDE
    truth = truth[::step, ::step]
    film = read(case.image)
    pixels = area_mean(film.pixels, (truth.shape[0], truth.shape[1]))
    normalise(pixels, inverted=bool(film.inverted))
    for number, spoil in enumerate(FAMILIES):
        for copy in range(1 if number == 0 else _COPIES):
            random = np.random.default_rng((seed, number, copy))
            spoilt, masks = spoil(pixels, truth, random)
            yield _judged(segmenter, case.name, spoil.__name__, spoilt, masks)


def others(segmenter: Segmenter, seed: int, count: int) -> Iterator[Sample]:
    """What is no chest film."""
    for draw in OTHERS:
        for copy in range(count):
            film = draw(np.random.default_rng((seed, copy)), SIDE)
            nothing = np.full(film.shape, BACKGROUND, np.uint8)
            yield _judged(segmenter, f"{draw.__name__}{copy}", draw.__name__, film, nothing)


def _judged(
    segmenter: Segmenter,
    case: str,
    family: str,
    film: npt.NDArray[np.float32],
    truth: npt.NDArray[np.uint8],
) -> Sample:
    result = segmenter(Radiograph(np.ascontiguousarray(film, np.float32)))
    evidence = gather(result.radiograph, result.labels, result.probabilities)
    scores = {}
    for organ in ORGANS:
        mine, true = result.labels == organ.label, truth == organ.label
        if true.any() or family in {draw.__name__ for draw in OTHERS}:
            scores[organ.name] = dice(mine, true) if true.any() else 0.0
        else:
            scores[organ.name] = np.nan
    return Sample(case, family, evidence, scores)


def _cached(path: Path, make: Iterator[Sample]) -> list[Sample]:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(list(make)))
    found: list[Sample] = pickle.loads(path.read_bytes())  # noqa: S301 - our own, made above
    return found


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="For what is made.")
@click.option("--weights", default=None, help="Shipped weights or a model folder.")
@click.option("--every", default=2, show_default=True, help="Of the training films, each n-th.")
@click.option("--write", is_flag=True, help="Replace the shipped calibration.")
def main(
    images: Path, masks: Path, cache: Path, weights: str | None, every: int, write: bool
) -> None:
    """Make or take the samples, fit, judge, print."""
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
                truths.append(describe(find_sides(read_truth(cases[name])[::2, ::2])))
        seed = 0 if part == "train" else 1
        made = others(segmenter, seed, _OTHERS)
        parts[part] += _cached(folder / f"others-{part}.pickle", made)
    calibration = fit_calibration(np.array(truths), parts["train"], model.sha256)
    print_report(calibration, parts["train"], parts["validation"], np.array(truths))
    if write:
        save_calibration(calibration)


if __name__ == "__main__":
    main()
