"""report.html: one self-contained page to review a batch, worst radiographs first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import Any

from ..._util.files import atomic_path
from ...labels import ORGANS
from ...readers.dicom_header import ID_COLUMNS
from .fragment import fragment_path as fragment_path
from .fragment import save_fragment as save_fragment
from .histogram import Distributions

#: Radiographs on the page at most, the worst ones; each takes about 13 KB.
MOST = 5000
#: Radiographs in one piece of data: the page reads the pieces one after the other.
_PIECE = 100
#: Columns that the page shows elsewhere or leaves out.
_ASIDE = (
    *("input", "status", "error", "notes", "warnings", "labels", "not_measured"),
    *ID_COLUMNS,  # the page may be mailed
)
#: Separates warnings and notes, as results.csv has them.
_BETWEEN = "; "

_TITLE = "Chest radiographs and their masks"

Rows = Iterable[tuple[str, dict[str, Any]]]


def write_report(path: Path, rows: Callable[[], Rows], hidden: Path) -> None:
    """Write the page of a run, whole or not at all; memory holds a piece of it.

    Args:
        path: of the page.
        rows: called twice; gives each input's key and row, as results.csv has them.
        hidden: the folder in which ``save_fragment`` put pictures.

    Raises:
        OSError: it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xray_seg.batch", "report"), autoescape=True, trim_blocks=True
    )
    badness: list[float] = []
    counts: Counter[str] = Counter()
    doubts: Counter[str] = Counter()
    distributions = Distributions()
    for _, row in rows():
        badness.append(_badness(row))
        counts[row["status"]] += 1
        doubts.update(remarks_of(row))
        distributions.add(row)
    chosen = set(nsmallest(MOST, range(len(badness)), key=badness.__getitem__))
    page = environment.get_template("page.html.j2").stream(
        title=_TITLE,
        total=len(badness),
        counts=counts,
        doubts=doubts.most_common(),
        organs=ORGANS,
        histograms=distributions.histograms(),
        left_out=len(badness) - len(chosen),
        pieces=_pieces(rows(), chosen, hidden),
    )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        page.dump(file, encoding="utf-8")


def remarks_of(row: dict[str, Any]) -> list[str]:
    """Warnings and notes of a row, one by one."""
    cells = (row.get("warnings") or "", row.get("notes") or "")
    return [word for cell in cells for word in cell.split(_BETWEEN) if word]


def _badness(row: dict[str, Any]) -> float:
    """Failures first, then by predicted Dice."""
    quality = row.get("quality")
    return -1.0 if row["status"] != "ok" else 1.0 if quality is None else float(quality)


def _pieces(rows: Rows, chosen: set[int], hidden: Path) -> Iterator[Any]:
    """JSON texts of the chosen rows, some at a time, safe within a script element."""
    from markupsafe import Markup

    piece: list[dict[str, Any]] = []
    for place, (key, row) in enumerate(rows):
        if place in chosen:
            piece.append(_entry(place, key, row, hidden))
        if len(piece) == _PIECE:
            yield Markup(_script_safe(piece))  # noqa: S704 - escaped by _script_safe
            piece = []
    if piece:
        yield Markup(_script_safe(piece))  # noqa: S704


def _entry(place: int, key: str, row: dict[str, Any], hidden: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "place": place,
        "name": row["input"].encode("utf-8", "backslashreplace").decode(),
        "status": row["status"],
        "error": row.get("error", "").encode("utf-8", "backslashreplace").decode(),
        "doubts": remarks_of(row),
        "bad": _badness(row),
        "cells": {
            name: value
            for name, value in row.items()
            if name not in _ASIDE and value not in (None, "")
        },
    }
    if row["status"] == "ok":
        with suppress(OSError, ValueError):  # an earlier run has not written one
            entry["picture"] = json.loads(fragment_path(hidden, key).read_text("utf-8"))
    return entry


def _script_safe(value: Any) -> str:
    """JSON in which nothing can end a script element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
