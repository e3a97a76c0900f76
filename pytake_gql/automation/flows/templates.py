"""Texts with values in them, such as {{contact.name}} (F7).

A placeholder is a name and nothing else: it is looked up in one flat table of given values. There is no expression, no
attribute, no filter and no loop, so nothing can be reached and nothing takes long. A sandboxed template library would
bring all of these, only to forbid them one by one: its history is a list of ways out of the sandbox, and its loops and
string operations need a time limit of their own. Substitution is one pass: a value that contains {{…}} stays text.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float | bool | None
"""What a variable holds."""

CONTACT_ATTRIBUTE = "contact.attributes."
GIVEN = frozenset(
    {
        "contact.name",
        "contact.email",
        "contact.phone",
        "conversation.number",
        "organization.name",
    }
)
"""What every run knows, beside the contact's attributes."""
LONGEST_NAME = 60
MOST_CHARACTERS_A_STEP = 1024 * 1024
_MOST_CHARACTERS = 64 * 1024
_PLACEHOLDER = re.compile(r"\{\{([^{}]{0,200})\}\}")
_VARIABLE = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", re.ASCII)
_SCALARS = (str, int, float, bool, type(None))


class TooMuch(Exception):
    """The values that one step puts into its texts are too long, together."""


class Scope:
    """The values that a step may use. `missing` are the names that were asked for and not there."""

    __slots__ = ("_given", "_spent", "_variables", "missing")

    def __init__(self, given: Mapping[str, Value], variables: Mapping[str, Value]) -> None:
        self._given, self._variables = given, variables
        self.missing: list[str] = []
        self._spent = 0

    def value(self, name: str) -> Value:
        """Raises `TooMuch`."""
        found = self._variables.get(name)
        if found is None:
            found = self._given.get(name)
        if isinstance(found, str):
            self._spent += len(found)
            if self._spent > MOST_CHARACTERS_A_STEP:
                raise TooMuch
        if found is None and name not in self.missing:
            self.missing.append(name)
        return found

    def learn(self, values: Mapping[str, Value]) -> None:
        """From now on these are given, too."""
        self._given = {**self._given, **values}


def is_variable(name: str) -> bool:
    return _VARIABLE.fullmatch(name) is not None


def is_known(name: str) -> bool:
    """Whether a placeholder of this name may have a value at all."""
    return name in GIVEN or is_attribute(name) or is_variable(name)


def is_attribute(name: str) -> bool:
    return name.startswith(CONTACT_ATTRIBUTE) and len(name) > len(CONTACT_ATTRIBUTE)


def names(template: Any) -> Iterator[str]:
    """The names in the placeholders of a text, or of the texts inside JSON."""
    if isinstance(template, str):
        if "{{" in template:
            yield from (match[1].strip() for match in _PLACEHOLDER.finditer(template))
    elif isinstance(template, Mapping):
        for item in template.values():
            yield from names(item)
    elif isinstance(template, list | tuple):
        for item in template:
            yield from names(item)


def render(template: str, scope: Scope, longest: int = _MOST_CHARACTERS) -> str:
    """The text with its values, cut where it gets too long."""
    return _filled(template, scope, longest, shown)


def render_with(template: str, scope: Scope, longest: int, escape: Any) -> str:
    """As `render`, with each value escaped, such as for a URL."""
    return _filled(template, scope, longest, lambda value: escape(shown(value)))


def evaluate(template: Value, scope: Scope) -> Value:
    """The value itself where the text is one placeholder, so that a number stays one; else the text with its values."""
    if not isinstance(template, str) or "{{" not in template:
        return template
    whole = _PLACEHOLDER.fullmatch(template.strip())
    return scope.value(whole[1].strip()) if whole else render(template, scope)


def evaluate_json(template: Any, scope: Scope) -> Any:
    """JSON with the values in its texts; keys stay as they are."""
    if isinstance(template, Mapping):
        return {key: evaluate_json(item, scope) for key, item in template.items()}
    if isinstance(template, list | tuple):
        return [evaluate_json(item, scope) for item in template]
    return evaluate(template, scope)


def shown(value: Value) -> str:
    """As people read it: nothing for what is missing, and a whole number without a point."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def is_value(value: Any) -> bool:
    """Whether a variable may hold it."""
    return isinstance(value, _SCALARS)


def _filled(template: str, scope: Scope, longest: int, written: Any) -> str:
    if "{{" not in template:
        return template[:longest]
    pieces, length, end = list[str](), 0, 0
    for match in _PLACEHOLDER.finditer(template):
        piece = template[end : match.start()] + written(scope.value(match[1].strip()))
        pieces.append(piece)
        length, end = length + len(piece), match.end()
        if length > longest:
            break
    else:
        pieces.append(template[end:])
    return "".join(pieces)[:longest]
