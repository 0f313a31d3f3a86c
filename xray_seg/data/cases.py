"""Radiographs paired with their reference masks.

Masks are in one of three layouts:

- a folder per structure, as in the SCR database (van Ginneken et al., Medical Image Analysis
  10:19-40, 2006): one mask of 1024 x 1024 pixels per structure and radiograph, in
  ``fold1/masks/heart/JPCLN001.gif`` and so on; fold1 holds the odd numbers, fold2 the even ones.
  Any folder tree is accepted whose mask folders carry the names of the structures
  (``scr.SCR_MASKS``), or ``clavicles`` and ``lungs`` for masks of both sides;
- a folder of masks of one organ;
- a folder of label maps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._util.folder_lock import HIDDEN
from ..errors import DatasetError
from ..labels import BACKGROUND, ORGANS
from ..radiograph import Radiograph
from ..readers import read
from ..readers.label_map import read_labels
from .annotation import FULL, Annotation
from .scr import SCR_MASKS

#: Organ of each mask folder.
_ORGAN_OF = dict(SCR_MASKS) | {organ.name: organ for organ in ORGANS}
#: Key of a label map in ``Case.masks``.
LABEL_MAP = "label map"
#: Cases without masks that an error message names.
_SHOWN = 5


@dataclass(frozen=True)
class Case:
    """A radiograph and its masks, as files.

    Attributes:
        name: the files' common name without suffix.
        image: path of the radiograph.
        masks: path of each mask, by SCR name (``left lung`` ...), by organ (``lungs``) or, for a
            label map, LABEL_MAP. Empty for a radiograph without masks.
        annotation: the organs that the masks show.
        inverted: whether high values are dark; None to take it from the file or, where the file
            does not say it, from the looks.
        dataset: name of its data set; empty where there is only one.
        repeat: how often an epoch of training uses it.
    """

    name: str
    image: Path
    masks: dict[str, Path]
    annotation: Annotation = FULL
    inverted: bool | None = None
    dataset: str = ""
    repeat: float = 1.0

    @property
    def stratum(self) -> str:
        """The name up to its first digit: in JSRT ``JPCLN`` (nodule) or ``JPCNN`` (none)."""
        return re.split(r"\d", self.name, maxsplit=1)[0]


def find_cases(
    images: str | Path,
    masks: str | Path | None,
    *,
    annotation: Annotation = FULL,
    label_maps: bool = False,
) -> list[Case]:
    """Pair the radiographs in a folder with their masks by file name.

    Both folders are searched at any depth. Hidden files and folders are ignored, and so are
    subfolders that hold the output of a batch run (those with a ``.xrayseg`` folder). Masks
    without a radiograph are ignored.

    Example:
        cases = find_cases("jsrt/images", "jsrt/scr")
        cases = find_cases("xrays", "lung-masks", annotation=Annotation(("lungs",), ("clavicles",)))

    Args:
        images: folder of the radiographs, in any format that ``xray_seg.read`` accepts.
        masks: folder of the masks. A mask has the name of its radiograph and any suffix. Unless
            ``label_maps`` is set, any pixel above 0 counts, and the folder has a subfolder per
            structure, at any depth: ``left clavicle``, ``right clavicle``, ``heart``, ``left
            lung`` and ``right lung`` (left and right are the patient's), or ``clavicles`` and
            ``lungs``. Where only one organ is known, its masks may also lie in the folder itself.
            None for radiographs without masks.
        annotation: the organs that the masks show. Masks of other organs are not read.
        label_maps: the masks are label maps of ``labels.ORGAN_LABELS`` or ``RIGHT_LEFT_LABELS``.

    Returns:
        The cases, sorted by name.

    Raises:
        DatasetError: a folder is missing or empty, two files share a name, or a radiograph has
            no mask for one of the structures.
    """
    images = _existing(images, "radiographs")
    radiographs = _by_name(images, _find_files(images, "*"), "radiographs")
    if masks is None:
        unknown = Annotation(())
        return [Case(name, radiographs[name], {}, unknown) for name in sorted(radiographs)]
    masks = _existing(masks, "masks")
    by_mask = _find_masks(masks, annotation, label_maps=label_maps)
    _check_complete(images, masks, radiographs, by_mask)
    return [
        Case(name, radiographs[name], {each: by_mask[each][name] for each in by_mask}, annotation)
        for name in sorted(radiographs)
    ]


def _existing(folder: str | Path, content: str) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; give the folder of the {content}")
    return folder


def _find_masks(
    folder: Path, annotation: Annotation, *, label_maps: bool
) -> dict[str, dict[str, Path]]:
    """Mask files by key of ``Case.masks`` and by name."""
    if label_maps:
        return {LABEL_MAP: _by_name(folder, _find_files(folder, "*"), "label maps")}
    found: dict[str, dict[str, Path]] = {}
    for organ in ORGANS:
        if organ.name not in annotation.organs:
            continue
        both = _find_files(folder, f"{organ.name}/*")
        names = [name for name, of in SCR_MASKS if of is organ]
        if both and organ.name not in names:
            names = [organ.name]
        elif len(annotation.organs) == 1 and not any(
            _find_files(folder, f"{name}/*") for name in names
        ):
            return {organ.name: _by_name(folder, _find_files(folder, "*"), "masks")}
        for name in names:
            hint = f"; a folder named '{name}' with one mask per radiograph is expected"
            files = _find_files(folder, f"{name}/*")
            found[name] = _by_name(folder, files, f"'{name}' masks", hint)
    return found


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
    by_mask: dict[str, dict[str, Path]],
) -> None:
    """Raise DatasetError if a radiograph lacks one of the masks."""
    missing = {
        name: [each for each in by_mask if name not in by_mask[each]] for name in radiographs
    }
    lacking = [f"{name} ({', '.join(which)})" for name, which in missing.items() if which]
    if lacking:
        raise DatasetError(
            f"{len(lacking)} of {len(radiographs)} radiographs in {images} lack masks in {masks}: "
            f"{'; '.join(lacking[:_SHOWN])}{' ...' if len(lacking) > _SHOWN else ''}. "
            "Add the masks or move these radiographs away."
        )


def read_radiograph(case: Case) -> Radiograph:
    """Read the radiograph of a case, with the polarity that is known of it.

    Raises:
        ReadError: it cannot be read.
    """
    radiograph = read(case.image)
    return radiograph if case.inverted is None else replace(radiograph, inverted=case.inverted)


def read_truth(case: Case) -> npt.NDArray[np.uint8]:
    """Merge the masks of a case into a label map.

    Where masks overlap, clavicles take precedence over the heart, and the heart over the lungs.
    Organs without masks are absent; ``Case.annotation`` says what their pixels may be.

    Returns:
        (H, W) uint8 labels at the resolution of the masks.

    Raises:
        DatasetError: the case has no masks, they differ in size, or all of them are empty.
        ReadError: a mask cannot be read.
    """
    from ..kernels import merge_masks

    if not case.masks:
        raise DatasetError(f"{case.name}: has no masks")
    if LABEL_MAP in case.masks:
        labels = _read_organ_labels(case)
    else:
        masks = {name: read_mask(path) for name, path in case.masks.items()}
        if len({mask.shape for mask in masks.values()}) > 1:
            sizes = {name: mask.shape for name, mask in masks.items()}
            raise DatasetError(f"{case.name}: its masks differ in size: {sizes}")
        by_priority = sorted(masks, key=lambda name: ORGANS.index(_ORGAN_OF[name]))
        labels = merge_masks(
            [masks[name] for name in by_priority], [_ORGAN_OF[name].label for name in by_priority]
        )
    if not labels.any():
        raise DatasetError(f"{case.name}: all of its masks are empty")
    return labels


def _read_organ_labels(case: Case) -> npt.NDArray[np.uint8]:
    """The label map of a case, without laterality and without organs that it does not know."""
    labels = read_labels(case.masks[LABEL_MAP]).organ_labels
    known = [organ.label for organ in ORGANS if organ.name in case.annotation.organs]
    return np.where(np.isin(labels, known), labels, np.uint8(BACKGROUND))


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask file of any raster format: (H, W) bool, True where a pixel is above 0.

    Raises:
        ReadError: the file cannot be read.
    """
    return np.asarray(read(path).pixels != 0)


def fingerprint(cases: Sequence[Case]) -> str:
    """SHA-256 over what a training run learns from cases, independent of where the files are.

    A training run records it to identify the data it was trained on: names and contents of files,
    and what was stated of them unless it is the default.
    """
    digest = hashlib.sha256()
    for case in cases:
        stated = (case.annotation, case.inverted, case.repeat, LABEL_MAP in case.masks)
        if stated != (FULL, None, 1.0, False):
            digest.update(repr((case.name, *stated)).encode())
        for path in (case.image, *case.masks.values()):
            digest.update(case.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
