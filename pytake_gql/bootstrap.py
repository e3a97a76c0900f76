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
from pytake_gql.automation.flow_automations import listeners as flow_automations
from pytake_gql.automation.flow_executions import following
from pytake_gql.automation.flow_executions.events import FlowExecutionEnded
from pytake_gql.automation.flow_runs import listeners as flow_runs
from pytake_gql.automation.flow_runs.events import FlowRunEnded
from pytake_gql.automation.flows.events import FlowDeleted
from pytake_gql.desk.channels.events import ChannelDeleted, ChannelFlowChosen
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.channels.ports import TemplateSource
from pytake_gql.desk.contacts.events import ContactErased, ContactMerged
from pytake_gql.desk.conversations import ownership
from pytake_gql.desk.conversations.events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationGivenToFlow,
    ConversationMoved,
    ConversationQueued,
    ConversationSnoozed,
    FlowMessageSettled,
    MessageReceived,
    MessageSent,
)
from pytake_gql.desk.conversations.ports import ChannelPort, Channels
from pytake_gql.desk.deliveries import media
from pytake_gql.desk.deliveries.ports import AddressSource, MediaSource, Readers
from pytake_gql.desk.departments.events import DepartmentDeleted
from pytake_gql.desk.queues import membership, requirements
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.events import QueueDeleted, QueueMembersChanged, QueueUpdated
from pytake_gql.desk.routing import departures, triggers
from pytake_gql.desk.routing.events import QueueUnroutable
from pytake_gql.desk.skills import levels
from pytake_gql.desk.skills.events import MemberSkillsChanged, SkillDeleted
from pytake_gql.desk.sla import service as sla
from pytake_gql.desk.sla.events import SlaBreached
from pytake_gql.development.servers import Lent, lend, state_directory
from pytake_gql.insight.audit import service as audit
from pytake_gql.insight.notifications import listeners as notifications
from pytake_gql.kernel.bus import Bus
from pytake_gql.kernel.clock import Clock, SystemClock
from pytake_gql.kernel.db import API_ROLE, Database
from pytake_gql.kernel.events import Event, Listeners
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.jobs import Jobs, deserialize, serialize
from pytake_gql.kernel.limiter import Limiter
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.public_http import PublicHttp
from pytake_gql.kernel.settings import Settings, read_settings
from pytake_gql.kernel.tokens import Tokens
from pytake_gql.kernel.unit_of_work import UnitsOfWork
from pytake_gql.tenancy.auth.authority import SessionAuthority
from pytake_gql.tenancy.mail.ports import Mailer
from pytake_gql.tenancy.members import invitations
from pytake_gql.tenancy.members.events import (
    MemberAvailabilityChanged,
    MemberDeactivated,
    MemberInvited,
    MemberJoined,
    MemberQueuesSet,
    MemberRemoved,
    MemberSeen,
    MemberSkillsSet,
    MemberUpdated,
)
from pytake_gql.tenancy.members.heartbeat import Heartbeat
from pytake_gql.tenancy.organizations.events import OrganizationCreated, OrganizationUpdated

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


def listeners() -> Listeners:
    """Who hears what: the one list of what travels up the wings."""
    heard = Listeners()
    heard.on(Event, audit.record)
    heard.on(OrganizationCreated, invitations.invite_first_admin)
    heard.on(DepartmentDeleted, queues.refuse_while_queues_stand)
    heard.on(QueueDeleted, departures.on_queue_deleted)
    heard.on(ChannelDeleted, departures.on_channel_deleted)
    heard.on(ContactMerged, ownership.on_contact_merged)
    heard.on(ContactErased, ownership.on_contact_erased)
    heard.on(ContactErased, media.on_contact_erased)
    heard.on(MemberAvailabilityChanged, departures.on_availability_changed)
    heard.on(MemberDeactivated, departures.on_member_deactivated)
    heard.on(MemberRemoved, departures.on_member_removed)
    heard.on(MemberInvited, membership.refuse_unknown_queues)
    heard.on(MemberJoined, membership.give_queues)
    heard.on(MemberQueuesSet, membership.replace_queues)
    heard.on(MemberSkillsSet, levels.replace_skills)
    heard.on(SkillDeleted, requirements.refuse_while_required)
    heard.on(MemberRemoved, membership.take_queues)
    heard.on(ConversationMoved, triggers.on_conversation_moved)
    heard.on(MemberUpdated, triggers.on_member_changed)
    heard.on(MemberSkillsChanged, triggers.on_member_changed)
    heard.on(MemberAvailabilityChanged, triggers.on_availability_changed)
    heard.on(MemberSeen, triggers.on_member_changed)
    heard.on(QueueMembersChanged, triggers.on_queue_members_changed)
    heard.on(QueueUpdated, triggers.on_queue_updated)
    heard.on(ConversationQueued, sla.on_queued)
    heard.on(ConversationAssigned, sla.on_assigned)
    heard.on(ConversationSnoozed, sla.on_snoozed)
    heard.on(ConversationClosed, sla.on_closed)
    heard.on(MessageReceived, sla.on_message_received)
    heard.on(MessageSent, sla.on_message_sent)
    heard.on(ChannelFlowChosen, flow_runs.refuse_unpublished)
    heard.on(ConversationGivenToFlow, flow_runs.on_given_to_flow)
    heard.on(ConversationMoved, flow_runs.on_moved)
    heard.on(MessageReceived, flow_runs.on_message_received)
    heard.on(ContactErased, flow_runs.on_contact_erased)
    heard.on(FlowMessageSettled, following.on_message_settled)
    heard.on(MessageReceived, following.on_message_received)
    heard.on(FlowRunEnded, following.on_run_ended)
    heard.on(ContactMerged, following.on_contact_merged)
    heard.on(ContactErased, following.on_contact_erased)
    heard.on(ChannelDeleted, following.on_channel_deleted)
    _hear_as_automations(heard)
    heard.on(ConversationAssigned, notifications.on_assigned)
    heard.on(MessageReceived, notifications.on_message_received)
    heard.on(SlaBreached, notifications.on_sla_breached)
    heard.on(QueueUnroutable, notifications.on_queue_unroutable)
    return heard


def _hear_as_automations(heard: Listeners) -> None:
    heard.on(FlowExecutionEnded, flow_automations.on_execution_ended)
    heard.on(FlowDeleted, flow_automations.refuse_flow_in_use)
    heard.on(ChannelDeleted, flow_automations.refuse_channel_in_use)
    heard.on(OrganizationUpdated, flow_automations.on_organization_updated)


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
    """Everything one process has at hand, closed again at the end."""
    clock = clock or SystemClock()
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
        async with authority.following(bus), heartbeat.beating():
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
