"""Measure mean Jaccard on radiographs that are changed in ways that training did not use.

    python benchmarks/robustness.py --images IMAGES --masks MASKS [--weights NAME|DIR]...

Radiographs are changed as equipment and exports of other hospitals would change them, without the
functions that augment training data. Label maps are compared at the resolution of the true masks,
as ``xrayseg evaluate`` does. Only validation cases are used, if the model card names them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from xray_seg.data.cases import Case, find_cases, read_truth
from xray_seg.evaluation.metrics import jaccard
from xray_seg.kernels import area_mean
from xray_seg.labels import BACKGROUND, HEART, ORGANS
from xray_seg.preprocessing.normalisation import normalise
from xray_seg.radiograph import Radiograph
from xray_seg.readers import read
from xray_seg.segmenter import Segmenter

Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Pair = tuple[Image, Labels]


def unchanged(image: Image, labels: Labels) -> Pair:
    return image, labels


def low_contrast(image: Image, labels: Labels) -> Pair:
    """Export to 40 grey levels of 8 bits, with shadows brightened."""
    return np.round(image**0.6 * 40) + 110, labels


def narrow_window(image: Image, labels: Labels) -> Pair:
    """Make a quarter of the pixels black and a quarter white."""
    low, high = np.percentile(image, (25, 75))
    return np.clip((image - low) / (high - low), 0, 1), labels


def equalised(image: Image, labels: Labels) -> Pair:
    """Equalise the histogram, as viewers and old PNG collections do."""
    ranks = np.searchsorted(np.sort(image, axis=None), image)
    return (ranks / image.size).astype(np.float32), labels


def blurred_and_grainy(image: Image, labels: Labels) -> Pair:
    """Blur by 4 pixels, and add correlated noise, as of a low dose."""
    grain = np.random.default_rng(0).standard_normal(image.shape, np.float32)
    return ndimage.gaussian_filter(image, 4) + 0.08 * ndimage.gaussian_filter(
        grain, 1.5
    ) * 5, labels


def cropped(image: Image, labels: Labels) -> Pair:
    """Cut off a tenth at each side."""
    cut = len(image) // 10
    return image[cut:-cut, cut:-cut], labels[cut:-cut, cut:-cut]


def bordered(image: Image, labels: Labels) -> Pair:
    """Add a black border of 15 % at each side."""
    width = int(0.15 * len(image))
    return np.pad(image, width), np.pad(labels, width, constant_values=BACKGROUND)


def rotated(image: Image, labels: Labels) -> Pair:
    """Rotate by 12 degrees."""
    return (
        ndimage.rotate(image, 12, reshape=False, order=1),
        ndimage.rotate(labels, 12, reshape=False, order=0),
    )


def with_markers(image: Image, labels: Labels) -> Pair:
    """Put white markers into two corners and over a lung, and a black label at the top."""
    image, side = image.copy(), len(image)
    image[: side // 8, : side // 6] = 1
    image[-side // 10 :, -side // 5 :] = 1
    image[side // 2 : side // 2 + side // 14, side // 4 : side // 4 + side // 12] = 1
    image[: side // 25, side // 3 : 2 * side // 3] = 0
    return image, labels


def wider_heart(image: Image, labels: Labels) -> Pair:
    """Stretch the surroundings of the heart's centre, so that it is a third wider."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    heart = labels == HEART.label
    row, column = rows[heart].mean(), columns[heart].mean()
    half_width = np.ptp(columns[heart]) / 2
    near = np.exp(
        -((columns - column) ** 2) / (2 * (1.3 * half_width) ** 2)
        - (rows - row) ** 2 / (2 * (1.6 * half_width) ** 2)
    )
    places = np.array([rows, columns - 0.4 * near * (columns - column)])
    return (
        ndimage.map_coordinates(image, places, order=1, mode="nearest"),
        ndimage.map_coordinates(labels, places, order=0, mode="nearest"),
    )


CHANGES: tuple[Callable[[Image, Labels], Pair], ...] = (
    unchanged,
    low_contrast,
    narrow_window,
    equalised,
    blurred_and_grainy,
    cropped,
    bordered,
    rotated,
    with_markers,
    wider_heart,
)


def load(case: Case) -> Pair:
    """Read an image in [0, 1], bones bright, at the size of its masks, and the true label map."""
    labels = read_truth(case)
    radiograph = read(case.image)
    pixels = area_mean(radiograph.pixels, (labels.shape[0], labels.shape[1]))
    normalise(pixels, inverted=bool(radiograph.inverted))
    return pixels, labels


def score(segmenter: Segmenter, cases: list[Case]) -> dict[str, dict[str, float]]:
    """Compute mean Jaccard by change and organ."""
    found: dict[str, dict[str, list[float]]] = {
        change.__name__: {organ.name: [] for organ in ORGANS} for change in CHANGES
    }
    for case in cases:
        image, labels = load(case)
        for change in CHANGES:
            pixels, truth = change(image, labels)
            guess = segmenter(Radiograph(np.ascontiguousarray(pixels, np.float32))).labels
            for organ in ORGANS:
                overlap = jaccard(guess == organ.label, truth == organ.label)
                found[change.__name__][organ.name].append(overlap)
    return {
        change: {organ: float(np.mean(values)) for organ, values in by_organ.items()}
        for change, by_organ in found.items()
    }


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--weights", multiple=True, default=[None], help="Weights; repeatable.")
def main(images: Path, masks: Path, weights: tuple[str | None, ...]) -> None:
    """Print a Markdown table for each model."""
    cases = find_cases(images, masks)
    for name in weights:
        segmenter = Segmenter(name)
        names = segmenter.model.card.get("split", {}).get("validation", [])
        chosen = [case for case in cases if case.name in names] or cases
        click.echo(f"\n{segmenter.model.name}, {len(chosen)} cases\n")
        click.echo("| change | " + " | ".join(organ.name for organ in ORGANS) + " |")
        click.echo("| --- |" + " --- |" * len(ORGANS))
        for change, by_organ in score(segmenter, chosen).items():
            cells = " | ".join(f"{value:.3f}" for value in by_organ.values())
            click.echo(f"| {change.replace('_', ' ')} | {cells} |")


if __name__ == "__main__":
    main()
