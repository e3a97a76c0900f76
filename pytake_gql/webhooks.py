"""Inbound HTTP of the channels: verify, store, answer 200 once it is stored (G21, D26).

Each channel has an address of its own, so that nobody's secret opens another organization's door. Who is not let in
learns nothing: an unknown channel, one without secrets and a forged signature have one face.
"""

import hmac
import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pytake_gql.desk.channels import kinds, rotation
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.deliveries import service as deliveries
from pytake_gql.desk.deliveries.ports import Batch, Readers, UnreadableDelivery
from pytake_gql.kernel import metrics
from pytake_gql.kernel.errors import ErrorCode
from pytake_gql.kernel.ids import parse_global_id
from pytake_gql.kernel.ports import Ports

log = logging.getLogger(__name__)

PATH = "/webhooks/{channel}"
MOST_BYTES = 3 * 1024 * 1024
"""What Meta delivers at most at once."""
LONGEST_CHALLENGE = 1000
SIGNATURE = "x-hub-signature-256"
ATTEMPTS = 5
_LOST_A_RACE = {"40P01", "40001"}
"""SQLSTATE of a deadlock and of a serialization failure: nothing happened, and it may be tried again."""


def routes(ports: Ports, readers: Readers) -> list[Route]:
    door = Door(ports, readers)
    return [Route(PATH, door.verify, methods=["GET"]), Route(PATH, door.deliver, methods=["POST"])]


@dataclass(frozen=True, slots=True)
class _Known:
    """A channel with its secrets."""

    channel: Channel
    secrets: Mapping[str, str]

    @property
    def address(self) -> str:
        return str(self.channel.settings.get(kinds.KINDS[self.channel.kind].address or "", ""))


class _Refused(Exception):
    """The caller is not let in, or is let in and says what cannot be read."""

    def __init__(self, status: int, code: ErrorCode, why: str) -> None:
        super().__init__(why)
        self.status, self.code = status, code


def _stranger(why: str) -> _Refused:
    return _Refused(403, ErrorCode.FORBIDDEN, why)


class Door:
    def __init__(self, ports: Ports, readers: Readers) -> None:
        self._ports = ports
        self._readers = readers

    async def verify(self, request: Request) -> Response:
        """The handshake: who knows the verify token gets the challenge back."""
        try:
            challenge = await self._challenge(request)
        except _Refused as refused:
            return _answer(request, refused)
        headers = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
        return PlainTextResponse(challenge, headers=headers)

    async def deliver(self, request: Request) -> Response:
        """Stores what was delivered, all of it or nothing."""
        try:
            body = await _body(request)
            own = await self._channel(request)
            delivered = await self._delivered(own, body, request.headers.get(SIGNATURE, ""))
            await self._take(own.channel.organization_id, delivered)
        except _Refused as refused:
            return _answer(request, refused)
        metrics.webhooks.labels("200").inc()
        return PlainTextResponse("stored")

    async def _challenge(self, request: Request) -> str:
        expected = (await self._channel(request)).secrets.get("verifyToken")
        given, challenge = (request.query_params.get(f"hub.{name}", "") for name in ("verify_token", "challenge"))
        if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
            raise _stranger("a wrong verify token")
        if request.query_params.get("hub.mode") != "subscribe" or not 0 < len(challenge) <= LONGEST_CHALLENGE:
            raise _Refused(400, ErrorCode.BAD_USER_INPUT, "no handshake")
        return challenge

    async def _channel(self, request: Request) -> _Known:
        """The channel of the address, which says what organization it is."""
        channel_id = _channel_id(request)
        async with self._ports.database.session(None) as session:
            organization_id = await session.scalar(
                sa.text("SELECT engine_channel_organization(:channel_id)"), {"channel_id": channel_id}
            )
        if organization_id is None:
            raise _stranger("an unknown channel")
        async with self._ports.database.session(organization_id) as session:
            channel = (await channels.by_ids(session, [channel_id])).get(channel_id)
            if channel is None or channel.kind not in self._readers:
                raise _stranger("a channel that nobody delivers to")
            return _Known(channel, await channels.secrets(session, self._ports.settings, channel))

    async def _delivered(self, own: _Known, body: bytes, signature: str) -> Sequence[deliveries.Delivered]:
        """What is for this channel, and for others of the organization that the same secret signs for."""
        if not self._is_signed(own, body, signature):
            raise _stranger("a wrong signature")
        batches = self._read(own, body)
        known = [own, *await self._others(own, {batch.address for batch in batches})]
        by_address = {one.address: one.channel for one in known if self._is_signed(one, body, signature)}
        delivered = [(by_address[batch.address], batch.updates) for batch in batches if batch.address in by_address]
        if batches and not delivered:
            raise _Refused(404, ErrorCode.NOT_FOUND, "no channel has this number")
        if len(delivered) < len(batches):
            log.warning("a delivery to channel %s names numbers that no channel has", own.channel.id)
        return delivered

    async def _others(self, own: _Known, addresses: AbstractSet[str]) -> Sequence[_Known]:
        """The organization's other channels with these numbers: one app of Meta's may serve many."""
        wanted = addresses - {own.address}
        if not wanted:
            return []
        async with self._ports.database.session(own.channel.organization_id) as session:
            found = await channels.by_addresses(session, own.channel.kind, wanted)
            return [_Known(row, await channels.secrets(session, self._ports.settings, row)) for row in found]

    def _is_signed(self, known: _Known, body: bytes, signature: str) -> bool:
        """By the channel's app secret or, for some time, by the one before; without a secret nothing is."""
        given = signature.encode()
        is_valid = False
        for secret in rotation.valid(known.secrets, self._ports.clock.now()):
            expected = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
            is_valid |= hmac.compare_digest(expected.encode(), given)
        return is_valid

    def _read(self, known: _Known, body: bytes) -> Sequence[Batch]:
        try:
            return self._readers[known.channel.kind].read(_json(body))
        except UnreadableDelivery as unreadable:
            raise _Refused(400, ErrorCode.BAD_USER_INPUT, str(unreadable)) from unreadable

    async def _take(self, organization_id: UUID, delivered: Sequence[deliveries.Delivered]) -> None:
        """One unit of work. Many contacts in one delivery may cross with their agents: who loses begins again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._ports.units.of_system(organization_id) as uow:
                    await deliveries.take(uow, delivered)
            except DBAPIError as error:
                if attempt == ATTEMPTS or getattr(error.orig, "sqlstate", None) not in _LOST_A_RACE:
                    raise
            else:
                return


def _channel_id(request: Request) -> UUID:
    parsed = parse_global_id(request.path_params["channel"])
    if parsed is None or parsed[0] != "Channel":
        raise _stranger("an address without a channel")
    return parsed[1]


async def _body(request: Request) -> bytes:
    """The raw bytes, which are what was signed."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                raise _Refused(413, ErrorCode.BAD_USER_INPUT, "a body that is too long")
    except ClientDisconnect as gone:
        raise _Refused(400, ErrorCode.BAD_USER_INPUT, "the caller went away") from gone
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableDelivery("no JSON") from error


def _answer(request: Request, refused: _Refused) -> Response:
    metrics.webhooks.labels(str(refused.status)).inc()
    request_id = request.scope.get("request_id", "")
    log.warning("a webhook was refused: %s", refused, extra={"request_id": request_id, "path": request.url.path})
    return JSONResponse({"error": {"code": refused.code.value, "requestId": request_id}}, refused.status)
