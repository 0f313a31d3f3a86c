"""Label maps that exist already: read back and measured, without segmenting again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.concurrency import available_cores, map_ordered
from ..analysis.measurements import measure
from ..errors import ReadError, XraySegError
from ..labels import CLASSES, RIGHT_LEFT_LABELS
from ..radiograph import Radiograph
from ..readers import read
from .inputs import Input
from .results.columns import failed_row, measured_cells

#: The highest label of any scheme.
_MOST = len(RIGHT_LEFT_LABELS.structures)
_FORMATS = ("TIFF", "PNG")
_MM_PER_CM = 10
#: A resolution is stored as a fraction of 32-bit numbers: so many digits of it come back.
_SPACING_DIGITS = 7


@dataclass(frozen=True)
class LabelMap:
    """A label map as a file holds it.

    Attributes:
        labels: (H, W) uint8, of organs or of parts.
        spacing: (row, column) distance of pixel centres in mm, or None where it is not known.
        sided: whether the labels are those of RIGHT_LEFT_LABELS. A map without a left structure
            reads the same as one with ORGAN_LABELS.
        format: ``TIFF`` or ``PNG``.
    """

    labels: npt.NDArray[np.uint8]
    spacing: tuple[float, float] | None
    sided: bool
    format: str


def read_labels(path: str | PathLike[str]) -> LabelMap:
    """Read a label map that this package wrote, or one like it.

    Raises:
        ReadError: it cannot be read, is no TIFF or PNG, or holds values of no label.
    """
    found = read(path)
    if found.format not in _FORMATS:
        raise ReadError(f"{path}: is {found.format}; label maps are TIFF or PNG")
    pixels = found.pixels
    highest = pixels.max()
    if pixels.dtype.kind == "f" or highest > _MOST:
        raise ReadError(
            f"{path}: holds values up to {highest}, which are no labels: a label map has 0 to "
            f"{CLASSES - 1}, or 0 to {_MOST} where right and left differ"
        )
    spacing = _tiff_spacing(path) if found.format == "TIFF" else None
    labels = np.ascontiguousarray(pixels, np.uint8)
    return LabelMap(labels, spacing, bool(highest >= CLASSES), found.format)


def measure_file(
    path: Path, image: Path | None = None, spacing: float | None = None
) -> dict[str, Any]:
    """A row of results.csv for a label map.

    Args:
        path: the label map.
        image: its radiograph, for grey levels.
        spacing: mm between pixels, over what the label map and the radiograph state.

    Raises:
        ReadError: the label map or the radiograph cannot be read, or they differ in size.
    """
    found = read_labels(path)
    film = Radiograph(found.labels, None) if image is None else read(image)
    if film.shape != found.labels.shape:
        raise ReadError(f"{path}: is {found.labels.shape}, but {image} is {film.shape}")
    between = (spacing, spacing) if spacing else found.spacing or film.spacing
    pixels = None if image is None else film.pixels
    measures = measure(found.labels, between, pixels, found.sided)
    row_mm, column_mm = between or (None, None)
    return {
        "input": str(path),
        "status": "ok",
        "notes": "; ".join((*film.notes, *measures.notes)),
        "labels": str(path),
        "format": found.format,
        "height_px": film.shape[0],
        "width_px": film.shape[1],
        "row_spacing_mm": row_mm,
        "column_spacing_mm": column_mm,
        "inverted": film.inverted,
    } | measured_cells(measures)


def measure_files(
    masks: Sequence[Input], images: Mapping[str, Path] | None = None, spacing: float | None = None
) -> Iterator[dict[str, Any]]:
    """A row for each label map, in order; one that cannot be measured says why.

    Args:
        masks: as ``find_files`` gives them.
        images: radiographs by the key of their label map; None to measure no grey levels.
        spacing: mm between pixels, over what files state.
    """

    def row(item: Input) -> dict[str, Any]:
        try:
            if item.problem:
                raise ReadError(item.problem)
            if not isinstance(item.path, Path):
                raise ReadError(f"{item.path}: copy it to this machine to measure it")
            image = None if images is None else images.get(item.key)
            if images is not None and image is None:
                raise ReadError(f"{item.path}: no radiograph has its name, {item.key}")
            return measure_file(item.path, image, spacing)
        except XraySegError as error:
            return failed_row(item.path, str(error))
        except Exception as error:  # noqa: BLE001 - one bad file must not end thousands
            return failed_row(item.path, f"{item.path}: {type(error).__name__}: {error}")

    workers = available_cores()
    with ThreadPoolExecutor(workers, "measure") as pool:
        yield from map_ordered(pool, row, iter(masks), 2 * workers)


def _tiff_spacing(path: str | PathLike[str]) -> tuple[float, float] | None:
    """From a resolution in pixels per centimetre; per inch, it is most often a mere default."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages.first.tags
        if tags.valueof("ResolutionUnit") != tifffile.RESUNIT.CENTIMETER:
            return None
        rows, columns = (tags.valueof(f"{axis}Resolution") for axis in "YX")
    try:
        row, column = (_MM_PER_CM * below / above for above, below in (rows, columns))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (row > 0 and column > 0):
        return None
    return float(f"{row:.{_SPACING_DIGITS}g}"), float(f"{column:.{_SPACING_DIGITS}g}")
