"""What is made of a segmentation, as files that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError
from .chexmask import chexmask_kind, gather_chexmask, save_chexmask
from .coco import contours_kind, gather_coco, rle_kind, save_coco
from .dicom_seg import dicom_seg_kind, is_available, save_dicom_seg
from .label_maps import LABEL_SUFFIXES as LABEL_SUFFIXES
from .label_maps import labels_kind, organs_kind, probabilities_kind
from .label_maps import save_labels as save_labels
from .label_maps import save_probabilities as save_probabilities
from .mask_set import Masks as Masks
from .mask_set import NotMade
from .overlay import OVERLAY_OPACITY as OVERLAY_OPACITY
from .overlay import OVERLAY_SIDE as OVERLAY_SIDE
from .overlay import overlay_kind
from .overlay import render_grey as render_grey
from .overlay import render_overlay as render_overlay

if TYPE_CHECKING:
    from ..segmenter import Segmentation


@dataclass(frozen=True)
class Kind:
    """One that ``--save`` can ask for.

    Attributes:
        folder: within the output folder.
        save: writes its files, given their path without suffix, the suffix of label maps, and
            what to write.
    """

    folder: str
    save: Callable[[str, str, Masks], Iterable[Path]]


_KINDS = {
    "labels": Kind("labels", labels_kind),
    "organs": Kind("organs", organs_kind),
    "overlay": Kind("overlay", overlay_kind),
    "probabilities": Kind("probabilities", probabilities_kind),
    "rle": Kind("rle", rle_kind),
    "contours": Kind("contours", contours_kind),
    "chexmask": Kind("chexmask", chexmask_kind),
    "dicom-seg": Kind("seg", dicom_seg_kind),
}
#: What ``--save`` can ask for.
KINDS = tuple(_KINDS)
#: Where it is put, within the output folder.
FOLDERS = tuple(kind.folder for kind in _KINDS.values())
#: Names of the files that a run gathers from all images, without suffix.
GATHERED = ("coco", "chexmask")


@dataclass(frozen=True)
class Outputs:
    """What was written of one segmentation.

    Attributes:
        paths: its files.
        notes: what could not be made of it, and why.
    """

    paths: list[Path]
    notes: tuple[str, ...] = ()


def check_kinds(kinds: Sequence[str]) -> None:
    """Find out before the first film what no film could be written as.

    Raises:
        OutputError: an extra is not installed.
    """
    if "dicom-seg" in kinds and not is_available():
        raise OutputError("--save dicom-seg: needs highdicom: pip install 'xray-seg[dicom-seg]'")


def save_outputs(
    folder: Path,
    key: str,
    kinds: Sequence[str],
    suffix: str,
    segmentation: Segmentation,
    sides: bool = False,
    lines: bool = False,
) -> Outputs:
    """Write what is asked for to ``folder/<kind>/<key>...``.

    What a kind cannot hold is noted, as the other kinds can: in a folder of all sorts, films that
    are no DICOM files get their label maps beside those that get a DICOM SEG as well.

    Args:
        folder: the output folder.
        key: relative path without suffix, by which the input is known there.
        kinds: some of KINDS.
        suffix: of label maps and organ masks, ``.tif`` or ``.png``.
        segmentation: what to write.
        sides: tell right and left apart.
        lines: draw the cardiothoracic ratio on overlays.

    Raises:
        OutputError: a file cannot be written, or there is nothing to write.
    """
    masks = Masks(key, segmentation, sides, lines)
    made: list[Path] = []
    notes: list[str] = []
    try:
        for kind in kinds:
            try:
                stem = str(folder / _KINDS[kind].folder / key)
                for path in _KINDS[kind].save(stem, suffix, masks):
                    made.append(path)
            except NotMade as reason:
                notes.append(f"no {kind}: {reason}")
        if not made:
            raise OutputError("; ".join(notes) or "nothing to write")
    except BaseException:
        for path in made:  # all of it, or nothing
            path.unlink(missing_ok=True)
        raise
    return Outputs(made, tuple(notes))


def gather(
    folder: Path,
    mark: str,
    kinds: Sequence[str],
    sides: bool,
    outputs: Callable[[], Iterable[Sequence[str]]],
) -> list[Path]:
    """Make one file of those of single images: coco.json, chexmask.csv.

    Args:
        folder: the output folder.
        mark: of a part of the inputs, put after the name.
        kinds: those of the run.
        sides: whether they tell right and left apart.
        outputs: called for each file to make; gives the files of each image that is done,
            relative to the output folder, in the order that they are to have.

    Returns:
        What was made.

    Raises:
        OSError: it cannot be written.
    """
    made: list[Path] = []
    dialects = [kind for kind in ("rle", "contours") if kind in kinds]
    if dialects:
        fragments = (
            {kind: folder / name for kind in dialects for name in names if _is_of(name, kind)}
            for names in outputs()
        )
        made.append(folder / f"coco{mark}.json")
        gather_coco(made[-1], dialects, fragments, sides)
    if "chexmask" in kinds:
        tables = (
            folder / name for names in outputs() for name in names if _is_of(name, "chexmask")
        )
        made.append(folder / f"chexmask{mark}.csv")
        gather_chexmask(made[-1], tables)
    return made


def save(path: Path, segmentation: Segmentation, sides: bool = False) -> None:
    """Write one segmentation to one file, as what its suffix says.

    Args:
        path: a label map as .tif or .png, a COCO data set with run lengths as .json, a table like
            CheXmask's as .csv, a DICOM SEG as .dcm.
        segmentation: what to write.
        sides: tell right and left apart.

    Raises:
        OutputError: another suffix, it cannot be written, or not of this film.
    """
    masks = Masks(Path(segmentation.radiograph.source).stem, segmentation, sides)
    suffix = path.suffix.lower()
    if suffix == ".json":
        save_coco(path, masks, "rle")
    elif suffix == ".csv":
        save_chexmask(path, masks)
    elif suffix == ".dcm":
        try:
            save_dicom_seg(path, masks)
        except NotMade as error:
            raise OutputError(f"{path}: cannot be written: {error}") from error
    else:
        save_labels(path, masks.labels, segmentation.radiograph.spacing)


def _is_of(name: str, kind: str) -> bool:
    return name.startswith(_KINDS[kind].folder + "/")
