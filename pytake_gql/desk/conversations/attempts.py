"""One call of a channel, and what came of it: outside any transaction, and told as a value."""

import asyncio
from dataclasses import dataclass

from pytake_gql.desk.channels.ports import AnswerLost, ProviderFailed
from pytake_gql.desk.conversations.models import MessageStatus
from pytake_gql.desk.conversations.ports import ChannelPort, Outgoing

TIMEOUT_SECONDS = 40


@dataclass(frozen=True, slots=True)
class Attempt:
    """SENT, UNKNOWN or FAILED."""

    status: MessageStatus
    error: str | None = None
    reason: str | None = None
    """The provider's, where it refused: the error tells the part beside it."""
    provider_id: str | None = None
    is_part: bool = False
    """It passed, and was not the last part of its message."""
    may_pass_later: bool = False
    """It failed by what passes: the same call may be done again."""
    is_access_at_fault: bool = False
    """Nothing passes any more with this account."""

    @property
    def has_passed(self) -> bool:
        return self.status is MessageStatus.SENT


async def attempt(channel: ChannelPort, message: Outgoing, parts_sent: int = 0) -> Attempt:
    """Sends the next part, once."""
    where = ""
    try:
        parts = channel.parts(message)
        where = f"Part {parts_sent + 1} of {len(parts)}: " if len(parts) > 1 else ""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            provider_id = await channel.send(parts[parts_sent])
    except TimeoutError:
        return Attempt(MessageStatus.UNKNOWN, f"{where}The channel did not answer.")
    except AnswerLost as lost:
        return Attempt(MessageStatus.UNKNOWN, f"{where}The answer of the channel was lost: {lost}")
    except ProviderFailed as failure:
        return Attempt(
            MessageStatus.FAILED,
            f"{where}{failure.reason}",
            reason=failure.reason,
            may_pass_later=failure.is_transient,
            is_access_at_fault=failure.is_access_at_fault,
        )
    return Attempt(MessageStatus.SENT, provider_id=provider_id, is_part=parts_sent + 1 < len(parts))
