"""How fast a provider takes messages. Nobody sleeps: what must wait is due again later."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations.ports import Address
from pytake_gql.kernel.errors import RateLimited
from pytake_gql.kernel.limiter import Limiter, Rate


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


async def wait(limiter: Limiter, address: Address) -> float:
    """Seconds until the message may go: 0 when its tokens were taken."""
    pace, channel = PACES[address.account.kind], address.account.channel_id.hex
    pair = f"sends-pair:{channel}:{address.recipient}"
    try:
        if pace.per_contact:
            await limiter.take(pair, pace.per_contact)
    except RateLimited as limited:
        return limited.retry_after_seconds
    try:
        await limiter.take(f"sends:{channel}", pace.per_account)
    except RateLimited as limited:
        if pace.per_contact:
            await limiter.give_back(pair, pace.per_contact)
        return limited.retry_after_seconds
    return 0.0
