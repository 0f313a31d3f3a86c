"""Clinical tables of the JSRT database: data on the patient and the nodule of each radiograph.

Shiraishi et al., AJR 174:71-74, 2000. The database has two text files: ``CLNDAT`` for radiographs
with a nodule, ``CNNDAT`` for those without. Rows end in carriage returns. Columns of the nodule
table are separated by tabs; an additional tab splits the location after 7 characters and the
diagnosis after 12, often inside a word. tensorflow-text normalises the text (NFKC, which maps
full-width letters to ASCII, and case folding) and splits it into words; a lexicon then decides
whether the two parts are joined with or without a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .._util.tensorflow import tensorflow_text
from ..errors import DatasetError

Value = TypeVar("Value")
Words = dict[str, list[str]]

#: Words of the tables, to tell a split inside a word from one between two words.
_LEXICON = (
    "l r left right upper middle lower lobe lung hilum mediastinum apex lingula "
    "cancer adenocarcinoma carcinoma bronchioloalveolar squamous cell small large "
    "adenosquamous metastasis metastatic of or and colon ovarian uterine renal breast gastric "
    "thyroid tuberculoma tuberculosis granuloma hamartoma hematoma hemangioma sclerosing "
    "inflammatory mass pulmonary abscess pneumonia organizing calcified susp suspected "
    "cryptococcosis unknown nodule tumor fibrosis fungal benign malignant aspergilloma "
    "lymphoma carcinoid silicosis sarcoidosis"
)
_WORDS = frozenset(_LEXICON.split())
_SEXES = {"male": "male", "female": "female", "男": "male", "男性": "male"} | {
    "女": "female",
    "女性": "female",
}
_MALIGNANT = {"malignant": True, "benign": False, "悪性": True, "良性": False}
_SIDES = {"l": "left", "left": "left", "左": "left", "r": "right", "right": "right", "右": "right"}
_LOBES = {"upper": "upper", "middle": "middle", "lower": "lower"} | {
    "上": "upper",
    "中": "middle",
    "下": "lower",
}
#: Fields that state no value.
_UNKNOWN = frozenset({"", "?", "-"})
_NAME = re.compile(r"(jpc[ln]n\d{3})(?:\.img)?")
#: Columns of the nodule table before location and diagnosis, which take two columns each.
_NODULE_COLUMNS = 8


@dataclass(frozen=True)
class Patient:
    """A row of the clinical tables; None where the row does not state a value.

    Attributes:
        name: name of the radiograph, such as ``JPCLN001``.
        age: in years.
        sex: ``male`` or ``female``.
        nodule: whether the radiograph shows a nodule. The remaining attributes describe it, and
            are None without one.
        subtlety: 1 (extremely subtle) to 5 (obvious).
        size: diameter in mm.
        centre: (x, y) of its centre in pixels of the 2048 x 2048 radiograph.
        malignant: True if malignant, False if benign.
        side: ``left`` or ``right``, the patient's.
        lobe: ``upper``, ``middle`` or ``lower``.
        location, diagnosis: text in lower case, with its two parts joined.
    """

    name: str
    age: int | None
    sex: str | None
    nodule: bool
    subtlety: int | None = None
    size: float | None = None
    centre: tuple[float, float] | None = None
    malignant: bool | None = None
    side: str | None = None
    lobe: str | None = None
    location: str | None = None
    diagnosis: str | None = None


def read_clinical(folder: str | Path) -> dict[str, Patient]:
    """Read the clinical tables in a folder.

    Args:
        folder: holds files whose names begin with ``CLNDAT`` or ``CNNDAT``, in UTF-8 or Shift-JIS.

    Returns:
        Patients by radiograph name.

    Raises:
        DatasetError: the folder has no such file, or a row cannot be parsed.
    """
    folder = Path(folder)
    files = [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.is_file() and path.name.upper().startswith(("CLNDAT", "CNNDAT"))
    ]
    if not files:
        raise DatasetError(
            f"{folder}: no clinical table in this folder; CLNDAT*.txt or CNNDAT*.txt expected"
        )
    patients: dict[str, Patient] = {}
    for path in files:
        for patient in _read_table(path):
            patients[patient.name] = patient
    return patients


def _read_table(path: Path) -> list[Patient]:
    """The patients of one table."""
    rows = [row for row in re.split(r"[\r\n]+", _decode(path)) if row.strip(" \t\x1a\ufeff")]
    normalised = [[field.strip(" ") for field in row.split("\t")] for row in _normalise(rows)]
    words = _split_words({field for fields in normalised for field in fields[_NODULE_COLUMNS:]})
    patients = []
    for number, (row, fields) in enumerate(zip(rows, normalised, strict=True), 1):
        try:
            patients.append(_parse(fields, words))
        except ValueError as error:
            raise DatasetError(
                f"{path}: row {number} cannot be parsed ({error}): {row!r}"
            ) from error
    return patients


def _decode(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DatasetError(f"{path}: is neither UTF-8 nor Shift-JIS; save it as UTF-8")


def _normalise(rows: Sequence[str]) -> list[str]:
    """Apply Unicode normalisation (NFKC) and case folding; tabs are kept."""
    text = tensorflow_text()
    folded = text.case_fold_utf8(text.normalize_utf8(list(rows), "NFKC"))
    return [row.decode("utf-8") for row in folded.numpy()]


def _parse(fields: list[str], words: Words) -> Patient:
    """Parse a row of either table; raise ValueError with the reason if it cannot be parsed."""
    name = _NAME.match(fields[0])
    if not name:
        raise ValueError("it does not begin with the name of a radiograph")
    if name[1][3] == "l":
        return _parse_nodule(name[1].upper(), fields, words)
    parts = " ".join(fields).split()
    if len(parts) < 4:
        raise ValueError("fewer than 4 columns")
    return Patient(name[1].upper(), _number(parts[1]), _one_of(_SEXES, parts[2]), nodule=False)


def _parse_nodule(name: str, fields: list[str], words: Words) -> Patient:
    if len(fields) < _NODULE_COLUMNS + 2:
        raise ValueError(f"{len(fields)} columns, expected at least {_NODULE_COLUMNS + 2}")
    subtlety, size, age = (_number(field) for field in fields[1:4])
    x, y = (_number(field) for field in fields[5:7])
    location, location_words = _join_parts(fields[8:10], words)
    diagnosis, _ = _join_parts(fields[10:], words)
    return Patient(
        name,
        age,
        _one_of(_SEXES, fields[4]),
        nodule=True,
        subtlety=subtlety,
        size=size,
        centre=None if x is None or y is None else (x, y),
        malignant=_one_of(_MALIGNANT, fields[7]),
        side=_first_of(_SIDES, location_words),
        lobe=_first_of(_LOBES, location_words),
        location=location or None,
        diagnosis=diagnosis or None,
    )


def _join_parts(parts: Sequence[str], words: Words) -> tuple[str, list[str]]:
    """Join the parts of a field that a tab splits.

    A blank goes between them where both adjacent words are in the lexicon, none where they make
    up a word of the lexicon together.

    Returns:
        The text, and its words.
    """
    text, joined = "", list[str]()
    for part in filter(None, parts):
        after = words[part]
        if joined and joined[-1] + after[0] in _WORDS:
            text, joined = text + part, [*joined[:-1], joined[-1] + after[0], *after[1:]]
        else:
            blank = " " if joined and joined[-1] in _WORDS and after[0] in _WORDS else ""
            text, joined = text + blank + part, [*joined, *after]
    return text, joined


def _split_words(phrases: Iterable[str]) -> Words:
    """Words of each phrase, split at blanks, punctuation and changes of script."""
    wanted = [phrase for phrase in phrases if phrase]
    if not wanted:
        return {}
    tokens = tensorflow_text().UnicodeScriptTokenizer().tokenize(wanted).to_list()
    words = ([token.decode("utf-8") for token in row] for row in tokens)
    return dict(zip(wanted, words, strict=True))


def _number(field: str) -> int | None:
    """Parse an integer; None for an empty or unknown value."""
    return None if field in _UNKNOWN else int(field)


def _one_of(known: dict[str, Value], word: str) -> Value | None:
    """Translate a word by a table; None for an empty or unknown value."""
    if word in _UNKNOWN:
        return None
    if word not in known:
        raise ValueError(f"{word!r} is not one of {', '.join(known)}")
    return known[word]


def _first_of(known: dict[str, str], words: Sequence[str]) -> str | None:
    """Translate the first word that a table knows; Japanese words also character by character."""
    parts = (part for word in words for part in ([word] if word.isascii() else [word, *word]))
    return next((known[part] for part in parts if part in known), None)
