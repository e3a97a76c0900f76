"""The queries and mutations of conversations."""

import strawberry

from pytake_gql.desk.attachments import service as attachments
from pytake_gql.desk.conversations import messages, queries, reading, service, starting
from pytake_gql.desk.conversations.inputs import (
    CloseConversationInput,
    ConversationFilter,
    MarkConversationReadInput,
    ReopenConversationInput,
    SendMessageInput,
    SetTypingInput,
    SnoozeConversationInput,
    StartConversationInput,
    UpdateConversationInput,
)
from pytake_gql.desk.conversations.nodes import Conversation, Message, listed
from pytake_gql.desk.conversations.timeline import typing_topic
from pytake_gql.kernel.errors import not_found
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, user_errors
from pytake_gql.kernel.graphql.node import find
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import Role


@object_type
class ConversationPayload:
    """The conversation that changed."""

    conversation: Conversation | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class MessagePayload:
    """The message that was stored."""

    message: Message | None = None
    """Null when nothing was stored."""
    user_errors: list[UserError] = user_errors()


@object_type
class TypingPayload:
    """Nothing is stored."""

    user_errors: list[UserError] = user_errors()


@object_type
class ConversationQuery:
    @query(Role.VIEWER)
    async def conversations(
        self,
        info: Info,
        filter: ConversationFilter | None = None,
        order_by: queries.ConversationOrder = queries.ConversationOrder.NEWEST_ACTIVITY,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Conversation]:
        """The conversations that the caller may see."""
        wanted = window(first, after, last, before)
        chosen = filter.read() if filter else queries.Filter()
        async with info.context.read() as session:
            listing = await queries.page(session, info.context.principal, chosen, order_by, wanted)
        found: Connection[Conversation] = listed(info, listing, Conversation.of)
        return found

    @query(Role.VIEWER)
    async def conversation(self, info: Info, id: strawberry.ID) -> Conversation | None:
        """One conversation, or null."""
        found: Conversation | None = await find(info, "Conversation", id)
        return found


@object_type
class ConversationMutation:
    @mutation(Role.AGENT)
    async def start_conversation(self, info: Info, input: StartConversationInput) -> ConversationPayload:
        """Begins a conversation with a contact, and says something where there is a text."""
        context = info.context
        row = await starting.start(context.uow, context.member, input.read(), key=input.idempotency_key)
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def send_message(self, info: Info, input: SendMessageInput) -> MessagePayload:
        """Says something to the contact, or notes something for colleagues."""
        draft, where = input.read(), local_id("Conversation", input.conversation_id, "conversation_id")
        await attachments.inspect(info.context.ports, info.context.principal, draft.attachment_ids)
        row = await messages.send(info.context.uow, where, draft, idempotency_key=input.idempotency_key)
        return MessagePayload(message=Message.of(row))

    @mutation(Role.AGENT)
    async def update_conversation(self, info: Info, input: UpdateConversationInput) -> ConversationPayload:
        """Changes the fields that are present."""
        row = await service.update(info.context.uow, local_id("Conversation", input.id, "id"), input.given())
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def close_conversation(self, info: Info, input: CloseConversationInput) -> ConversationPayload:
        """Ends it; a contact who writes soon after reopens it."""
        row = await service.close(info.context.uow, local_id("Conversation", input.id, "id"))
        if input.note:
            await messages.note(info.context.uow, row, input.note)
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def snooze_conversation(self, info: Info, input: SnoozeConversationInput) -> ConversationPayload:
        """Puts it aside until then, or until the contact writes; meanwhile it takes no slot of its assignee."""
        row = await service.snooze(info.context.uow, local_id("Conversation", input.id, "id"), input.until)
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def reopen_conversation(self, info: Info, input: ReopenConversationInput) -> ConversationPayload:
        """Reopens a closed one, wakes a snoozed one."""
        row = await service.reopen(info.context.uow, local_id("Conversation", input.id, "id"))
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def mark_conversation_read(self, info: Info, input: MarkConversationReadInput) -> ConversationPayload:
        """Tells how far the assignee has read; of others it changes nothing."""
        row = await reading.mark_read(info.context.uow, local_id("Conversation", input.id, "id"), input.seq)
        return ConversationPayload(conversation=Conversation.of(row))

    @mutation(Role.AGENT)
    async def set_typing(self, info: Info, input: SetTypingInput) -> TypingPayload:
        """Tells the others in the conversation that the caller is writing."""
        uow, where = info.context.uow, local_id("Conversation", input.conversation_id, "conversation_id")
        if where not in await queries.visible(uow.session, uow.principal, [where]):
            raise not_found("conversation_id")
        who = f"MEMBER:{info.context.member.member_id.hex}:{int(input.is_typing)}"
        uow.wake(typing_topic(where), who)
        return TypingPayload()
