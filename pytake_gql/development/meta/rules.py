"""What Meta refuses in a message: the HTTP status, the code and the words, or nothing. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from pytake_gql.development.meta.payloads import Json

Refused = tuple[int, int, str]


def broken(body: Json, templates: Sequence[Json]) -> Refused | None:
    if body.get("messaging_product") == "whatsapp":
        return _whatsapp(body, templates)
    words = body.get("message", {}).get("text") or ""
    if not 0 < len(words.encode()) <= 1000:
        return 400, 100, "Length of param message[text] must be less than or equal to 1000"
    replies = body["message"].get("quick_replies", [])
    if len(replies) > 13 or any(len(reply["title"]) > 20 for reply in replies):
        return 400, 100, "Invalid quick replies"
    return None


def _whatsapp(body: Json, templates: Sequence[Json]) -> Refused | None:
    if not (body.get("to") or body.get("recipient")):
        return 400, 131008, "Required parameter is missing: to"
    kind = body.get("type")
    if kind == "text":
        is_well = 0 < len(body["text"]["body"]) <= 4096
        return None if is_well else (400, 100, "Param text['body'] must be at most 4096 characters long.")
    if kind == "interactive":
        return _interactive(body["interactive"])
    if kind == "template":
        return _template(body["template"], templates)
    return 400, 131051, "Unsupported message type"


def _interactive(given: Json) -> Refused | None:
    action: Any = given["action"]
    if given["type"] == "button":
        ids = [button["reply"]["id"] for button in action["buttons"]]
        is_well = 0 < len(ids) <= 3 and all(0 < len(b["reply"]["title"]) <= 20 for b in action["buttons"])
    else:
        rows = [row for section in action["sections"] for row in section["rows"]]
        ids = [row["id"] for row in rows]
        is_well = (
            0 < len(rows) <= 10 and all(0 < len(r["title"]) <= 24 for r in rows) and 0 < len(action["button"]) <= 20
        )
    is_well = is_well and 0 < len(given["body"]["text"]) <= 1024 and len(set(ids)) == len(ids)
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
