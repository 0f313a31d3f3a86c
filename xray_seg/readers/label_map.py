"""Read label maps that this package or another program wrote."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import ReadError
from ..labels import CLASSES, RIGHT_LEFT_LABELS
from . import read
from .limits import Budget
from .spacing import Notes, Spacing, plausible_spacing
from .tiff_header import read_header

#: The highest label of any label scheme.
_HIGHEST = len(RIGHT_LEFT_LABELS.structures)
_FORMATS = ("TIFF", "PNG")
_MM_PER_CM = 10
#: TIFF stores a resolution as a fraction of 32-bit integers, which keeps so many digits.
_SPACING_DIGITS = 7


@dataclass(frozen=True)
class LabelMap:
    """A label map as a file holds it.

    Attributes:
        labels: (H, W) uint8, with ORGAN_LABELS or RIGHT_LEFT_LABELS.
        spacing: (row, column) distance of pixel centres in mm, or None where it is unknown.
        sided: whether the labels are those of RIGHT_LEFT_LABELS. A map without a left structure
            is the same in both schemes and counts as ORGAN_LABELS.
        format: ``TIFF`` or ``PNG``.
        notes: what is ignored of the file, for instance a spacing that is not plausible.
    """

    labels: npt.NDArray[np.uint8]
    spacing: Spacing | None
    sided: bool
    format: str
    notes: Notes = ()

    @property
    def organ_labels(self) -> npt.NDArray[np.uint8]:
        """(H, W) uint8 labels of ORGAN_LABELS: laterality is dropped."""
        if not self.sided:
            return self.labels
        organ_of = np.zeros(_HIGHEST + 1, np.uint8)
        for structure in RIGHT_LEFT_LABELS.structures:
            organ_of[structure.label] = structure.organ.label
        return organ_of[self.labels]


def read_labels(path: str | PathLike[str]) -> LabelMap:
    """Read a label map.

    Raises:
        ReadError: the file cannot be read, is neither TIFF nor PNG, or holds values that are not
            labels.
    """
    found = read(path)
    if found.format not in _FORMATS:
        raise ReadError(f"{path}: is {found.format}; label maps are TIFF or PNG")
    pixels = found.pixels
    highest = pixels.max()
    if pixels.dtype.kind == "f" or highest > _HIGHEST:
        raise ReadError(
            f"{path}: holds values up to {highest}, which are no labels: a label map has 0 to "
            f"{CLASSES - 1}, or 0 to {_HIGHEST} where right and left differ"
        )
    spacing, notes = _tiff_spacing(Path(path)) if found.format == "TIFF" else (None, ())
    labels = np.ascontiguousarray(pixels, np.uint8)
    return LabelMap(labels, spacing, bool(highest >= CLASSES), found.format, notes)


def _tiff_spacing(path: Path) -> tuple[Spacing | None, Notes]:
    """Spacing from a resolution per centimetre; one per inch is usually a writer's default."""
    with path.open("rb") as file:
        resolution = read_header(path, file, Budget()).resolution
    if resolution is None:
        return None, ()
    row, column = (float(f"{_MM_PER_CM / pixels:.{_SPACING_DIGITS}g}") for pixels in resolution)
    return plausible_spacing((row, column))
