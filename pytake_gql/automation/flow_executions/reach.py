"""Whether a recipient can be reached now, and if not, why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.automation.flow_executions.models import ExecutionRecipient, RecipientStatus
from pytake_gql.automation.flow_executions.plans import Plan
from pytake_gql.automation.flow_runs import stepping
from pytake_gql.automation.flows.run import RunState, Say
from pytake_gql.automation.flows.templates import Value
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.contacts import identities
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations import outreach, window
from pytake_gql.desk.conversations.models import Conversation, ConversationStatus
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Reachable:
    """`conversation` is the open one, where a flow speaks or nobody does."""

    contact: Contact
    variables: Mapping[str, Value]
    address: str | None
    conversation: Conversation | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """SKIPPED or FAILED."""

    status: RecipientStatus
    reason: str
    variables: Mapping[str, Value] = field(default_factory=dict)


async def look(
    uow: UnitOfWork, plan: Plan, recipients: Sequence[ExecutionRecipient]
) -> dict[UUID, Reachable | Unreachable]:
    """By recipient; whoever can be reached is held until the commit.

    Who has opted out or was blocked since the audience was resolved is left out. So is whoever is talking: where an
    agent has the contact's conversation, or it waits for one, a flow does not interrupt. A flow that speaks there gives
    way to this one. Outside the reply window a flow that does not begin with a template fails.
    """
    held = await outreach.hold(uow, plan.channel.id, [recipient.contact_id for recipient in recipients])
    addresses = await _addresses(uow, plan, held.contacts)
    places = [(plan.channel.id, id_) for id_ in held.contacts] if plan.account else []
    heard = await window.last_words(uow.session, places) if places else {}
    found: dict[UUID, Reachable | Unreachable] = {}
    for recipient in recipients:
        contact = held.contacts.get(recipient.contact_id)
        if contact is None:
            reason = translate("The contact was erased.", plan.locale)
            found[recipient.id] = Unreachable(RecipientStatus.SKIPPED, reason)
            continue
        verdict = _judge(plan, contact, addresses.get(contact.id), held.open.get(contact.id))
        if isinstance(verdict, Reachable):
            last = heard.get((plan.channel.id, contact.id))
            is_open = window.of(plan.channel.kind, last, uow.now()).is_open
            if not is_open and await _begins_freely(uow, plan, verdict):
                template = "The contact has not written for 24 hours: only a template passes."
                verdict = Unreachable(RecipientStatus.FAILED, translate(template, plan.locale), verdict.variables)
        found[recipient.id] = verdict
    return found


def _judge(
    plan: Plan, contact: Contact, address: str | None, conversation: Conversation | None
) -> Reachable | Unreachable:
    reason, variables = None, dict[str, Value]()
    if contact.opted_out_at is not None:
        reason = translate("The contact opted out.", plan.locale)
    elif contact.is_blocked:
        reason = translate("The contact is blocked.", plan.locale)
    elif address is None:
        reason = translate("The contact is not known on this channel.", plan.locale)
    elif conversation is not None and conversation.status is not ConversationStatus.BOT:
        reason = translate("The contact is talking to people, or waits for them.", plan.locale)
    else:
        variables, missing = plan.variables(contact)
        if missing:
            names = ", ".join(missing)[:500]
            reason = translate("The contact has no value for {names}.", plan.locale, names=names)
    if reason is not None:
        return Unreachable(RecipientStatus.SKIPPED, reason, variables)
    return Reachable(contact, variables, address, conversation)


async def _begins_freely(uow: UnitOfWork, plan: Plan, verdict: Reachable) -> bool:
    """Whether the first thing that the flow says to this contact is no template."""
    state = RunState.begin(plan.version.flow_id, verdict.variables)
    effects = stepping.trial(plan.graphs, state, await plan.known(uow, verdict.contact)).effects
    first = next((effect for effect in effects if isinstance(effect, Say)), None)
    return first is not None and first.template_id is None


async def _addresses(uow: UnitOfWork, plan: Plan, contacts: Mapping[UUID, Contact]) -> dict[UUID, str]:
    """Who each was on the channel last; by its phone a contact is reached that never wrote there."""
    statement = (
        select(ContactIdentity.contact_id, ContactIdentity.external_id)
        .where(col(ContactIdentity.contact_id).in_(contacts), ContactIdentity.channel_id == plan.channel.id)
        .order_by(col(ContactIdentity.last_wrote_at).asc().nulls_first(), col(ContactIdentity.id))
    )
    found = {row.contact_id: row.external_id for row in await uow.session.execute(statement)}
    if plan.channel.kind is ChannelKind.WHATSAPP:
        for contact in contacts.values():
            is_new = contact.id not in found and contact.phone is not None
            if is_new and await identities.reach_by_phone(uow, contact, plan.channel.id):
                found[contact.id] = (contact.phone or "").removeprefix("+")
    return found
