"""The journal of a batch: one line per finished input, appended once its files are in place.

A killed process leaves at worst one torn line at the end. The next run drops it and segments that
input again. ``results.csv`` is written from the journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

#: Version of the records' form; raised when a field changes its meaning.
SCHEMA_VERSION = 1


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
    """

    key: str
    fingerprint: str
    row: dict[str, Any]
    outputs: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether its outputs are in place."""
        return self.row["status"] == "ok"

    @property
    def files(self) -> list[str]:
        """All files in the output folder that belong to the input."""
        return [*self.outputs, *self.earlier]

    def after(self, before: Record | None) -> Record:
        """This record with the files of an earlier record that it did not replace."""
        if before is None:
            return self
        known = {**dict.fromkeys(before.outputs, ""), **before.earlier, **before.hashes}
        return replace(
            self, earlier={name: of for name, of in known.items() if name not in self.outputs}
        )

    def to_line(self) -> bytes:
        """The record as a line of the journal."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """Parse a line of the journal.

        Raises:
            ValueError, KeyError, TypeError: it is damaged, or of a later version.
        """
        facts = json.loads(line)
        version = facts.pop("schema_version", 0)
        if version > SCHEMA_VERSION:
            raise ValueError(f"a record of version {version}; this program knows {SCHEMA_VERSION}")
        if version == 0 and "flags" in facts["row"]:  # renamed in version 1
            facts["row"]["warnings"] = facts["row"].pop("flags")
        return cls(**facts)


class Journal:
    """The records of an output folder, newest last; memory holds only where each line begins."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        if read_only:
            self._file: BinaryIO = path.open("rb")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        self._offsets: dict[str, int] = {}
        self._file.seek(0)
        offset = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                if not read_only:
                    self._file.truncate(offset)
                break
            # An input with a damaged record is segmented again.
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                self._offsets[Record.from_line(line).key] = offset
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

    def append(self, record: Record) -> None:
        """Add a record; once this returns, a killed process does not lose it."""
        self._file.seek(0, os.SEEK_END)
        self._offsets[record.key] = self._file.tell()
        self._file.write(record.to_line())
        self._file.flush()
