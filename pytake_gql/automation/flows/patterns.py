"""Regular expressions that tenants write, in bounded time whatever they write.

They are RE2's: matching takes time linear in the text, and compiling takes bounded memory, so there is no pattern that
a worker could hang on. A timeout, as the `regex` module has, would only bound each of the many hangs. What RE2 cannot
do in linear time, such as backreferences and lookarounds, is refused when the flow is checked.
"""

from functools import lru_cache
from typing import Any

import re2

LONGEST = 200
_MOST_MEMORY = 1 << 20


class BadPattern(Exception):
    """It is none, or needs more than a bounded pattern may."""


def check(pattern: str) -> None:
    """Raises `BadPattern`."""
    _compiled(pattern)


def matches_whole(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


def matches_inside(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> Any:
    if len(pattern) > LONGEST:
        raise BadPattern
    options = re2.Options()
    options.max_mem, options.log_errors = _MOST_MEMORY, False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise BadPattern from error
