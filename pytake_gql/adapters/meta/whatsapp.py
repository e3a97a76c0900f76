"""WhatsApp Cloud API: sending, telling what was read, and reading templates."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pytake_gql.adapters.meta import numbering, parts
from pytake_gql.adapters.meta.graph import UPLOAD_SECONDS, Graph
from pytake_gql.adapters.meta.templates import read_template
from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels.ports import Account, AnswerLost, ProviderFailed, ProviderTemplate
from pytake_gql.desk.conversations.ports import Address, Outgoing, OutgoingFile, TemplateMessage
from pytake_gql.desk.deliveries.ports import Fetched, MediumTooLarge
from pytake_gql.desk.receipts.ports import Seen
from pytake_gql.kernel.files import Files

MOST_BUTTONS = 3
LONGEST_BUTTON = 20
MOST_ROWS = 10
LONGEST_ROW = 24
LONGEST_VALUE = 200
LONGEST_BODY = 1024
"""Of a message with buttons or a list; a plain text may be longer."""
_MOST_PAGES = 60
_TEMPLATE_FIELDS = "name,language,category,status,components,parameter_format"


class WhatsApp:
    is_idempotent = False

    def __init__(self, graph: Graph, files: Files) -> None:
        self._graph = graph
        self._files = files

    def parts(self, message: Outgoing) -> Sequence[Outgoing]:
        return parts.of_whatsapp(message)

    async def send(self, message: Outgoing) -> str | None:
        """The message's own id goes along and comes back in its statuses: they settle it, even an UNKNOWN one."""
        address = message.addressed()
        number = address.account.settings["phoneNumberId"]
        written = envelope(message, address)
        if message.attachments:
            [file] = message.attachments
            written |= media(message, file, await self._upload(address.account, file))
        answer = await self._graph.post(address.account, f"{number}/messages", written)
        try:
            return str(answer["messages"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise AnswerLost("The answer names no message.") from error

    async def mark_read(self, seen: Seen) -> None:
        body = {"messaging_product": "whatsapp", "status": "read", "message_id": seen.provider_message_id}
        await self._graph.post(seen.address.account, f"{seen.address.account.settings['phoneNumberId']}/messages", body)

    async def fetch(self, account: Account, reference: str, *, most_bytes: int) -> Fetched:
        if not kinds.is_meta_id(reference):
            raise ProviderFailed("The file's id is none.", is_transient=False)
        told = await self._graph.get(account, reference, {"phone_number_id": account.settings["phoneNumberId"]})
        url, size, mime_type = told.get("url"), told.get("file_size"), told.get("mime_type")
        if not isinstance(url, str):
            raise AnswerLost("The answer names no address.")
        if isinstance(size, int) and size > most_bytes:
            raise MediumTooLarge(f"The file has {size} bytes.")
        fetched = await self._graph.download(account, url, with_token=True, most_bytes=most_bytes)
        return Fetched(fetched.data, mime_type if isinstance(mime_type, str) else fetched.mime_type)

    async def _upload(self, account: Account, file: OutgoingFile) -> str:
        """Meta's id of the file. The contact sees nothing of it: whatever went wrong, it may be done again."""
        try:
            data = await self._files.read(file.storage_key)
            async with asyncio.timeout(UPLOAD_SECONDS):
                answer = await self._graph.upload(account, f"{account.settings['phoneNumberId']}/media", file, data)
            return str(answer["id"])
        except (OSError, AnswerLost, KeyError) as error:
            raise ProviderFailed(f"The file was not uploaded: {type(error).__name__}", is_transient=True) from error

    async def templates(self, account: Account) -> Sequence[ProviderTemplate]:
        path = f"{account.settings['businessAccountId']}/message_templates"
        query = {"fields": _TEMPLATE_FIELDS, "limit": "100"}
        found: list[ProviderTemplate] = []
        for _ in range(_MOST_PAGES):
            page = await self._graph.get(account, path, query)
            rows, paging = page.get("data"), page.get("paging")
            if not isinstance(rows, list):
                raise ProviderFailed("The answer holds no templates.", is_transient=True)
            found += [template for row in rows if (template := read_template(row)) is not None]
            if not isinstance(paging, dict) or not paging.get("next"):
                break
            query["after"] = str(paging["cursors"]["after"])
        return found


def envelope(message: Outgoing, address: Address) -> dict[str, Any]:
    """A phone goes under `to`, a user who hides it under `recipient`."""
    to = "to" if address.recipient.isdigit() else "recipient"
    written: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        to: address.recipient,
        "biz_opaque_callback_data": message.message_id.hex + ("" if message.is_last_part else parts.NOT_THE_LAST),
    }
    if message.reply_to:
        written["context"] = {"message_id": message.reply_to}
    return written if message.attachments else written | content(message)


def content(message: Outgoing) -> dict[str, Any]:
    """As a template, with buttons, with a list, or as plain text that numbers what fits neither."""
    if message.template:
        return {"type": "template", "template": _template(message.template)}
    options = message.options
    fits = len(message.text) <= LONGEST_BODY and all(0 < len(o.value) <= LONGEST_VALUE for o in options)
    if fits and 0 < len(options) <= MOST_BUTTONS and all(len(o.title) <= LONGEST_BUTTON for o in options):
        buttons = [{"type": "reply", "reply": {"id": o.value, "title": o.title}} for o in options]
        return _interactive("button", message.text, {"buttons": buttons})
    if fits and 0 < len(options) <= MOST_ROWS and all(len(o.title) <= LONGEST_ROW for o in options):
        rows = [{"id": o.value, "title": o.title} for o in options]
        return _interactive("list", message.text, {"button": message.options_label, "sections": [{"rows": rows}]})
    return {"type": "text", "text": {"body": numbering.numbered(message.text, options)}}


def media(message: Outgoing, file: OutgoingFile, media_id: str) -> dict[str, Any]:
    """One file, with its text where the API has a place for it."""
    kind = parts.whatsapp_kind(file)
    described: dict[str, Any] = {"id": media_id}
    if message.text:
        described["caption"] = message.text
    if kind == "document":
        described["filename"] = file.name
    return {"type": kind, kind: described}


def _interactive(kind: str, text: str, action: dict[str, Any]) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": text}, "action": action}}


def _template(template: TemplateMessage) -> dict[str, Any]:
    """Header and body take their parameters together, each button its own."""
    components: dict[tuple[str, int], dict[str, Any]] = {}
    for parameter in template.parameters:
        of = parameter.component.lower()
        component = components.setdefault((of, parameter.index), {"type": of, "parameters": []})
        if of == "button":
            component |= {"sub_type": "url", "index": str(parameter.index)}
        named = {"parameter_name": parameter.name} if parameter.is_named else {}
        component["parameters"].append({"type": "text", **named, "text": parameter.text})
    return {
        "name": template.name,
        "language": {"code": template.language},
        "components": list(components.values()),
    }
