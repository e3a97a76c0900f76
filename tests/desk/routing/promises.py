"""What holds at every instant on a floor, read from the tables alone."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.conversations import departed
from pytake_gql.desk.conversations.models import (
    Conversation,
    ConversationStatus,
    MoveReason,
    TimelineEntry,
    TimelineKind,
)
from pytake_gql.desk.sla.models import SlaClock
from pytake_gql.tenancy.members.models import Availability, Member


@dataclass(frozen=True, slots=True)
class Seen:
    """An organization's rows; timelines in the order of their seq."""

    conversations: Sequence[Conversation]
    members: Mapping[UUID, Member]
    timelines: Mapping[UUID, Sequence[TimelineEntry]]
    clocks: Mapping[UUID, Sequence[SlaClock]]
    waits_for_agent: frozenset[UUID]
    """Those in which the contact spoke last."""


async def read(session: AsyncSession) -> Seen:
    rows = (await session.execute(select(Conversation).order_by(col(Conversation.number)))).scalars().all()
    timelines: dict[UUID, list[TimelineEntry]] = defaultdict(list)
    for entry in (await session.execute(select(TimelineEntry).order_by(col(TimelineEntry.seq)))).scalars():
        timelines[entry.conversation_id].append(entry)
    clocks: dict[UUID, list[SlaClock]] = defaultdict(list)
    for clock in (await session.execute(select(SlaClock))).scalars():
        clocks[clock.conversation_id].append(clock)
    return Seen(
        rows,
        {member.id: member for member in (await session.execute(select(Member))).scalars()},
        timelines,
        clocks,
        frozenset([row.id for row in rows if await departed.waits_for_its_agent(session, row.id)]),
    )


def check(seen: Seen, limits: Mapping[UUID, int]) -> None:
    """`limits` are how many each member may have; of whom it says nothing, the capacity."""
    _check_loads(seen, limits)
    open_ones = Counter(
        (row.channel_id, row.contact_id) for row in seen.conversations if row.status is not ConversationStatus.CLOSED
    )
    assert set(open_ones.values()) <= {1}, "D2: one open conversation a contact and channel"
    for row in seen.conversations:
        timeline = seen.timelines[row.id]
        assert [entry.seq for entry in timeline] == list(range(1, row.last_seq + 1)), "G7: gap-free"
        _check_state(row)
        _check_clocks(timeline, seen.clocks.get(row.id, ()))
        if row.status is ConversationStatus.ACTIVE and row.id in seen.waits_for_agent:
            _check_agent(row, seen.members, timeline)


def _check_loads(seen: Seen, limits: Mapping[UUID, int]) -> None:
    """Loads are what is counted, and nobody came above the capacity; lowering it takes nothing away (D11)."""
    counted = Counter(row.assignee_id for row in seen.conversations if row.status is ConversationStatus.ACTIVE)
    for member in seen.members.values():
        assert member.load == counted[member.id], f"D11: {member.name} has {counted[member.id]}, not {member.load}"
        limit = limits.get(member.id, member.capacity)
        assert member.load <= limit, f"D11: {member.name} has {member.load} of {limit}"


def _check_state(row: Conversation) -> None:
    has_agent = row.assignee_id is not None
    assert has_agent or row.status is not ConversationStatus.ACTIVE, f"D11: nobody has {row.number}"
    if row.status is not ConversationStatus.QUEUED:
        assert row.waiting_rank is None, f"D5: {row.number} has a place and does not wait"
        return
    assert not has_agent, f"D1: {row.number} waits and has an agent"
    assert row.waiting_rank is not None, f"D5: {row.number} has no place"
    assert row.eligible_since is not None, f"D6: {row.number} waits since never"


def _check_agent(row: Conversation, members: Mapping[UUID, Member], timeline: Sequence[TimelineEntry]) -> None:
    """Of one in which the contact waits: its agent is not gone. By hand it may be given to who is OFFLINE (D15)."""
    assert row.assignee_id is not None
    agent = members[row.assignee_id]
    assert agent.is_active, f"D20: {row.number} is orphaned by {agent.name}"
    assert agent.removed_at is None, f"D20: {row.number} is orphaned by {agent.name}"
    if agent.availability is not Availability.OFFLINE:
        return
    given = [entry.data for entry in timeline if entry.kind is TimelineKind.ASSIGNED][-1]
    assert given["assignee_id"] == agent.id.hex
    assert given["reason"] in {MoveReason.PULL, MoveReason.MEMBER}, f"D20: {agent.name} is OFFLINE, {row.number} waits"
    lost_at = agent.offline_since
    assert lost_at is None or row.assigned_at is None or lost_at < row.assigned_at, f"D20: {agent.name} went OFFLINE"


def _check_clocks(timeline: Sequence[TimelineEntry], clocks: Sequence[SlaClock]) -> None:
    running = Counter(clock.target for clock in clocks if clock.running_since is not None)
    assert set(running.values()) <= {1}, "D24: one running clock a target"
    missed = Counter(clock.target.value for clock in clocks if clock.breached_at is not None)
    told = Counter(entry.data["target"] for entry in timeline if entry.kind is TimelineKind.SLA_BREACHED)
    assert told == missed, "D25: each breach is recorded once"
