"""Locks in the one order that cannot deadlock: agents by id, then the conversation, then places in queues (D11).

Agents are locked FOR NO KEY UPDATE. Whoever has the conversation may write a message that names an agent, and its
foreign key is checked under a lock that a plain FOR UPDATE would hold up: against the order.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.desk.conversations.scope import visible_to
from pytake_gql.kernel.errors import not_found
from pytake_gql.kernel.locks import all_at_a_time, one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Member


async def lock(uow: UnitOfWork, conversation_id: UUID, *path: str, besides: UUID | None = None) -> Conversation:
    """The conversation, locked after its present and last assignee, and after the member `besides`.

    What the caller may not see is the refusal NOT_FOUND under that path (`id` by default).
    """
    conversation = await lock_if(uow, conversation_id, besides=besides)
    if conversation is None:
        raise not_found(*(path or ("id",)))
    return conversation


async def lock_if(
    uow: UnitOfWork,
    conversation_id: UUID,
    is_wanted: Callable[[Conversation], Awaitable[bool]] | None = None,
    *,
    besides: UUID | None = None,
) -> Conversation | None:
    """As `lock`; None, with nothing locked, for what the caller may not see, or what is not wanted once it is locked.

    Not wanted must be said here, not around it: PostgreSQL gives a lock back, and tells those who wait for it, when
    the very savepoint that took it is rolled back, but not when one around that is.
    """
    while True:
        async with uow.session.begin_nested() as attempt:
            agents = await _agents(uow, conversation_id)
            wanted = {agent for agent in (*agents, besides) if agent is not None}
            await _lock_agents(uow, wanted)
            statement = (
                select(Conversation)
                .where(Conversation.id == conversation_id, visible_to(uow.principal))
                .with_for_update(of=Conversation)
                .execution_options(populate_existing=True)
            )
            conversation = (await uow.session.execute(statement)).scalar_one_or_none()
            is_over = conversation is None and not await _is_visible(uow, conversation_id)
            if conversation is not None and _agents_of(conversation) <= wanted:
                if is_wanted is None or await is_wanted(conversation):
                    return conversation
                is_over = True
            # It changed hands, or its contact was merged, between the statements: the savepoint gives all locks back.
            await attempt.rollback()
        if is_over:
            return None


async def lock_all_of(uow: UnitOfWork, contact_ids: Collection[UUID]) -> Sequence[Conversation]:
    """Every conversation of these contacts, by id, locked after the agents of the open ones.

    Whatever the caller may see: it is for what happens to the contacts, whose rows are locked before.
    """
    theirs = col(Conversation.contact_id).in_(contact_ids)
    agents = select(Conversation.assignee_id, Conversation.last_assignee_id)
    while True:
        async with uow.session.begin_nested() as attempt:
            found = await uow.session.execute(agents.where(theirs, Conversation.status != ConversationStatus.CLOSED))
            wanted = {agent for row in found for agent in row if agent is not None}
            await _lock_agents(uow, wanted)
            statement = select(Conversation).where(theirs).order_by(col(Conversation.id)).with_for_update()
            locked = await uow.session.execute(statement, execution_options={"populate_existing": True})
            held = locked.scalars().all()
            still_open = [held_ for held_ in held if held_.status is not ConversationStatus.CLOSED]
            if {agent for held_ in still_open for agent in _agents_of(held_)} <= wanted:
                return held
            await attempt.rollback()


def _agents_of(conversation: Conversation) -> set[UUID]:
    return {agent for agent in (conversation.assignee_id, conversation.last_assignee_id) if agent is not None}


async def _is_visible(uow: UnitOfWork, conversation_id: UUID) -> bool:
    """Whether the caller may see it now: while a lock is waited for, what decides that may become another."""
    statement = select(Conversation.id).where(Conversation.id == conversation_id, visible_to(uow.principal))
    return (await uow.session.execute(statement)).first() is not None


async def _lock_agents(uow: UnitOfWork, wanted: Collection[UUID]) -> None:
    await uow.session.execute(
        select(Member.id).where(col(Member.id).in_(wanted)).order_by(col(Member.id)).with_for_update(key_share=True)
    )


async def opening(uow: UnitOfWork, channel_id: UUID, contact_id: UUID) -> None:
    """The first lock of all: nobody else opens or reopens a conversation of this contact on this channel (D2).

    Until this transaction ends. The unique index decides even so; but whoever reopens one while another begins would
    run into it too late to turn back.
    """
    await opening_all(uow, channel_id, [contact_id])


async def opening_all(uow: UnitOfWork, channel_id: UUID, contact_ids: Collection[UUID]) -> None:
    """`opening` for several at once, in one order."""
    await all_at_a_time(uow, [f"opening:{channel_id.hex}:{contact_id.hex}" for contact_id in contact_ids])


async def _agents(uow: UnitOfWork, conversation_id: UUID) -> tuple[UUID | None, UUID | None]:
    found = (
        await uow.session.execute(
            select(Conversation.assignee_id, Conversation.last_assignee_id).where(Conversation.id == conversation_id)
        )
    ).one_or_none()
    return (found[0], found[1]) if found else (None, None)


async def places(uow: UnitOfWork) -> None:
    """The last lock of all: nobody else enters a queue of limited size until this transaction ends (D9).

    One for the organization: a transaction that requeues several conversations would take those of single queues in
    any order. It is not the queues' rows, for whoever deletes a queue holds its row and waits for conversations.
    """
    await one_at_a_time(uow, "places")
