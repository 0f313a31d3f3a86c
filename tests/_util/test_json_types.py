"""JSON objects that are checked against types."""

import pytest

from xray_seg._util.json_types import check_fields, parse_object

FITTING = [
    (str, ""),
    (int, 7),
    (float, 7),
    (float, 0.5),
    (bool, True),
    (None, None),
    (list, [1, "a"]),
    (list[str], []),
    (list[str], ["a"]),
    (dict[str, int], {"a": 1}),
    (dict[str, list[str]], {"a": ["b"]}),
    (str | None, None),
    (float | None, 1.5),
]
OTHERS = [
    (str, None),
    (str, 7),
    (int, 7.0),
    (int, True),
    (float, False),
    (float, "7"),
    (bool, 1),
    (None, 0),
    (list, {}),
    (list[str], ["a", 1]),
    (list[str], "ab"),
    (dict[str, int], {"a": 1, "b": "1"}),
    (dict[str, int], [1]),
    (dict[str, list[str]], {"a": [1]}),
    (str | None, 7),
]


@pytest.mark.parametrize(("expected", "value"), FITTING)
def test_values_of_a_type(expected, value):
    check_fields({"field": value}, {"field": expected})
    check_fields({"field": value}, {}, {"field": expected})


@pytest.mark.parametrize(("expected", "value"), OTHERS)
def test_values_of_other_types_are_refused_by_name(expected, value):
    for types in (
        {"required": {"field": expected}},
        {"required": {}, "optional": {"field": expected}},
    ):
        with pytest.raises(ValueError, match=r"^field is not "):
            check_fields({"field": value}, **types)


def test_fields_that_are_missing_are_named():
    with pytest.raises(ValueError, match=r"^lacks a, b$"):
        check_fields({"c": 1}, {"b": int, "c": int, "a": str}, {"d": int})


@pytest.mark.parametrize("text", [b"", b"[]", b"7", b"\xff", b"{", b"[" * 10**5, b'{"a":' * 10**5])
def test_what_is_no_object_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_object(text)
