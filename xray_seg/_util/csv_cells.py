"""Cells of CSV files that are safe to open in a spreadsheet or to print on a terminal."""

from __future__ import annotations

import unicodedata
from typing import Any

#: First characters that make a spreadsheet take a cell for a formula, once compatibility forms
#: such as the full-width equals sign are normalised.
_FORMULA = ("=", "+", "-", "@")


def csv_cell(value: Any) -> Any:
    """A value as CSV files have it.

    Booleans are in lower case. Control characters that a terminal obeys become ``\\xNN``; tabs and
    line breaks stay, since CSV quotes them and names of files must survive. A text that a
    spreadsheet would take for a formula gets an apostrophe in front.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    begins = unicodedata.normalize("NFKC", value[:8].lstrip())
    acts = begins.startswith(_FORMULA) or value.startswith(("\t", "\r"))
    text = "".join(map(_visible, value)) if not value.isprintable() else value
    return "'" + text if acts else text


def _visible(letter: str) -> str:
    is_control = unicodedata.category(letter) == "Cc" and letter not in "\t\n\r"
    return f"\\x{ord(letter):02x}" if is_control else letter
