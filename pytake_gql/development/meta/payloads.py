"""What Meta delivers, as Meta writes it."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

Json = dict[str, Any]


def new_id() -> str:
    return f"wamid.{uuid4().hex}"


def whatsapp(
    phone_number_id: str,
    *,
    messages: Sequence[Json] = (),
    statuses: Sequence[Json] = (),
    names: dict[str, str] | None = None,
) -> Json:
    """One delivery for one number; the names are those of the contacts' profiles, by their phones."""
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551140041234", "phone_number_id": phone_number_id},
    }
    if messages:
        senders = dict.fromkeys(message["from"] for message in messages)
        value["contacts"] = [{"profile": {"name": (names or {}).get(s, "Bia")}, "wa_id": s} for s in senders]
        value["messages"] = list(messages)
    if statuses:
        value["statuses"] = list(statuses)
    entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def said(
    sender: str, kind: str, content: Any, at: float, *, id_: str | None = None, context: str | None = None
) -> Json:
    """A contact's message of that type, `at` in seconds since 1970."""
    message = {"from": sender, "id": id_ or new_id(), "timestamp": str(int(at)), "type": kind, kind: content}
    if context:
        message["context"] = {"from": "551140041234", "id": context}
    return message


def text(sender: str, body: str, at: float, *, id_: str | None = None, context: str | None = None) -> Json:
    return said(sender, "text", {"body": body}, at, id_=id_, context=context)


def status(
    id_: str, recipient: str, became: str, at: float, *, data: str | None = None, errors: Sequence[Json] = ()
) -> Json:
    """What became of a message of the business."""
    told: Json = {"id": id_, "status": became, "timestamp": str(int(at)), "recipient_id": recipient}
    if data:
        told["biz_opaque_callback_data"] = data
    if errors:
        told["errors"] = list(errors)
    return told


def instagram(account_id: str, *events: Json, at: float = 0) -> Json:
    entry = {"id": account_id, "time": int(at * 1000), "messaging": list(events)}
    return {"object": "instagram", "entry": [entry]}


def event(sender: str, recipient: str, at: float, **what: Any) -> Json:
    """One event of Instagram: `message`, `postback`, `reaction` or `read`."""
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": int(at * 1000), **what}
