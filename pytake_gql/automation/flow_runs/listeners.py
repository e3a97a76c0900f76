"""What runs hear of conversations: inside the transaction of what happened, with the conversation's row locked."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col, select

from pytake_gql.automation.flow_runs import service
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowRun
from pytake_gql.automation.flows import versions
from pytake_gql.automation.flows.models import Flow
from pytake_gql.desk.channels.events import ChannelFlowChosen
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts.events import ContactErased
from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.events import ConversationGivenToFlow, ConversationMoved, MessageReceived
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus, Message
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def refuse_unpublished(uow: UnitOfWork, event: ChannelFlowChosen) -> None:
    """What greets on a channel is there, and was published."""
    flow = await _flow(uow, event.flow_id)
    if flow is None:
        refuse(UserErrorCode.NOT_FOUND, "Nothing was found by this id.", "flow_id")
    if flow.published_number is None:
        refuse(UserErrorCode.WRONG_STATE, "{name} was never published.", "flow_id", name=flow.name)


async def on_given_to_flow(uow: UnitOfWork, event: ConversationGivenToFlow) -> None:
    """The channel's flow greets, unless whoever began the conversation has begun another flow there."""
    if await service.live_in(uow, event.entity_id) is not None:
        return
    conversation = await _conversation(uow, event.entity_id)
    if conversation.status is not ConversationStatus.BOT:
        return  # that flow has come to its end already
    statement = select(Channel.flow_id).where(Channel.id == conversation.channel_id)
    flow_id = (await uow.session.execute(statement)).scalar_one()
    version = (await versions.published(uow.session, [flow_id])).get(flow_id) if flow_id else None
    if version is None:
        await conversations.enqueue(uow, conversation, conversation.queue_id)
    else:
        await service.start(uow, conversation, version)


async def on_message_received(uow: UnitOfWork, event: MessageReceived) -> None:
    """Its turn comes once the run awaits a reply (F2). What began the conversation is no answer to anything."""
    conversation = await _conversation(uow, event.entity_id)
    if conversation.status is not ConversationStatus.BOT:
        return
    run = await service.live_in(uow, conversation.id)
    if run is None or run.started_at == uow.now():
        return
    message = await uow.session.get_one(Message, (uow.organization_id, event.message_id))
    run.unheard = [*run.unheard, message.seq]
    run.wake_at = uow.now()
    service.wake(uow, run)


async def on_moved(uow: UnitOfWork, event: ConversationMoved) -> None:
    """People have it, or it was closed: the flow speaks no more."""
    changed = event.changes["status"]
    is_over = changed["from"] is ConversationStatus.BOT and changed["to"] is not ConversationStatus.BOT
    if is_over and not service.has_ended_now(uow, event.entity_id):
        await service.cancel(uow, event.entity_id)


async def on_contact_erased(uow: UnitOfWork, event: ContactErased) -> None:
    """What the contact told a flow is gone."""
    theirs = select(Conversation.id).where(Conversation.contact_id == event.entity_id)
    of_contact = col(FlowRun.conversation_id).in_(theirs)
    forgotten = col(FlowRun.state).op("||")(sa.literal({"variables": {}}, JSONB))
    await uow.session.execute(
        sa.update(FlowRun).where(of_contact).values(state=forgotten).execution_options(synchronize_session=False)
    )
    runs = select(FlowRun.id).where(of_contact)
    gone = sa.delete(FlowEffect).where(col(FlowEffect.run_id).in_(runs))
    await uow.session.execute(gone.execution_options(synchronize_session=False))


async def _flow(uow: UnitOfWork, flow_id: UUID) -> Flow | None:
    """Not deleted before the commit."""
    statement = select(Flow).where(Flow.id == flow_id, col(Flow.deleted_at).is_(None))
    return (await uow.session.execute(statement.with_for_update(read=True))).scalar_one_or_none()


async def _conversation(uow: UnitOfWork, conversation_id: UUID) -> Conversation:
    return await uow.session.get_one(Conversation, (uow.organization_id, conversation_id))
