"""What a notification says, in the language of whoever reads it."""

from collections.abc import Mapping

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from pytake_gql.kernel.translation import translate

_TITLES: Mapping[NotificationKind, str] = {
    NotificationKind.ASSIGNED: "Conversation #{number} is yours",
    NotificationKind.TRANSFERRED: "Conversation #{number} was transferred to you",
    NotificationKind.REPLIED: "New message in conversation #{number}",
    NotificationKind.UNROUTABLE: "Nobody has the skills for conversation #{number}",
    NotificationKind.CHANNEL_FAILED: "A channel lets nothing pass any more",
}
_BREACHES: Mapping[SlaTarget | None, str] = {
    SlaTarget.FIRST_RESPONSE: "Conversation #{number} got no first answer in time",
    SlaTarget.NEXT_RESPONSE: "Conversation #{number} got no answer in time",
}


def title(row: Notification, locale: str) -> str:
    """One line, without names."""
    if row.kind is NotificationKind.SLA_BREACHED:
        template = _BREACHES.get(row.target, "Conversation #{number} was not closed in time")
    else:
        template = _TITLES.get(row.kind, "Something needs your attention")
    return translate(template, locale, number=row.number)
