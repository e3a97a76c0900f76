"""Reads what WhatsApp delivers (developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components)."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from pytake_gql.adapters.meta import failures, parts
from pytake_gql.adapters.meta.shapes import Id, Seconds, Shape, Who, read
from pytake_gql.desk.conversations.models import MessageStatus
from pytake_gql.desk.deliveries.ports import (
    Batch,
    Choice,
    Content,
    Incoming,
    Media,
    Place,
    Reaction,
    Sender,
    StatusTold,
    UnreadableDelivery,
    Unsupported,
    Update,
    Words,
)

log = logging.getLogger(__name__)

_MEDIA = frozenset({"image", "video", "audio", "document", "sticker"})
_STATUSES = {
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.READ,
    "played": MessageStatus.READ,
    "failed": MessageStatus.FAILED,
}


class _Metadata(Shape):
    phone_number_id: Who


class _Value(Shape):
    metadata: _Metadata
    contacts: tuple[Any, ...] = ()
    messages: tuple[Any, ...] = ()
    statuses: tuple[Any, ...] = ()


class _Change(Shape):
    field: str
    value: Any


class _Entry(Shape):
    changes: tuple[_Change, ...] = ()


class _Delivery(Shape):
    object: str
    entry: tuple[_Entry, ...]


class _Profile(Shape):
    name: str | None = None


class _Contact(Shape):
    profile: _Profile = _Profile()
    wa_id: Who | None = None
    user_id: Who | None = None


class _Context(Shape):
    id: Id | None = None


class _Message(Shape):
    id: Id
    type: str
    timestamp: Seconds
    sender: Who | None = Field(default=None, alias="from")
    from_user_id: Who | None = None
    """Of a contact who hides the phone."""
    context: _Context | None = None


class _Text(Shape):
    body: str


class _Button(Shape):
    text: str
    payload: str = ""


class _Reply(Shape):
    id: str
    title: str


class _Interactive(Shape):
    button_reply: _Reply | None = None
    list_reply: _Reply | None = None


class _Location(Shape):
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


class _Reaction(Shape):
    message_id: Id
    emoji: str | None = None


class _Medium(Shape):
    id: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    caption: str | None = None


class _Status(Shape):
    id: Id
    status: str
    recipient_id: Who | None = None
    recipient_user_id: Who | None = None
    biz_opaque_callback_data: str | None = None
    errors: tuple[dict[str, Any], ...] = ()


class WhatsAppReader:
    def read(self, body: Any) -> Sequence[Batch]:
        delivery = read(_Delivery, body)
        if delivery is None or delivery.object != "whatsapp_business_account":
            raise UnreadableDelivery("this is no delivery of WhatsApp")
        values = [read(_Value, c.value) for entry in delivery.entry for c in entry.changes if c.field == "messages"]
        return [Batch(value.metadata.phone_number_id, list(_updates(value))) for value in values if value]


def _updates(value: _Value) -> Iterator[Update]:
    """What cannot be read is left out alone: the rest of the delivery is not to blame."""
    contacts = [found for given in value.contacts if (found := read(_Contact, given))]
    for raw in value.messages:
        message = read(_Message, raw)
        if message is None or (sender := message.sender or message.from_user_id) is None:
            log.warning("a message of WhatsApp cannot be read")
            continue
        theirs = (contact for contact in contacts if sender in {contact.wa_id, contact.user_id})
        name = next((contact.profile.name for contact in theirs), None)
        phone = f"+{sender}" if sender.isdigit() else None
        yield Incoming(
            provider_id=message.id,
            sender=Sender(sender, name, phone),
            at=message.timestamp,
            content=_content(message.type, raw),
            reply_to=message.context.id if message.context else None,
        )
    yield from (told for raw in value.statuses if (told := _status(raw)))


def _content(kind: str, raw: dict[str, Any]) -> Content:
    """By its type; one that has not the shape of its type is unsupported, not lost."""
    inner = raw.get(kind)
    found: Content | None = None
    match kind:
        case "text" | "system":
            found = Words(text.body) if (text := read(_Text, inner)) else None
        case "button":
            found = Choice(button.text, button.payload) if (button := read(_Button, inner)) else None
        case "interactive":
            interactive = read(_Interactive, inner)
            reply = (interactive.button_reply or interactive.list_reply) if interactive else None
            found = Choice(reply.title, reply.id) if reply else None
        case "location":
            at = read(_Location, inner)
            found = Place(at.latitude, at.longitude, at.name, at.address) if at else None
        case "reaction":
            reaction = read(_Reaction, inner)
            found = Reaction(reaction.message_id, reaction.emoji or None) if reaction else None
        case _ if kind in _MEDIA:
            medium = read(_Medium, inner) or _Medium()
            found = Media(kind, medium.id, medium.mime_type, medium.filename, medium.caption)
    return found or Unsupported(kind)


def _status(raw: Any) -> StatusTold | None:
    """A status of a kind that says nothing about the way, such as `deleted`, is left out."""
    told = read(_Status, raw)
    status = _STATUSES.get(told.status) if told else None
    recipient = (told.recipient_id or told.recipient_user_id) if told else None
    if told is None or status is None or recipient is None:
        return None
    error = failures.reason(told.errors[0]) if told.errors and status is MessageStatus.FAILED else None
    data = told.biz_opaque_callback_data or ""
    return StatusTold(
        told.id,
        recipient,
        status,
        _our_id(data.removesuffix(parts.NOT_THE_LAST)),
        is_of_part=data.endswith(parts.NOT_THE_LAST),
        error=error,
    )


def _our_id(text: str) -> UUID | None:
    """What we sent along; another program's words are not ours."""
    try:
        return UUID(hex=text) if text else None
    except ValueError:
        return None
