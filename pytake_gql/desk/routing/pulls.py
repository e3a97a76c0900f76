"""Pulling: who asks at once is served by one transaction, each the next that waits (D5, D7, D11, D15, D18)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.giving import Gift, give_all
from pytake_gql.desk.conversations.models import MoveReason
from pytake_gql.desk.departments import service as departments
from pytake_gql.desk.queues import hours
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.models import Queue, QueueMember, QueueSkill
from pytake_gql.desk.routing import claims
from pytake_gql.desk.routing.claims import Plan
from pytake_gql.desk.skills.models import MemberSkill
from pytake_gql.kernel import idempotency
from pytake_gql.kernel.db import table_of
from pytake_gql.kernel.errors import Refusal, not_found
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.idempotency import IdempotencyKey
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Member


class PullEmptyReason(StrEnum):
    """Why there was nothing to take."""

    EMPTY = "EMPTY"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    AT_CAPACITY = "AT_CAPACITY"
    NO_SKILL_MATCH = "NO_SKILL_MATCH"
    OUTSIDE_OPENING_HOURS = "OUTSIDE_OPENING_HOURS"


@dataclass(frozen=True, slots=True)
class Pull:
    """Who asks, and of which queues: all that the caller serves, or the one, or those of the department."""

    caller: MemberPrincipal
    queue_id: UUID | None = None
    department_id: UUID | None = None
    key: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull took, or why it took nothing (D18)."""

    conversation: Any = None
    """A row that `Conversation.of` shows."""
    empty_reason: PullEmptyReason | None = None


@dataclass(slots=True)
class _Asked:
    """One pull on its way: `answer` once it has one."""

    pull: Pull
    uow: UnitOfWork
    claim: IdempotencyKey | None = None
    plan: Plan = ()
    answer: Pulled | Exception | None = None


_queues, _places, _asked, _has = (table_of(it) for it in (Queue, QueueMember, QueueSkill, MemberSkill))
_organization = sa.bindparam("of_organization", type_=sa.Uuid())
_members = sa.bindparam("member_ids", type_=ARRAY(sa.Uuid()))
_meets = (
    sa.exists()
    .where(
        _has.c.organization_id == _organization,
        _has.c.member_id == _places.c.member_id,
        _has.c.skill_id == _asked.c.skill_id,
        _has.c.level >= _asked.c.min_level,
    )
    .correlate(_places, _asked)
)
_lacks = sa.exists().where(
    _asked.c.organization_id == _organization, _asked.c.queue_id == _queues.c.id, _asked.c.is_mandatory, ~_meets
)
_SHOWN = [_queues.c[it] for it in ("id", "organization_id", "department_id", "priority", "order", "opening_hours")]
_SERVED = Frozen(
    sa.select(*_SHOWN, _places.c.member_id, sa.not_(_lacks).label("has_skills"))
    .join_from(_places, _queues, _queues.c.id == _places.c.queue_id)
    .where(
        _places.c.organization_id == _organization,
        _queues.c.organization_id == _organization,
        _places.c.member_id == sa.any_(_members),
        _queues.c.is_active,
    )
    .order_by(_queues.c.priority.desc(), _queues.c.order, _queues.c.id)
)
_LOCK = (
    sa.select(col(Member.id))
    .where(col(Member.id) == sa.any_(_members))
    .order_by(col(Member.id))
    .with_for_update(key_share=True)
)


async def pull(ports: Ports, wanted: Pull) -> Pulled:
    """Takes the conversation that waits first among the caller's queues, or in those named.

    Two callers never get the same one, and nobody goes above their capacity, under any number of pulls.
    """

    async def serve(pulls: Sequence[Pull]) -> Sequence[Pulled | Exception]:
        return await pull_together(ports, pulls)

    return await ports.shared_writes.ask(("pull", wanted.caller.organization_id), wanted, serve)


async def pull_together(ports: Ports, pulls: Sequence[Pull]) -> Sequence[Pulled | Exception]:
    """Of one organization, in their order; who asks twice is served by the second transaction the second time."""
    answers: dict[int, Pulled | Exception] = {}
    while left := [index for index in range(len(pulls)) if index not in answers]:
        first_of = {pulls[index].caller.member_id: index for index in reversed(left)}
        indexes = sorted(first_of.values())
        async with ports.units.open_together([pulls[index].caller for index in indexes], keeps_plans=True) as units:
            asked = [_Asked(pulls[index], uow) for index, uow in zip(indexes, units, strict=True)]
            await _serve(asked)
        answers |= {index: it.answer for index, it in zip(indexes, asked, strict=True) if it.answer is not None}
    return [answers[index] for index in range(len(pulls))]


async def _serve(asked: Sequence[_Asked]) -> None:
    """Gives each an answer; a refusal is an answer, too, and changes nothing for the others."""
    for it in asked:
        it.uow.ip_address = it.pull.ip_address
        await _claim(it)
    await _plan(_open(asked))
    taken = await _take(_open(asked))
    served = _open(asked)
    gifts = [Gift(it.uow, taken[it.pull.caller.member_id], it.pull.caller.member_id) for it in served]
    given = await give_all(gifts, reason=MoveReason.PULL)
    for it in served:
        it.answer = Pulled(given[taken[it.pull.caller.member_id]])
        if it.claim:
            it.claim.answer = taken[it.pull.caller.member_id]


def _open(asked: Iterable[_Asked]) -> list[_Asked]:
    """Those without an answer."""
    return [it for it in asked if it.answer is None]


async def _claim(it: _Asked) -> None:
    """The same key is answered with the same conversation (D18)."""
    wanted = ["pull", it.pull.queue_id, it.pull.department_id]
    try:
        it.claim = await idempotency.claim(it.uow, it.pull.caller.member_id, it.pull.key, wanted)
    except Refusal as refusal:
        it.answer = refusal
        return
    if it.claim and it.claim.answer:
        it.answer = Pulled((await conversations.by_ids(it.uow.session, [it.claim.answer]))[it.claim.answer])


async def _plan(asked: Sequence[_Asked]) -> None:
    """The queues that each may take from now: active, open, and of no mandatory skill that is missed (D10)."""
    if not asked:
        return
    uow = asked[0].uow
    members = [it.pull.caller.member_id for it in asked]
    served = {"of_organization": uow.organization_id, "member_ids": members}
    rows = await _SERVED.rows(uow.session, served)
    are_open = await hours.open_among(uow.session, {row.id: row for row in rows}.values(), uow.now())
    for it in asked:
        serving = [row for row in rows if row.member_id == it.pull.caller.member_id and _is_meant(it.pull, row)]
        in_time = [row for row in serving if row.id in are_open]
        fitting = [row for row in in_time if row.has_skills]
        if not serving:
            it.answer = await _missing(it) or Pulled(empty_reason=PullEmptyReason.NOT_A_MEMBER)
        elif not in_time:
            it.answer = Pulled(empty_reason=PullEmptyReason.OUTSIDE_OPENING_HOURS)
        elif not fitting:
            it.answer = Pulled(empty_reason=PullEmptyReason.NO_SKILL_MATCH)
        else:
            groups = groupby(fitting, key=lambda row: (row.priority, row.order))
            it.plan = tuple((queue_order, tuple(row.id for row in group)) for (_, queue_order), group in groups)


def _is_meant(wanted: Pull, served: Any) -> bool:
    return wanted.queue_id in {None, served.id} and wanted.department_id in {None, served.department_id}


async def _missing(it: _Asked) -> Refusal | None:
    """What is named must exist."""
    session, queue_id, department_id = it.uow.session, it.pull.queue_id, it.pull.department_id
    if queue_id is not None and queue_id not in await queues.by_ids(session, [queue_id]):
        return not_found("queue_id")
    if department_id is not None and department_id not in await departments.by_ids(session, [department_id]):
        return not_found("department_id")
    return None


async def _take(asked: Sequence[_Asked]) -> dict[UUID, UUID]:
    """Conversation by member; who gets none is told why."""
    of_plan: dict[Plan, list[_Asked]] = {}
    for it in asked:
        of_plan.setdefault(it.plan, []).append(it)
    if len(of_plan) > 1:
        # All agents before any conversation: the statement of the second plan locks agents, too (D11).
        await asked[0].uow.session.execute(_LOCK, {"member_ids": [it.pull.caller.member_id for it in asked]})
    taken: dict[UUID, UUID] = {}
    for plan, those in of_plan.items():
        members = {it.pull.caller.member_id: it for it in those}
        found = await claims.take_from(those[0].uow, list(members), plan, besides=taken.values())
        taken |= found.taken
        for member_id in members.keys() - found.taken.keys():
            is_full = member_id not in found.ready
            reason = PullEmptyReason.AT_CAPACITY if is_full else PullEmptyReason.EMPTY
            members[member_id].answer = Pulled(empty_reason=reason)
    return taken
