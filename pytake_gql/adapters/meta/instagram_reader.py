"""Reads what Instagram delivers (developers.facebook.com/docs/instagram-platform/webhooks)."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from pytake_gql.adapters.meta.shapes import Id, Milliseconds, Shape, Who, read
from pytake_gql.desk.deliveries.ports import (
    Batch,
    Choice,
    Content,
    Echo,
    Incoming,
    Media,
    Reaction,
    ReadUpTo,
    Sender,
    UnreadableDelivery,
    Unsupported,
    Update,
    Words,
)

log = logging.getLogger(__name__)


class _Entry(Shape):
    id: Who
    messaging: tuple[Any, ...] = ()


class _Delivery(Shape):
    object: str
    entry: tuple[_Entry, ...]


class _Person(Shape):
    id: Who


class _QuickReply(Shape):
    payload: str


class _ReplyTo(Shape):
    mid: Id | None = None


class _File(Shape):
    url: str | None = None


class _Attachment(Shape):
    type: str
    payload: _File | None = None


class _Message(Shape):
    mid: Id
    text: str | None = None
    is_echo: bool = False
    is_deleted: bool = False
    is_unsupported: bool = False
    quick_reply: _QuickReply | None = None
    reply_to: _ReplyTo | None = None
    attachments: tuple[_Attachment, ...] = ()


class _Postback(Shape):
    mid: Id
    title: str
    payload: str = ""


class _Reaction(Shape):
    mid: Id
    action: str
    emoji: str | None = None
    reaction: str | None = None


class _Read(Shape):
    mid: Id


class _Event(Shape):
    sender: _Person
    recipient: _Person
    timestamp: Milliseconds
    message: _Message | None = None
    postback: _Postback | None = None
    reaction: _Reaction | None = None
    read: _Read | None = None


class InstagramReader:
    def read(self, body: Any) -> Sequence[Batch]:
        delivery = read(_Delivery, body)
        if delivery is None or delivery.object != "instagram":
            raise UnreadableDelivery("this is no delivery of Instagram")
        return [Batch(entry.id, [u for raw in entry.messaging for u in _updates(raw)]) for entry in delivery.entry]


def _updates(raw: Any) -> Iterator[Update]:
    event = read(_Event, raw)
    if event is None:
        log.warning("an event of Instagram cannot be read")
        return
    sender = Sender(event.sender.id)
    if event.message and event.message.is_echo:
        if event.message.text:
            yield Echo(event.message.mid, event.recipient.id, event.message.text)
    elif event.message and not event.message.is_deleted:
        answered = event.message.reply_to.mid if event.message.reply_to else None
        for index, content in enumerate(_contents(event.message)):
            id_ = event.message.mid if index == 0 else f"{event.message.mid}#{index}"
            yield Incoming(id_, sender, event.timestamp, content, answered)
    elif event.postback:
        chosen = Choice(event.postback.title, event.postback.payload)
        yield Incoming(event.postback.mid, sender, event.timestamp, chosen)
    elif event.reaction:
        yield _reacted(event, event.reaction)
    elif event.read:
        yield ReadUpTo(event.read.mid, event.sender.id)


def _contents(message: _Message) -> Iterator[Content]:
    """A message may hold a text and several files: each is one of ours, under an id of its own."""
    if message.quick_reply and message.text:
        yield Choice(message.text, message.quick_reply.payload)
    elif message.text:
        yield Words(message.text)
    for attachment in message.attachments:
        yield Media(attachment.type, attachment.payload.url if attachment.payload else None)
    if message.is_unsupported or not (message.text or message.attachments):
        yield Unsupported("instagram")


def _reacted(event: _Event, reaction: _Reaction) -> Incoming:
    """A reaction has no id of its own: it is what one contact feels about one message at one time."""
    emoji = (reaction.emoji or reaction.reaction) if reaction.action == "react" else None
    id_ = f"reaction:{reaction.mid[-400:]}:{int(event.timestamp.timestamp() * 1000)}"
    return Incoming(id_, Sender(event.sender.id), event.timestamp, Reaction(reaction.mid, emoji))
