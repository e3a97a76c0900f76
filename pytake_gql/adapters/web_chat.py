"""Web chat: the visitor's page reads the conversation itself, so that a message is sent once it is stored."""

from collections.abc import Sequence

from pytake_gql.desk.conversations.ports import Outgoing


class WebChat:
    is_idempotent = True

    def parts(self, message: Outgoing) -> Sequence[Outgoing]:
        return [message]

    async def send(self, message: Outgoing) -> str | None:  # noqa: ARG002 - there is nobody else to tell
        return None
