"""JSRT radiographs with SCR masks: found, paired, split, read.

van Ginneken et al., Medical Image Analysis 10:19-40, 2006: one mask of 1024 x 1024 per organ and
film, in ``fold1/masks/heart/JPCLN001.gif`` and so on; fold1 has the odd numbers, fold2 the even.
Any folder tree is read whose mask folders have the organs' names.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DatasetError
from ..labels import CLASSES
from ..preprocessing.preprocessor import Preprocessor
from ..readers import read
from .scr import SCR_MASKS

#: Share of the cases that validate: 24 of 222, and 26 of the whole 247.
VALIDATION_SHARE = 0.107
#: The 2019 study's shares of validation and test cases: 23 and 25 of its 246.
STUDY_SHARES = (23 / 246, 25 / 246)

_PARTS = tuple(name for name, _ in SCR_MASKS)


@dataclass(frozen=True)
class Case:
    """A radiograph and its masks, as files.

    Attributes:
        name: the files' common name without suffix.
        image: path of the radiograph.
        masks: path of each organ's mask by SCR name (``left lung`` ...).
    """

    name: str
    image: Path
    masks: dict[str, Path]

    @property
    def stratum(self) -> str:
        """JSRT's kind of film: ``JPCLN`` with a nodule, ``JPCNN`` without; else what comes
        before the first digit."""
        return re.split(r"\d", self.name, maxsplit=1)[0]


@dataclass(frozen=True)
class Split:
    """A division of cases, recorded with every training run."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    seed: int
    test: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Arrays:
    """Cases decoded onto a grid.

    Attributes:
        images: (N, size, size) float32 in [0, 1], bones bright.
        fractions: (N, size, size, 4) uint8, share of each class in 255ths.
    """

    images: npt.NDArray[np.float32]
    fractions: npt.NDArray[np.uint8]


def find_cases(images: str | Path, masks: str | Path) -> list[Case]:
    """Pair radiographs with masks by name, at any depth of the two folders.

    Returns:
        The cases in order of their names.

    Raises:
        DatasetError: a folder is missing or empty, two files share a name, a radiograph lacks
            masks. Masks without a radiograph are left aside.
    """
    films = _by_name(Path(images), "radiographs")
    parts = {part: _by_name(Path(masks), f"'{part}' masks", part) for part in _PARTS}
    lacking = {
        name: [part for part in _PARTS if name not in parts[part]]
        for name in films
        if any(name not in parts[part] for part in _PARTS)
    }
    if lacking:
        shown = "; ".join(
            f"{name} ({', '.join(which)})" for name, which in list(lacking.items())[:5]
        )
        raise DatasetError(
            f"{len(lacking)} of {len(films)} radiographs in {images} lack masks in {masks}: {shown}"
            f"{' ...' if len(lacking) > 5 else ''}. Add the masks or move these radiographs away."
        )
    return [
        Case(name, films[name], {part: parts[part][name] for part in _PARTS})
        for name in sorted(films)
    ]


def _by_name(folder: Path, what: str, within: str | None = None) -> dict[str, Path]:
    """Files below a folder by stem; with ``within``, only those in folders of that name."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; {what} are looked for in it")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*" if within is None else f"{within}/*")):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise DatasetError(f"{found[path.stem]} and {path} share a name: keep one of them")
        found[path.stem] = path
    if not found:
        raise DatasetError(
            f"{folder}: no {what} here"
            + (f"; a folder named '{within}' with a mask a case is expected" if within else "")
        )
    return found


def split_cases(
    cases: Sequence[Case],
    seed: int = 0,
    validation: float = VALIDATION_SHARE,
    test: float = 0.0,
) -> Split:
    """Divide cases for training, validation and test, with the same share of each stratum.

    Strata too small to give a case for validation are taken together. The order within a stratum
    depends on names and seed alone (by SHA-256), not on a library's random numbers; where it is
    cut depends on how many cases there are.

    Raises:
        DatasetError: too few cases to have one on either side.
    """
    places: dict[str, list[str]] = {"validation": [], "test": []}
    for names in _shuffled_strata(cases, seed, least=0.5 / validation):
        first = round(validation * len(names))
        places["validation"] += names[:first]
        places["test"] += names[first : first + round(test * len(names))]
    if not places["validation"]:  # few cases: one validates, whatever its stratum
        free = {case.name for case in cases} - set(places["test"])
        places["validation"] += sorted(free, key=lambda name: _order(name, seed))[:1]
    return _divide(cases, places["validation"], places["test"], seed)


def fold_cases(cases: Sequence[Case], fold: int, folds: int, seed: int = 0) -> Split:
    """Divide cases for cross-validation: each case validates in one of the folds.

    Args:
        cases: all of them.
        fold: which, from 1 to ``folds``.
        folds: how many.
        seed: as of split_cases.

    Raises:
        DatasetError: too few cases to have one on either side.
    """
    chosen: list[str] = []
    before = 0  # deal on where the stratum before ended, so that folds differ by one case at most
    for names in _shuffled_strata(cases, seed):
        chosen += names[(fold - 1 - before) % folds :: folds]
        before += len(names)
    return _divide(cases, chosen, [], seed)


def _shuffled_strata(cases: Sequence[Case], seed: int, least: float = 0.0) -> list[list[str]]:
    """The cases' names by stratum, each list in the order that the seed gives it.

    Strata of fewer than ``least`` cases are one stratum.
    """
    sizes = Counter(case.stratum for case in cases)
    strata: dict[str, list[str]] = {}
    for case in cases:
        kind = case.stratum if sizes[case.stratum] > least else "\uffff"  # after all names
        strata.setdefault(kind, []).append(case.name)
    return [sorted(strata[kind], key=lambda name: _order(name, seed)) for kind in sorted(strata)]


def _order(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _divide(cases: Sequence[Case], validation: list[str], test: list[str], seed: int) -> Split:
    split = Split(
        tuple(case for case in cases if case.name not in {*validation, *test}),
        tuple(case for case in cases if case.name in validation),
        seed,
        tuple(case for case in cases if case.name in test),
    )
    if not split.train or not split.validation:
        raise DatasetError(
            f"{len(cases)} cases are too few to train on some and validate on others"
        )
    return split


def read_truth(case: Case) -> npt.NDArray[np.uint8]:
    """The label map of a case's masks at their own resolution, (H, W) uint8.

    Raises:
        DatasetError: masks of different sizes, or all of them empty.
        ReadError: a mask cannot be read.
    """
    from ..kernels import merge_masks

    masks = {part: read_mask(path) for part, path in case.masks.items()}
    if len({mask.shape for mask in masks.values()}) > 1:
        sizes = {part: mask.shape for part, mask in masks.items()}
        raise DatasetError(f"{case.name}: its masks differ in size: {sizes}")
    pairs = [(masks[name], organ.label) for name, organ in SCR_MASKS]
    labels = merge_masks([mask for mask, _ in pairs], [label for _, label in pairs])
    if not labels.any():
        raise DatasetError(f"{case.name}: all of its masks are empty")
    return labels


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """A mask file of any raster format as (H, W) bool, True where it is not black."""
    return np.asarray(read(path).pixels != 0)


def load_case(case: Case, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """A case on a grid: (size, size) float32 image, (size, size, 4) uint8 class shares."""
    from ..kernels import area_fractions

    fitted = Preprocessor(size)(read(case.image))
    image, box = fitted.grid, fitted.box
    fractions = np.zeros((size, size, CLASSES), np.uint8)
    fractions[..., 0] = 255
    shares = area_fractions(read_truth(case), (box.height, box.width), CLASSES)
    box.crop(fractions)[:] = (shares * 255).round().astype(np.uint8)
    return image, fractions


def load_arrays(
    cases: Sequence[Case], size: int, tell: Callable[[int], None] = lambda done: None
) -> Arrays:
    """Decode all cases onto a grid; ``tell`` is called with the number done so far."""
    images = np.empty((len(cases), size, size), np.float32)
    fractions = np.empty((len(cases), size, size, CLASSES), np.uint8)
    for index, case in enumerate(cases):
        images[index], fractions[index] = load_case(case, size)
        tell(index + 1)
    return Arrays(images, fractions)


def fingerprint(cases: Sequence[Case]) -> str:
    """SHA-256 over names and contents of the cases' files, to record what a run was made from."""
    digest = hashlib.sha256()
    for case in cases:
        for path in (case.image, *case.masks.values()):
            digest.update(case.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
