"""What Meta refuses in a message: the HTTP status, the code and the words, or nothing. Pure."""

import re
from collections.abc import Container, Sequence
from typing import Any

from pytake_gql.development.meta.payloads import Json

Refused = tuple[int, int, str]

LONGEST_TEXT, LONGEST_BODY = 4096, 1024
MOST_BUTTONS, LONGEST_BUTTON = 3, 20
MOST_ROWS, LONGEST_ROW = 10, 24
INSTAGRAM_BYTES, MOST_REPLIES, LONGEST_REPLY = 1000, 13, 20
MOST_BYTES = {"image": 5 << 20, "video": 16 << 20, "audio": 16 << 20, "document": 100 << 20}
_TYPES = {
    **dict.fromkeys(("image/jpeg", "image/png"), "image"),
    **dict.fromkeys(("video/mp4", "video/3gpp"), "video"),
    **dict.fromkeys(("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), "audio"),
    **dict.fromkeys(("application/pdf", "text/plain"), "document"),
}
"""Some documents more are taken."""


def broken(body: Json, templates: Sequence[Json], media: Container[str] = ()) -> Refused | None:
    if body.get("messaging_product") == "whatsapp":
        return _whatsapp(body, templates, media)
    if (attachment := body.get("message", {}).get("attachment")) is not None:
        is_well = attachment["type"] in {"image", "video", "audio", "file"} and "text" not in body["message"]
        return None if is_well and attachment["payload"]["url"].startswith("http") else (400, 100, "Invalid attachment")
    words = body.get("message", {}).get("text") or ""
    if not 0 < len(words.encode()) <= INSTAGRAM_BYTES:
        return 400, 100, "Length of param message[text] must be less than or equal to 1000"
    replies = body["message"].get("quick_replies", [])
    if len(replies) > MOST_REPLIES or any(len(reply["title"]) > LONGEST_REPLY for reply in replies):
        return 400, 100, "Invalid quick replies"
    return None


def is_receipt(body: Json) -> bool:
    """Whether it tells that a contact's words were read."""
    return "status" in body or "sender_action" in body


def broken_receipt(body: Json) -> Refused | None:
    if body.get("messaging_product") == "whatsapp":
        is_well = body["status"] == "read" and str(body.get("message_id", "")).startswith("wamid.")
    else:
        is_well = body["sender_action"] == "mark_seen" and bool(body.get("recipient", {}).get("id"))
    return None if is_well and "message" not in body else (400, 100, "Invalid parameter")


def broken_upload(mime_type: str, size: int) -> Refused | None:
    kind = _TYPES.get(mime_type)
    if kind is None:
        return 400, 100, "Param file must be a file with one of the following types: audio/aac, …"
    return None if size <= MOST_BYTES[kind] else (400, 131053, "The file is too large.")


def _whatsapp(body: Json, templates: Sequence[Json], media: Container[str]) -> Refused | None:
    if not (body.get("to") or body.get("recipient")):
        return 400, 131008, "Required parameter is missing: to"
    kind = body.get("type")
    if kind == "text":
        is_well = 0 < len(body["text"]["body"]) <= LONGEST_TEXT
        return None if is_well else (400, 100, "Param text['body'] must be at most 4096 characters long.")
    if kind == "interactive":
        return _interactive(body["interactive"])
    if kind == "template":
        return _template(body["template"], templates)
    if kind in MOST_BYTES:
        return _media(kind, body[kind], media)
    return 400, 131051, "Unsupported message type"


def _media(kind: str, given: Json, media: Container[str]) -> Refused | None:
    if given.get("id") not in media:
        return 400, 131053, "Media upload error: there is no such media."
    is_well = len(given.get("caption", "")) <= LONGEST_BODY and (kind != "audio" or "caption" not in given)
    return None if is_well and (kind == "document" or "filename" not in given) else (400, 100, "Invalid parameter")


def _interactive(given: Json) -> Refused | None:
    action: Any = given["action"]
    if given["type"] == "button":
        offered, most, longest = [button["reply"] for button in action["buttons"]], MOST_BUTTONS, LONGEST_BUTTON
        is_well = True
    else:
        offered, most, longest = [row for s in action["sections"] for row in s["rows"]], MOST_ROWS, LONGEST_ROW
        is_well = 0 < len(action["button"]) <= LONGEST_BUTTON
    is_well &= 0 < len(offered) <= most and all(0 < len(one["title"]) <= longest for one in offered)
    is_well &= len({one["id"] for one in offered}) == len(offered)
    is_well &= 0 < len(given["body"]["text"]) <= LONGEST_BODY
    return None if is_well else (400, 131009, "Parameter value is not valid")


def _template(given: Json, templates: Sequence[Json]) -> Refused | None:
    same = [t for t in templates if (t["name"], t["language"]) == (given["name"], given["language"]["code"])]
    if not same or same[0]["status"] != "APPROVED":
        return 404, 132001, "Template name does not exist in the translation"
    expected = {part["type"].lower(): _count(part.get("text")) for part in same[0]["components"]}
    told = {part["type"]: len(part["parameters"]) for part in given.get("components", [])}
    if any(told.get(kind, 0) != expected.get(kind, 0) for kind in ("header", "body")):
        return 400, 132000, "Number of parameters does not match the expected number of params"
    return None


def _count(text: str | None) -> int:
    return len(set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text or "")))
