"""Puts a process together: the only place that reads the environment, picks adapters, builds pool, bus and clock."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from arq.connections import ArqRedis
from redis.asyncio import Redis

import pytake_gql.models
from pytake_gql.adapters.address_files import AddressFiles
from pytake_gql.adapters.local_files import LocalFiles
from pytake_gql.adapters.meta.graph import Graph
from pytake_gql.adapters.meta.instagram import Instagram
from pytake_gql.adapters.meta.instagram_reader import InstagramReader
from pytake_gql.adapters.meta.whatsapp import WhatsApp
from pytake_gql.adapters.meta.whatsapp_reader import WhatsAppReader
from pytake_gql.adapters.no_assistant import NoAssistant
from pytake_gql.adapters.public_http import GuardedHttp
from pytake_gql.adapters.s3_files import S3Files
from pytake_gql.adapters.smtp import KeptMail, SmtpMailer
from pytake_gql.adapters.web_chat import WebChat
from pytake_gql.automation.ai.ports import Assistant
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.channels.ports import TemplateSource
from pytake_gql.desk.conversations.ports import ChannelPort, Channels
from pytake_gql.desk.deliveries.ports import AddressSource, MediaSource, Readers
from pytake_gql.desk.receipts.ports import Receipts
from pytake_gql.development.servers import Lent, lend, state_directory
from pytake_gql.kernel.bus import Bus
from pytake_gql.kernel.clock import AgreedClock, Clock, SystemClock
from pytake_gql.kernel.db import API_ROLE, Database
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.jobs import Jobs, deserialize, serialize
from pytake_gql.kernel.limiter import Limiter
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.public_http import PublicHttp
from pytake_gql.kernel.settings import Settings, read_settings
from pytake_gql.kernel.tokens import Tokens
from pytake_gql.kernel.unit_of_work import UnitsOfWork
from pytake_gql.listeners import listeners
from pytake_gql.tenancy.auth.authority import SessionAuthority
from pytake_gql.tenancy.mail.ports import Mailer
from pytake_gql.tenancy.members.heartbeat import Heartbeat

assert pytake_gql.models  # noqa: S101 - every table is known, so that keys may point to those of a higher wing


def servers() -> Lent:
    """The environment, with embedded servers where development names none; raises `EmbeddedServerError`."""
    return lend(os.environ)


def servers_directory() -> Path:
    """Where the embedded servers keep their data."""
    return state_directory(os.environ)


def settings() -> Settings:
    """The process's settings; raises `SettingsError`, or `EmbeddedServerError`."""
    lent = servers()
    if lent.environment.get("PYTAKE_ENV", "development") == "development":
        return read_settings({"PYTAKE_FILES_DIRECTORY": str(lent.state / "files"), **lent.environment})
    return read_settings(lent.environment)


def mailer(of: Settings, clock: Clock) -> Mailer:
    """By SMTP where a server is named, as production demands; else mails are only kept. Raises `SettingsError`."""
    return SmtpMailer(of.smtp_url, of.mail_from, clock) if of.smtp_url else KeptMail()


def channels(of: Ports) -> Channels:
    """How a message leaves, by kind of channel."""
    by_kind: Channels = of.adapters[ChannelPort]
    return by_kind


def readers() -> Readers:
    """How what a provider delivers is read, by kind of channel."""
    return {ChannelKind.WHATSAPP: WhatsAppReader(), ChannelKind.INSTAGRAM: InstagramReader()}


def files(of: Settings, tokens: Tokens, clock: Clock) -> Files:
    """In the S3-compatible store that is named, else on the local disk. Raises `SettingsError`."""
    if of.s3_url:
        return S3Files(of.s3_url, clock)
    return LocalFiles(Path(of.files_directory), tokens, clock, of.public_url)


@asynccontextmanager
async def ports(of: Settings, clock: Clock | None = None, *, database_role: str = API_ROLE) -> AsyncIterator[Ports]:
    """Everything one process has at hand, closed again at the end. Without a clock: what the database agrees to."""
    agreed = AgreedClock(SystemClock())
    clock = clock or agreed
    redis = Redis.from_url(of.redis_url, socket_timeout=5, socket_connect_timeout=2)
    queue = ArqRedis(connection_pool=redis.connection_pool, job_serializer=serialize, job_deserializer=deserialize)
    database = Database(of.database_url, role=database_role, pool_size=of.database_pool_size)
    bus, jobs, tokens = Bus(redis), Jobs(queue), Tokens(of.secret_key, clock)
    authority = SessionAuthority(database, tokens, of)
    units = UnitsOfWork(database, clock, bus, jobs, listeners(), of)
    heartbeat, stored, graph = Heartbeat(units), files(of, tokens, clock), Graph(is_production=of.is_production)
    public_http = GuardedHttp()
    whatsapp, instagram = WhatsApp(graph, stored), Instagram(graph)
    try:
        async with database.telling(agreed), authority.following(bus), heartbeat.beating():
            yield Ports(
                settings=of,
                clock=clock,
                database=database,
                bus=bus,
                jobs=jobs,
                limiter=Limiter(redis),
                tokens=tokens,
                units=units,
                authority=authority,
                presence=heartbeat,
                files=stored,
                adapters={
                    ChannelPort: {
                        ChannelKind.WEB_CHAT: WebChat(),
                        ChannelKind.WHATSAPP: whatsapp,
                        ChannelKind.INSTAGRAM: instagram,
                    },
                    Receipts: {ChannelKind.WHATSAPP: whatsapp, ChannelKind.INSTAGRAM: instagram},
                    MediaSource: {ChannelKind.WHATSAPP: whatsapp, ChannelKind.INSTAGRAM: instagram},
                    TemplateSource: whatsapp,
                    PublicHttp: public_http,
                    AddressSource: AddressFiles(public_http),
                    Assistant: NoAssistant(),
                },
            )
    finally:
        await stored.close()
        await graph.close()
        await public_http.close()
        await bus.close()
        await database.close()
        await redis.aclose()
