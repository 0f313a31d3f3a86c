"""Text that is safe to print: file names may contain line breaks and control characters."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape line breaks, control characters and bytes that are not valid text."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
