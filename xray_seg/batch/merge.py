"""Merge the shards of one batch into what a single run would have written."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise, zip_longest
from pathlib import Path
from typing import Any

from .._util.csv_cells import csv_cell
from .._util.files import atomic_path, file_sha256, sync_filesystem
from .._util.folder_lock import HIDDEN
from .._util.json_types import check_fields
from .._util.paths import resolve_inside
from ..errors import OutputError
from .journal import Journal
from .options import COUNTS, BatchOptions, Shard, output_settings
from .output_folder import journal_path, open_output_folder, refuse_foreign_folder
from .report.fragment import fragment_path
from .results.run_outputs import Entry, write_run_outputs
from .run_record import RunRecord, notes_on

_RUN_FILE = re.compile(r"run-(\d+)-of-(\d+)\.json")
#: Settings that the record of a shard must have.
_NEEDED = dict.fromkeys(("save", "sides", "output_format", "keep_ids", "report"), Any)

Cells = list[str]


@dataclass(frozen=True)
class MergeResult:
    """The outcome of a merge.

    Attributes:
        count: N of the shards I/N.
        missing: numbers I of the shards that are missing, or were stopped before their end.
        rows: inputs in the merged results.csv.
        failed: inputs without masks.
        notes: of the merged run.json.
    """

    count: int
    missing: tuple[int, ...]
    rows: int
    failed: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _FinishedShard:
    """A shard of a batch, its folder, its record and the cells of its results.csv."""

    folder: Path
    shard: Shard
    record: RunRecord
    header: Cells
    rows: list[Cells]

    @property
    def run_file(self) -> str:
        return f"run{self.shard.suffix}.json"


def merge(folders: Sequence[Path], out: Path, *, adopt: bool = False) -> MergeResult:
    """Merge the shards in one or several output folders into one.

    ``out`` gets what a run without shards writes: results.csv in its order, the review page and
    other run-level outputs, run.json, a journal that later runs continue, and the masks, where
    they are not there already. Missing shards are named in the result and in run.json; the others
    are merged all the same.

    Args:
        folders: output folders of ``xrayseg batch --shard I/N``.
        out: may be one of them; made if it does not exist.
        adopt: replace files in ``out`` that no run has written.

    Raises:
        OutputError: there are no shards; they are not of one batch (another number of shards,
            other inputs, weights or settings) or one is there twice; a file cannot be written.
    """
    shards = _find(folders)
    _check_one_batch(shards)
    count = shards[0].shard.count
    found = {each.shard.index: each for each in shards}
    missing = tuple(
        index
        for index in range(1, count + 1)
        if index not in found or found[index].record.interrupted
    )
    rows = _interleave([found[i].rows if i in found else [] for i in range(1, count + 1)])
    _check_inputs(shards, count, rows)
    options = replace(_options(shards), adopt=adopt)
    try:
        refuse_foreign_folder(out, "", options)
        with open_output_folder(out) as journal:
            for each in shards:
                _copy_shard(each, out, journal, adopt)
            keys = {csv_cell(record.row["input"]): record.key for record in journal}
            entries = partial(_entries, shards[0].header, rows, keys, journal)
            written, _ = write_run_outputs(out, "", entries, journal, options)
            hashes = {path.name: file_sha256(path) for path in written}
            merged = _merged_record(shards, count, missing, hashes)
            merged.write(out / "run.json")
            sync_filesystem(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    status = shards[0].header.index("status")
    failed = sum(row[status] == "failed" for row in rows)
    return MergeResult(count, missing, len(rows), failed, merged.notes)


def _find(folders: Sequence[Path]) -> list[_FinishedShard]:
    shards: list[_FinishedShard] = []
    for folder in dict.fromkeys(each.resolve() for each in folders):
        for path in sorted(folder.glob("run-*-of-*.json")):
            match = _RUN_FILE.fullmatch(path.name)
            if match:
                shards.append(_load(folder, int(match[1]), int(match[2]), path))
    if not shards:
        named = ", ".join(map(str, folders))
        raise OutputError(f"{named}: no shards (run-I-of-N.json); run xrayseg batch --shard I/N")
    return sorted(shards, key=lambda each: each.shard.index)


def _load(folder: Path, index: int, count: int, path: Path) -> _FinishedShard:
    try:
        shard = Shard(index, count)
        record = RunRecord.read(path)
        results = folder / f"results{shard.suffix}.csv"
        with results.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            header, *rows = csv.reader(file)
        header.index("input"), header.index("status")
        if any(len(row) != len(header) for row in rows):
            raise ValueError(f"{results.name} has rows of other lengths than its header")
        check_fields(record.settings, _NEEDED)
    except (OSError, ValueError, csv.Error) as error:
        raise OutputError(f"{path}: cannot be merged ({error}); run its shard again") from error
    return _FinishedShard(folder, shard, record, header, rows)


def _check_one_batch(shards: list[_FinishedShard]) -> None:
    """Refuse shards of several batches, naming what differs."""
    first = shards[0]
    for before, each in pairwise(shards):
        if each.shard.count != first.shard.count:
            raise OutputError(
                f"{each.folder / each.run_file} and {first.folder / first.run_file}: parts of "
                "different numbers of shards; remove those of the one that is not wanted"
            )
        if each.shard.index == before.shard.index:
            raise OutputError(
                f"{each.run_file} is in {before.folder} and {each.folder}; leave one out"
            )
        if each.header != first.header or _made_with(each.record) != _made_with(first.record):
            raise OutputError(
                f"{each.folder / each.run_file}: made with other weights, settings or version than "
                f"shard {first.shard.index}; run one of them again as the other"
            )


def _made_with(record: RunRecord) -> tuple[Any, ...]:
    """What must be the same in all shards of a batch."""
    engine = record.engine["name"], record.engine["precision"], _is_deterministic(record)
    return record.weights, engine, output_settings(record.settings), record.output_revision


def _is_deterministic(record: RunRecord) -> bool:
    return bool(record.engine.get("deterministic", False))


def _interleave(parts: list[list[Cells]]) -> list[Cells]:
    """Rows as before sharding: the I-th shard has every N-th input from the I-th."""
    turns = chain.from_iterable(zip_longest(*parts))
    return [row for row in turns if row is not None]


def _check_inputs(shards: list[_FinishedShard], count: int, rows: list[Cells]) -> None:
    """Refuse shards of different lists of inputs: together they hold each input once."""
    # Bounds on the length of the list by each shard: at least the place of its last row, less
    # than the place of its next one.
    least = max((len(s.rows) - 1) * count + s.shard.index for s in shards)
    most = min(len(s.rows) * count + s.shard.index for s in shards)
    place = shards[0].header.index("input")
    times = Counter(row[place] for row in rows)
    doubled = next((name for name, number in times.items() if number > 1), None)
    if least >= most or doubled:
        what = f"{doubled} is in two of them" if doubled else "they differ in length"
        raise OutputError(
            f"{shards[0].folder}: the shards were run over different lists of inputs ({what}); "
            "run all of them again, which keeps what is done"
        )


def _copy_shard(shard: _FinishedShard, out: Path, journal: Journal, adopt: bool) -> None:
    """Copy a shard's masks, pictures of the review page and records that ``out`` lacks."""
    place = shard.header.index("input")
    wanted = {row[place] for row in shard.rows}
    copied: set[str] = set()
    with Journal(journal_path(shard.folder, shard.shard.suffix)) as records:
        for record in records:
            if csv_cell(record.row["input"]) not in wanted:
                continue  # of an earlier run over other inputs
            if shard.folder != out.resolve():
                for name in set(record.outputs) - copied:
                    owned = before.owned if (before := journal.get(record.key)) else {}
                    _copy_output(name, record.hashes.get(name, ""), owned, shard, out, adopt)
                    copied.add(name)  # a Parquet part holds the outputs of many inputs
                source, target = (
                    fragment_path(each / HIDDEN, record.key) for each in (shard.folder, out)
                )
                if record.done and source.is_file():
                    _copy(source, target)
                # Files of earlier runs with other options stay in the shard's folder.
                record = replace(record, earlier={}, last_good=None)  # noqa: PLW2901
            if journal.get(record.key) != record:
                journal.append(record)


def _copy_output(
    name: str, sha256: str, owned: dict[str, str], shard: _FinishedShard, out: Path, adopt: bool
) -> None:
    """Copy one output, unless it was altered, or a file that no run has written is in the way."""
    source, target = resolve_inside(shard.folder, name), resolve_inside(out, name)
    again = f"run --shard {shard.shard.index}/{shard.shard.count} again"
    if not source.is_file():
        raise OutputError(f"{source}: is missing; {again}")
    if sha256 and file_sha256(source) != sha256:
        raise OutputError(f"{source}: was changed since it was written; {again} with --overwrite")
    if target.is_file() and not adopt and file_sha256(target) not in (sha256, owned.get(name)):
        raise OutputError(
            f"{target}: was not written by the shards' runs; move it away, or give --adopt"
        )
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target, durable=False) as temporary:
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


def _options(shards: list[_FinishedShard]) -> BatchOptions:
    """The options of the run-level outputs: what any of the shards was asked for."""
    settings = [each.record.settings for each in shards]
    limits = [each.get("min_quality") for each in settings]
    return BatchOptions(
        save=tuple(settings[0]["save"]),
        sides=settings[0]["sides"],
        output_format=settings[0]["output_format"],
        keep_ids=settings[0]["keep_ids"],
        report=any(each["report"] for each in settings),
        parquet=any(each.get("parquet", False) for each in settings),
        min_quality=next((limit for limit in limits if limit is not None), None),
    )


def _merged_record(
    shards: list[_FinishedShard], count: int, missing: tuple[int, ...], files: dict[str, str]
) -> RunRecord:
    """run.json of the whole: times and counts are sums over the shards."""
    records = [each.record for each in shards]
    first = records[0]
    devices = ", ".join(sorted({record.engine["device"] for record in records}))
    builds = ", ".join(sorted({record.engine.get("build", "") for record in records} - {""}))
    processors = sorted({each for record in records for each in record.processors})
    notes = notes_on(processors, devices, deterministic=_is_deterministic(first))
    return replace(
        first,
        started=min(record.started for record in records),
        finished=max(record.finished for record in records),
        engine={**first.engine, "device": devices, "build": builds},
        counts={
            key: sum(record.counts.get(key, 0) for record in records) for key in ("inputs", *COUNTS)
        },
        interrupted=bool(missing),
        seconds=round(sum(record.seconds for record in records), 3),
        engine_seconds=round(sum(record.engine_seconds for record in records), 3),
        files=files,
        processors=tuple(processors),
        notes=notes,
        doubtful=sum(record.doubtful for record in records),
        shown=dict(sum((Counter(record.shown) for record in records), Counter())),
        shards={"count": count, "missing": list(missing)},
    )
