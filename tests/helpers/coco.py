"""COCO data sets checked against pycocotools."""

import contextlib
import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.labels import Structure
from xray_seg.outputs.chexmask import COLUMNS
from xray_seg.radiograph import Radiograph
from xray_seg.segmentation import Segmentation


def segmentation(labels: np.ndarray, source: str = "films/x.png") -> Segmentation:
    film = Radiograph(np.zeros(labels.shape, np.uint8), False, source=source)
    return Segmentation(film, labels, np.zeros((4, 4, 4), np.float32))


def chest(seed: int, size: int = 96) -> np.ndarray:
    return phantom_labels(make_phantom(seed, size))


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def masks_of(data: COCO, image: int) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Mask by category name."""
    found = data.loadAnns(data.getAnnIds(imgIds=image))
    names = {each["id"]: each["name"] for each in data.loadCats(data.getCatIds())}
    assert len({each["category_id"] for each in found}) == len(found)
    return {names[each["category_id"]]: (each, data.annToMask(each)) for each in found}


def check_image(data: COCO, image: int, labels: np.ndarray, parts: Iterable[Structure]) -> None:
    found = masks_of(data, image)
    assert set(found) == {part.name for part in parts if (labels == part.label).any()}
    for part in parts:
        if part.name not in found:
            continue
        note, mask = found[part.name]
        assert np.array_equal(mask, labels == part.label)
        assert note["area"] == mask.sum() == data_area(data, note)
        rows, columns = np.nonzero(mask)
        left, top, width, height = note["bbox"]
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)
        assert note["iscrowd"] == 0


def data_area(data: COCO, note: dict[str, Any]) -> int:
    from pycocotools import mask

    return int(mask.area(data.annToRLE(note)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == COLUMNS
        return list(reader)
