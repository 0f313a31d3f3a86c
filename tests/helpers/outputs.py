"""Outputs of a segmentation, encoded and written as a batch does."""

from dataclasses import dataclass
from pathlib import Path

from xray_seg.batch.results.folder_sink import write_files
from xray_seg.labels import ORGAN_LABELS, RIGHT_LEFT_LABELS
from xray_seg.outputs import encode_all, make_encoders
from xray_seg.outputs.label_maps import encode_label_map, encode_probabilities

ALL = "labels,organs,overlay,probabilities,rle,contours,chexmask,dicom-seg"


@dataclass(frozen=True)
class Written:
    """Files that were written, and notes on kinds that could not be encoded."""

    paths: list[Path]
    notes: tuple[str, ...]


def save_outputs(folder, key, kinds, suffix, segmentation, sides=False, lines=False):
    scheme = RIGHT_LEFT_LABELS if sides else ORGAN_LABELS
    encoders = make_encoders(kinds, suffix=suffix, scheme=scheme, show_ratio=lines)
    encoded = encode_all(encoders, key, segmentation.masks)
    write_files(folder, encoded.files, {}, adopt=True)
    return Written([folder / file.name for file in encoded.files], encoded.notes)


def save_labels(path, labels, spacing=None):
    Path(path).write_bytes(encode_label_map(labels, Path(path).suffix, spacing))


def save_probabilities(path, segmentation):
    Path(path).write_bytes(encode_probabilities(segmentation.masks))
