"""Conversations that a member begins: one's own at once, or one that waits in a queue (D1)."""

from dataclasses import astuple, dataclass, replace
from uuid import UUID

from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels import templates
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts import identities
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import arrivals, messages, overflow, service, window
from pytake_gql.desk.conversations.locks import opening
from pytake_gql.desk.conversations.models import Conversation, ConversationPriority, MoveReason
from pytake_gql.desk.queues import membership
from pytake_gql.kernel import idempotency, text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import slots
from pytake_gql.tenancy.members.models import Member


@dataclass(frozen=True, slots=True)
class Start:
    """Whom to speak to and where; without a queue it is the caller's own."""

    contact_id: UUID
    channel_id: UUID
    queue_id: UUID | None = None
    text: str | None = None
    template: templates.Choice | None = None
    subject: str | None = None
    priority: ConversationPriority = ConversationPriority.NORMAL


async def start(uow: UnitOfWork, caller: MemberPrincipal, wanted: Start, *, key: str | None) -> Conversation:
    """Begins a conversation, with a first message where there is one to say; CONFLICT where one is open (D2)."""
    claim = await idempotency.claim(uow, caller.member_id, key, ["start", *astuple(wanted)])
    if claim and claim.answer:
        return (await service.by_ids(uow.session, [claim.answer]))[claim.answer]
    wanted = _checked(wanted)
    channel, contact = await _reachable(uow, wanted)
    if wanted.template is not None:
        # What is named must be there, before anything else is said.
        await templates.fill(uow, channel.id, wanted.template, "template")
    await opening(uow, channel.id, contact.id)
    conversation = await _begin(uow, caller, wanted, channel, contact)
    if wanted.text is not None or wanted.template is not None:
        path, is_template = ("text" if wanted.text else "template"), wanted.template is not None
        await window.require(uow, conversation, wanted.text or "", is_template=is_template, path=path)
        await messages.say(uow, conversation, messages.Draft(wanted.text, template=wanted.template))
    if claim:
        claim.answer = conversation.id
    return conversation


async def _begin(
    uow: UnitOfWork, caller: MemberPrincipal, wanted: Start, channel: Channel, contact: Contact
) -> Conversation:
    """The caller's own or waiting; agents are locked before conversations (D11), so that the slot is taken first."""
    if wanted.queue_id is not None:
        await _require_queue(uow, wanted.queue_id)
        conversation = await _made(uow, wanted, channel, contact)
        await service.enqueue(uow, conversation, wanted.queue_id)
    else:
        member = await _with_slot(uow, caller)
        conversation = await _made(uow, wanted, channel, contact)
        service.give(uow, conversation, member, reason=MoveReason.MEMBER)
    return conversation


async def _made(uow: UnitOfWork, wanted: Start, channel: Channel, contact: Contact) -> Conversation:
    """A new row, of which nobody was told yet."""
    conversation = await arrivals.begin(uow, channel, contact)
    if conversation is None:
        template = "The contact has another open conversation on this channel."
        refuse(UserErrorCode.CONFLICT, template, "contact_id")
    conversation.subject, conversation.priority = wanted.subject, wanted.priority
    return conversation


def _checked(wanted: Start) -> Start:
    problems, subject, said = Problems(), None, None
    with problems.gather():
        subject = text.optional_line(wanted.subject, "subject", longest=250)
    with problems.gather():
        said = messages.checked_text(wanted.text) if wanted.text and wanted.text.strip() else None
    if said and wanted.template:
        problems.add(UserErrorCode.INVALID, "A template stands instead of a text, and is no note.", "template")
    problems.raise_if_any()
    return replace(wanted, subject=subject, text=said)


async def _reachable(uow: UnitOfWork, wanted: Start) -> tuple[Channel, Contact]:
    """The contact may be written to, and is somebody on that channel."""
    channel = (await channels.by_ids(uow.session, [wanted.channel_id])).get(wanted.channel_id)
    if channel is None:
        raise not_found("channel_id")
    contact = await contacts.current(uow, wanted.contact_id)
    # Held before the turn to open one: whoever heard from the contact may hold its row, and wait for that turn.
    if contact is None or not await contacts.hold(uow, contact.id):
        raise not_found("contact_id")
    if contact.is_blocked:
        refuse(UserErrorCode.FORBIDDEN, "The contact is blocked: unblock it first.", "contact_id")
    known = await contacts.identities_of(uow.session, [contact.id])
    is_known = channel.id in {identity.channel_id for identity in known[contact.id]}
    if not is_known and channel.kind is ChannelKind.WHATSAPP:
        is_known = await identities.reach_by_phone(uow, contact, channel.id)
    if not is_known:
        if channel.kind is ChannelKind.WEB_CHAT:
            template = "In a web chat the visitor comes first: this contact has never been there."
            refuse(UserErrorCode.INVALID, template, "channel_id")
        refuse(UserErrorCode.INVALID, "The contact is not known on this channel.", "channel_id")
    return channel, contact


async def _require_queue(uow: UnitOfWork, queue_id: UUID) -> None:
    queue = await overflow.find(uow, queue_id)
    if queue is None:
        raise not_found("queue_id")
    if not queue.is_active:
        refuse(UserErrorCode.WRONG_STATE, "{name} is not active.", "queue_id", name=queue.name)


async def _with_slot(uow: UnitOfWork, caller: MemberPrincipal) -> Member:
    """The caller, with a slot taken; who answers no conversations names a queue."""
    if caller.is_visiting or caller.role not in membership.SERVING_ROLES:
        refuse(UserErrorCode.REQUIRED, "{name} answers no conversations: name a queue.", "queue_id", name=caller.name)
    member = await slots.take_slot(uow, caller.member_id)
    if member is None:
        refuse(UserErrorCode.LIMIT_REACHED, "{name} is at capacity.", name=caller.name)
    return member
