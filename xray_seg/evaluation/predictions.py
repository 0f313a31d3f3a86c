"""Scores of label maps that exist already, for instance those of a batch run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.cases import Case, read_radiograph, read_truth
from ..errors import DatasetError
from ..outputs.label_maps import LABEL_SUFFIXES
from ..readers.label_map import read_labels
from .scoring import CaseScores, mask_spacing, score_labels

#: Folder of the label maps in the output folder of a batch run.
_LABELS = "labels"


@dataclass(frozen=True)
class Predictions:
    """The label maps of a folder.

    Attributes:
        folder: the folder, as given.
        files: the label maps by name without suffix, one or more of each name.
    """

    folder: Path
    files: dict[str, tuple[Path, ...]]

    def find(self, case: Case) -> Path | None:
        """The label map of a case: it has the name of the case, or of the radiograph's file.

        A batch run names a label map after the radiograph's file with its suffix
        (``chest.png.tif``) where two inputs differ in suffix alone.

        Raises:
            DatasetError: there are several.
        """
        names = dict.fromkeys((case.name, case.image.name))
        found = [path for name in names for path in self.files.get(name, ())]
        if len(found) > 1:
            raise DatasetError(
                f"{found[0]} and {found[1]} are both label maps of {case.name}: keep one of them, "
                "or give the folder that holds one"
            )
        return found[0] if found else None


def find_predictions(folder: str | Path) -> Predictions:
    """Find the label maps in a folder, at any depth.

    Args:
        folder: output folder of ``xrayseg batch``, of which the label maps are taken, or any other
            folder of label maps as TIFF or PNG. Hidden files are ignored.

    Raises:
        DatasetError: there is no such folder, or no label map in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; give the folder of the label maps")
    place = folder / _LABELS if (folder / _LABELS).is_dir() else folder
    files: dict[str, tuple[Path, ...]] = {}
    for path in sorted(place.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
        if path.suffix.lower() in LABEL_SUFFIXES and path.is_file() and not is_hidden:
            files[path.stem] = (*files.get(path.stem, ()), path)
    if not files:
        raise DatasetError(
            f"{folder}: no label maps ({', '.join(LABEL_SUFFIXES)}) in this folder; give a folder "
            "of label maps, or the output folder of a batch run that saved labels"
        )
    return Predictions(folder, files)


def score_predictions(
    predictions: Predictions,
    cases: Sequence[Case],
    *,
    spacing: float | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[CaseScores], list[Case]]:
    """Score label maps against the reference masks of cases.

    A label map of another resolution than the masks is resampled to theirs: each pixel of the masks
    takes the label at its centre. Laterality is ignored.

    Example:
        scores, missing = score_predictions(find_predictions("masks"), cases, spacing=0.35)

    Args:
        predictions: the label maps.
        cases: radiographs with masks.
        spacing: as for ``scoring.evaluate``.
        on_progress: called after each case with the number of cases done so far.

    Returns:
        The scores of the cases with a label map, and the cases without, both in the order of
        ``cases``. The scores have no loss, since label maps hold no probabilities.

    Raises:
        DatasetError: a case has several label maps, or masks that differ in size or are empty.
        ReadError: a file cannot be read.
    """
    scores, missing = [], []
    found = [(case, predictions.find(case)) for case in cases]
    for index, (case, path) in enumerate(found):
        if path is None:
            missing.append(case)
        else:
            scores.append(_score(case, path, spacing))
        on_progress(index + 1)
    return scores, missing


def _score(case: Case, path: Path, spacing: float | None) -> CaseScores:
    from ..kernels import nearest

    truth, labels = read_truth(case), read_labels(path).organ_labels
    if labels.shape != truth.shape:
        labels = nearest(labels, (truth.shape[0], truth.shape[1]))
    mm = (
        (spacing, spacing)
        if spacing is not None
        else mask_spacing(read_radiograph(case), truth.shape, None)
    )
    return score_labels(case, labels, truth, spacing=mm)
