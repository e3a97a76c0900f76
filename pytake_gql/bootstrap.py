"""Puts a process together: the only place that reads the environment, picks adapters, builds pool, bus and clock."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arq.connections import ArqRedis
from redis.asyncio import Redis

from pytake_gql.adapters.smtp import KeptMail, SmtpMailer
from pytake_gql.insight.audit import service as audit
from pytake_gql.kernel.bus import Bus
from pytake_gql.kernel.clock import Clock, SystemClock
from pytake_gql.kernel.db import API_ROLE, Database
from pytake_gql.kernel.events import Event, Listeners
from pytake_gql.kernel.jobs import Jobs, deserialize, serialize
from pytake_gql.kernel.limiter import Limiter
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings, read_settings
from pytake_gql.kernel.tokens import Tokens
from pytake_gql.kernel.unit_of_work import UnitsOfWork
from pytake_gql.tenancy.auth.authority import SessionAuthority
from pytake_gql.tenancy.mail.ports import Mailer


def settings() -> Settings:
    """The process's settings; raises `SettingsError`."""
    return read_settings(os.environ)


def listeners() -> Listeners:
    """Who hears what: the one list of what travels up the wings."""
    heard = Listeners()
    heard.on(Event, audit.record)
    return heard


def mailer(of: Settings, clock: Clock) -> Mailer:
    """By SMTP where a server is named, as production demands; else mails are only kept. Raises `SettingsError`."""
    return SmtpMailer(of.smtp_url, of.mail_from, clock) if of.smtp_url else KeptMail()


@asynccontextmanager
async def ports(of: Settings, clock: Clock | None = None, *, database_role: str = API_ROLE) -> AsyncIterator[Ports]:
    """Everything one process has at hand, closed again at the end."""
    clock = clock or SystemClock()
    redis = Redis.from_url(of.redis_url, socket_timeout=5, socket_connect_timeout=2)
    queue = ArqRedis(connection_pool=redis.connection_pool, job_serializer=serialize, job_deserializer=deserialize)
    database = Database(of.database_url, role=database_role, pool_size=of.database_pool_size)
    bus, jobs, tokens = Bus(redis), Jobs(queue), Tokens(of.secret_key, clock)
    try:
        yield Ports(
            settings=of,
            clock=clock,
            database=database,
            bus=bus,
            jobs=jobs,
            limiter=Limiter(redis),
            tokens=tokens,
            units=UnitsOfWork(database, clock, bus, jobs, listeners(), of),
            authority=SessionAuthority(database, tokens, of),
        )
    finally:
        await bus.close()
        await database.close()
        await redis.aclose()
