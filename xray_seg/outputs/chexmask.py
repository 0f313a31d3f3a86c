"""Tables in the format of the CheXmask database.

Gaggion N. et al., "CheXmask: a large-scale dataset of anatomical segmentation masks for
multi-center chest x-ray images", Scientific Data 11:511, 2024. Run lengths are row-major, as pairs
of a run's first pixel, from 1, and its length.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .._util.files import atomic_path
from ..labels import RIGHT_LEFT_LABELS, Structure
from .encoder import OutputFile
from .mask_set import MaskSet

_DIALECT = "row-major, 1-based start-length pairs"
#: The database's columns, in its order. The two Dice columns and the landmarks stay empty, since
#: this package has no such values. CheXmask has no clavicles: theirs come last.
COLUMNS = (
    "Image ID",
    "Dice RCA (Max)",
    "Dice RCA (Mean)",
    "Landmarks",
    "Left Lung",
    "Right Lung",
    "Heart",
    "Height",
    "Width",
    "Left Clavicle",
    "Right Clavicle",
    "Dialect",
)
_HEADER = (",".join(COLUMNS) + "\n").encode()


@dataclass(frozen=True)
class CheXmaskEncoder:
    """A table with the row of one image; lungs and clavicles by side, as in the database."""

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        yield OutputFile(f"chexmask/{key}.csv", encode_table(key, masks))


def encode_table(key: str, masks: MaskSet) -> bytes:
    """Encode the header and the row of one image as CSV."""
    from ..kernels import row_major_runs, start_lengths

    labels = masks.label_map(RIGHT_LEFT_LABELS)
    runs = row_major_runs(labels)

    def run_lengths(structure: Structure) -> str:
        return " ".join(map(str, start_lengths(runs, structure.label).ravel().tolist()))

    height, width = labels.shape
    row = {each.name.title(): run_lengths(each) for each in RIGHT_LEFT_LABELS.structures}
    row |= {"Image ID": masks.file_name(key), "Height": str(height), "Width": str(width)}
    row["Dialect"] = _DIALECT
    line = io.StringIO(newline="")
    csv.DictWriter(line, COLUMNS, restval="", lineterminator="\n").writerow(row)
    return _HEADER + line.getvalue().encode("utf-8", "surrogateescape")


def merge_tables(path: Path, fragments: Iterable[Path]) -> None:
    """Join the tables of single images into one; tables that are gone are left out.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_HEADER)
        for fragment in fragments:
            try:
                one = fragment.open("rb")
            except OSError:
                continue
            with one:
                if one.readline() == _HEADER:
                    shutil.copyfileobj(one, file)
