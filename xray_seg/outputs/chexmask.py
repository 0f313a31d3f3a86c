"""Tables in the format of the CheXmask database.

Gaggion N. et al., "CheXmask: a large-scale dataset of anatomical segmentation masks for
multi-center chest x-ray images", Scientific Data 11:511, 2024. Masks are row-major run lengths:
pairs of the first pixel, counted from 1, and the length of a run.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .._util.csv_cells import csv_cell
from .._util.files import atomic_path
from ..labels import RIGHT_LEFT_LABELS, Structure
from .encoder import OutputFile
from .mask_set import MaskSet

_DIALECT = "row-major, 1-based start-length pairs"
#: The columns of the database, in its order, then those that only this package has. The Dice
#: columns (reverse classification accuracy) and the landmarks are empty: they are not computed.
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
    """A table with the row of one image, with right and left lungs and clavicles separate."""

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        yield OutputFile(f"chexmask/{key}.csv", encode_table(key, masks))


def encode_table(key: str, masks: MaskSet) -> bytes:
    """Encode the header and the row of one image as CSV, in UTF-8."""
    from ..kernels import row_major_runs, start_lengths

    labels = masks.label_map(RIGHT_LEFT_LABELS)
    runs = row_major_runs(labels)

    def run_lengths(structure: Structure) -> str:
        return " ".join(map(str, start_lengths(runs, structure.label).ravel().tolist()))

    height, width = labels.shape
    row = {each.name.title(): run_lengths(each) for each in RIGHT_LEFT_LABELS.structures}
    row |= {"Image ID": csv_cell(masks.file_name(key)), "Height": str(height), "Width": str(width)}
    row["Dialect"] = _DIALECT
    line = io.StringIO(newline="")
    csv.DictWriter(line, COLUMNS, restval="", lineterminator="\n").writerow(row)
    return _HEADER + line.getvalue().encode("utf-8", "surrogateescape")


def merge_tables(path: Path, fragments: Iterable[Path]) -> None:
    """Join the tables of single images into one; missing or damaged tables are skipped.

    Args:
        path: the table to write.
        fragments: the tables of single images.

    Raises:
        OSError: the table cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_HEADER)
        for fragment in fragments:
            try:
                table = fragment.open("rb")
            except OSError:
                continue
            with table:
                if table.readline() == _HEADER:
                    shutil.copyfileobj(table, file)
