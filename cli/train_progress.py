"""Progress of a training run on the terminal."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..labels import ORGANS
from . import console
from .console import Bar

if TYPE_CHECKING:
    from ..training.run import TrainingProgress


class TrainingDisplay:
    """Show the progress of a training run: a bar for each stage, and a line for each epoch."""

    def __init__(self, stack: ExitStack) -> None:
        """Keep the open bar in a stack, which the caller closes."""
        self.stack = stack
        self.bar: Bar | None = None
        self.note = ""

    def __call__(self, progress: TrainingProgress) -> None:
        """Show a state; 0 steps done start a new bar."""
        if progress.done == 0 or self.bar is None:
            self._start(progress)
        elif progress.row:
            note = f"loss {progress.row['loss']:.3f}  {progress.row['images_per_s']:.1f} images/s"
            epoch = f"epoch {progress.done:.0f}/{progress.total}"
            console.line(f"{epoch}  {note}  {_scores(progress.row)}")
            self.note = note
            self.bar.move(progress.done, note)
        else:
            self.bar.move(progress.done, self.note)

    def _start(self, progress: TrainingProgress) -> None:
        self.stack.close()
        if progress.stage == "training":
            split = progress.split
            console.line(
                f"{len(split.train)} cases to train on, {len(split.validation)} to validate"
            )
        self.bar = self.stack.enter_context(console.bar(progress.stage, progress.total))


def _scores(row: dict[str, float]) -> str:
    """The validation scores of an epoch, with Dice computed from Jaccard."""
    overlaps = {organ.name: row[f"val_jaccard_{organ.name}"] for organ in ORGANS}
    dice = "  ".join(f"{name} {2 * j / (1 + j):.3f}" for name, j in overlaps.items())
    return f"validation: loss {row['val_loss']:.3f}  Dice {dice}"
