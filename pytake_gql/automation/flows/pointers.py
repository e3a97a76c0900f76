"""JSON pointers (RFC 6901): where in an answer a value stands."""

import re
from typing import Any

import orjson

LONGEST = 200
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


def is_pointer(text: str) -> bool:
    return len(text) <= LONGEST and _POINTER.fullmatch(text) is not None


def look_up(document: Any, pointer: str) -> Any:
    """What stands there; None for what is not there."""
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def as_value(found: Any) -> str | int | float | bool | None:
    """As a variable holds it: a list or an object is its JSON."""
    return orjson.dumps(found).decode() if isinstance(found, dict | list) else found
