"""One operation of a document that has passed every limit: what the doors execute."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from graphql import DocumentNode, OperationType

from pytake_gql.kernel.principal import Principal


class Rule(Protocol):
    """Who may call a root field."""

    def check(self, principal: Principal) -> None:
        """Raises `Unauthenticated` or `Forbidden`."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """Kept in the cache together with its document: nothing here belongs to a caller."""

    document: DocumentNode
    kind: OperationType
    name: str | None
    root_fields: int
    rules: tuple[Rule, ...]
    seconds: float
    """How long it may run: the longest that one of its root fields asks for."""
    introspects: bool
    cursor: str | None
    """The variable of a subscription that says from where on, and nothing else."""
    cost: Callable[[Mapping[str, Any]], int]
    """What it costs with these variables."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed: an accepted subscription, as it was sent."""

    text: str
    variables: dict[str, Any] | None
    operation: Operation
    locale: str

    @property
    def name(self) -> Hashable:
        """Equal for what selects the same."""
        return self.text, self.operation.name

    @property
    def key(self) -> Hashable:
        """Equal for what pushes the same from the same place on."""
        given = {name: value for name, value in (self.variables or {}).items() if name != self.operation.cursor}
        return self.text, self.operation.name, orjson.dumps(given, option=orjson.OPT_SORT_KEYS), self.locale
