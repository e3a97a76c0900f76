"""What a notification says, in the language of whoever reads it."""

from pytake_gql.desk.conversations.models import SlaTarget
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from pytake_gql.kernel.translation import translate


def title(row: Notification, locale: str) -> str:
    """One line, without names."""
    match row.kind:
        case NotificationKind.CHANNEL_FAILED:
            return translate("A channel lets nothing pass any more", locale)
        case NotificationKind.AUTOMATION_PAUSED:
            return translate("An automation paused by itself", locale)
        case NotificationKind.EXECUTION_FAILED:
            return translate("An automation failed to run", locale)
        case _:
            return _of_conversation(row, locale)


def _of_conversation(row: Notification, locale: str) -> str:
    number = row.number
    match row.kind:
        case NotificationKind.ASSIGNED:
            return translate("Conversation #{number} is yours", locale, number=number)
        case NotificationKind.TRANSFERRED:
            return translate("Conversation #{number} was transferred to you", locale, number=number)
        case NotificationKind.REPLIED:
            return translate("New message in conversation #{number}", locale, number=number)
        case NotificationKind.SLA_BREACHED:
            return _breach(row.target, number, locale)
        case NotificationKind.UNROUTABLE:
            return translate("Nobody has the skills for conversation #{number}", locale, number=number)
        case _:
            return translate("Something needs your attention", locale)


def _breach(target: SlaTarget | None, number: int | None, locale: str) -> str:
    match target:
        case SlaTarget.FIRST_RESPONSE:
            return translate("Conversation #{number} got no first answer in time", locale, number=number)
        case SlaTarget.NEXT_RESPONSE:
            return translate("Conversation #{number} got no answer in time", locale, number=number)
        case _:
            return translate("Conversation #{number} was not closed in time", locale, number=number)
