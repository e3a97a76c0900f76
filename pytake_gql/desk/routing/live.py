"""Queues and inboxes, live: a snapshot, then what changes, and a snapshot again whenever in doubt (house.md §4)."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from pytake_gql.desk.conversations import queries as conversations
from pytake_gql.desk.conversations import service
from pytake_gql.desk.conversations.nodes import Conversation
from pytake_gql.desk.conversations.scope import authority_of
from pytake_gql.desk.conversations.timeline import inbox_topic, queue_topic
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.graphql import Queue, find_queue
from pytake_gql.desk.routing.graphql import QueueStats, load_stats
from pytake_gql.kernel.bus import GAP, Wake
from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.graphql.access import subscription
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.turns import follow
from pytake_gql.kernel.graphql.types import extend, object_type
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Role

_SHOWN = 100


@object_type
class QueueSnapshot:
    """The queue as it stands, the first 100 in its order: sent first, and again when continuity was in doubt."""

    queue: Queue
    """Its settings."""
    conversations: list[Conversation]
    """Those waiting in its order, then those being served, as far as the caller may see them."""


@object_type
class QueueConversationChanged:
    """A conversation came into the queue, or changed in it."""

    queue: Queue
    """Where."""
    conversation: Conversation
    """As it stands now."""


@object_type
class QueueConversationLeft:
    """A conversation left the queue, was closed, or is no longer to be seen by the caller."""

    queue: Queue
    """Where from."""
    conversation_id: strawberry.ID
    """Which."""


async def stats(self: QueueSnapshot | QueueConversationChanged | QueueConversationLeft, info: Info) -> QueueStats:
    """The queue's numbers now."""
    return await load_stats(info, self.queue)


for update in (QueueSnapshot, QueueConversationChanged, QueueConversationLeft):
    extend(update)(stats)


QueueUpdate: TypeAlias = Annotated[
    QueueSnapshot | QueueConversationChanged | QueueConversationLeft,
    strawberry.union("QueueUpdate", description="What a subscriber of a queue receives."),
]


@object_type
class InboxReset:
    """Read the lists again: sent first, and again whenever continuity could not be kept."""

    at: datetime
    """The instant from which on changes follow."""


@object_type
class InboxConversationChanged:
    """A conversation of the inbox as it stands now."""

    conversation: Conversation
    """Which."""


@object_type
class InboxConversationLeft:
    """No longer the caller's, or no longer to be seen by the caller."""

    conversation_id: strawberry.ID
    """Which."""


InboxUpdate: TypeAlias = Annotated[
    InboxReset | InboxConversationChanged | InboxConversationLeft,
    strawberry.union("InboxUpdate", description="What a subscriber of an inbox receives."),
]


@object_type
class RoutingSubscription:
    @subscription(Role.VIEWER)
    async def queue_updates(self, info: Info, queue_id: strawberry.ID) -> AsyncGenerator[QueueUpdate, None]:
        """One queue, live: those waiting and those being served."""
        parsed = parse_global_id(queue_id)
        id_ = parsed[1] if parsed and parsed[0] == "Queue" else None
        if id_ is None or await find_queue(info, id_) is None:
            raise NotFound
        # What the caller was shown of it: conversation to last seq.
        shown: dict[UUID, int] | None = None
        async with follow(info.context, queue_topic(id_), at=frozenset[tuple[UUID, int]]()) as turns:
            async for heard in turns:
                if shown is None or GAP in heard or not heard:
                    rows = await _in_queue(info, id_)
                    if rows is None:
                        return
                    now_shown = {row.id: row.last_seq for row in rows}
                    if now_shown != shown:
                        shown = now_shown
                        yield await _snapshot(info, id_, rows)
                else:
                    for update in await _changes(info, id_, heard, shown):
                        yield update
                turns.at = frozenset(shown.items())

    @subscription(Role.VIEWER)
    async def inbox_updates(self, info: Info, mine: bool = True) -> AsyncGenerator[InboxUpdate, None]:
        """The caller's own conversations, or all that the caller may see, as they change."""
        seen: datetime | None = None
        async with follow(info.context, inbox_topic(info.context.organization_id), at=seen) as turns:
            async for heard in turns:
                newest = await _newest(info, mine=mine)
                if GAP in heard or (not heard and newest != seen):
                    yield InboxReset(at=info.context.ports.clock.now())
                else:
                    for update in await _inbox_changes(info, heard, mine=mine):
                        yield update
                turns.at = seen = newest


async def _in_queue(info: Info, queue_id: UUID) -> list[Any] | None:
    """What a snapshot shows; None when the queue is gone."""
    principal, now = info.context.principal, info.context.ports.clock.now()

    async def read(session: AsyncSession) -> list[Any] | None:
        queue = (await queues.by_ids(session, [queue_id])).get(queue_id)
        if queue is None:
            return None
        return list(await conversations.snapshot(session, principal, queue_id, queue.order, now, _SHOWN))

    return await info.context.share(("queue", queue_id, authority_of(principal)), read)


async def _snapshot(info: Info, queue_id: UUID, rows: Iterable[Any]) -> QueueSnapshot:
    return QueueSnapshot(queue=await _queue(info, queue_id), conversations=[Conversation.of(row) for row in rows])


async def _changes(info: Info, queue_id: UUID, heard: Iterable[Wake], shown: dict[UUID, int]) -> list[Any]:
    """What became of the conversations that the wake-ups name; `shown` follows."""
    named = list(dict.fromkeys(UUID(str(wake.data)) for wake in heard))
    principal = info.context.principal
    key = ("of queue", tuple(named), authority_of(principal))
    rows = await info.context.share(key, lambda session: conversations.visible(session, principal, named))
    queue = await _queue(info, queue_id)
    updates: list[Any] = []
    for id_ in named:
        row = rows.get(id_)
        if row is not None and row.queue_id == queue_id and row.closed_at is None:
            if shown.get(id_) != row.last_seq:
                shown[id_] = row.last_seq
                updates.append(QueueConversationChanged(queue=queue, conversation=Conversation.of(row)))
        elif shown.pop(id_, None) is not None:
            left = strawberry.ID(global_id("Conversation", id_))
            updates.append(QueueConversationLeft(queue=queue, conversation_id=left))
    return updates


async def _queue(info: Info, queue_id: UUID) -> Queue:
    queue: Queue | None = await find_queue(info, queue_id)
    if queue is None:
        raise NotFound
    return queue


async def _newest(info: Info, *, mine: bool) -> datetime | None:
    """When anything last changed among what the caller follows: how a poll finds that a wake-up was lost."""
    principal = info.context.member
    key = ("newest", principal.member_id if mine else None, authority_of(principal))
    return await info.context.share(key, lambda session: conversations.newest_change(session, principal, mine=mine))


async def _inbox_changes(info: Info, heard: Iterable[Wake], *, mine: bool) -> list[Any]:
    member = info.context.member
    sees_all = not mine and member.scope is ConversationScope.ORGANIZATION
    past = _past(heard)
    async with info.context.read() as session:
        rows = await conversations.visible(session, member, list(past))
        shown = {id_ for id_, row in rows.items() if not mine or row.assignee_id == member.member_id}
        # From who sees all, nothing ever leaves; and only others have to say who they are.
        hidden = [id_ for id_ in past if id_ not in shown]
        gone = [] if sees_all else await _left(session, member, {id_: past[id_] for id_ in hidden}, mine)
        # A wake-up proves nothing: what it names is told only if it is a conversation of the organization.
        left = await service.by_ids(session, gone) if gone else {}
    updates: list[Any] = []
    for id_ in past:
        if id_ in shown:
            updates.append(InboxConversationChanged(conversation=Conversation.of(rows[id_])))
        elif id_ in left:
            updates.append(InboxConversationLeft(conversation_id=strawberry.ID(global_id("Conversation", id_))))
    return updates


def _past(heard: Iterable[Wake]) -> dict[UUID, list[tuple[str, str]]]:
    """Each conversation that is named, and every (assignee, queue) that it had on its way to where it is now."""
    past: dict[UUID, list[tuple[str, str]]] = {}
    for wake in heard:
        id_, _, had = str(wake.data).partition(":")
        if id_:
            assignee, _, queue = had.partition(":")
            past.setdefault(UUID(id_), []).append((assignee, queue))
    return past


async def _left(
    session: AsyncSession, member: MemberPrincipal, hidden: Mapping[UUID, Sequence[tuple[str, str]]], mine: bool
) -> list[UUID]:
    """Those that were in the inbox before: only of them it is news."""
    serves = await queues.queue_ids_of(session, member.member_id)
    is_of_queues = not mine and member.scope is ConversationScope.QUEUES
    return [
        conversation
        for conversation, past in hidden.items()
        if any(assignee and UUID(assignee) == member.member_id for assignee, _ in past)
        or (is_of_queues and any(queue and UUID(queue) in serves for _, queue in past))
    ]
