"""Radiographs paired with their reference masks, in the layout of the SCR database.

van Ginneken et al., Medical Image Analysis 10:19-40, 2006: one mask of 1024 x 1024 pixels per
structure and radiograph, in ``fold1/masks/heart/JPCLN001.gif`` and so on; fold1 holds the odd
numbers, fold2 the even ones. Any folder tree is accepted whose mask folders carry the names of the
structures (``scr.SCR_MASKS``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._util.folder_lock import HIDDEN
from ..errors import DatasetError
from ..readers import read
from .scr import SCR_MASKS

_STRUCTURES = tuple(name for name, _ in SCR_MASKS)
#: Cases without masks that an error message names.
_SHOWN = 5


@dataclass(frozen=True)
class Case:
    """A radiograph and its masks, as files.

    Attributes:
        name: the files' common name without suffix.
        image: path of the radiograph.
        masks: path of the mask of each structure, by SCR name (``left lung`` ...).
    """

    name: str
    image: Path
    masks: dict[str, Path]

    @property
    def stratum(self) -> str:
        """The name up to its first digit: in JSRT ``JPCLN`` (nodule) or ``JPCNN`` (none)."""
        return re.split(r"\d", self.name, maxsplit=1)[0]


def find_cases(images: str | Path, masks: str | Path) -> list[Case]:
    """Pair the radiographs in a folder with their masks by file name.

    Both folders are searched at any depth. Hidden files and folders are ignored, and so are
    subfolders that hold the output of a batch run (those with a ``.xrayseg`` folder). Masks
    without a radiograph are ignored.

    Example:
        cases = find_cases("jsrt/images", "jsrt/scr")

    Args:
        images: folder of the radiographs, in any format that ``xray_seg.read`` accepts.
        masks: folder with one subfolder per structure, at any depth, named ``left clavicle``,
            ``right clavicle``, ``heart``, ``left lung`` and ``right lung`` (left and right are the
            patient's). A mask has the name of its radiograph, any suffix, and any pixel above 0
            counts.

    Returns:
        The cases, sorted by name.

    Raises:
        DatasetError: a folder is missing or empty, two files share a name, or a radiograph has
            no mask for one of the structures.
    """
    images, masks = Path(images), Path(masks)
    for folder, content in ((images, "radiographs"), (masks, "masks")):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder; give the folder of the {content}")
    radiographs = _by_name(images, _find_files(images, "*"), "radiographs")
    by_structure = {
        structure: _by_name(
            masks,
            _find_files(masks, f"{structure}/*"),
            f"'{structure}' masks",
            f"; a folder named '{structure}' with one mask per radiograph is expected",
        )
        for structure in _STRUCTURES
    }
    _check_complete(images, masks, radiographs, by_structure)
    return [
        Case(name, radiographs[name], {each: by_structure[each][name] for each in _STRUCTURES})
        for name in sorted(radiographs)
    ]


def _find_files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder that match a pattern, sorted, without hidden ones and run outputs."""
    run_folders = {path.parent for path in folder.rglob(HIDDEN) if path.is_dir()} - {folder}
    return [
        path
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and run_folders.isdisjoint(path.parents)
    ]


def _by_name(folder: Path, paths: list[Path], what: str, hint: str = "") -> dict[str, Path]:
    """Files by name without suffix; ``what`` and ``hint`` go into the error messages."""
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise DatasetError(f"{found[path.stem]} and {path} share a name: keep one of them")
        found[path.stem] = path
    if not found:
        raise DatasetError(f"{folder}: no {what} in this folder{hint}")
    return found


def _check_complete(
    images: Path,
    masks: Path,
    radiographs: dict[str, Path],
    by_structure: dict[str, dict[str, Path]],
) -> None:
    """Raise DatasetError if a radiograph has no mask for one of the structures."""
    missing = {
        name: [each for each in _STRUCTURES if name not in by_structure[each]]
        for name in radiographs
    }
    lacking = [f"{name} ({', '.join(which)})" for name, which in missing.items() if which]
    if lacking:
        raise DatasetError(
            f"{len(lacking)} of {len(radiographs)} radiographs in {images} lack masks in {masks}: "
            f"{'; '.join(lacking[:_SHOWN])}{' ...' if len(lacking) > _SHOWN else ''}. "
            "Add the masks or move these radiographs away."
        )


def read_truth(case: Case) -> npt.NDArray[np.uint8]:
    """Merge the masks of a case into a label map.

    Where masks overlap, clavicles take precedence over the heart, and the heart over the lungs.

    Returns:
        (H, W) uint8 labels at the resolution of the masks.

    Raises:
        DatasetError: the masks differ in size, or all of them are empty.
        ReadError: a mask cannot be read.
    """
    from ..kernels import merge_masks

    masks = {structure: read_mask(path) for structure, path in case.masks.items()}
    if len({mask.shape for mask in masks.values()}) > 1:
        sizes = {structure: mask.shape for structure, mask in masks.items()}
        raise DatasetError(f"{case.name}: its masks differ in size: {sizes}")
    labels = merge_masks(
        [masks[name] for name, _ in SCR_MASKS], [organ.label for _, organ in SCR_MASKS]
    )
    if not labels.any():
        raise DatasetError(f"{case.name}: all of its masks are empty")
    return labels


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask file of any raster format: (H, W) bool, True where a pixel is above 0.

    Raises:
        ReadError: the file cannot be read.
    """
    return np.asarray(read(path).pixels != 0)


def fingerprint(cases: Sequence[Case]) -> str:
    """SHA-256 over the names and file contents of cases, independent of where the files are.

    A training run records it to identify the data it was trained on.
    """
    digest = hashlib.sha256()
    for case in cases:
        for path in (case.image, *case.masks.values()):
            digest.update(case.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
