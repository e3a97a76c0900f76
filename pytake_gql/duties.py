"""What a worker does: every job, every sweep that finds again what is due, and the housekeeping."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.automation.ai.ports import Assistant
from pytake_gql.automation.flow_executions import jobs as flow_executions
from pytake_gql.automation.flow_executions import service as executions
from pytake_gql.automation.flow_runs import jobs as flow_runs
from pytake_gql.automation.flow_runs import service as runs
from pytake_gql.automation.flow_runs.outside import Outside
from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.conversations import jobs as conversations
from pytake_gql.desk.conversations import messages
from pytake_gql.desk.conversations import service as snoozes
from pytake_gql.desk.conversations.ports import Channels
from pytake_gql.desk.deliveries import jobs as media
from pytake_gql.desk.deliveries.ports import MediaSource, MediaSources
from pytake_gql.desk.receipts import jobs as receipts
from pytake_gql.desk.receipts import service as readings
from pytake_gql.desk.receipts.ports import Receipts
from pytake_gql.desk.routing import engine
from pytake_gql.desk.sla import jobs as sla
from pytake_gql.desk.sla import service as deadlines
from pytake_gql.insight.notifications import service as notifications
from pytake_gql.kernel import idempotency
from pytake_gql.kernel.jobs import Job, Work
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.public_http import PublicHttp
from pytake_gql.tenancy.mail import jobs as mail
from pytake_gql.tenancy.mail.ports import Mailer
from pytake_gql.tenancy.members import jobs as members

_SWEPT_AT_MOST = 500
_EXECUTIONS_AT_MOST = 60
AT_ONCE: Mapping[str, int] = {"run_execution": 4}
"""Of a sweep's jobs: a look at an execution takes seconds, the other places are for what people wait for (E11)."""

Sweep: TypeAlias = Callable[[], Awaitable[list[Job]]]
FindsDue: TypeAlias = Callable[[AsyncSession, datetime, int], Awaitable[Sequence[tuple[UUID, UUID]]]]
"""(organization, id) of what is due until then, across organizations, at most so many."""


def jobs(ports: Ports, mailer: Mailer, channels: Channels) -> Mapping[str, Work]:
    """Every job, by the name that it is enqueued under; arguments are ids as text."""
    sources: MediaSources = ports.adapters[MediaSource]
    world = Outside(ports.adapters[PublicHttp], ports.adapters[Assistant])
    return {
        "fetch_medium": lambda of, id_: media.fetch_medium(ports, sources, UUID(of), UUID(id_)),
        "tell_read": lambda of, id_: receipts.tell_read(ports, ports.adapters[Receipts], UUID(of), UUID(id_)),
        "deliver_mail": lambda id_: mail.deliver_mail(ports, mailer, id_),
        "record_breaches": lambda of, id_: sla.record_breaches(ports, UUID(of), UUID(id_)),
        "lose_member": lambda of, id_: members.lose_member(ports, UUID(of), UUID(id_)),
        "wake_conversation": lambda of, id_: conversations.wake_conversation(ports, UUID(of), UUID(id_)),
        **engine.jobs(ports),
        "step_flow_run": lambda of, id_: flow_runs.step_flow_run(ports, UUID(of), UUID(id_)),
        "perform_flow_effect": lambda of, id_: flow_runs.perform_flow_effect(ports, world, UUID(of), UUID(id_)),
        "run_execution": lambda of, id_: flow_executions.run_execution(ports, channels, UUID(of), UUID(id_)),
        "deliver_message": lambda of, id_: conversations.deliver_message(ports, channels, UUID(of), UUID(id_)),
    }


def sweeps(ports: Ports) -> tuple[Sweep, ...]:
    """Everything that finds again what is due."""

    async def mails() -> list[Job]:
        return [Job("deliver_mail", (str(id_),)) for id_ in await mail.due_mails(ports, _SWEPT_AT_MOST)]

    watch = members.Watch(ports)

    async def lost() -> list[Job]:
        return [Job("lose_member", (str(of), str(id_))) for of, id_ in await watch.lost(_SWEPT_AT_MOST)]

    return (
        mails,
        lost,
        _due(ports, "deliver_message", messages.due),
        _due(ports, "wake_conversation", snoozes.due_to_wake),
        _due(ports, "record_breaches", deadlines.due),
        _due(ports, "route_queue", engine.routable),
        _due(ports, "fetch_medium", media.due),
        _due(ports, "tell_read", readings.due),
        _due(ports, "step_flow_run", runs.due),
        _due(ports, "perform_flow_effect", runs.due_effects),
        _due(ports, "run_execution", executions.due, _EXECUTIONS_AT_MOST),
    )


def _due(ports: Ports, name: str, find: FindsDue, at_most: int = _SWEPT_AT_MOST) -> Sweep:
    """A job of that name for each row that is due.

    Of a backlog any: workers do not all find the same, and what cannot be done stands in nobody's way.
    """

    async def sweep() -> list[Job]:
        async with ports.database.session(None) as session:
            found = await find(session, ports.clock.now(), max(at_most, _SWEPT_AT_MOST))
        if len(found) > at_most:
            found = random.sample(found, at_most)
        return [Job(name, (str(of), str(id_))) for of, id_ in found]

    sweep.__name__ = name
    return sweep


def housekeeping(ports: Ports) -> tuple[Callable[[], Awaitable[object]], ...]:
    """What is thrown away when its time is over."""
    return (
        lambda: idempotency.forget_expired(ports.units),
        lambda: attachments.forget_unsent(ports.units),
        lambda: attachments.delete_discarded(ports.units, ports.files),
        ports.files.tidy,
        lambda: notifications.forget_read(ports.units),
    )
