"""What is written of one segmentation, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import OutputError
from ..labels import ORGAN_LABELS, RIGHT_LEFT_LABELS, Structure

if TYPE_CHECKING:
    from ..kernels import Runs
    from ..segmenter import Segmentation


@dataclass(frozen=True)
class Masks:
    """A segmentation under the name that it has in the output folder.

    Attributes:
        key: relative path without suffix, by which the input is known there.
        segmentation: what to write.
        sides: whether right and left are told apart.
        lines: whether a picture shows the lines of the cardiothoracic ratio.
    """

    key: str
    segmentation: Segmentation
    sides: bool = False
    lines: bool = False

    @property
    def parts(self) -> tuple[Structure, ...]:
        """What the label map may hold."""
        return (RIGHT_LEFT_LABELS if self.sides else ORGAN_LABELS).structures

    @cached_property
    def labels(self) -> npt.NDArray[np.uint8]:
        """(H, W) label map of organs, or of parts."""
        if not self.sides:
            return self.segmentation.labels
        from ..postprocessing.laterality import split_sides

        return split_sides(self.segmentation.labels, self.segmentation.sides)

    @cached_property
    def runs(self) -> Runs:
        """Of ``labels``."""
        from ..kernels import find_runs, relabelled

        if self.sides:
            sides = self.segmentation.sides
            return relabelled(sides.runs, sides.labels)
        return self.segmentation.runs or find_runs(self.labels)

    @property
    def file_name(self) -> str:
        """The film's own name below the folder that was given, with forward slashes."""
        return (
            PurePosixPath(self.key).parent / Path(self.segmentation.radiograph.source).name
        ).as_posix()


class NotMade(Exception):
    """A format cannot hold this film's masks, and why; the others can."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make the folder; turn an OSError of the block into an OutputError that names the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
