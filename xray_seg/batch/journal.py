"""The journal of a batch: one line per finished input, appended once its files are in place.

A killed process leaves at worst one torn line at the end. The next run drops it and segments that
input again. ``results.csv`` is written from the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

from .._util.json_types import check_fields, parse_object

#: Version of the records' form; raised when a field changes its meaning.
SCHEMA_VERSION = 1
#: Note on an input that failed, where an earlier run wrote masks for it. They are kept.
OUTDATED = "masks that an earlier run made of it are kept"
#: Status of inputs that have masks.
WITH_MASKS = ("ok", "doubtful")
#: Note on an input whose outputs are withheld now, where an earlier run wrote them.
WITHHELD = "outputs that an earlier run wrote with other options are still there"


@dataclass(frozen=True)
class Record:
    """What became of one input.

    Attributes:
        key: the input's name in the output folder.
        fingerprint: of the input, the model and the options that it was segmented with.
        row: its cells in results.csv by column; absent ones are empty.
        outputs: its files, relative to the output folder.
        hashes: SHA-256 of each file when it was written.
        earlier: SHA-256 by name of files that earlier runs wrote for it with other options, and
            that this run did not replace.
        sizes: bytes of each file when it was written.
        last_good: of an input that failed: its newest record with masks, as a dict without this
            field; the files are still there. None where it never had any.
    """

    key: str
    fingerprint: str
    row: dict[str, Any]
    outputs: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    last_good: dict[str, Any] | None = None

    @property
    def done(self) -> bool:
        """Whether it has masks, in place; they may be doubtful."""
        return self.row["status"] in WITH_MASKS

    @property
    def is_skipped(self) -> bool:
        """Whether it was left out because its file says that it is no chest radiograph."""
        return bool(self.row["status"] == "skipped")

    @property
    def files(self) -> list[str]:
        """All files in the output folder that belong to the input."""
        return [*self.outputs, *self.earlier]

    @property
    def owned(self) -> dict[str, str]:
        """SHA-256 by name of all files that belong to the input; empty where it is not known."""
        return {**dict.fromkeys(self.outputs, ""), **self.earlier, **self.hashes}

    @property
    def newest_good(self) -> Record | None:
        """This record, or the one before the input failed; None where it always failed."""
        if self.done or self.is_skipped:
            return self
        return None if self.last_good is None else Record(**self.last_good)

    def after(self, before: Record | None) -> Record:
        """This record with what is known of the files of an earlier record of the input.

        A failure keeps the earlier masks, and remembers what they were made from.
        """
        if before is None:
            return self
        earlier = {name: of for name, of in before.owned.items() if name not in self.outputs}
        good = None if self.done or self.is_skipped else before.newest_good
        last_good = None if good is None else asdict(replace(good, last_good=None))
        row = {**self.row, "notes": OUTDATED} if good and good.outputs else self.row
        if earlier and self.row["status"] in ("doubtful", "skipped"):
            notes = filter(None, (self.row.get("notes"), WITHHELD))
            row = {**self.row, "notes": "; ".join(notes)}
        return replace(self, row=row, earlier=earlier, last_good=last_good)

    def is_intact(self, out: Path) -> bool:
        """Whether its files are in the output folder, as large as they were written."""
        try:
            return all(
                (out / name).is_file()
                and (out / name).stat().st_size == self.sizes.get(name, (out / name).stat().st_size)
                for name in self.outputs
            )
        except OSError:
            return False

    def to_line(self) -> bytes:
        """The record as a line of the journal."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **vars(self)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """Parse a line of the journal, and check the types of what it holds.

        Raises:
            ValueError: it is damaged, tampered with, or of a later version.
        """
        try:
            facts = parse_object(line)
            version = facts.pop("schema_version", 0)
            if version > SCHEMA_VERSION:
                raise ValueError(f"schema {version} is later than {SCHEMA_VERSION}")
            if version == 0 and "flags" in facts["row"]:  # renamed in version 1
                facts["row"]["warnings"] = facts["row"].pop("flags")
            record = cls(**facts)
            _check_types(record)
            if record.last_good is not None:
                _check_types(Record(**record.last_good))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a record: {error!r}") from error
        return record


#: Types of a record's fields.
_TYPES = get_type_hints(Record)
_CELLS = (str, int, float, bool, type(None))


def _check_types(record: Record) -> None:
    """Raise ValueError for values of other types than a record has."""
    check_fields(vars(record), _TYPES)
    check_fields(record.row, {"input": str, "status": str})
    if not all(isinstance(value, _CELLS) for value in record.row.values()):
        raise ValueError("not a record: a cell of its row is no text or number")


class Journal:
    """The records of an output folder, newest last; memory holds only where each line begins.

    Attributes:
        path: the file.
        damaged: number of lines that are no records. Their inputs are segmented again.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        if read_only:
            self._file: BinaryIO = path.open("rb")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        self._offsets: dict[str, int] = {}
        self.damaged = 0
        self._file.seek(0)
        offset = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                if not read_only:
                    self._file.truncate(offset)
                break
            try:
                self._offsets[Record.from_line(line).key] = offset
            except ValueError:
                self.damaged += 1
            offset += len(line)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._offsets

    def get(self, key: str) -> Record | None:
        """The newest record of a key."""
        if key not in self._offsets:
            return None
        self._file.seek(self._offsets[key])
        return Record.from_line(self._file.readline())

    def __iter__(self) -> Iterator[Record]:
        """The newest record of each key, in the order of the keys' first records."""
        for key in list(self._offsets):
            record = self.get(key)
            if record is not None:
                yield record

    def __len__(self) -> int:
        return len(self._offsets)

    def sync(self) -> None:
        """Flush the journal to disk."""
        os.fsync(self._file.fileno())

    def append(self, record: Record) -> None:
        """Add a record; once this returns, a killed process does not lose it."""
        self._file.seek(0, os.SEEK_END)
        self._offsets[record.key] = self._file.tell()
        self._file.write(record.to_line())
        self._file.flush()
