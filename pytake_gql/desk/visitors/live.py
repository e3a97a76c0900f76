"""The visitor's own chat, live: its messages after seq, then messages, chat and typing as they change."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import strawberry

from pytake_gql.desk.conversations import messages, queries
from pytake_gql.desk.conversations.models import TimelineKind
from pytake_gql.desk.conversations.timeline import conversation_topic, typing_topic
from pytake_gql.desk.visitors import service
from pytake_gql.desk.visitors.graphql import VisitorChat, VisitorMessage
from pytake_gql.kernel.bus import Subscription, Wake, around
from pytake_gql.kernel.graphql.access import subscription
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.types import object_type

POLL_SECONDS = 5.0
_CHUNK = 100
_OF_MESSAGES = {TimelineKind.MESSAGE_ADDED, TimelineKind.MESSAGE_STATUS_CHANGED}
_OF_THE_CHAT = {TimelineKind.STATUS_CHANGED, TimelineKind.ASSIGNED, TimelineKind.TRANSFERRED}


@object_type
class VisitorMessageChanged:
    """A message came, or its status changed."""

    message: VisitorMessage
    """As it stands now."""


@object_type
class VisitorChatChanged:
    """Somebody took the chat, or it was closed or reopened."""

    chat: VisitorChat
    """As it stands now."""


@object_type
class VisitorTypingChanged:
    """Not stored: whether somebody answers now."""

    is_agent_typing: bool
    """False once it stopped."""


VisitorUpdate: TypeAlias = Annotated[
    VisitorMessageChanged | VisitorChatChanged | VisitorTypingChanged,
    strawberry.union("VisitorUpdate", description="What the visitor of a web chat receives."),
]


@object_type
class VisitorSubscription:
    @subscription(visitor=True)
    async def visitor_updates(self, info: Info, after: int | None = None) -> AsyncGenerator[VisitorUpdate, None]:
        """The visitor's own chat: its messages after seq, then messages, chat and typing as they change."""
        visitor = info.context.visitor
        own = service.visitor_topic(visitor.channel_id, visitor.external_id)
        followed, seq = await _cursor(info, after)
        while await info.context.renew():
            topics = (conversation_topic(followed), typing_topic(followed)) if followed else ()
            async with info.context.ports.bus.subscribe(own, *topics) as wakes:
                while (chat_id := await _chat_id(info)) == followed:
                    if followed is not None:
                        async for update, at in _news(info, followed, seq):
                            seq = at
                            if update is not None:
                                yield update
                    for typing in await _wait(wakes, followed):
                        yield typing
                    if not await info.context.renew():
                        return
            # The first message made a chat, or a new one began: follow that one from its start.
            followed, seq = chat_id, 0


async def _news(info: Info, conversation_id: UUID, seq: int) -> AsyncGenerator[tuple[Any, int], None]:
    """What happened after seq, each with its seq; None for what is not the visitor's business."""
    while True:
        async with info.context.read() as session:
            entries = await queries.entries_after(session, conversation_id, seq, _CHUNK)
            said = await messages.by_ids(session, [e.message_id for e in entries if e.message_id])
            chat = await service.chat(session, info.context.visitor) if entries else None
        info.context.forget()
        for entry in entries:
            seq = entry.seq
            # Everything is told as it stands now: once is enough, however often it changed.
            if entry.kind in _OF_MESSAGES and entry.message_id:
                row = said.pop(entry.message_id, None)
                yield VisitorMessageChanged(message=VisitorMessage.of(row)) if row and not row.is_note else None, seq
            elif entry.kind in _OF_THE_CHAT and chat is not None:
                yield VisitorChatChanged(chat=VisitorChat.of(chat)), seq
                chat = None
            else:
                yield None, seq
        if len(entries) < _CHUNK:
            return


async def _wait(wakes: Subscription, followed: UUID | None) -> list[VisitorTypingChanged]:
    """Until something may have happened; what agents type is told at once, and is not stored."""
    wake = await wakes.next(around(POLL_SECONDS))
    heard: list[Wake] = [wake, *wakes.drain()] if wake else []
    typing = typing_topic(followed) if followed else None
    return [
        VisitorTypingChanged(is_agent_typing=str(told.data).endswith(":1"))
        for told in heard
        if told.topic == typing and str(told.data).startswith("MEMBER")
    ]


async def _chat_id(info: Info) -> UUID | None:
    async with info.context.read() as session:
        chat = await service.chat(session, info.context.visitor)
    return chat.id if chat else None


async def _cursor(info: Info, after: int | None) -> tuple[UUID | None, int]:
    """The chat to follow, and from where: now by default; its start where `after` is of an earlier chat."""
    async with info.context.read() as session:
        chat = await service.chat(session, info.context.visitor)
    if chat is None:
        return None, 0
    if after is None:
        return chat.id, chat.last_seq
    return chat.id, after if 0 <= after <= chat.last_seq else 0
