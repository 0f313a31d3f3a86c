"""Write TIFFs tag by tag, so that a test can say anything in them."""

import struct
from pathlib import Path
from typing import Any

#: Type numbers of TIFF 6.0, section 2, with struct's letters.
SHORT, LONG, RATIONAL = 3, 4, 5
_LETTERS = {1: "B", 3: "H", 4: "I", 5: "II", 16: "Q"}


def tags(rows: int, columns: int, **others: Any) -> dict[int, Any]:
    """The tags of an 8-bit grey image in one strip, as code: (kind, values)."""
    found: dict[int, Any] = {
        256: (LONG, [columns]),
        257: (LONG, [rows]),
        258: (SHORT, [8]),
        259: (SHORT, [1]),
        262: (SHORT, [1]),
        273: (LONG, ["pixels"]),
        277: (SHORT, [1]),
        278: (LONG, [rows]),
        279: (LONG, [rows * columns]),
    }
    return found | {int(code[1:]): value for code, value in others.items()}


def write(path: Path, entries: dict[int, Any], pixels: bytes = b"") -> Path:
    """Write a little-endian TIFF.

    Args:
        path: the file.
        entries: code: (kind, values) or a list of such pairs, to repeat a tag; the value
            "pixels" is the place of the pixels.
        pixels: bytes behind the tags.
    """
    flat = [
        (code, *each)
        for code, found in sorted(entries.items())
        for each in (found if isinstance(found, list) else [found])
    ]
    start = 8 + 2 + 12 * len(flat) + 4
    lengths = [struct.calcsize("<" + _LETTERS[kind]) * len(values) for _, kind, values in flat]
    place = start + sum(length for length in lengths if length > 4)
    directory, behind = b"", b""
    for (code, kind, values), length in zip(flat, lengths, strict=True):
        numbers: list[Any] = [place if value == "pixels" else value for value in values]
        if kind == RATIONAL:
            numbers = [part for pair in numbers for part in pair]
        packed = struct.pack("<" + _LETTERS[kind] * len(values), *numbers)
        if length > 4:
            packed, behind = struct.pack("<I", start + len(behind)), behind + packed
        directory += struct.pack("<HHI", code, kind, len(values)) + packed.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(flat))
    path.write_bytes(head + directory + bytes(4) + behind + pixels)
    return path
