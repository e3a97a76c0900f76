"""What a field of a cron text may hold, and what is refused with its reason (S10). Pure.

croniter reads more than this, some of it silently wrong: it is given plain numbers only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

from pytake_gql.kernel.errors import UserErrorCode, refuse

_TERM = re.compile(r"(?P<low>\*|\d{1,9}|[A-Z]{3})(?:-(?P<high>\d{1,9}|[A-Z]{3}))?(?:/(?P<step>\d{1,9}))?", re.ASCII)
_NTH = re.compile(r"(?P<weekday>\d{1,9}|[A-Z]{3})#(?P<nth>\d{1,9})", re.ASCII)
_FOREIGN = re.compile(r"[HRW?]", re.ASCII)
MOST_NTH = 5
SUNDAY = 7
"""Beside 0, so that a range may end with it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five: its place, its least and greatest value, and names for some."""

    number: int
    least: int
    greatest: int
    names: Mapping[str, int] = field(default_factory=dict)
    takes_last: bool = False
    """Whether L may stand for the month's last day."""
    takes_nth: bool = False

    def plain(self, term: str) -> str:
        """One item of the list in numbers, ranges in order: as croniter reads it right."""
        if self.takes_last and term == "L":
            return "l"
        found = _TERM.fullmatch(term)
        if found is None or (found["low"] == "*" and found["high"]):
            self._refuse_unknown(term)
        step = int(found["step"] or 1)
        if step < 1:
            refuse(UserErrorCode.INVALID, "Field {number}: a step is at least 1.", number=self.number)
        if step > self.greatest:
            text = "Field {number}: the step {step} is beyond the field's range."
            refuse(UserErrorCode.INVALID, text, number=self.number, step=step)
        low, high = self._bounds(term, found["low"], found["high"], has_step=found["step"] is not None)
        return str(low) if low == high else f"{low}-{high}/{step}"

    def nth(self, term: str) -> tuple[int, int]:
        """The weekday (Sunday is 0) and which one of the month, of an item such as FRI#2."""
        found = _NTH.fullmatch(term)
        if found is None:
            self._refuse_unknown(term)
        nth = int(found["nth"])
        if not 1 <= nth <= MOST_NTH:
            text = "Field {number}: after # stands 1 to 5, not {nth}."
            refuse(UserErrorCode.INVALID, text, number=self.number, nth=nth)
        return self._value(term, found["weekday"]) % SUNDAY, nth

    def _bounds(self, term: str, low: str, high: str | None, *, has_step: bool) -> tuple[int, int]:
        """A value with a step runs to the field's end."""
        last = SUNDAY - 1 if self.takes_nth else self.greatest
        if low == "*":
            return self.least, last
        begins = self._value(term, low)
        if high is None:
            return begins, max(begins, last) if has_step else begins
        ends = self._value(term, high)
        if self.takes_nth and ends == 0 < begins and high == "SUN":
            ends = SUNDAY
        if ends < begins:
            text = "Field {number}: the range {term} runs backwards."
            refuse(UserErrorCode.INVALID, text, number=self.number, term=term)
        return begins, ends

    def _value(self, term: str, text: str) -> int:
        if not text.isdigit():
            if text not in self.names:
                self._refuse_unknown(term)
            return self.names[text]
        value = int(text)
        if not self.least <= value <= self.greatest:
            template = "Field {number}: {value} is outside {least} to {greatest}."
            given = {"number": self.number, "value": value, "least": self.least, "greatest": self.greatest}
            refuse(UserErrorCode.INVALID, template, **given)
        return value

    def _refuse_unknown(self, term: str) -> NoReturn:
        """Says what the term would mean elsewhere, where that is known."""
        if not term:
            refuse(UserErrorCode.INVALID, "Field {number}: an item of the list is empty.", number=self.number)
        if "#" in term and not self.takes_nth:
            text = "Field {number}: # belongs to the day of week, such as FRI#1."
            refuse(UserErrorCode.INVALID, text, number=self.number)
        if "L" in term and term not in self.names:
            text = "Field {number}: L stands alone, as the last day in the day of month."
            refuse(UserErrorCode.INVALID, text, number=self.number)
        if _FOREIGN.search(term) and not any(name in term for name in self.names):
            text = "Field {number}: H, R, W and ? of other crons are not understood."
            refuse(UserErrorCode.INVALID, text, number=self.number)
        refuse(UserErrorCode.INVALID, "Field {number}: {term} is not understood.", number=self.number, term=term[:20])


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

MINUTE = Field(1, 0, 59)
HOUR = Field(2, 0, 23)
DAY = Field(3, 1, 31, takes_last=True)
MONTH = Field(4, 1, 12, MappingProxyType({name: number for number, name in enumerate(_MONTHS, 1)}))
WEEKDAY = Field(5, 0, 7, MappingProxyType({name: number for number, name in enumerate(_WEEKDAYS)}), takes_nth=True)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
