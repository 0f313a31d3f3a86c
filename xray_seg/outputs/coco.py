"""COCO's object segmentation format: a JSON file per image, and one for a whole run.

Run lengths are in COCO's dialect: column-major, zeros first, compressed by its API's rule.
Polygons run along the sides of pixels (see ``polygons``). Both give the masks back exactly.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TextIO

from .._util.files import atomic_path
from .._version import __version__
from ..labels import ORGAN_LABELS, LabelScheme, Structure
from .encoder import OutputFile
from .mask_set import MaskSet

if TYPE_CHECKING:
    from ..kernels import Moments

_DIALECTS = {
    "rle": "run lengths as COCO's: column-major, zeros first, compressed counts",
    "contours": "polygons along the sides of pixels; the first pixel covers 0 to 1",
}
_RIGHT = "right and left are the patient's: the right lung is on the left of the image"

Json = dict[str, Any]


@dataclass(frozen=True)
class CocoEncoder:
    """A COCO data set of one image.

    Attributes:
        dialect: of the segmentations, ``rle`` or ``contours``; also the output's folder.
        scheme: the structures that are categories.
    """

    dialect: str = "rle"
    scheme: LabelScheme = ORGAN_LABELS

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        data = json.dumps(coco_json(key, masks, self.dialect, self.scheme)) + "\n"
        yield OutputFile(f"{self.dialect}/{key}.json", data.encode())


def coco_json(
    key: str, masks: MaskSet, dialect: str = "rle", scheme: LabelScheme = ORGAN_LABELS
) -> Json:
    """A COCO data set of one image: an annotation for each structure that was found.

    Args:
        key: the input's name in the output folder.
        masks: the masks.
        dialect: of the segmentations, ``rle`` or ``contours``.
        scheme: the structures that are categories.
    """
    height, width = masks.labels.shape
    image = {"id": 1, "file_name": masks.file_name(key), "height": height, "width": width}
    return {
        "info": _info((dialect,), scheme),
        "licenses": [],
        "categories": categories(scheme),
        "images": [image],
        "annotations": list(_annotations(masks, dialect, scheme)),
    }


def categories(scheme: LabelScheme) -> list[Json]:
    """COCO's categories; an id is the structure's label in label maps."""
    return [
        {
            "id": structure.label,
            "name": structure.name,
            "supercategory": structure.organ.name if scheme.has_sides else "chest",
        }
        for structure in scheme.structures
    ]


def merge_data_sets(
    path: Path, dialects: Sequence[str], fragments: Iterable[dict[str, Path]], scheme: LabelScheme
) -> None:
    """Join the COCO data sets of single images into one; memory does not grow with their number.

    Args:
        path: of the JSON to write.
        dialects: ``rle``, ``contours`` or both. With both, run lengths are the segmentations, and
            each annotation has its polygons as ``contours``.
        fragments: for each image, its files by dialect. An image is left out where a file is
            missing or was written with another label scheme.
        scheme: the structures that are categories.

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
            found = {name: _read(fragment[name], scheme) for name in dialects if name in fragment}
            if len(found) < len(dialects) or not all(found.values()):
                continue
            images += 1
            one = found[dialects[0]]
            _write_item(file, {**one["images"][0], "id": images}, images)
            for several in _join_dialects(found):
                annotations += 1
                item = {**several, "id": annotations, "image_id": images}
                _write_item(later, item, annotations)
        file.write('],\n"annotations": [')
        later.seek(0)
        shutil.copyfileobj(later, file)
        head = {
            "categories": categories(scheme),
            "licenses": [],
            "info": _info(dialects, scheme),
        }
        file.write("],\n" + json.dumps(head)[1:] + "\n")


def _write_item(file: TextIO, item: Json, number: int) -> None:
    file.write((",\n" if number > 1 else "\n") + json.dumps(item))


def _read(path: Path, scheme: LabelScheme) -> Json:
    """The data set of one image; empty where it is missing, damaged, or of another scheme."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("categories") != categories(scheme):
        return {}
    return found


def _join_dialects(found: dict[str, Json]) -> Iterator[Json]:
    """The annotations of one image, with run lengths and polygons of each in one."""
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


def _info(dialects: Sequence[str], scheme: LabelScheme) -> Json:
    described = {dialect: _DIALECTS[dialect] for dialect in dialects}
    info: Json = {"description": "masks of chest radiographs", "version": f"xray-seg {__version__}"}
    info["segmentation"] = described.get("rle") or described.get("contours", "")
    if len(described) > 1:
        info["contours"] = described["contours"]
    if scheme.has_sides:
        info["sides"] = _RIGHT
    return info


def _annotations(masks: MaskSet, dialect: str, scheme: LabelScheme) -> Iterator[Json]:
    from ..kernels import alternating_counts, coco_string, column_major_runs, moments
    from .polygons import polygons

    labels, runs = masks.label_map(scheme), masks.runs(scheme)
    found = moments(runs, runs.labels)
    columns = column_major_runs(labels)
    present = [each for each in scheme.structures if found.area[each.label]]
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
