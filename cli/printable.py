"""Names of files as they can be shown: they may hold anything but a slash and a null."""

from __future__ import annotations


def printable(text: str) -> str:
    """Line breaks, terminal commands and bytes that are no text, written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
