"""COCO object detection format: a JSON file per image, and one for a whole run.

Run lengths are those of the COCO API: column-major, zeros first, compressed. Polygons run along the
sides of pixels (see ``polygons``). Both represent the masks exactly.
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

#: Texts in the data set's ``info``; part of the output format.
_DIALECTS = {
    "rle": "run lengths as COCO's: column-major, zeros first, compressed counts",
    "contours": "polygons along the sides of pixels; the first pixel covers 0 to 1",
}
_SIDES = "right and left are the patient's: the right lung is on the left of the image"

Json = dict[str, Any]


@dataclass(frozen=True)
class CocoEncoder:
    """A COCO data set of one image.

    Attributes:
        dialect: ``rle`` for run lengths, ``contours`` for polygons; also the output's folder.
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
    """Make the COCO data set of one image, with an annotation for each structure found.

    Args:
        key: the input's name in the output folder.
        masks: the masks.
        dialect: ``rle`` for run lengths, ``contours`` for polygons.
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
    """List the COCO categories; an id is the structure's label in label maps."""
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
    """Join the COCO data sets of single images into one, in constant memory.

    Args:
        path: the JSON file to write.
        dialects: ``rle``, ``contours`` or both. With both, run lengths are the segmentations, and
            each annotation has its polygons as ``contours``.
        fragments: for each image, its files by dialect. An image is skipped if a file is missing,
            damaged, or was written with another label scheme.
        scheme: the structures that are categories.

    Raises:
        OSError: the file cannot be written.
    """
    images = annotations = 0
    # Images come first in the file, so annotations wait in a temporary file.
    with (
        TemporaryFile("w+", encoding="ascii", dir=path.parent) as annotations_file,
        atomic_path(path) as temporary,
        temporary.open("w", encoding="ascii") as file,
    ):
        file.write('{"images": [')
        for fragment in fragments:
            found = {name: _read(fragment[name], scheme) for name in dialects if name in fragment}
            if len(found) < len(dialects) or not all(found.values()):
                continue
            images += 1
            image = found[dialects[0]]["images"][0]
            _write_item(file, {**image, "id": images}, images)
            for annotation in _join_dialects(found):
                annotations += 1
                item = {**annotation, "id": annotations, "image_id": images}
                _write_item(annotations_file, item, annotations)
        file.write('],\n"annotations": [')
        annotations_file.seek(0)
        shutil.copyfileobj(annotations_file, file)
        head = {
            "categories": categories(scheme),
            "licenses": [],
            "info": _info(dialects, scheme),
        }
        file.write("],\n" + json.dumps(head)[1:] + "\n")


def _write_item(file: TextIO, item: Json, number: int) -> None:
    file.write((",\n" if number > 1 else "\n") + json.dumps(item))


def _read(path: Path, scheme: LabelScheme) -> Json:
    """Read the data set of one image; empty if missing, damaged or of another label scheme."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("categories") != categories(scheme):
        return {}
    return found


def _join_dialects(found: dict[str, Json]) -> Iterator[Json]:
    """Combine the run lengths and the polygons of each annotation of one image."""
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
        info["sides"] = _SIDES
    return info


def _annotations(masks: MaskSet, dialect: str, scheme: LabelScheme) -> Iterator[Json]:
    from ..kernels import alternating_counts, coco_string, column_major_runs, moments
    from .polygons import polygons

    labels, runs = masks.label_map(scheme), masks.runs(scheme)
    found = moments(runs, runs.labels)
    columns = column_major_runs(labels)
    present = [each for each in scheme.structures if found.area[each.label]]
    for number, structure in enumerate(present, 1):
        segmentation: Json | list[list[int]]
        if dialect == "contours":
            segmentation = [each.ravel().tolist() for each in polygons(labels, structure.label)]
        else:
            counts = coco_string(alternating_counts(columns, structure.label))
            segmentation = {"size": list(labels.shape), "counts": counts}
        yield {
            "id": number,
            "image_id": 1,
            "category_id": structure.label,
            "bbox": _bounding_box(found, structure),
            "area": int(found.area[structure.label]),
            "iscrowd": 0,
            "segmentation": segmentation,
        }


def _bounding_box(found: Moments, structure: Structure) -> list[int]:
    """Bounding box of a structure: left, top, width and height in pixels."""
    corners = found.x0, found.y0, found.x1, found.y1
    left, top, right, bottom = (int(corner[structure.label]) for corner in corners)
    return [left, top, right - left, bottom - top]
