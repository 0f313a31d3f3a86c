"""Report of a training run: curves, examples and a table, like those of the 2019 study.

``examples.png`` shows the user's own radiographs: it stays in the run folder and is not exported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._util.files import atomic_path, write_text
from ..data.arrays import load_arrays
from ..data.cases import Case
from ..data.splits import Split
from ..labels import ORGANS
from .compiled import compile_model
from .config import TrainingConfig
from .loader import OVERSAMPLING, Batch, validation_batch
from .run_record import EpochRow, read_history

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

#: Pixel accuracy and loss of each part of the split as the study reports them, after 491 epochs.
STUDY = {"train": (0.965, 0.20), "validation": (0.93, 0.20), "test": (0.95, 0.25)}
_EXAMPLES = 4


def write_report(
    folder: str | Path, model: keras.Model, split: Split, config: TrainingConfig
) -> EpochRow:
    """Write ``curves.png``, ``examples.png``, ``table.md`` and ``scores.json`` into a run folder.

    Args:
        folder: run folder with a history.
        model: trained network; it is compiled anew.
        split: cases of the run; the examples are of its test cases, or else of its validation
            cases. Cases without masks are left out.
        config: training configuration.

    Returns:
        ``train_accuracy``, ``train_loss`` and so on for each part of the split that has cases, on
        the network's grid and without augmentation.
    """
    folder = Path(folder)
    compile_model(model, config, 1)
    side = model.input_shape[1] * OVERSAMPLING
    scores: EpochRow = {}
    for part in STUDY:
        cases = tuple(case for case in getattr(split, part) if case.masks)
        if not cases:
            continue
        batch = validation_batch(load_arrays(cases, side))
        found = model.evaluate(*batch, config.batch_size, verbose=0, return_dict=True)
        scores |= {f"{part}_{key}": float(found[key]) for key in ("accuracy", "loss")}
        if part != "train":  # test comes after validation and replaces its examples
            _save(_examples(model, cases[:_EXAMPLES], batch), folder / "examples.png")
    _save(_curves(read_history(folder)), folder / "curves.png")
    write_text(folder / "table.md", table(scores))
    write_text(folder / "scores.json", json.dumps(scores, indent=2) + "\n")
    return scores


def table(scores: EpochRow) -> str:
    """Return a Markdown table of a run's accuracy and loss beside those of the study's table 1.

    Args:
        scores: as ``write_report`` returns them.
    """
    lines = [
        "| cases | accuracy | study's | loss | study's |",
        "| --- | --- | --- | --- | --- |",
    ]
    for part, (accuracy, loss) in STUDY.items():
        if f"{part}_accuracy" in scores:
            own = scores[f"{part}_accuracy"], scores[f"{part}_loss"]
            lines.append(f"| {part} | {own[0]:.4f} | {accuracy:.3f} | {own[1]:.3f} | {loss:.2f} |")
    return "\n".join(lines) + "\n"


def _curves(rows: list[EpochRow]) -> Figure:
    """Plot loss and accuracy of training and validation, and the organs' Jaccard, by epoch."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in rows]
    figure = Figure((12, 3.6), layout="constrained")
    loss, accuracy, overlap = figure.subplots(1, 3)
    for axes, key in ((loss, "loss"), (accuracy, "accuracy")):
        axes.plot(epochs, [row[key] for row in rows], label="training, augmented")
        axes.plot(epochs, [row[f"val_{key}"] for row in rows], label="validation")
        axes.set(xlabel="epoch", title=key)
        axes.legend()
    for organ in ORGANS:
        key = f"val_jaccard_{organ.name}"
        colour = np.array(organ.colour) / 255
        overlap.plot(epochs, [row[key] for row in rows], label=organ.name, color=colour)
    overlap.set(xlabel="epoch", title="validation Jaccard, on the grid")
    overlap.legend()
    return figure


def _examples(model: keras.Model, cases: tuple[Case, ...], batch: Batch) -> Figure:
    """Draw a row per case: radiograph, true masks, predicted masks."""
    from matplotlib.figure import Figure

    images, truth = (array[: len(cases)] for array in batch)
    predicted = model.predict(images, verbose=0)
    figure = Figure((9, 3 * len(cases)), layout="constrained")
    grid = figure.subplots(len(cases), 3, squeeze=False)
    for row, case, image, true, own in zip(grid, cases, images, truth, predicted, strict=True):
        pictures: list[Any] = [image[..., 0], _coloured(image, true), _coloured(image, own)]
        titles = (case.name, "true masks", "found")
        for axes, picture, title in zip(row, pictures, titles, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
            axes.set_title(title)
            axes.axis("off")
    return figure


def _coloured(
    image: npt.NDArray[np.float32], shares: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Colour the organs on an image by their shares of each pixel.

    Args:
        image: (S, S, 1) in [0, 1].
        shares: (S, S, 4) class shares or probabilities.

    Returns:
        (S, S, 3) colours in [0, 1].
    """
    picture = np.repeat(image.clip(0, 1), 3, axis=-1)
    for organ in ORGANS:
        weight = 0.5 * shares[..., organ.label, None]
        picture = picture * (1 - weight) + weight * np.array(organ.colour, np.float32) / 255
    return picture


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
