"""The transaction in which recipients begin: conversation, run, first words, and that they are being sent (F1, E8).

All of it stands or falls together, so a recipient begins once. Its first message is written as one that this worker
has claimed already: if the worker dies before it tells what came of it, the message's lease runs out, and it is UNKNOWN
where the channel cannot say.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from pytake_gql.automation.flow_executions import audience, chunks, following, reach, service, statuses
from pytake_gql.automation.flow_executions.chunks import Claimed
from pytake_gql.automation.flow_executions.models import ExecutionRecipient, RecipientStatus
from pytake_gql.automation.flow_executions.plans import Plan
from pytake_gql.automation.flow_executions.reach import Reachable, Unreachable
from pytake_gql.automation.flow_runs import service as runs
from pytake_gql.automation.flow_runs import stepping
from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.conversations import outcomes, outgoing, outreach
from pytake_gql.desk.conversations.models import Conversation, Message, MessageStatus
from pytake_gql.desk.conversations.ports import Address, Outgoing
from pytake_gql.kernel.files import Files
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork

Verdicts: TypeAlias = Mapping[UUID, Reachable | Unreachable]


@dataclass(frozen=True, slots=True)
class Ready:
    """A first message that this worker is to send now."""

    recipient_id: UUID
    message: Message
    outgoing: Outgoing | None
    """None, for whom the channel knows no address any more."""
    is_alone: bool
    """Nothing else is to be sent behind it."""


@dataclass(slots=True)
class Begun:
    ready: list[Ready] = field(default_factory=list)
    unstepped: list[UUID] = field(default_factory=list)
    """Runs whose first step has to hold more than this transaction does."""
    not_begun: int = 0
    """Of whom nothing is sent."""


async def begin(uow: UnitOfWork, files: Files, plan: Plan, claimed: Sequence[Claimed]) -> Begun:
    """Raises `StepRefused` where what one of them is told cannot be said, and `Superseded`."""
    known = await chunks.look(uow, claimed)
    verdicts = await reach.look(uow, plan, list(known.values()))
    begun = Begun()
    started = {} if plan.is_dry_run else await _start(uow, plan, verdicts, begun)
    words = await outreach.first_words(uow, [run.conversation_id for run in started.values()]) if started else {}
    rows = await chunks.hold(uow, claimed)
    for id_, row in rows.items():
        verdict = verdicts[id_]
        if isinstance(verdict, Unreachable):
            chunks.change(uow, row, verdict.status, reason=verdict.reason, variables=dict(verdict.variables))
            begun.not_begun += 1
        elif plan.is_dry_run:
            reason = translate("Dry run: it would have been sent.", plan.locale)
            chunks.change(uow, row, RecipientStatus.SKIPPED, reason=reason, variables=dict(verdict.variables))
            begun.not_begun += 1
        else:
            said = words.get(started[id_].conversation_id, [])
            await _note(uow, files, plan, row, verdict, started[id_], said, begun)
    uow.wake(service.topic(plan.execution_id))
    return begun


async def fail(uow: UnitOfWork, plan: Plan, claimed: Claimed, reason: str) -> None:
    """What this recipient is told cannot be said: it failed, and nothing of it was begun."""
    rows = await chunks.hold(uow, [claimed])
    chunks.change(uow, rows[claimed.id], RecipientStatus.FAILED, reason=reason)
    uow.wake(service.topic(plan.execution_id))


async def _start(uow: UnitOfWork, plan: Plan, verdicts: Verdicts, begun: Begun) -> dict[UUID, FlowRun]:
    """A run for each who can be reached, by recipient."""
    uow.keep(await uow.session.get_one(Channel, (uow.organization_id, plan.channel.id)))
    reachable = {id_: it for id_, it in verdicts.items() if isinstance(it, Reachable)}
    fresh = [it.contact for it in reachable.values() if it.conversation is None]
    made = await outreach.begin(uow, plan.channel, fresh)
    taken = [it.conversation for it in reachable.values() if it.conversation is not None]
    for conversation in taken:
        await runs.cancel(uow, conversation.id)
    if taken:
        await uow.session.flush()  # one live run a conversation: those that give way come first
    started: dict[UUID, FlowRun] = {}
    for id_, it in reachable.items():
        await asyncio.sleep(0)  # whoever waits for a single message goes first (E11)
        conversation = it.conversation or made[it.contact.id]
        started[id_] = await _start_one(uow, plan, it, conversation, begun)
    return started


async def _start_one(
    uow: UnitOfWork, plan: Plan, reached: Reachable, conversation: Conversation, begun: Begun
) -> FlowRun:
    is_new = reached.conversation is None
    run = await runs.start(uow, conversation, plan.version, variables=reached.variables, is_bulk=True, is_first=is_new)
    uow.keep(run)
    known = await plan.known(uow, reached.contact, number=conversation.number, seed=run.id.int)
    if not await stepping.take_first(uow, conversation, run, plan.graphs, known):
        begun.unstepped.append(run.id)
    return run


async def _note(
    uow: UnitOfWork,
    files: Files,
    plan: Plan,
    row: ExecutionRecipient,
    reached: Reachable,
    run: FlowRun,
    said: Sequence[Message],
    begun: Begun,
) -> None:
    """The recipient has begun; its first message is this worker's to send, what follows it any worker's."""
    first = said[0] if said else None
    status = statuses.standing(first.status if first else None, run.status)
    chunks.change(
        uow,
        row,
        status,
        conversation_id=run.conversation_id,
        flow_run_id=run.id,
        message_id=first.id if first else None,
        variables=dict(reached.variables),
        reason=run.error if status is RecipientStatus.FAILED else None,
    )
    if first is None:
        begun.not_begun += 1
        return
    first.due_at, first.epoch, first.attempts = uow.now() + chunks.LEASE, 1, 1
    composed = await _compose(uow, files, plan, first, reached.address)
    begun.ready.append(Ready(row.id, first, composed, is_alone=len(said) == 1))


async def again(uow: UnitOfWork, files: Files, plan: Plan, claimed: Sequence[Claimed]) -> Begun:
    """Claims the first messages of those who are tried again (E7). Raises `Superseded`.

    Whoever has opted out or was blocked meanwhile gets nothing; whose message has come to something meanwhile keeps
    that.
    """
    known = await chunks.look(uow, claimed)
    contacts = await audience.still_reachable(uow.session, [row.contact_id for row in known.values()])
    messages = await outreach.claim_again(uow, [it.message_id for it in claimed if it.message_id], chunks.LEASE)
    rows, begun = await chunks.hold(uow, claimed), Begun()
    for row in rows.values():
        message = messages.get(row.message_id) if row.message_id else None
        if message is None:
            begun.not_begun += 1
            await following.catch_up(uow, row)
        elif row.contact_id not in contacts:
            reason = translate("The contact opted out or was blocked.", plan.locale)
            await outcomes.settle(uow, message.id, MessageStatus.FAILED, error=reason)
            chunks.change(uow, row, RecipientStatus.SKIPPED, reason=reason)
            begun.not_begun += 1
        else:
            row.due_at, row.updated_at = None, uow.now()
            composed = await _compose(uow, files, plan, message, None)
            begun.ready.append(Ready(row.id, message, composed, is_alone=False))
    uow.wake(service.topic(plan.execution_id))
    return begun


async def _compose(
    uow: UnitOfWork, files: Files, plan: Plan, message: Message, recipient: str | None
) -> Outgoing | None:
    address = Address(plan.account, recipient) if plan.account and recipient else None
    return await outgoing.compose(uow, message, plan.channel, files, address=address)
