"""Measure existing label maps, without segmenting again."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .._util.concurrency import available_cores, map_ordered
from ..analysis.measurements import measure
from ..errors import ReadError, XraySegError
from ..radiograph import UPRIGHT, Orientation, Radiograph
from ..readers import read
from ..readers.label_map import read_labels
from .inputs import Input
from .results.columns import failed_row, measured_cells


def measure_file(
    path: Path,
    *,
    image: Path | None = None,
    spacing: float | None = None,
    orientation: Orientation = UPRIGHT,
) -> dict[str, Any]:
    """Measure one label map.

    Args:
        path: the label map.
        image: its radiograph, for grey levels.
        spacing: distance of pixel centres in mm; takes precedence over the spacing that the label
            map or the radiograph states.
        orientation: how the label map is turned upright.

    Returns:
        A row of results.csv.

    Raises:
        ReadError: the label map or the radiograph cannot be read, or their sizes differ.
    """
    found = read_labels(path)
    radiograph = Radiograph(found.labels, None) if image is None else read(image)
    shape = found.labels.shape
    if radiograph.shape != shape:
        raise ReadError(f"{path}: is {shape}, but {image} is {radiograph.shape}")
    used = (spacing, spacing) if spacing else found.spacing or radiograph.spacing
    upright = replace(radiograph, spacing=used, orientation=orientation).upright()
    measurements = measure(
        np.ascontiguousarray(orientation.upright(found.labels)),
        spacing=upright.spacing,
        pixels=None if image is None else upright.pixels,
        sided=found.sided,
    ).stored(orientation, shape)
    row_mm, column_mm = used or (None, None)
    return {
        "input": str(path),
        "status": "ok",
        "notes": "; ".join((*found.notes, *radiograph.notes, *measurements.notes)),
        "labels": str(path),
        "format": found.format,
        "height_px": radiograph.shape[0],
        "width_px": radiograph.shape[1],
        "row_spacing_mm": row_mm,
        "column_spacing_mm": column_mm,
        "inverted": radiograph.inverted,
        "rotation_deg": orientation.rotation_deg,
        "mirrored": orientation.mirrored,
    } | measured_cells(measurements)


@lru_cache(maxsize=8)
def _orientations(results: Path) -> dict[str, Orientation]:
    """How the label maps of an output folder are turned upright, by their names in results.csv."""
    turned = {}
    with (
        suppress(OSError, ValueError, csv.Error),
        results.open(newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        for row in csv.DictReader(file):
            angle, mirrored = row.get("rotation_deg") or "0", row.get("mirrored") == "true"
            if angle != "0" or mirrored:
                turned[row.get("labels") or ""] = Orientation(int(angle), mirrored)
    return turned


def stated_orientation(path: Path) -> Orientation:
    """How a label map is turned upright: as results.csv of its output folder says, if it is in one.

    Args:
        path: a label map, for instance ``OUT/labels/ward/x.tif``.
    """
    for folder in path.absolute().parents:
        if folder.name == "labels" and (folder.parent / "results.csv").is_file():
            name = path.absolute().relative_to(folder.parent).as_posix()
            return _orientations(folder.parent / "results.csv").get(name, UPRIGHT)
    return UPRIGHT


def measure_files(
    masks: Sequence[Input],
    *,
    images: Mapping[str, Path] | None = None,
    spacing: float | None = None,
) -> Iterator[dict[str, Any]]:
    """Measure label maps in parallel and yield their rows in order.

    Where a label map lies in an output folder of a batch, it is turned upright as results.csv
    says. A label map that cannot be measured yields a failed row with the reason.

    Args:
        masks: label maps as ``find_files`` lists them.
        images: radiographs by the key of their label map; None to leave grey levels out.
        spacing: distance of pixel centres in mm; takes precedence over what files state.
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
            orientation = stated_orientation(item.path)
            return measure_file(item.path, image=image, spacing=spacing, orientation=orientation)
        except XraySegError as error:
            return failed_row(item.path, str(error))
        except Exception as error:  # noqa: BLE001 - one bad file must not end thousands
            return failed_row(item.path, f"{item.path}: {type(error).__name__}: {error}")

    workers = available_cores()
    with ThreadPoolExecutor(workers, "measure") as pool:
        yield from map_ordered(pool, row, iter(masks), 2 * workers)
