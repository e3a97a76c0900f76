"""How fast a provider takes messages. Nobody sleeps: what must wait is due again later."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations.ports import Address
from pytake_gql.kernel.errors import RateLimited
from pytake_gql.kernel.limiter import Bucket, Limiter, Rate


@dataclass(frozen=True, slots=True)
class Pace:
    per_account: Rate
    per_contact: Rate | None = None


PACES: Mapping[ChannelKind, Pace] = MappingProxyType(
    {
        # Of a number and of a pair (developers.facebook.com/docs/whatsapp/messaging-limits and …/cloud-api/overview).
        ChannelKind.WHATSAPP: Pace(Rate(80, 80), Rate(1, 1 / 6)),
        # Of an account, for texts (developers.facebook.com/docs/instagram-platform/overview).
        ChannelKind.INSTAGRAM: Pace(Rate(100, 100)),
    }
)


_RESERVE = 0.1
"""Of an account's bucket, which campaigns leave for what people write."""


async def wait(limiter: Limiter, address: Address) -> float:
    """Seconds until the message may go: 0 when its tokens were taken."""
    pace, channel_id = PACES[address.account.kind], address.account.channel_id
    if seconds := await wait_for_contact(limiter, address.account.kind, channel_id, address.recipient):
        return seconds
    try:
        await limiter.take(_of_account(channel_id), pace.per_account)
    except RateLimited as limited:
        if pace.per_contact:
            await limiter.give_back(_of_pair(channel_id, address.recipient), pace.per_contact)
        return limited.retry_after_seconds
    return 0.0


async def wait_for_contact(limiter: Limiter, kind: ChannelKind, channel_id: UUID, recipient: str) -> float:
    """The same of the contact's own bucket alone, where the provider has one."""
    pace = PACES.get(kind)
    if pace is None or pace.per_contact is None:
        return 0.0
    try:
        await limiter.take(_of_pair(channel_id, recipient), pace.per_contact)
    except RateLimited as limited:
        return limited.retry_after_seconds
    return 0.0


def bucket(kind: ChannelKind, channel_id: UUID) -> Bucket | None:
    """Of the account, for those who take many at once; None where nobody counts."""
    pace = PACES.get(kind)
    if pace is None:
        return None
    return Bucket(_of_account(channel_id), pace.per_account, reserve=pace.per_account.capacity * _RESERVE)


def _of_account(channel_id: UUID) -> str:
    return f"sends:{channel_id.hex}"


def _of_pair(channel_id: UUID, recipient: str) -> str:
    return f"sends-pair:{channel_id.hex}:{recipient}"
