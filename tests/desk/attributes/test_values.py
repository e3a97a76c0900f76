"""Values of custom fields, pure."""

from typing import Any

import pytest

from pytake_gql.desk.attributes import values
from pytake_gql.desk.attributes.models import ContactAttribute, ContactAttributeKind
from pytake_gql.kernel.errors import Refusal, UserErrorCode

DEFINITIONS = {
    kind.value: ContactAttribute(key=kind.value, name=kind.value, kind=kind, choices=["Bronze", "Ouro"])
    for kind in ContactAttributeKind
}


@pytest.mark.parametrize(
    ("kind", "fit", "unfit"),
    [
        ("TEXT", ["", "3", "true"], [3, 0.5, True]),
        ("NUMBER", [0, 3, -0.5], ["3", True, False, ""]),
        ("BOOLEAN", [True, False], ["true", 0, 1]),
        (
            "DATE",
            ["2026-03-08", "2024-02-29"],
            ["2026-02-29", "20260308", "2026-3-8", "2026-03-08T00:00", 20260308, ""],
        ),
        ("CHOICE", ["Ouro", "Bronze"], ["ouro", "Prata", "", True, 1]),
    ],
)
def test_a_value_is_what_its_definition_says(kind: str, fit: list[Any], unfit: list[Any]) -> None:
    for value in fit:
        values.check({kind: value}, DEFINITIONS, "attributes")
        assert values.fitting({kind: value}, DEFINITIONS) == {kind: value}
    for value in unfit:
        with pytest.raises(Refusal) as refused:
            values.check({kind: value, "other": value}, DEFINITIONS, "attributes")
        assert [(p.code, p.field) for p in refused.value.problems] == [(UserErrorCode.INVALID, ("attributes", kind))]
        assert values.fitting({kind: value, "other": value}, DEFINITIONS) == {"other": value}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("TEXT", "3", "3"),
        ("NUMBER", "3", 3),
        ("NUMBER", "-3.50", -3.5),
        ("NUMBER", "3,5", "3,5"),
        ("NUMBER", "1e3", "1e3"),
        ("NUMBER", "9" * 16, "9" * 16),
        ("NUMBER", "٣", "٣"),
        ("BOOLEAN", "TRUE", True),
        ("BOOLEAN", "Sim", True),
        ("BOOLEAN", "Não", False),
        ("BOOLEAN", "talvez", "talvez"),
        ("DATE", "2026-03-08", "2026-03-08"),
        ("CHOICE", "OURO", "Ouro"),
        ("CHOICE", "Prata", "Prata"),
    ],
)
def test_a_cell_is_read_as_its_definition_says(kind: str, text: str, value: Any) -> None:
    read = values.read(text, DEFINITIONS[kind])
    assert (read, type(read)) == (value, type(value))
