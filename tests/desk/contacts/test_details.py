"""What may be known about a contact, pure."""

from typing import Any

import pytest

from pytake_gql.desk.contacts import details
from pytake_gql.kernel.errors import Refusal

WRONG_ATTRIBUTES = [
    (None, "REQUIRED", ()),
    ([1], "INVALID", ()),
    ("text", "INVALID", ()),
    ({"a": None}, "INVALID", ("a",)),
    ({"a": [1]}, "INVALID", ("a",)),
    ({"a": {"b": 1}}, "INVALID", ("a",)),
    ({"a": 2**53 + 1}, "INVALID", ("a",)),
    ({"a": float("inf")}, "INVALID", ("a",)),
    ({"a": "x" * 2001}, "TOO_LONG", ("a",)),
    ({"": 1}, "REQUIRED", ("",)),
    ({"k" * 61: 1}, "TOO_LONG", ("k" * 61,)),
    ({"a\nb": 1}, "INVALID", ("a\nb",)),
    ({str(number): 1 for number in range(101)}, "TOO_MANY", ()),
]


@pytest.mark.parametrize(("given", "code", "path"), WRONG_ATTRIBUTES)
def test_attributes_are_flat_and_bounded(given: Any, code: str, path: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        details.attributes(given, "attributes")
    assert [(p.code, p.field) for p in refused.value.problems] == [(code, ("attributes", *path))]


def test_attributes_are_kept_as_they_are_given() -> None:
    given = {"plan": "pro", "seats": 3, "rate": 0.5, "is_vip": True, "": ""} | {str(n): n for n in range(95)}
    del given[""]
    assert details.attributes(given, "attributes") == given
