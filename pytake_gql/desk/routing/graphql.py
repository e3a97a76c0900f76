"""Pulling and assigning, and what a queue looks like from outside."""

from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.desk.conversations import queries as conversations
from pytake_gql.desk.conversations.graphql import ConversationPayload
from pytake_gql.desk.conversations.nodes import Conversation, listed
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.graphql import Queue
from pytake_gql.desk.routing import pulls, queries, service
from pytake_gql.kernel.graphql.connections import Connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.types import enum_type, extend, input_type, object_type
from pytake_gql.kernel.ids import id_of
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role

enum_type(pulls.PullEmptyReason)


@object_type
class QueueStats:
    """A queue in numbers, now."""

    waiting: int
    """Conversations that wait."""
    active: int
    """Conversations being served."""
    breached: int
    """Of these, those that missed a deadline."""
    agents_online: int
    """Members of the queue who are ONLINE."""
    longest_wait_seconds: int
    """Since when the one that waits longest waits; 0 when none does."""
    average_wait_seconds: float | None
    """Of those assigned during the last hour; null when there were none."""

    @classmethod
    def of(cls, numbers: queries.Numbers) -> Self:
        return cls(
            waiting=numbers.waiting,
            active=numbers.active,
            breached=numbers.breached,
            agents_online=numbers.agents_online,
            longest_wait_seconds=numbers.longest_wait_seconds,
            average_wait_seconds=numbers.average_wait_seconds,
        )


@extend(Queue)
async def stats(self: Queue, info: Info) -> QueueStats:
    """In numbers, now."""
    return await load_stats(info, self)


async def load_stats(info: Info, queue: Queue) -> QueueStats:
    numbers = await info.context.load(queries.numbers, id_of(queue.id))
    if numbers is None:
        raise LookupError("every queue has its numbers")
    return QueueStats.of(numbers)


@extend(Queue, "conversations")
async def waiting_conversations(
    self: Queue,
    info: Info,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Connection[Conversation]:
    """Those that wait in it and that the caller may see, in its order."""
    wanted, id_ = window(first, after, last, before), id_of(self.id)
    async with info.context.read() as session:
        row = (await queues.by_ids(session, [id_]))[id_]
        now = info.context.ports.clock.now()
        listing = await conversations.page_of_queue(session, info.context.principal, row, wanted, now)
    return listed(info, listing, Conversation.of)  # type: ignore[no-any-return]


@extend(Conversation)
async def queue_position(self: Conversation, info: Info) -> int | None:
    """Position among those waiting in its queue, from 1; null when not QUEUED."""
    return await info.context.load(queries.positions, id_of(self.id))


@extend(Conversation)
async def estimated_wait_seconds(self: Conversation, info: Info) -> int | None:
    """From the queue's recent throughput; null when it cannot be told."""
    return await load_estimated_wait(info, id_of(self.id), self.row.queue_id)


async def load_estimated_wait(info: Info, conversation_id: UUID, queue_id: UUID | None) -> int | None:
    """Its place times how long one place lasted of late, for whoever waits or watches (D8)."""
    position = await info.context.load(queries.positions, conversation_id)
    each = await info.context.load(queries.seconds_for_each, queue_id) if queue_id else None
    return round(position * each) if position and each else None


@input_type
class PullNextConversationInput:
    """Where to take from; by default all queues of the caller."""

    queue_id: strawberry.ID | None = None
    """Only from this queue."""
    department_id: strawberry.ID | None = None
    """Only from the queues of this department."""
    idempotency_key: str | None = None
    """The same key given twice answers with the same conversation."""


@input_type
class AssignConversationInput:
    """Who is to have it."""

    id: strawberry.ID
    """The conversation; a flow that still speaks is ended."""
    member_id: strawberry.ID | None = None
    """Null unassigns and puts it back in its queue."""
    force: bool = False
    """May exceed the member's capacity; org admins only."""


@input_type
class TransferConversationInput:
    """Where it is to go: to a queue or to a member, one of the two."""

    id: strawberry.ID
    """The conversation; a flow that still speaks is ended."""
    queue_id: strawberry.ID | None = None
    """The queue in which it is to wait."""
    member_id: strawberry.ID | None = None
    """The member who is to have it; one who may not have it is refused with the reason."""
    note: str | None = None
    """What the next one should know: an internal note in the timeline."""


@object_type
class PullNextConversationPayload:
    """With nothing to take, conversation is null, emptyReason tells why, and userErrors is empty."""

    conversation: Conversation | None = None
    """What the caller has now."""
    empty_reason: pulls.PullEmptyReason | None = None
    """Why there was nothing to take."""
    user_errors: list[UserError] = user_errors()


@object_type
class RoutingMutation:
    @mutation(Role.AGENT, is_shared=True)
    async def pull_next_conversation(self, info: Info, input: PullNextConversationInput) -> PullNextConversationPayload:
        """Takes the conversation that waits first; two callers never get the same one."""
        wanted = pulls.Pull(
            info.context.member,
            queue_id=local_id("Queue", input.queue_id, "queue_id") if input.queue_id else None,
            department_id=local_id("Department", input.department_id, "department_id") if input.department_id else None,
            key=input.idempotency_key,
            ip_address=info.context.ip_address,
        )
        pulled = await pulls.pull(info.context.ports, wanted)
        taken = Conversation.of(pulled.conversation) if pulled.conversation else None
        return PullNextConversationPayload(conversation=taken, empty_reason=pulled.empty_reason)

    @mutation(Role.AGENT)
    async def assign_conversation(self, info: Info, input: AssignConversationInput) -> ConversationPayload:
        """Gives a conversation to a member, or back to its queue."""
        conversation_id = local_id("Conversation", input.id, "id")
        member_id = local_id("Member", input.member_id, "member_id") if input.member_id else None
        row = await service.assign(info.context.uow, conversation_id, member_id, force=input.force)
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def transfer_conversation(self, info: Info, input: TransferConversationInput) -> ConversationPayload:
        """Sends a conversation to a queue, where it waits anew, or to a member."""
        row = await service.transfer(
            info.context.uow,
            local_id("Conversation", input.id, "id"),
            queue_id=local_id("Queue", input.queue_id, "queue_id") if input.queue_id else None,
            member_id=local_id("Member", input.member_id, "member_id") if input.member_id else None,
            note=input.note,
        )
        return ConversationPayload(conversation=Conversation.of(row))
