"""A table of contacts, pure."""

from typing import Any

import pytest

from pytake_gql.desk.attributes.models import ContactAttribute, ContactAttributeKind
from pytake_gql.desk.contacts import sheets
from pytake_gql.kernel.errors import Refusal

SEATS = {"assentos": ContactAttribute(key="assentos", name="Assentos", kind=ContactAttributeKind.NUMBER)}


def told(table: str) -> tuple[list[tuple[int, dict[str, Any], list[str]]], list[tuple[int, str]]]:
    sheet = sheets.read(table, "BR", SEATS)
    return (
        [(draft.line, draft.values, list(draft.tags)) for draft in sheet.drafts],
        [(one.line, "; ".join(problem.message("en") for problem in one.problems)) for one in sheet.rejected],
    )


def test_a_row_says_what_its_columns_are_called() -> None:
    table = (
        "\ufeffName,PHONE, email ,tags,plano,assentos\r\n"
        ' Bia ,(11) 8765-4321,Bia@Example.com,"vip; novo | vip",Ouro,3\r\n'
        '"Caio, o ""outro""",,,,,\r\n'
    )
    assert told(table) == (
        [
            (
                2,
                {
                    "name": "Bia",
                    "phone": "+551187654321",
                    "email": "bia@example.com",
                    "attributes": {"plano": "Ouro", "assentos": 3},
                },
                ["vip", "novo"],
            ),
            (3, {"name": 'Caio, o "outro"'}, []),
        ],
        [],
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_usual_separator_and_line_end_is_understood(separator: str, end: str) -> None:
    lines = [["name", "tags"], ["Ana", '"vip,novo;bom"'], ["", ""], [], ["Bia", ""]]
    table = end.join(separator.join(cells) for cells in lines)
    assert told(table) == ([(2, {"name": "Ana"}, ["vip", "novo", "bom"]), (5, {"name": "Bia"}, [])], [])


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("", "INVALID"),
        ("  \n\n", "INVALID"),
        ("Ana,+5511987654321\nBia,\n", "INVALID"),
        ("nome,telefone\nAna,+5511987654321\n", "INVALID"),
        ("tags,plano\nvip,Ouro\n", "INVALID"),
        ("name,Name\nAna,Bia\n", "INVALID"),
        ("name,plano,plano\nAna,1,2\n", "INVALID"),
        ("name,,phone\nAna,1,2\n", "REQUIRED"),
        ("name," + "k" * 61 + "\nAna,1\n", "TOO_LONG"),
        ('name,"pla\nno"\nAna,1\n', "INVALID"),
        ('"name,phone\nAna,1\n', "INVALID"),
        ("name," + ",".join(f"k{n}" for n in range(101)) + "\n", "TOO_MANY"),
        ("name\n" + "Ana\n" * (sheets.MOST_ROWS + 1), "TOO_MANY"),
    ],
)
def test_a_wrong_header_refuses_the_whole(table: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        sheets.read(table, "BR", {})
    assert [(problem.code, problem.field) for problem in refused.value.problems] == [(code, ("csv",))]


def test_each_malformed_row_is_rejected_with_its_line() -> None:
    table = (
        "name,phone,email,tags,assentos\n"  # 1
        "Ana,call me,nobody,,\n"  # 2
        "Bia,,\n"  # 3
        "Caio,,,,,\n"  # 4
        '"Davi" x,,,,\n'  # 5
        '"Eva\nLima",,,,\n'  # 6 and 7
        ",,,vip,\n"  # 8
        "Gil,,,,três\n"  # 9
        f"Hugo,,,{'t' * 61},\n"  # 10
        f"{'n' * 121},,,,\n"  # 11
        "Iara,+55 11 98765-4321,,,\n"  # 12
        "Iara,11 8765-4321,,,\n"  # 13: the same phone, without its ninth digit
        "Jô,,JO@example.com,,\n"  # 14
        "Jô,,jo@example.com,,\n"  # 15
        '"Kim,,,,\n'  # 16: never closed
    )
    drafts, rejected = told(table)
    assert [(line, values["name"]) for line, values, _ in drafts] == [(12, "Iara"), (14, "Jô")]
    assert rejected == [
        (2, "This is no phone number.; This is no e-mail address."),
        (3, "This row has 3 cells, the header 5."),
        (4, "This row has 6 cells, the header 5."),
        (5, "This row is not well-formed CSV."),
        (6, "Control characters and line breaks are not allowed here."),
        (8, "A contact needs a name, a phone or an e-mail address."),
        (9, "A number."),
        (10, "At most 60 characters."),
        (11, "At most 120 characters."),
        (13, "Line 12 is the same contact."),
        (15, "Line 14 is the same contact."),
        (16, "This row is not well-formed CSV."),
    ]


def test_a_cell_longer_than_csv_takes_is_one_rejected_row() -> None:
    drafts, rejected = told("name\n" + "x" * 200_000 + "\nAna\n")
    assert drafts == [(3, {"name": "Ana"}, [])]
    assert [line for line, _ in rejected] == [2]
