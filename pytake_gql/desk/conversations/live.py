"""One conversation, live: the timeline replayed from the table, then followed (house.md §4, G7)."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import strawberry

from pytake_gql.desk.conversations import messages, models, queries
from pytake_gql.desk.conversations.nodes import Conversation, Message, find_conversation, listed
from pytake_gql.desk.conversations.scope import authority_of
from pytake_gql.desk.conversations.timeline import conversation_topic, typing_topic
from pytake_gql.desk.queues.graphql import Queue, find_queue
from pytake_gql.kernel.errors import NotFound
from pytake_gql.kernel.graphql.access import subscription
from pytake_gql.kernel.graphql.connections import Connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.turns import follow
from pytake_gql.kernel.graphql.types import enum_type, extend, field, interface_type, object_type
from pytake_gql.kernel.ids import global_id, id_of, parse_global_id
from pytake_gql.kernel.pacing import Paced
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.graphql import Member, load_member

_CHUNK = 100

enum_type(models.MoveReason)
enum_type(models.SlaTarget)


@interface_type
class ConversationEvent:
    """Something that happened in a conversation; conversation is as it stands now."""

    row: strawberry.Private[models.TimelineEntry]
    conversation_id: strawberry.ID
    """Where it happened."""
    seq: int
    """Its place in the timeline: 1, 2, 3 …, without a gap."""
    at: datetime
    """When it happened."""

    @field
    async def conversation(self, info: Info) -> Conversation:
        """As it stands now, so that a normalized cache follows by itself."""
        found = await info.context.load_as_caller(queries.visible, self.row.conversation_id)
        if found is None:
            raise NotFound
        return Conversation.of(found)


@object_type
class MessageAdded(ConversationEvent):
    """Somebody said or noted something."""

    @field
    async def message(self, info: Info) -> Message:
        """As it stands now."""
        return await _message_of(info, self.row)


@object_type
class MessageStatusChanged(ConversationEvent):
    """The channel told what became of a message."""

    message_status: models.MessageStatus
    """What it became then; message.status is what it is now."""

    @field
    async def message(self, info: Info) -> Message:
        """As it stands now."""
        return await _message_of(info, self.row)


@object_type
class ConversationStatusChanged(ConversationEvent):
    """It began, waits, was put aside, or was closed."""

    status: models.ConversationStatus
    """What it became."""

    @field
    async def by(self, info: Info) -> Member | None:
        """The member who did it."""
        return await load_member(info, self.row.by_id)


@object_type
class ConversationAssigned(ConversationEvent):
    """A member has it."""

    reason: models.MoveReason
    """Why it changed hands."""

    @field
    async def assignee(self, info: Info) -> Member | None:
        """Who has it."""
        return await load_member(info, _id(self.row.data.get("assignee_id")))

    @field
    async def by(self, info: Info) -> Member | None:
        """The member who did it."""
        return await load_member(info, self.row.by_id)


@object_type
class ConversationTransferred(ConversationEvent):
    """It went to another queue."""

    reason: models.MoveReason
    """Why it changed hands."""
    note: str | None
    """What the one who handed it over left for the next."""

    @field
    async def from_queue(self, info: Info) -> Queue | None:
        """Where it was; null when that queue is gone."""
        return await _queue(info, self.row.data.get("from_queue_id"))

    @field
    async def to_queue(self, info: Info) -> Queue | None:
        """Where it went; null when that queue is gone."""
        return await _queue(info, self.row.data.get("to_queue_id"))

    @field
    async def by(self, info: Info) -> Member | None:
        """The member who did it."""
        return await load_member(info, self.row.by_id)


@object_type
class ConversationChanged(ConversationEvent):
    """Its subject, priority, tags or rating changed, or the assignee read it."""

    @field
    async def by(self, info: Info) -> Member | None:
        """The member who did it."""
        return await load_member(info, self.row.by_id)


@object_type
class SlaBreached(ConversationEvent):
    """A deadline passed; told once for each, maybe a moment later."""

    target: models.SlaTarget
    """What had not happened."""
    due_at: datetime
    """The deadline."""


@object_type
class FlowStepTaken(ConversationEvent):
    """The flow that speaks entered a node."""

    flow_run_id: strawberry.ID
    """The run."""
    node_id: str
    """The node, in the graph of the flow that the run is in."""


@object_type
class TypingChanged:
    """Not stored, so without a seq: who is typing now."""

    conversation_id: strawberry.ID
    """Where."""
    author_kind: models.AuthorKind
    """The contact or a member."""
    member_id: strawberry.Private[UUID | None]
    is_typing: bool
    """False once it stopped."""

    @field
    async def member(self, info: Info) -> Member | None:
        """The member who is typing."""
        return await load_member(info, self.member_id)


ConversationUpdate: TypeAlias = Annotated[
    MessageAdded
    | MessageStatusChanged
    | ConversationStatusChanged
    | ConversationAssigned
    | ConversationTransferred
    | ConversationChanged
    | SlaBreached
    | FlowStepTaken
    | TypingChanged,
    strawberry.union("ConversationUpdate", description="What a subscriber of one conversation receives."),
]

EVENT_TYPES: list[type[Any]] = [
    MessageAdded,
    MessageStatusChanged,
    ConversationStatusChanged,
    ConversationAssigned,
    ConversationTransferred,
    ConversationChanged,
    SlaBreached,
    FlowStepTaken,
]


def event(entry: models.TimelineEntry) -> Any:
    """The GraphQL event of a timeline entry."""
    common: dict[str, Any] = {
        "row": entry,
        "conversation_id": strawberry.ID(global_id("Conversation", entry.conversation_id)),
        "seq": entry.seq,
        "at": entry.at,
    }
    made: Any
    data, kinds = entry.data, models.TimelineKind
    match entry.kind:
        case kinds.MESSAGE_ADDED:
            made = MessageAdded(**common)
        case kinds.MESSAGE_STATUS_CHANGED:
            made = MessageStatusChanged(**common, message_status=models.MessageStatus(data["message_status"]))
        case kinds.STATUS_CHANGED:
            made = ConversationStatusChanged(**common, status=models.ConversationStatus(data["status"]))
        case kinds.ASSIGNED:
            made = ConversationAssigned(**common, reason=models.MoveReason(data["reason"]))
        case kinds.TRANSFERRED:
            reason = models.MoveReason(data["reason"])
            made = ConversationTransferred(**common, reason=reason, note=data.get("note"))
        case kinds.CHANGED:
            made = ConversationChanged(**common)
        case kinds.SLA_BREACHED:
            due_at = datetime.fromisoformat(data["due_at"])
            made = SlaBreached(**common, target=models.SlaTarget(data["target"]), due_at=due_at)
        case kinds.FLOW_STEP_TAKEN:
            run_id = strawberry.ID(global_id("FlowRun", UUID(data["flow_run_id"])))
            made = FlowStepTaken(**common, flow_run_id=run_id, node_id=data["node_id"])
    return made


@extend(Conversation)
async def timeline(
    self: Conversation,
    info: Info,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Connection[ConversationEvent]:
    """Everything that happened, in order of seq."""
    wanted = window(first, after, last, before)
    async with info.context.read() as session:
        listing = await queries.timeline(session, id_of(self.id), wanted)
    return listed(info, listing, event)  # type: ignore[no-any-return]


@object_type
class ConversationSubscription:
    @subscription(Role.VIEWER, resumes_by="after")
    async def conversation_events(
        self, info: Info, conversation_id: strawberry.ID, after: int | None = None
    ) -> AsyncGenerator[ConversationUpdate, None]:
        """Events of one conversation after seq, stored ones first, then live; without `after` live ones only.

        Completes when the caller may no longer see it.
        """
        parsed = parse_global_id(conversation_id)
        conversation = await find_conversation(info, parsed[1]) if parsed and parsed[0] == "Conversation" else None
        if parsed is None or conversation is None:
            raise NotFound
        id_, begin = parsed[1], conversation.last_seq if after is None else max(after, 0)
        typists: Paced[str, str] = Paced()
        async with follow(info.context, conversation_topic(id_), typing_topic(id_), at=begin) as turns:
            async for heard in turns:
                if (news := await _news(info, id_, turns.at)) is None:
                    return
                for told in (str(wake.data) for wake in heard if wake.topic == typing_topic(id_)):
                    typists.put(told.rpartition(":")[0], told)
                if typist := typists.take():
                    yield typing(id_, typist)
                for entry in news.entries:
                    turns.at = entry.seq
                    yield event(entry)
                turns.come_back(0.0 if news.has_more else typists.wait_seconds)


def typing(conversation_id: UUID, told: str) -> TypingChanged:
    """What a wake-up of the typing topic means."""
    kind, member, is_typing = told.split(":")
    return TypingChanged(
        conversation_id=strawberry.ID(global_id("Conversation", conversation_id)),
        author_kind=models.AuthorKind(kind),
        member_id=_id(member),
        is_typing=is_typing == "1",
    )


async def _news(info: Info, conversation_id: UUID, seq: int) -> queries.News | None:
    """What is to be pushed, read once for all who may see the same; None once the caller may no longer see it.

    What the pushed events show needs no other read.
    """
    context, principal = info.context, info.context.principal
    key = ("conversation", conversation_id, seq, authority_of(principal))
    news = await context.share(key, lambda session: queries.news(session, principal, conversation_id, seq, _CHUNK))
    if news is not None:
        context.remember_as_caller(queries.visible, {conversation_id: news.conversation})
        context.remember(messages.by_ids, news.messages)
    return news


async def _message_of(info: Info, entry: models.TimelineEntry) -> Message:
    row = await info.context.load(messages.by_ids, entry.message_id) if entry.message_id else None
    if row is None:
        raise NotFound
    return Message.of(row)


async def _queue(info: Info, hexadecimal: str | None) -> Queue | None:
    id_ = _id(hexadecimal)
    return await find_queue(info, id_) if id_ else None


def _id(hexadecimal: str | None) -> UUID | None:
    return UUID(hexadecimal) if hexadecimal else None
