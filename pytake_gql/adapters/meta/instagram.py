"""Instagram Messaging: sending, and telling what was read."""

from collections.abc import Sequence
from typing import Any

from pytake_gql.adapters.meta import numbering, parts
from pytake_gql.adapters.meta.graph import Graph
from pytake_gql.desk.channels.ports import Account, AnswerLost
from pytake_gql.desk.conversations.ports import Outgoing
from pytake_gql.desk.deliveries.ports import Fetched
from pytake_gql.desk.receipts.ports import Seen

MOST_QUICK_REPLIES = 13
LONGEST_TITLE = 20
LONGEST_PAYLOAD = 1000


class Instagram:
    is_idempotent = False

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def parts(self, message: Outgoing) -> Sequence[Outgoing]:
        return parts.of_instagram(message)

    async def fetch(self, account: Account, reference: str, *, most_bytes: int) -> Fetched:
        return await self._graph.download(account, reference, with_token=False, most_bytes=most_bytes)

    async def send(self, message: Outgoing) -> str | None:
        address = message.addressed()
        path = f"{address.account.settings['accountId']}/messages"
        body = {"recipient": {"id": address.recipient}, "message": content(message)}
        answer = await self._graph.post(address.account, path, body)
        try:
            return str(answer["message_id"])
        except KeyError as error:
            raise AnswerLost("The answer names no message.") from error

    async def mark_read(self, seen: Seen) -> None:
        """The whole thread: Instagram asks for no message."""
        body = {"recipient": {"id": seen.address.recipient}, "sender_action": "mark_seen"}
        await self._graph.post(seen.address.account, f"{seen.address.account.settings['accountId']}/messages", body)


def content(message: Outgoing) -> dict[str, Any]:
    """A file by its address, as the API takes no bytes; options as quick replies, or numbered where they do not fit."""
    answered = {"reply_to": {"mid": message.reply_to}} if message.reply_to else {}
    if message.attachments:
        [file] = message.attachments
        return {"attachment": {"type": parts.instagram_kind(file), "payload": {"url": file.url}}, **answered}
    options = message.options
    fits = len(options) <= MOST_QUICK_REPLIES and all(
        len(o.title) <= LONGEST_TITLE and 0 < len(o.value) <= LONGEST_PAYLOAD for o in options
    )
    written: dict[str, Any] = {"text": message.text if fits else numbering.numbered(message.text, options)}
    if options and fits:
        written["quick_replies"] = [
            {"content_type": "text", "title": option.title, "payload": option.value} for option in options
        ]
    return written | answered
