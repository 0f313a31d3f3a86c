"""JSRT's clinical tables: what is known of each film's patient and nodule.

Shiraishi et al., AJR 174:71-74, 2000. The database comes with two texts, ``CLNDAT`` for films with
a nodule and ``CNNDAT`` for those without. Rows end in carriage returns. The nodule table's columns
are parted by tabs, and its location and diagnosis are cut by one more after 7 and 12 characters,
often inside a word. tensorflow-text normalises the text (NFKC, so that full-width letters read as
plain ones; case folding) and splits it into words, by which the cuts are mended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .._util.tensorflow import tensorflow_text
from ..errors import DatasetError

Value = TypeVar("Value")
Words = dict[str, list[str]]

#: Words that the tables use, to tell a cut inside a word from one between words.
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
_NAME = re.compile(r"(jpc[ln]n\d{3})(?:\.img)?")
_NODULE_COLUMNS = 8  # before the location's and the diagnosis' two pieces each


@dataclass(frozen=True)
class Patient:
    """A row of the tables; what it does not state is None.

    Attributes:
        name: the film's, such as ``JPCLN001``.
        age: in years.
        sex: ``male`` or ``female``.
        nodule: whether the film shows one; what follows is None where it does not.
        subtlety: 1 (extremely subtle) to 5 (obvious).
        size: of the nodule, in mm.
        place: (x, y) of its centre in pixels of the 2048 x 2048 film.
        malignant: or benign.
        side: of the patient, ``left`` or ``right``.
        lobe: ``upper``, ``middle`` or ``lower``.
        location, diagnosis: their text, mended and in lower case.
    """

    name: str
    age: int | None
    sex: str | None
    nodule: bool
    subtlety: int | None = None
    size: float | None = None
    place: tuple[float, float] | None = None
    malignant: bool | None = None
    side: str | None = None
    lobe: str | None = None
    location: str | None = None
    diagnosis: str | None = None


def read_clinical(folder: str | Path) -> dict[str, Patient]:
    """All rows of the clinical tables in a folder, by film name.

    Files whose names begin with ``CLNDAT`` or ``CNNDAT`` are read, in UTF-8 or Shift-JIS.

    Raises:
        DatasetError: there are none, or a row cannot be understood; it is named.
    """
    folder = Path(folder)
    files = [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.is_file() and path.name.upper().startswith(("CLNDAT", "CNNDAT"))
    ]
    if not files:
        raise DatasetError(f"{folder}: no clinical table here; CLNDAT*.txt or CNNDAT*.txt expected")
    patients: dict[str, Patient] = {}
    for path in files:
        rows = [row for row in re.split(r"[\r\n]+", _decode(path)) if row.strip(" \t\x1a\ufeff")]
        plain = [[field.strip(" ") for field in row.split("\t")] for row in _normalise(rows)]
        words = _split_words({field for fields in plain for field in fields[_NODULE_COLUMNS:]})
        for number, (row, fields) in enumerate(zip(rows, plain, strict=True), 1):
            try:
                patient = _parse(fields, words)
            except ValueError as error:
                raise DatasetError(
                    f"{path}: row {number} cannot be read ({error}): {row!r}"
                ) from error
            patients[patient.name] = patient
    return patients


#: What scores are broken down by: the factor, and the group that a patient is in, if known.
FACTORS: dict[str, Callable[[Patient], str | None]] = {
    "nodule": lambda patient: "with" if patient.nodule else "without",
    "subtlety": lambda patient: None if patient.subtlety is None else str(patient.subtlety),
    "sex": lambda patient: patient.sex,
    "age": lambda patient: None if patient.age is None else _age_group(patient.age),
    "side": lambda patient: patient.side,
    "lobe": lambda patient: patient.lobe,
    "malignancy": lambda patient: (
        None if patient.malignant is None else "malignant" if patient.malignant else "benign"
    ),
}


def strata(
    names: Iterable[str], patients: dict[str, Patient]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Names of films by factor and group; films that no table knows are left out.

    Capitals in names make no difference.
    """
    known = {name: patients[name.upper()] for name in names if name.upper() in patients}
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for factor, group_of in FACTORS.items():
        found = {name: group_of(patient) for name, patient in known.items()}
        groups[factor] = {
            group: tuple(name for name in found if found[name] == group)
            for group in sorted({group for group in found.values() if group is not None})
        }
    return groups


def _age_group(age: int) -> str:
    return "under 50" if age < 50 else "50 to 69" if age < 70 else "70 and over"


def _decode(path: Path) -> str:
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DatasetError(f"{path}: is neither UTF-8 nor Shift-JIS; save it as UTF-8")


def _normalise(rows: Sequence[str]) -> list[str]:
    """NFKC and case folding; tabs stay."""
    text = tensorflow_text()
    plain = text.case_fold_utf8(text.normalize_utf8(list(rows), "NFKC"))
    return [row.decode("utf-8") for row in plain.numpy()]


def _parse(fields: list[str], words: Words) -> Patient:
    name = _NAME.match(fields[0])
    if not name:
        raise ValueError("it does not begin with a film's name")
    if name[1][3] == "l":
        return _parse_nodule(name[1].upper(), fields, words)
    parts = " ".join(fields).split()
    if len(parts) < 4:
        raise ValueError("fewer than 4 columns")
    return Patient(name[1].upper(), _number(parts[1]), _one_of(_SEXES, parts[2]), nodule=False)


def _parse_nodule(name: str, fields: list[str], words: Words) -> Patient:
    if len(fields) < _NODULE_COLUMNS + 2:
        raise ValueError(f"{len(fields)} columns")
    subtlety, size, age = (_number(field) for field in fields[1:4])
    x, y = (_number(field) for field in fields[5:7])
    location, location_words = _mend(fields[8:10], words)
    diagnosis, _ = _mend(fields[10:], words)
    return Patient(
        name,
        age,
        _one_of(_SEXES, fields[4]),
        nodule=True,
        subtlety=subtlety,
        size=size,
        place=None if x is None or y is None else (x, y),
        malignant=_one_of(_MALIGNANT, fields[7]),
        side=_first_of(_SIDES, location_words),
        lobe=_first_of(_LOBES, location_words),
        location=location or None,
        diagnosis=diagnosis or None,
    )


def _mend(pieces: Sequence[str], words: Words) -> tuple[str, list[str]]:
    """Join pieces, with a blank where the cut went between two words: their text and its words."""
    text, found = "", list[str]()
    for piece in filter(None, pieces):
        after = words[piece]
        if found and found[-1] + after[0] in _WORDS:
            text, found = text + piece, [*found[:-1], found[-1] + after[0], *after[1:]]
        else:
            blank = " " if found and found[-1] in _WORDS and after[0] in _WORDS else ""
            text, found = text + blank + piece, [*found, *after]
    return text, found


def _split_words(phrases: Iterable[str]) -> Words:
    """The words and marks of each phrase; scripts and punctuation part them as blanks do."""
    wanted = [phrase for phrase in phrases if phrase]
    if not wanted:
        return {}
    tokens = tensorflow_text().UnicodeScriptTokenizer().tokenize(wanted).to_list()
    found = ([token.decode("utf-8") for token in row] for row in tokens)
    return dict(zip(wanted, found, strict=True))


def _number(field: str) -> int | None:
    """A whole number, or None for ``?`` and for nothing."""
    return None if field in {"", "?", "-"} else int(field)


def _one_of(known: dict[str, Value], word: str) -> Value | None:
    if word in {"", "?", "-"}:
        return None
    if word not in known:
        raise ValueError(f"{word!r} is none of {', '.join(known)}")
    return known[word]


def _first_of(known: dict[str, str], words: Sequence[str]) -> str | None:
    """What the first word means that means something; of Japanese words, each sign may."""
    signs = (part for word in words for part in ([word] if word.isascii() else [word, *word]))
    return next((known[sign] for sign in signs if sign in known), None)
