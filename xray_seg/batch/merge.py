"""Shards of one batch, brought together into what a single run would have left."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise, zip_longest
from pathlib import Path
from typing import Any

from .._util.files import atomic_path, file_sha256, write_text
from .._util.folder_lock import HIDDEN, lock_output_folder
from ..errors import OutputError
from ..outputs import FOLDERS
from .journal import Journal, result_cell
from .report.fragment import fragment_path
from .results.run_outputs import Entry, Tables, write_tables

_RUN_FILE = re.compile(r"run-(\d+)-of-(\d+)\.json")
#: Settings that decide how fast a shard was done, not what it gave.
_PACE = ("overwrite", "batch_size", "workers")

Cells = list[str]


@dataclass(frozen=True)
class Merged:
    """What a merge came to.

    Attributes:
        count: N of the shards I/N.
        missing: numbers I of the shards that are not there, or were stopped before their end.
        rows: inputs in the merged results.csv.
        failed: of them, those without masks.
    """

    count: int
    missing: tuple[int, ...]
    rows: int
    failed: int


@dataclass(frozen=True)
class _Shard:
    """One finished part of a batch and where it lies."""

    folder: Path
    index: int
    mark: str
    facts: dict[str, Any]
    header: Cells
    rows: list[Cells]


def merge(folders: Sequence[Path], out: Path) -> Merged:
    """Merge the shards in one or several output folders into one.

    ``out`` gets what a run without shards leaves: results.csv in its order, the review page and
    what else the shards were asked for, run.json, a journal that later runs go on from, and the
    masks, where they are not there already. Shards that are missing are named in the answer and
    in run.json; what is there is merged all the same.

    Args:
        folders: output folders of ``xrayseg batch --shard I/N``.
        out: may be one of them; made if it is not there.

    Raises:
        OutputError: there are no shards; they are not of one batch (another number of shards,
            other inputs, weights or settings) or one is there twice; a file cannot be written.
    """
    shards = _find(folders)
    _check_one_batch(shards)
    count = int(shards[0].mark.rpartition("-")[2])
    found = {shard.index: shard for shard in shards}
    missing = tuple(
        index
        for index in range(1, count + 1)
        if index not in found or found[index].facts["interrupted"]
    )
    rows = _in_order([found[index].rows if index in found else [] for index in range(1, count + 1)])
    _check_inputs(shards, count, rows)
    try:
        with (
            lock_output_folder(out, "", FOLDERS),
            Journal(out / HIDDEN / "journal.jsonl") as journal,
        ):
            for shard in shards:
                _take_over(shard, out, journal)
            facts = _facts(shards, count, missing)
            keys = {result_cell(record.row["input"]): record.key for record in journal}
            entries = partial(_entries, shards[0].header, rows, keys, journal)
            made, _ = write_tables(out, "", entries, journal, _tables(facts))
            facts["files"] = {path.name: file_sha256(path) for path in made}
            write_text(out / "run.json", json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    status = shards[0].header.index("status")
    return Merged(count, missing, len(rows), sum(row[status] == "failed" for row in rows))


def _find(folders: Sequence[Path]) -> list[_Shard]:
    shards: list[_Shard] = []
    for folder in dict.fromkeys(each.resolve() for each in folders):
        for path in sorted(folder.glob("run-*-of-*.json")):
            match = _RUN_FILE.fullmatch(path.name)
            if match:
                shards.append(_load(folder, int(match[1]), path))
    if not shards:
        named = ", ".join(map(str, folders))
        raise OutputError(f"{named}: no shards (run-I-of-N.json); run xrayseg batch --shard I/N")
    return sorted(shards, key=lambda shard: shard.index)


def _load(folder: Path, index: int, path: Path) -> _Shard:
    mark = path.stem.removeprefix("run")
    results = folder / f"results{mark}.csv"
    try:
        facts = json.loads(path.read_text("utf-8"))
        with results.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            header, *rows = csv.reader(file)
        header.index("input"), header.index("status"), facts["counts"], facts["interrupted"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: cannot be merged ({error!r}); run its shard again") from error
    return _Shard(folder, index, mark, facts, header, rows)


def _check_one_batch(shards: list[_Shard]) -> None:
    """Refuse shards of several batches, naming what differs."""
    first = shards[0]
    for before, shard in pairwise(shards):
        name = f"run{shard.mark}.json"
        if shard.mark.rpartition("-")[2] != first.mark.rpartition("-")[2]:
            raise OutputError(
                f"{shard.folder / name} and {first.folder / f'run{first.mark}.json'}: parts of "
                "different numbers of shards; remove those of the one that is not wanted"
            )
        if shard.index == before.index:
            raise OutputError(f"{name} is in {before.folder} and {shard.folder}; leave one out")
        if shard.header != first.header or _made_with(shard.facts) != _made_with(first.facts):
            raise OutputError(
                f"{shard.folder / name}: made with other weights, settings or version than shard "
                f"{first.index}; run one of them again as the other"
            )


def _made_with(facts: dict[str, Any]) -> Any:
    engine = {key: value for key, value in facts["engine"].items() if key != "device"}
    settings = {key: value for key, value in facts["settings"].items() if key not in _PACE}
    return facts["weights"], engine, settings, facts["versions"]["xray-seg"]


def _in_order(parts: list[list[Cells]]) -> list[Cells]:
    """Rows as before sharding: the I-th shard has every N-th input from the I-th."""
    turns = chain.from_iterable(zip_longest(*parts))
    return [row for row in turns if row is not None]


def _check_inputs(shards: list[_Shard], count: int, rows: list[Cells]) -> None:
    """Refuse shards of different lists of inputs: each holds its share of them, none twice."""
    # The list's length by each shard: at least its last row's place, less than its next one's.
    least = max((len(s.rows) - 1) * count + s.index for s in shards)
    most = min(len(s.rows) * count + s.index for s in shards)
    place = shards[0].header.index("input")
    times = Counter(row[place] for row in rows)
    doubled = next((name for name, number in times.items() if number > 1), None)
    if least >= most or doubled:
        what = f"{doubled} is in two of them" if doubled else "they differ in length"
        raise OutputError(
            f"{shards[0].folder}: the shards were run over different lists of inputs ({what}); "
            "run all of them again, which keeps what is done"
        )


def _take_over(shard: _Shard, out: Path, journal: Journal) -> None:
    """Copy a shard's masks, parts of the review page and records that ``out`` has not."""
    place = shard.header.index("input")
    wanted = {row[place] for row in shard.rows}
    copied: set[str] = set()
    with Journal(shard.folder / HIDDEN / f"journal{shard.mark}.jsonl") as records:
        for record in records:
            if result_cell(record.row["input"]) not in wanted:
                continue  # of an earlier run over other inputs
            if shard.folder != out.resolve():
                for name in set(record.outputs) - copied:
                    _copy(shard.folder / name, out / name, shard)
                    copied.add(name)  # a part holds the outputs of many
                shown, here = (
                    fragment_path(each / HIDDEN, record.key) for each in (shard.folder, out)
                )
                if record.done and shown.is_file():
                    _copy(shown, here, shard)
            if journal.get(record.key) != record:
                journal.append(record)


def _copy(source: Path, target: Path, shard: _Shard) -> None:
    if not source.is_file():
        raise OutputError(f"{source}: is missing; run --shard{shard.mark.replace('-of-', '/')}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _entries(
    header: Cells, rows: list[Cells], keys: dict[str, str], journal: Journal
) -> Iterator[Entry]:
    """The inputs as the shards' results.csv name them, with their records; ``keys`` by name."""
    place = header.index("input")
    for cells in rows:
        key = keys.get(cells[place], "")
        record = journal.get(key)
        yield Entry(key, record.row if record else dict(zip(header, cells, strict=True)), record)


def _tables(facts: dict[str, Any]) -> Tables:
    """What a shard was asked for, by its run.json."""
    settings, asked = facts["settings"], facts.get("tables", {})
    return Tables(
        asked.get("parquet", False),
        asked.get("min_quality"),
        settings["report"],
        settings["keep_ids"],
        () if settings["output_format"] == "parquet" else settings["save"],
        settings["sides"],
    )


def _facts(shards: list[_Shard], count: int, missing: tuple[int, ...]) -> dict[str, Any]:
    """run.json of the whole: times and counts are sums over the shards."""
    all_facts = [shard.facts for shard in shards]
    first = all_facts[0]
    devices = sorted({facts["engine"]["device"] for facts in all_facts})
    return {
        **first,
        "started": min(facts["started"] for facts in all_facts),
        "finished": max(facts["finished"] for facts in all_facts),
        "engine": {**first["engine"], "device": ", ".join(devices)},
        "counts": {
            key: sum(facts["counts"][key] for facts in all_facts) for key in first["counts"]
        },
        "interrupted": bool(missing),
        "seconds": round(sum(facts["seconds"] for facts in all_facts), 3),
        "engine_seconds": round(sum(facts["engine_seconds"] for facts in all_facts), 3),
        "shards": {"count": count, "missing": list(missing)},
    }
