r"""Words as they are searched: without accents, case and punctuation, in any language.

PostgreSQL makes them of a row's texts in a generated column, and the same is done here to what somebody looks for.
Each word begins with a key of the organization and of the time, so that an index of words has a part for each: no
search reads another organization's, and the newest is searched first. Words are stored as they are; what derives from
the same stem is found when they are searched (by the functions of the migration), which costs a write nothing.
"""

import re
import unicodedata
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

MOST_WORDS = 8
"""Of one search; those after them do not count."""
LONGEST_WORD = 60
"""Of a longer one the beginning counts."""
FEWEST_DIGITS = 8
"""From which on digits with spaces, brackets and dashes between them are one telephone number."""

# The same to PostgreSQL and to Python, which is why they are spelt out: \w depends on the database's locale.
_MARKS = r"[\u0300-\u036f]+"
_BETWEEN = r"[\u0001-/:-@[-`{-\u00bf\u02b0-\u02ff\u2000-\u2bff\u3000-\u303f\ufe00-\ufe0f\U0001f000-\U0001faff]+"

_marks = re.compile(_MARKS)
_between = re.compile(_BETWEEN.replace("[-`", r"\[-`"))
_phone = re.compile(r"\+?\d[\d\s()./-]*\d", re.ASCII)


def words_column(*texts: str, besides: str = "") -> sa.Column[str]:
    """The generated column `words` of a tenant table, of these SQL expressions that are never null.

    `besides` is SQL of words that are kept as they are, each behind `KEY`.
    Written as PostgreSQL writes it back, so that the migrations' check finds no difference.
    """
    joined = f" || {_literal(' ')} || ".join(texts)
    plain = f"regexp_replace(NORMALIZE({joined}, NFD), {_literal(_MARKS)}, {_literal('')}, {_literal('g')})"
    apart = f"regexp_replace({plain}, {_literal(_BETWEEN)}, {_literal(' ')} || {KEY}, {_literal('g')})"
    document = f"{KEY} || {apart}{besides}"
    expression = f"strip(to_tsvector('simple'::regconfig, {document}))"
    return sa.Column("words", TSVECTOR, sa.Computed(expression, persisted=True))


def words(wanted: str) -> list[str]:
    """What to look for; nothing when there is no word in it."""
    plain = _marks.sub("", unicodedata.normalize("NFD", wanted)).lower()
    found = dict.fromkeys(word[:LONGEST_WORD] for word in _between.split(plain) if word)
    return list(found)[:MOST_WORDS]


def words_of_somebody(wanted: str) -> list[str]:
    """Like `words`, with a telephone number as one word, however it is written."""
    return words(_phone.sub(_digits, wanted))


def _digits(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0])
    return digits if len(digits) >= FEWEST_DIGITS else match[0]


def _literal(text: str) -> str:
    return f"'{text}'::text"


KEY = f'({_literal("o")} || "right"(organization_id::text, 8) || "left"(id::text, 4))'
"""SQL: a letter, so that a number behind it is a word; as much of the organization's id as tells most of them apart;
and as much of the row's as tells in which 49.7 days it was made."""

UNREAD_WORDS: dict[str, Any] = {"exclude_properties": ["words"]}
"""Mapper arguments of a model with such a column: rows are searched by it, and never carry it."""
