"""What happened, in the past tense: how knowledge travels up the wings.

Listeners run inside the transaction of the unit of work that emitted the event, before its one commit: what they
write stands or falls with it.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from pytake_gql.kernel.unit_of_work import UnitOfWork

_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """`entity` is the GraphQL type that it happened to; `changes` says what became of which field.

    Changes are stored in the audit log and shown there: secrets and message bodies do not belong into them.
    """

    entity: ClassVar[str]
    is_audited: ClassVar[bool] = True

    entity_id: UUID
    changes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def action(cls) -> str:
        """The event's name for the audit log: what, and what became of it, such as `member.signed_in`.

        What is the entity where the class's name begins with it, else the name's first word.
        """
        first = _WORD_START.split(cls.__name__)[0]
        subject = cls.entity if cls.__name__.startswith(cls.entity) else first
        happened = cls.__name__.removeprefix(subject)
        return f"{_snake(subject)}.{_snake(happened)}"


Changes: TypeAlias = dict[str, Any]
"""The fields that an update names, and no others; a value may be None where the contract says null."""


def _snake(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


E = TypeVar("E", bound=Event)
Listener: TypeAlias = Callable[["UnitOfWork", Any], Awaitable[None]]


class Listeners:
    """Who hears what: filled once by `bootstrap`."""

    def __init__(self) -> None:
        self._by_kind: dict[type[Event], list[Listener]] = {}

    def on(self, kind: type[E], listener: "Callable[[UnitOfWork, E], Awaitable[None]]") -> None:
        """Call `listener` for events of this kind and of its subclasses."""
        self._by_kind.setdefault(kind, []).append(listener)

    def of(self, event: Event) -> Iterable[Listener]:
        for kind in reversed(type(event).__mro__):
            yield from self._by_kind.get(kind, ())


def change(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Sets the attributes that differ and tells each change as {"from": …, "to": …}."""
    changes: dict[str, Any] = {}
    for name, value in values.items():
        before = getattr(row, name)
        if before != value:
            setattr(row, name, value)
            changes[name] = {"from": before, "to": value}
    return changes
