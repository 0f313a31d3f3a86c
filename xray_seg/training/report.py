"""What a finished run shows: curves, examples and a table, as the 2019 study showed its own.

``examples.png`` shows the user's own films, and stays in the run folder.
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
from .config import Recipe
from .loader import FINER, Batch, validation_batch
from .run_folder import Row, read_history
from .trainer import compile_model

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

#: Accuracy and loss as the study reports them, after 491 epochs.
STUDY = {"train": (0.965, 0.20), "validation": (0.93, 0.20), "test": (0.95, 0.25)}
_EXAMPLES = 4


def write_report(folder: str | Path, model: keras.Model, split: Split, recipe: Recipe) -> Row:
    """Write ``curves.png``, ``examples.png`` and ``table.md`` into a run folder.

    Returns:
        Accuracy and loss of each part of the split, ``train_accuracy`` and so on, on the
        network's grid and without augmentation.
    """
    folder = Path(folder)
    compile_model(model, recipe, 1)
    scores: Row = {}
    for part in STUDY:
        cases: tuple[Case, ...] = getattr(split, part)
        if not cases:
            continue
        batch = validation_batch(load_arrays(cases, recipe.size * FINER), recipe)
        found = model.evaluate(*batch, recipe.batch_size, verbose=0, return_dict=True)
        scores |= {f"{part}_{key}": float(found[key]) for key in ("accuracy", "loss")}
        if part != "train":  # the test cases, where there are any
            _save(_examples(model, cases[:_EXAMPLES], batch), folder / "examples.png")
    _save(_curves(read_history(folder)), folder / "curves.png")
    write_text(folder / "table.md", table(scores))
    write_text(folder / "scores.json", json.dumps(scores, indent=2) + "\n")
    return scores


def table(scores: Row) -> str:
    """The study's table 1 beside a run's, in Markdown."""
    lines = [
        "| cases | accuracy | study's | loss | study's |",
        "| --- | --- | --- | --- | --- |",
    ]
    for part, (accuracy, loss) in STUDY.items():
        if f"{part}_accuracy" in scores:
            own = scores[f"{part}_accuracy"], scores[f"{part}_loss"]
            lines.append(f"| {part} | {own[0]:.4f} | {accuracy:.3f} | {own[1]:.3f} | {loss:.2f} |")
    return "\n".join(lines) + "\n"


def _curves(rows: list[Row]) -> Figure:
    """Loss, accuracy and each organ's Jaccard by epoch, for training and validation."""
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
    """A row per case: radiograph, true masks, found masks."""
    from matplotlib.figure import Figure

    images, truth = (array[: len(cases)] for array in batch)
    found = model.predict(images, verbose=0)
    figure = Figure((9, 3 * len(cases)), layout="constrained")
    grid = figure.subplots(len(cases), 3, squeeze=False)
    for row, case, image, true, own in zip(grid, cases, images, truth, found, strict=True):
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
    """(S, S, 3) film under its organs, each as strong as its share of the pixel."""
    picture = np.repeat(image.clip(0, 1), 3, axis=-1)
    for organ in ORGANS:
        weight = 0.5 * shares[..., organ.label, None]
        picture = picture * (1 - weight) + weight * np.array(organ.colour, np.float32) / 255
    return picture


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
