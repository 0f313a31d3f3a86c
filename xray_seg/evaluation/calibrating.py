"""Calibrate predicted Dice for weights, on radiographs with masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..analysis.anatomy import load_anatomy
from ..analysis.calibration import Calibration
from ..analysis.features import QualityFeatures, extract_features
from ..analysis.fit import Sample, fit_calibration
from ..data.annotation import FULL, Annotation
from ..data.cases import Case, read_radiograph, read_truth
from ..data.degrade import FAMILIES, OTHERS, Image, Labels
from ..errors import DatasetError
from ..labels import ORGANS, RIGHT_LEFT_LABELS
from ..models.model_folder import trained_names
from ..postprocessing.laterality import split_sides
from ..postprocessing.prediction import GridPrediction
from ..preprocessing.letterbox import shape_within
from ..preprocessing.normalisation import normalise
from ..radiograph import Radiograph
from ..segmenter import Segmenter
from .comparison import Comparison
from .metrics import dice

#: Fewest radiographs from which a calibration can be fitted.
FEWEST_CASES = 8
#: Images that are not chest radiographs, of each kind.
_OTHERS = 10
#: Radiographs are degraded at this many pixels on the longer side, at most.
SIDE = 512


def calibrate(
    segmenter: Segmenter,
    cases: Sequence[Case],
    *,
    base: Calibration | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Calibration:
    """Fit a calibration of predicted Dice for the weights of a segmenter.

    Each radiograph is segmented as it is and once in each degraded family. Each organ must be shown
    by the masks of some cases, unless ``base`` is given.

    Args:
        segmenter: the model and its engine.
        cases: radiographs with masks; better if the network was not trained on them.
        base: calibration whose models are kept for organs that no masks show.
        on_progress: called after each case with the number of cases done.

    Raises:
        DatasetError: there are too few cases, the masks of a case do not fit together, or no masks
            show an organ.
        ReadError: a radiograph or mask cannot be read.
    """
    if len(cases) < FEWEST_CASES:
        raise DatasetError(f"{len(cases)} radiographs with masks: give {FEWEST_CASES} or more")
    seen = trained_names(segmenter.model)
    samples = list(drawn_samples(segmenter))
    for number, case in enumerate(cases):
        image, truth = read_reduced(case)
        samples += degraded_samples(
            segmenter,
            case.name,
            "masks",
            image,
            truth,
            seed=number,
            seen=case.name in seen,
            annotation=case.annotation,
        )
        on_progress(number + 1)
    return fit_calibration(samples, load_anatomy(), segmenter.model.sha256, base=base)


def read_reduced(case: Case) -> tuple[Image, Labels]:
    """Read a radiograph in [0, 1], bones bright, and its true label map, both reduced to SIDE."""
    from ..kernels import area_mean, nearest

    truth = read_truth(case)
    shape = shape_within(truth.shape, SIDE)
    radiograph = read_radiograph(case)
    pixels = area_mean(radiograph.pixels, shape)
    normalise(pixels, inverted=bool(radiograph.inverted))
    return pixels, nearest(truth, shape)


def degraded_samples(
    segmenter: Segmenter,
    name: str,
    source: str,
    image: Image,
    truth: Labels,
    *,
    seed: int,
    seen: bool = False,
    annotation: Annotation = FULL,
) -> Iterator[Sample]:
    """Segment a radiograph as it is, and degraded in each way.

    Args:
        segmenter: the model and its engine.
        name, source, seen: as in Sample.
        image: (H, W) float32 in [0, 1], bones bright.
        truth: (H, W) uint8 true label map.
        seed: of the random numbers.
        annotation: what the true label map shows.
    """
    for number, degrade in enumerate(FAMILIES):
        changed, masks = degrade(image, truth, np.random.default_rng((seed, number)))
        labels, features = _segment(segmenter, changed)
        true_dice = structure_dice(labels, np.ascontiguousarray(masks), annotation)
        yield Sample(name, source, degrade.__name__, features, true_dice, seen)


def structure_dice(
    labels: Labels, truth: Labels, annotation: Annotation = FULL
) -> dict[str, float]:
    """Dice by organ and by right and left one.

    Args:
        labels: (H, W) uint8 predicted labels.
        truth: (H, W) uint8 true labels.
        annotation: the organs that the truth shows, and what its lungs include.

    Returns:
        Dice by name; NaN for an organ that the truth does not show, and for what it shows but does
        not hold, such as a lung that is cut off.
    """
    compared = Comparison.of(labels, truth, annotation)
    mine, true = split_sides(labels), split_sides(truth)
    pairs = [(each.name, each, labels == each.label, truth == each.label) for each in ORGANS]
    pairs += [
        (each.name, each.organ, mine == each.label, true == each.label)
        for each in RIGHT_LEFT_LABELS.structures
    ]
    return {
        name: dice(one, compared.reference(mask))
        if organ.name in annotation.organs and mask.any()
        else np.nan
        for name, organ, one, mask in pairs
    }


def drawn_samples(segmenter: Segmenter) -> Iterator[Sample]:
    """Segment images that are not chest radiographs: whatever is found is wrong."""
    names = [organ.name for organ in ORGANS]
    names += [structure.name for structure in RIGHT_LEFT_LABELS.structures]
    for draw in OTHERS:
        for copy in range(_OTHERS):
            image = draw(np.random.default_rng((0, copy)), SIDE)
            _, features = _segment(segmenter, image)
            yield Sample(
                f"{draw.__name__}{copy}",
                "drawn",
                draw.__name__,
                features,
                dict.fromkeys(names, 0.0),
            )


def _segment(
    segmenter: Segmenter, image: npt.NDArray[np.float32]
) -> tuple[Labels, QualityFeatures]:
    result = segmenter(Radiograph(np.ascontiguousarray(image, np.float32)))
    features = extract_features(
        result.radiograph, result.labels, GridPrediction(result.probabilities)
    )
    return result.labels, features
