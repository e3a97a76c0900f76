"""Files that are fetched after their message was stored: what contacts send (D26), and what a flow names by address."""

from urllib.parse import unquote, urlsplit
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.contacts.events import ContactErased
from pytake_gql.desk.conversations import late_files
from pytake_gql.desk.conversations.locks import lock_if
from pytake_gql.desk.conversations.models import Conversation, Message, MessageDirection
from pytake_gql.desk.deliveries import wording
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.deliveries.ports import Media
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork

_LONGEST_REFERENCE = 4000
_LONGEST_TYPE = 200
_LONGEST_NAME = 200


def expect(uow: UnitOfWork, message: Message, media: Media) -> None:
    """A worker is to fetch it; what the provider cannot give again stays as the words that stand for it."""
    if not media.reference or len(media.reference) > _LONGEST_REFERENCE:
        return
    row = DueMedium(
        id=message.id,
        message_id=message.id,
        conversation_id=message.conversation_id,
        channel_id=message.channel_id,
        reference=wording.storable(media.reference),
        mime_type=wording.cut(media.mime_type)[:_LONGEST_TYPE] if media.mime_type else None,
        file_name=wording.cut(media.file_name) if media.file_name else None,
        caption=wording.caption_of(media),
        due_at=uow.now(),
    )
    uow.add(row)
    uow.enqueue(Job("fetch_medium", (str(uow.organization_id), str(row.id))))


def fetch_for(uow: UnitOfWork, message: Message, url: str) -> None:
    """A worker is to fetch the file that goes with a flow's message; it is sent then."""
    row = DueMedium(
        id=message.id,
        message_id=message.id,
        conversation_id=message.conversation_id,
        channel_id=message.channel_id,
        reference=url,
        file_name=unquote(urlsplit(url).path.rpartition("/")[2])[:_LONGEST_NAME] or None,
        caption=message.text,
        due_at=uow.now(),
    )
    uow.add(row)
    uow.enqueue(Job("fetch_medium", (str(uow.organization_id), str(row.id))))


async def arrive(uow: UnitOfWork, claimed: DueMedium, file_id: UUID) -> bool:
    """The file is the message's, once; says whether it became so."""
    if (held := await _finish(uow, claimed)) is None:
        return False
    conversation, message = held
    await late_files.arrive(uow, conversation, message, file_id, claimed.caption)
    return True


async def give_up(uow: UnitOfWork, claimed: DueMedium, *, note: str, error: str) -> None:
    """The words that stand for the file stay, and the note says why it is not there; ours is not sent without it."""
    if (held := await _finish(uow, claimed)) is not None:
        conversation, message = held
        if message.direction is MessageDirection.OUTBOUND:
            await late_files.fail(uow, message, wording.cut(f"{note} {error}"))
            return
        text = wording.without_file(message.text, note)
        late_files.miss(uow, conversation, message, text=text, error=wording.cut(error))


async def on_contact_erased(uow: UnitOfWork, event: ContactErased) -> None:
    """What the contact sent is not fetched any more."""
    theirs = select(Conversation.id).where(Conversation.contact_id == event.entity_id)
    statement = sa.delete(DueMedium).where(col(DueMedium.conversation_id).in_(theirs))
    await uow.session.execute(statement.execution_options(synchronize_session=False))


async def _finish(uow: UnitOfWork, claimed: DueMedium) -> tuple[Conversation, Message] | None:
    """Ends this worker's claim: what it was for, locked, or None when the claim is another's or was taken back.

    The conversation first, as for all that is written in it: who erases the contact has locked it, too.
    """
    conversation = await lock_if(uow, claimed.conversation_id)
    mine = sa.delete(DueMedium).where(col(DueMedium.id) == claimed.id, col(DueMedium.epoch) == claimed.epoch)
    ended = await uow.session.execute(mine.returning(col(DueMedium.id)).execution_options(synchronize_session=False))
    if conversation is None or ended.scalar_one_or_none() is None:
        return None
    message = await uow.session.get_one(Message, (uow.organization_id, claimed.message_id))
    return conversation, message
