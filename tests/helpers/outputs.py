"""Outputs of a segmentation, encoded and written as a batch does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xray_seg.batch.results.folder_sink import write_files
from xray_seg.labels import ORGAN_LABELS, RIGHT_LEFT_LABELS
from xray_seg.outputs import encode_all, make_encoders
from xray_seg.outputs.label_maps import encode_label_map, encode_probabilities
from xray_seg.segmentation import Segmentation

ALL = "labels,organs,overlay,probabilities,rle,contours,chexmask,dicom-seg"


@dataclass(frozen=True)
class Written:
    """Files that were written, and notes on kinds that could not be encoded."""

    paths: list[Path]
    notes: tuple[str, ...]


def save_outputs(
    folder: Path,
    key: str,
    kinds: Sequence[str],
    suffix: str,
    segmentation: Segmentation,
    sides: bool = False,
    lines: bool = False,
) -> Written:
    scheme = RIGHT_LEFT_LABELS if sides else ORGAN_LABELS
    encoders = make_encoders(kinds, suffix=suffix, scheme=scheme, show_ratio=lines)
    encoded = encode_all(encoders, key, segmentation.masks)
    write_files(folder, key, encoded.files, {}, adopt=True)
    return Written([folder / file.name for file in encoded.files], encoded.notes)


def save_labels(path: Path, labels: np.ndarray, spacing: tuple[float, float] | None = None) -> None:
    path.write_bytes(encode_label_map(labels, path.suffix, spacing))


def save_probabilities(path: Path, segmentation: Segmentation) -> None:
    path.write_bytes(encode_probabilities(segmentation.masks))
