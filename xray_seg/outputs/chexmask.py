"""Tables like those of the CheXmask database, for code that reads its files.

Gaggion N. et al., "CheXmask: a large-scale dataset of anatomical segmentation masks for
multi-center chest x-ray images", Scientific Data 11:511, 2024. Run lengths are row-major, as pairs
of a run's first pixel, from 1, and its length.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable
from pathlib import Path

from .._util.files import atomic_path, write_bytes
from ..labels import RIGHT_LEFT_LABELS, Structure
from .mask_set import Masks, naming

_DIALECT = "row-major, 1-based start-length pairs"
#: Of the database's tables, in their order; no other method judged these masks, and there are no
#: landmarks, so that three of them stay empty. CheXmask has no clavicles: these come last.
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


def chexmask_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """The table of one image."""
    return [save_chexmask(Path(stem + ".csv"), masks)]


def save_chexmask(path: Path, masks: Masks) -> Path:
    """Write a table with the row of one image; lungs and clavicles by side, as there.

    Raises:
        OutputError: the file cannot be written.
    """
    from ..kernels import row_major_runs, start_lengths

    whole = Masks(masks.key, masks.segmentation, sides=True) if not masks.sides else masks
    runs = row_major_runs(whole.labels)

    def told(part: Structure) -> str:
        return " ".join(map(str, start_lengths(runs, part.label).ravel().tolist()))

    height, width = whole.labels.shape
    row = {part.name.title(): told(part) for part in RIGHT_LEFT_LABELS.structures}
    row |= {"Image ID": masks.file_name, "Height": str(height), "Width": str(width)}
    row["Dialect"] = _DIALECT
    line = io.StringIO(newline="")
    csv.DictWriter(line, COLUMNS, restval="", lineterminator="\n").writerow(row)
    with naming(path):
        write_bytes(path, _HEADER + line.getvalue().encode("utf-8", "surrogateescape"))
    return path


def gather_chexmask(path: Path, fragments: Iterable[Path]) -> None:
    """Make one table of those of single images, without those whose file is gone.

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
