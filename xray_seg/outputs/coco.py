"""COCO's object segmentation format: one JSON of an image, and one of a whole run.

Run lengths are in COCO's dialect: column-major, zeros first, compressed by its API's rule.
Polygons run along the sides of pixels (see ``contours``). Either gives the label map's masks and
areas back exactly.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TextIO

from .._util.files import atomic_path, write_text
from .._version import __version__
from ..labels import ORGAN_LABELS, RIGHT_LEFT_LABELS, Structure
from .mask_set import Masks, naming

if TYPE_CHECKING:
    from ..kernels import Moments

_DIALECTS = {
    "rle": "run lengths as COCO's: column-major, zeros first, compressed counts",
    "contours": "polygons along the sides of pixels; the first pixel covers 0 to 1",
}
_RIGHT = "right and left are the patient's: the right lung is on the left of the image"

Json = dict[str, Any]


def coco_json(masks: Masks, dialect: str = "rle") -> Json:
    """A COCO data set of one image: an annotation for each organ or part that is there.

    Args:
        masks: what to tell.
        dialect: of the segmentations, ``rle`` or ``contours``.
    """
    height, width = masks.labels.shape
    image = {"id": 1, "file_name": masks.file_name, "height": height, "width": width}
    return {
        "info": _info((dialect,), masks.sides),
        "licenses": [],
        "categories": categories(masks.sides),
        "images": [image],
        "annotations": list(_annotations(masks, dialect)),
    }


def categories(sides: bool) -> list[Json]:
    """COCO's categories; an id is the label that the part has in label maps."""
    return [
        {
            "id": part.label,
            "name": part.name,
            "supercategory": part.organ.name if sides else "chest",
        }
        for part in (RIGHT_LEFT_LABELS if sides else ORGAN_LABELS).structures
    ]


def rle_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """Run lengths of one image."""
    return [save_coco(Path(stem + ".json"), masks, "rle")]


def contours_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """Polygons of one image."""
    return [save_coco(Path(stem + ".json"), masks, "contours")]


def save_coco(path: Path, masks: Masks, dialect: str) -> Path:
    """Write the COCO data set of one image.

    Raises:
        OutputError: the file cannot be written.
    """
    with naming(path):
        write_text(path, json.dumps(coco_json(masks, dialect)) + "\n")
    return path


def gather_coco(
    path: Path, dialects: Sequence[str], fragments: Iterable[dict[str, Path]], sides: bool
) -> None:
    """Make one COCO data set of those of single images, one after the other.

    Args:
        path: of the JSON to write.
        dialects: ``rle``, ``contours`` or both. Where there are run lengths, these are the
            segmentations, and polygons are told beside them as ``contours``.
        fragments: of each image, the files by dialect. An image with a file too few, or with one
            that is gone or tells of other parts, is left out: it was made with other settings.
        sides: whether the parts are right and left ones.

    Raises:
        OSError: it cannot be written.
    """
    images = annotations = 0
    # Images come before annotations, and memory must not grow with their number.
    with (
        TemporaryFile("w+", encoding="ascii", dir=path.parent) as later,
        atomic_path(path) as temporary,
        temporary.open("w", encoding="ascii") as file,
    ):
        file.write('{"images": [')
        for fragment in fragments:
            found = {name: _read(fragment[name], sides) for name in dialects if name in fragment}
            if len(found) < len(dialects) or not all(found.values()):
                continue
            images += 1
            one = found[dialects[0]]
            _write_item(file, {**one["images"][0], "id": images}, images)
            for several in _side_by_side(found):
                annotations += 1
                item = {**several, "id": annotations, "image_id": images}
                _write_item(later, item, annotations)
        file.write('],\n"annotations": [')
        later.seek(0)
        shutil.copyfileobj(later, file)
        head = {
            "categories": categories(sides),
            "licenses": [],
            "info": _info(dialects, sides),
        }
        file.write("],\n" + json.dumps(head)[1:] + "\n")


def _write_item(file: TextIO, item: Json, number: int) -> None:
    file.write((",\n" if number > 1 else "\n") + json.dumps(item))


def _read(path: Path, sides: bool) -> Json:
    """The data set of one image; empty where it is gone, damaged, or of other parts."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("categories") != categories(sides):
        return {}
    return found


def _side_by_side(found: dict[str, Json]) -> Iterator[Json]:
    """The annotations of one image, each with all that the files tell of it."""
    if "rle" not in found:
        yield from found["contours"]["annotations"]
        return
    polygons = {
        each["category_id"]: each["segmentation"]
        for each in found.get("contours", {"annotations": ()})["annotations"]
    }
    for each in found["rle"]["annotations"]:
        more = {"contours": polygons.get(each["category_id"], [])} if polygons else {}
        yield {**each, **more}


def _info(dialects: Sequence[str], sides: bool) -> Json:
    told = {dialect: _DIALECTS[dialect] for dialect in dialects}
    info: Json = {"description": "masks of chest radiographs", "version": f"xray-seg {__version__}"}
    info["segmentation"] = told.get("rle") or told.get("contours", "")
    if len(told) > 1:
        info["contours"] = told["contours"]
    if sides:
        info["sides"] = _RIGHT
    return info


def _annotations(masks: Masks, dialect: str) -> Iterator[Json]:
    from ..kernels import alternating_counts, coco_string, column_major_runs, moments
    from .polygons import polygons

    labels = masks.labels
    found = moments(masks.runs, masks.runs.labels)
    columns = column_major_runs(labels)
    present = [part for part in masks.parts if found.area[part.label]]
    for number, part in enumerate(present, 1):
        segmentation: Json | list[list[int]]
        if dialect == "contours":
            segmentation = [each.ravel().tolist() for each in polygons(labels, part.label)]
        else:
            counts = coco_string(alternating_counts(columns, part.label))
            segmentation = {"size": list(labels.shape), "counts": counts}
        yield {
            "id": number,
            "image_id": 1,
            "category_id": part.label,
            "bbox": _box(found, part),
            "area": int(found.area[part.label]),
            "iscrowd": 0,
            "segmentation": segmentation,
        }


def _box(found: Moments, part: Structure) -> list[int]:
    """Left, top, width and height in pixels."""
    corners = found.x0, found.y0, found.x1, found.y1
    left, top, right, bottom = (int(corner[part.label]) for corner in corners)
    return [left, top, right - left, bottom - top]
