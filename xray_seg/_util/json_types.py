"""JSON that others may have written: parsed, and checked against annotated types."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

_NAMES: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: the text is no JSON, or no object, or too deeply nested.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("is not an object")
    return value


def check_fields(
    facts: Mapping[str, Any], required: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> None:
    """Check the types of an object's fields; further fields are not looked at.

    Args:
        facts: the object.
        required: the type of each field that it must have: ``str``, ``int``, ``float``, ``bool``,
            ``None``, ``Any``, ``list`` and ``dict`` with or without the types of what they hold,
            and unions of these. A whole number is a ``float``, too; ``true`` is no number.
        optional: the same of fields that it may have.

    Raises:
        ValueError: a field is missing or of another type; it names the field.
    """
    missing = [name for name in required if name not in facts]
    if missing:
        raise ValueError(f"lacks {', '.join(sorted(missing))}")
    for name, expected in {**required, **(optional or {})}.items():
        if name in facts and not _check_of(expected)(facts[name]):
            raise ValueError(f"{name} is not {_named(expected)}")


@cache
def _check_of(expected: Any) -> Callable[[Any], bool]:
    """A function that says whether a value is of a type; see ``check_fields``."""
    origin, parts = get_origin(expected) or expected, get_args(expected)
    if expected is Any:
        return lambda value: True
    if origin in (Union, UnionType):
        checks = [_check_of(part) for part in parts]
        return lambda value: any(check(value) for check in checks)
    if origin in (dict, list) and parts:
        check = _check_of(parts[-1])
        if origin is list:
            return lambda value: isinstance(value, list) and all(map(check, value))
        return lambda value: isinstance(value, dict) and all(map(check, value.values()))
    if origin is bool:
        return lambda value: isinstance(value, bool)
    kind: Any = {float: (int, float), None: NoneType}.get(origin, origin)
    return lambda value: isinstance(value, kind) and not isinstance(value, bool)


def _named(expected: Any) -> str:
    origin, parts = get_origin(expected) or expected, get_args(expected)
    if origin in (Union, UnionType):
        return " or ".join(map(_named, parts))
    held = _named(parts[-1]) if parts and parts[-1] is not Any else ""
    return f"{_NAMES.get(origin, 'null')}{f' of {held} each' if held else ''}"
