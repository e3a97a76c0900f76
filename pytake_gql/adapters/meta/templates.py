"""A message template as the Graph API tells it, read into ours."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytake_gql.desk.channels.models import TemplateStatus
from pytake_gql.desk.channels.ports import Placeholder, ProviderTemplate

_STATUSES = {
    "APPROVED": TemplateStatus.APPROVED,
    "PENDING": TemplateStatus.PENDING,
    "IN_APPEAL": TemplateStatus.PENDING,
    "REJECTED": TemplateStatus.REJECTED,
    "DISABLED": TemplateStatus.REJECTED,
    "PAUSED": TemplateStatus.PAUSED,
    "LIMIT_EXCEEDED": TemplateStatus.PAUSED,
}
"""What has another status is on its way out."""
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_NAME, _LANGUAGE, _CATEGORY = 512, 40, 40


def read_template(row: Any) -> ProviderTemplate | None:
    """None for one that cannot be sent: deleted, without a body, or with a medium in its header."""
    if not isinstance(row, Mapping) or (status := _STATUSES.get(str(row.get("status")))) is None:
        return None
    components = [part for part in row.get("components") or [] if isinstance(part, Mapping)]
    body = next((part.get("text") for part in components if part.get("type") == "BODY"), None)
    if not body or not row.get("name") or not row.get("language") or any(map(_needs_more, components)):
        return None
    is_named = row.get("parameter_format") == "NAMED"
    return ProviderTemplate(
        name=str(row["name"])[:_NAME],
        language=str(row["language"])[:_LANGUAGE],
        category=str(row.get("category") or "")[:_CATEGORY],
        status=status,
        body=str(body),
        placeholders=tuple(found for part in components for found in _placeholders(part, is_named=is_named)),
    )


def _needs_more(component: Mapping[str, Any]) -> bool:
    """Whether it wants what is no text: a medium, a place, a code, a catalogue."""
    kind = component.get("type")
    if kind == "HEADER":
        return bool(component.get("format", "TEXT") != "TEXT")
    buttons = component.get("buttons") or []
    return kind not in {"BODY", "FOOTER", "BUTTONS"} or any(
        button.get("type") not in {"URL", "QUICK_REPLY", "PHONE_NUMBER"} for button in buttons
    )


def _placeholders(component: Mapping[str, Any], *, is_named: bool) -> Iterator[Placeholder]:
    """Each once, in order: a name may stand in a text twice."""
    kind = str(component.get("type"))
    if kind in {"HEADER", "BODY"}:
        for name in dict.fromkeys(_PLACEHOLDER.findall(str(component.get("text") or ""))):
            yield Placeholder(kind, name, is_named=is_named)
    if kind == "BUTTONS":
        for index, button in enumerate(component.get("buttons") or []):
            if button.get("type") == "URL" and _PLACEHOLDER.search(str(button.get("url") or "")):
                yield Placeholder("BUTTON", str(index + 1), index=index)
