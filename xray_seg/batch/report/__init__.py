"""report.html: one self-contained page to review a batch, lowest predicted quality first."""

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
from ..journal import WITH_MASKS
from .fragment import fragment_path as fragment_path
from .fragment import save_fragment as save_fragment
from .histogram import Distributions

#: Largest number of radiographs on the page; each takes about 13 KB.
MAX_RADIOGRAPHS = 5000
#: Radiographs per script element with data. The page is written element by element.
_CHUNK_SIZE = 100
#: Columns that are not in the page's table of values.
_OMITTED_COLUMNS = (
    *("input", "status", "error", "notes", "warnings", "labels", "not_measured"),
    *ID_COLUMNS,  # identify the patient, and pages are passed on
)
#: Separates warnings, and notes, in a cell of results.csv.
_SEPARATOR = "; "

_TITLE = "Chest radiographs and their masks"

Rows = Iterable[tuple[str, dict[str, Any]]]


def write_report(path: Path, rows: Callable[[], Rows], hidden: Path) -> None:
    """Write the review page of a run, completely or not at all.

    The page is streamed to the file, so that memory holds the pictures of one chunk at a time.

    Args:
        path: of the page.
        rows: called twice; returns each input's key and its row of results.csv.
        hidden: the hidden folder of the run, for which ``fragment_path`` names the fragments.

    Raises:
        OSError: the page cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xray_seg.batch", "report"), autoescape=True, trim_blocks=True
    )
    ranks: list[float] = []
    counts: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    distributions = Distributions()
    for _, row in rows():
        ranks.append(_review_rank(row))
        counts[row["status"]] += 1
        warnings.update(warnings_and_notes(row))
        distributions.add(row)
    chosen = set(nsmallest(MAX_RADIOGRAPHS, range(len(ranks)), key=ranks.__getitem__))
    page = environment.get_template("page.html.j2").stream(
        title=_TITLE,
        total=len(ranks),
        counts=counts,
        warnings=warnings.most_common(),
        organs=ORGANS,
        histograms=distributions.histograms(),
        left_out=len(ranks) - len(chosen),
        chunks=_json_chunks(rows(), chosen, hidden),
    )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        page.dump(file, encoding="utf-8")


def warnings_and_notes(row: dict[str, Any]) -> list[str]:
    """List the warnings and the notes of a row of results.csv."""
    cells = (row.get("warnings") or "", row.get("notes") or "")
    return [text for cell in cells for text in cell.split(_SEPARATOR) if text]


def _review_rank(row: dict[str, Any]) -> float:
    """Sort key for the review, lowest first: failures, predicted Dice, no Dice, skipped inputs."""
    quality = row.get("quality")
    if row["status"] in WITH_MASKS:
        return 1.0 if quality is None else float(quality)
    return 2.0 if row["status"] == "skipped" else -1.0


def _json_chunks(rows: Rows, chosen: set[int], hidden: Path) -> Iterator[Any]:
    """Encode the chosen rows as JSON lists of ``_CHUNK_SIZE``, safe within a script element."""
    from markupsafe import Markup

    chunk: list[dict[str, Any]] = []
    for position, (key, row) in enumerate(rows):
        if position in chosen:
            chunk.append(_entry(position, key, row, hidden))
        if len(chunk) == _CHUNK_SIZE:
            yield Markup(_script_safe(chunk))  # noqa: S704 - escaped by _script_safe
            chunk = []
    if chunk:
        yield Markup(_script_safe(chunk))  # noqa: S704


def _entry(position: int, key: str, row: dict[str, Any], hidden: Path) -> dict[str, Any]:
    """Collect what the page shows of one input."""
    entry: dict[str, Any] = {
        "position": position,
        "name": row["input"].encode("utf-8", "backslashreplace").decode(),
        "status": row["status"],
        "error": row.get("error", "").encode("utf-8", "backslashreplace").decode(),
        "warnings": warnings_and_notes(row),
        "review_rank": _review_rank(row),
        "cells": {
            name: value
            for name, value in row.items()
            if name not in _OMITTED_COLUMNS and value not in (None, "")
        },
    }
    if row["status"] in WITH_MASKS:
        with suppress(OSError, ValueError):  # missing after an earlier run without a report
            entry["picture"] = json.loads(fragment_path(hidden, key).read_text("utf-8"))
    return entry


def _script_safe(value: Any) -> str:
    """Encode as JSON that can neither close a script element nor open an HTML comment."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
