"""Contacts in a table of text: what its header means, and what stands in which line. Pure."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytake_gql.desk.attributes import values as custom
from pytake_gql.desk.contacts import details, phones
from pytake_gql.desk.tags.service import LONGEST_NAME
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problem, Problems, UserErrorCode, refuse
from pytake_gql.kernel.events import Changes

MOST_ROWS = 5_000
_FIELDS = ("name", "phone", "email")
_COLUMNS = {*_FIELDS, "tags"}
_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was left out, and why."""

    line: int
    problems: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a line says of a contact, as it is stored; what it does not say is absent."""

    line: int
    values: Changes
    tags: Sequence[str]
    phone_key: str | None


@dataclass(slots=True)
class Sheet:
    """What a table holds, in the order of its lines."""

    drafts: list[Draft] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read(table: str, region: str, definitions: custom.Definitions) -> Sheet:
    """Every line is a draft or rejected; a header that cannot be understood refuses the whole under `csv`.

    `region` and `definitions` are as for `details.checked`. Of lines that say the same phone or e-mail, the first
    counts.
    """
    body = table.removeprefix("\ufeff")
    records = _records(body)
    columns = _columns(next(records, (1, [])))
    sheet, seen = Sheet(), dict[str, int]()
    for count, (line, cells) in enumerate(records, start=1):
        if count > MOST_ROWS:
            template = "At most {most} rows: send a larger file in parts."
            refuse(UserErrorCode.TOO_MANY, template, "csv", most=MOST_ROWS)
        draft = _draft(line, columns, cells, region, definitions)
        if isinstance(draft, Draft):
            draft = _refuse_double(draft, seen)
        if isinstance(draft, Draft):
            sheet.drafts.append(draft)
        else:
            sheet.rejected.append(draft)
    return sheet


def _records(body: str) -> Iterator[tuple[int, list[str] | None]]:
    """Each record that is not empty, with the line where it begins; None for one that is malformed."""
    first = next((line for line in body.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error:
            yield line, None
        else:
            if any(cells):
                yield line, cells


def _columns(header: tuple[int, list[str] | None]) -> list[str]:
    """What each column is of: a field of contacts in lower case, or the key of an attribute."""
    named = [cell.lower() if cell.lower() in _COLUMNS else cell for cell in header[1] or []]
    if not set(named) & set(_FIELDS):
        refuse(UserErrorCode.INVALID, "The header row names at least one of name, phone and email.", "csv")
    if len(set(named)) < len(named):
        refuse(UserErrorCode.INVALID, "The header row names each column once.", "csv")
    if len(set(named) - _COLUMNS) > details.MOST_ATTRIBUTES:
        refuse(UserErrorCode.TOO_MANY, "At most {most} of these.", "csv", most=details.MOST_ATTRIBUTES)
    for name in named:
        text.line(name, "csv", longest=details.LONGEST_KEY)
    return named


def _draft(
    line: int, columns: Sequence[str], cells: Sequence[str] | None, region: str, definitions: custom.Definitions
) -> Draft | Rejected:
    if cells is None:
        return Rejected(line, [Problem(UserErrorCode.INVALID, "This row is not well-formed CSV.")])
    if len(cells) != len(columns):
        values = {"found": len(cells), "expected": len(columns)}
        template = "This row has {found} cells, the header {expected}."
        return Rejected(line, [Problem(UserErrorCode.INVALID, template, values=values)])
    said = {column: cell for column, cell in zip(columns, cells, strict=True) if cell}
    given: Changes = {name: said[name] for name in _FIELDS if name in said}
    if not given:
        return Rejected(
            line, [Problem(UserErrorCode.REQUIRED, "A contact needs a name, a phone or an e-mail address.")]
        )
    attributes = {
        key: custom.read(cell, definitions[key]) if key in definitions else cell
        for key, cell in said.items()
        if key not in _COLUMNS
    }
    problems, tags = Problems(), list[str]()
    with problems.gather():
        given = details.checked(given | ({"attributes": attributes} if attributes else {}), region, definitions)
    with problems.gather():
        tags = _tags(said.get("tags", ""))
    if problems.found:
        return Rejected(line, problems.found)
    phone = given.get("phone")
    return Draft(line, given, tags, phones.canonical_key(phone) if phone else None)


def _tags(cell: str) -> list[str]:
    """The names in one cell: separated by whichever of the separators stands there."""
    names = [cell]
    for separator in f"{_SEPARATORS}|":
        names = [part.strip() for name in names for part in name.split(separator)]
    return [text.line(name, "tags", longest=LONGEST_NAME) for name in dict.fromkeys(names) if name]


def _refuse_double(draft: Draft, seen: dict[str, int]) -> Draft | Rejected:
    """The draft, unless an earlier line says the same phone or e-mail."""
    marks = [mark for mark in (draft.phone_key, draft.values.get("email")) if mark]
    for mark in marks:
        if mark in seen:
            values = {"line": seen[mark]}
            return Rejected(
                draft.line, [Problem(UserErrorCode.TAKEN, "Line {line} is the same contact.", values=values)]
            )
    seen.update(dict.fromkeys(marks, draft.line))
    return draft
