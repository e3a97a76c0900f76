"""A stored message as its channel's provider gets it."""

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.channels import kinds
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations import enclosures
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.conversations.ports import Address, Option, Outgoing, Parameter, TemplateMessage
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations.models import Organization


async def compose(
    uow: UnitOfWork, message: Message, channel: Channel, files: Files, *, address: Address | None = None
) -> Outgoing | None:
    """None when the contact is nobody on that channel. Web chat, which no provider carries, needs no reading.

    With an address, for those who know it, it is sent there.
    """
    session = uow.session
    attachments = await enclosures.outgoing(session, files, message, uow.now())
    if not kinds.KINDS[channel.kind].has_provider:
        return Outgoing(message.organization_id, message.id, message.text or "", attachments=attachments)
    if address is None:
        recipient = await _recipient(session, message)
        if recipient is None:
            return None
        address = Address(await channels.account(session, uow.settings, channel), recipient)
    return Outgoing(
        message.organization_id,
        message.id,
        message.text or "",
        address=address,
        attachments=attachments,
        reply_to=await _replied(session, message),
        options=tuple(Option(**option) for option in message.options),
        options_label=await _options_label(session, message) if message.options else "",
        template=_template(message),
    )


async def _recipient(session: AsyncSession, message: Message) -> str | None:
    """Whom the contact was on that channel last."""
    statement = (
        select(ContactIdentity.external_id)
        .join(Conversation, col(Conversation.contact_id) == ContactIdentity.contact_id)
        .where(Conversation.id == message.conversation_id, ContactIdentity.channel_id == message.channel_id)
        .order_by(col(ContactIdentity.last_wrote_at).desc().nulls_last(), col(ContactIdentity.id).desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def _replied(session: AsyncSession, message: Message) -> str | None:
    if message.reply_to_id is None:
        return None
    statement = select(Message.provider_message_id).where(Message.id == message.reply_to_id)
    return (await session.execute(statement)).scalar_one_or_none()


async def _options_label(session: AsyncSession, message: Message) -> str:
    statement = select(Organization.locale).where(Organization.id == message.organization_id)
    return translate("Options", (await session.execute(statement)).scalar_one())


def _template(message: Message) -> TemplateMessage | None:
    if message.template is None:
        return None
    parameters = tuple(Parameter(**parameter) for parameter in message.template["parameters"])
    return TemplateMessage(message.template["name"], message.template["language"], parameters)
