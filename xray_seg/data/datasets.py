"""Data sets listed in a TOML file: where they are, what their masks show, how often to use them.

    [[datasets]]
    name = "jsrt"
    images = "jsrt/images"
    masks = "jsrt/scr"

    [[datasets]]
    name = "clinic"
    images = "clinic/images"
    masks = "clinic/lungs"
    organs = ["lungs"]                # organs that the masks show; default: all three
    lungs-include = ["clavicles"]     # organs that lie within the lung masks
    polarity = "normal"               # bones bright; "inverted", or "auto" (default)
    repeat = 0.5                      # an epoch uses half of the cases
    validation = 0.2                  # share held out for validation
    source = "Clinic X, CC BY 4.0"    # origin and terms, for the model card

Relative paths start at a root folder that the caller gives.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .annotation import FULL, Annotation
from .cases import Case, find_cases
from .splits import VALIDATION_SHARE, Split, split_cases

#: Settings of a data set by key: the types that a value may have.
_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "images": (str,),
    "masks": (str,),
    "organs": (list,),
    "lungs-include": (list,),
    "label-maps": (bool,),
    "polarity": (str,),
    "repeat": (int, float),
    "validation": (int, float),
    "test": (int, float),
    "source": (str,),
}
_REQUIRED = ("name", "images")
#: Settings that say something of masks.
_OF_MASKS = ("organs", "lungs-include", "label-maps", "validation", "test")
#: Values of ``polarity``: whether high values are dark.
_POLARITIES = {"auto": None, "normal": False, "inverted": True}


@dataclass(frozen=True)
class Dataset:
    """A folder of radiographs with or without masks.

    Attributes:
        name: unique name.
        images: folder of radiographs.
        masks: folder of masks; None for radiographs without masks.
        annotation: what the masks show.
        label_maps: whether the masks are label maps.
        inverted: whether high values are dark; None to take it from each file.
        repeat: how often an epoch of training uses each case; 0.5 for half of the cases.
        validation_share: share of the cases held out for validation.
        test_share: share of the cases held out for testing.
        source: origin and terms of use, for the model card.
    """

    name: str
    images: Path
    masks: Path | None
    annotation: Annotation = FULL
    label_maps: bool = False
    inverted: bool | None = None
    repeat: float = 1.0
    validation_share: float = VALIDATION_SHARE
    test_share: float = 0.0
    source: str = ""

    def find_cases(self) -> list[Case]:
        """Find the cases of the data set.

        Raises:
            DatasetError: see ``cases.find_cases``.
        """
        cases = find_cases(
            self.images, self.masks, annotation=self.annotation, label_maps=self.label_maps
        )
        return [
            replace(case, dataset=self.name, inverted=self.inverted, repeat=self.repeat)
            for case in cases
        ]

    def split(self, *, seed: int) -> Split:
        """Divide the cases of the data set, see ``splits.split_cases``.

        Raises:
            DatasetError: the cases cannot be found, or are too few.
        """
        cases = self.find_cases()
        if not self.validation_share:
            return Split(tuple(cases), (), seed)
        try:
            return split_cases(
                cases, seed=seed, validation=self.validation_share, test=self.test_share
            )
        except DatasetError as error:
            raise DatasetError(
                f"data set {self.name!r}: {error}; set validation = 0 to train on all"
            ) from error


def read_datasets(path: str | Path, *, root: str | Path | None = None) -> tuple[Dataset, ...]:
    """Read the data sets of a TOML file.

    Args:
        path: the file. Its other tables are ignored.
        root: folder where relative paths start; None for the folder of the file.

    Raises:
        DatasetError: the file cannot be read, a setting is unknown or has a wrong value, or two
            data sets share a name.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("datasets", [])
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    return parse_datasets(tables, root=Path(root or path.parent), source=str(path))


def parse_datasets(tables: Any, *, root: Path, source: str) -> tuple[Dataset, ...]:
    """Make data sets of the tables of a TOML file.

    Args:
        tables: the value of ``datasets``.
        root: folder where relative paths start.
        source: the file, for error messages.

    Raises:
        DatasetError: see ``read_datasets``.
    """
    if not isinstance(tables, list) or not tables:
        raise DatasetError(f"{source}: lists no data sets; give a table [[datasets]] for each")
    datasets = tuple(_parse(table, root, source) for table in tables)
    repeated = [
        name for name, count in Counter(each.name for each in datasets).items() if count > 1
    ]
    if repeated:
        raise DatasetError(f"{source}: two data sets have the name {repeated[0]!r}; rename one")
    return datasets


def _parse(table: Any, root: Path, source: str) -> Dataset:
    if not isinstance(table, Mapping):
        raise DatasetError(f"{source}: datasets must be tables: [[datasets]]")
    where = f"{source}: data set {table.get('name', '?')!r}"
    for key, value in table.items():
        if key not in _KEYS:
            raise DatasetError(f"{where}: unknown setting {key!r}; use {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or (isinstance(value, bool) and key != "label-maps"):
            kinds = " or ".join(kind.__name__ for kind in _KEYS[key])
            raise DatasetError(f"{where}: {key} must be {kinds}, not {value!r}")
    missing = [key for key in _REQUIRED if key not in table]
    if missing:
        raise DatasetError(f"{where}: {missing[0]} is missing")
    try:
        return _dataset(table, root)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{where}: {error}") from error


def _dataset(table: Mapping[str, Any], root: Path) -> Dataset:
    """A data set of a checked table; ValueError if a value is out of range."""
    polarity = table.get("polarity", "auto")
    if polarity not in _POLARITIES:
        raise ValueError(f"polarity must be {', '.join(_POLARITIES)}, not {polarity!r}")
    if not table.get("repeat", 1) > 0:
        raise ValueError(f"repeat must be above 0, not {table['repeat']}")
    shares = [table.get("validation", VALIDATION_SHARE), table.get("test", 0.0)]
    if min(shares) < 0 or sum(shares) >= 1:
        raise ValueError("validation and test must be 0 or more and less than 1 together")
    if shares[1] and not shares[0]:
        raise ValueError("test needs validation cases: set validation above 0")
    annotation = Annotation(
        tuple(table.get("organs", FULL.organs)), tuple(table.get("lungs-include", ()))
    )
    if "masks" not in table:
        useless = [key for key in _OF_MASKS if key in table]
        if useless:
            raise ValueError(f"{useless[0]} needs masks")
    elif not annotation.organs:
        raise ValueError("organs is empty: name what the masks show, or leave masks out")
    return Dataset(
        table["name"],
        root / table["images"],
        root / table["masks"] if "masks" in table else None,
        annotation,
        label_maps=table.get("label-maps", False),
        inverted=_POLARITIES[polarity],
        repeat=float(table.get("repeat", 1)),
        validation_share=float(shares[0]) if "masks" in table else 0.0,
        test_share=float(shares[1]),
        source=table.get("source", ""),
    )


def refuse_shared_names(cases: Iterable[Case]) -> None:
    """Raise DatasetError if two cases have the same name."""
    by_name: dict[str, Case] = {}
    for case in cases:
        other = by_name.setdefault(case.name, case)
        if other is not case:
            raise DatasetError(f"{other.image} and {case.image} share a name: rename one of them")


def split_datasets(datasets: Sequence[Dataset], *, seed: int) -> Split:
    """Divide each data set, and join the parts.

    Raises:
        DatasetError: the cases of a data set cannot be found or are too few, no case is held out
            for validation, or two cases share a name.
    """
    splits = [dataset.split(seed=seed) for dataset in datasets]
    whole = Split(
        tuple(case for split in splits for case in split.train),
        tuple(case for split in splits for case in split.validation),
        seed,
        tuple(case for split in splits for case in split.test),
    )
    refuse_shared_names((*whole.train, *whole.validation, *whole.test))
    if not whole.validation:
        raise DatasetError("no case is held out for validation; give a data set with masks a share")
    return whole
