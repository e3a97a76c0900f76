"""Who is told what a shared stream pushes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from graphql import GraphQLError

from pytake_gql.kernel.graphql.sockets import Open

if TYPE_CHECKING:
    from pytake_gql.kernel.graphql.shared_streams import Stream


class Subscriber(Protocol):
    """One operation of one socket."""

    head: bytes
    """The `next` message up to its payload: it carries the operation's id."""
    stream: "Stream | None"

    @property
    def write(self) -> Callable[[bytes], bool]:
        """Never waits; False when the reader is behind, or gone."""

    @property
    def holder(self) -> Open: ...

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be read that no more should be pushed now."""

    @property
    def is_gone(self) -> bool: ...

    async def room(self) -> None:
        """Until the socket is no longer behind, or closed."""

    def complete(self) -> None: ...

    def fail(self, errors: list[GraphQLError]) -> None: ...
