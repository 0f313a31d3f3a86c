"""How weights bear films unlike those they were trained on: mean Jaccard by change of the film.

    python benchmarks/robustness.py --images IMAGES --masks MASKS [--weights NAME|DIR]...

Real films are changed as other hospitals' equipment and exports would change them, with nothing
taken from the training's own augmentation, and scored as ``xrayseg evaluate`` scores: at the
masks' resolution, label maps against label maps. Only cases that the weights were validated on
are used, where their card names any.
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
from xray_seg.labels import BACKGROUND, ORGANS
from xray_seg.preprocessing.normalisation import normalise
from xray_seg.radiograph import Radiograph
from xray_seg.readers import read
from xray_seg.segmenter import Segmenter

Film = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Pair = tuple[Film, Labels]


def as_it_is(film: Film, labels: Labels) -> Pair:
    return film, labels


def flat(film: Film, labels: Labels) -> Pair:
    """A low-contrast export in 8 bits: 40 grey levels from end to end, lifted shadows."""
    return np.round(film**0.6 * 40) + 110, labels


def hard(film: Film, labels: Labels) -> Pair:
    """A narrow window: a quarter of the pixels black, a quarter white."""
    low, high = np.percentile(film, (25, 75))
    return np.clip((film - low) / (high - low), 0, 1), labels


def equalised(film: Film, labels: Labels) -> Pair:
    """Histogram equalisation, as viewers and old PNG collections apply it."""
    ranks = np.searchsorted(np.sort(film, axis=None), film)
    return (ranks / film.size).astype(np.float32), labels


def noisy(film: Film, labels: Labels) -> Pair:
    """A low dose, blurred and thumbnail-sized: grain of 8 % after a blur of 4 pixels."""
    grain = np.random.default_rng(0).standard_normal(film.shape, np.float32)
    return ndimage.gaussian_filter(film, 4) + 0.08 * ndimage.gaussian_filter(grain, 1.5) * 5, labels


def cropped(film: Film, labels: Labels) -> Pair:
    """A tenth cut off at each side."""
    cut = len(film) // 10
    return film[cut:-cut, cut:-cut], labels[cut:-cut, cut:-cut]


def bordered(film: Film, labels: Labels) -> Pair:
    """Collimated and padded: 15 % of black around it."""
    width = int(0.15 * len(film))
    return np.pad(film, width), np.pad(labels, width, constant_values=BACKGROUND)


def turned(film: Film, labels: Labels) -> Pair:
    """A patient who leans: 12 degrees."""
    return (
        ndimage.rotate(film, 12, reshape=False, order=1),
        ndimage.rotate(labels, 12, reshape=False, order=0),
    )


def marked(film: Film, labels: Labels) -> Pair:
    """White marker blocks in two corners and one over a lung, a black label above."""
    film, side = film.copy(), len(film)
    film[: side // 8, : side // 6] = 1
    film[-side // 10 :, -side // 5 :] = 1
    film[side // 2 : side // 2 + side // 14, side // 4 : side // 4 + side // 12] = 1
    film[: side // 25, side // 3 : 2 * side // 3] = 0
    return film, labels


def cardiomegaly(film: Film, labels: Labels) -> Pair:
    """A heart a third wider: what surrounds its centre is stretched, lungs pressed aside."""
    rows, columns = np.indices(film.shape)
    heart = labels == 2
    centre = rows[heart].mean(), columns[heart].mean()
    wide = np.ptp(columns[heart]) / 2
    near = np.exp(
        -((columns - centre[1]) ** 2) / (2 * (1.3 * wide) ** 2)
        - (rows - centre[0]) ** 2 / (2 * (1.6 * wide) ** 2)
    )
    places = np.array([rows, columns - 0.4 * near * (columns - centre[1])])
    return (
        ndimage.map_coordinates(film, places, order=1, mode="nearest"),
        ndimage.map_coordinates(labels, places, order=0, mode="nearest"),
    )


CHANGES: tuple[Callable[[Film, Labels], Pair], ...] = (
    as_it_is,
    flat,
    hard,
    equalised,
    noisy,
    cropped,
    bordered,
    turned,
    marked,
    cardiomegaly,
)


def load(case: Case) -> Pair:
    """A film in [0, 1], bones bright, at its masks' size, and its label map."""
    labels = read_truth(case)
    film = read(case.image)
    pixels = area_mean(film.pixels, (labels.shape[0], labels.shape[1]))
    normalise(pixels, inverted=bool(film.inverted))
    return pixels, labels


def score(segmenter: Segmenter, cases: list[Case]) -> dict[str, dict[str, float]]:
    """Mean Jaccard by change and organ."""
    found: dict[str, dict[str, list[float]]] = {
        change.__name__: {organ.name: [] for organ in ORGANS} for change in CHANGES
    }
    for case in cases:
        film, labels = load(case)
        for change in CHANGES:
            pixels, truth = change(film, labels)
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
@click.option("--weights", multiple=True, default=[None], help="To compare; repeat it.")
def main(images: Path, masks: Path, weights: tuple[str | None, ...]) -> None:
    """Print a Markdown table for each of the weights."""
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
