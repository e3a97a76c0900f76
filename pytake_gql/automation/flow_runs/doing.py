"""What a step's effects do inside its own transaction, each by the verb of the domain that it concerns (F1)."""

from typing import Any, assert_never

from pytake_gql.automation.flow_runs.models import FlowEffect, FlowEffectKind, FlowRun
from pytake_gql.automation.flows.run import (
    AskAi,
    CallApi,
    Effect,
    Finish,
    HandOff,
    Say,
    UpdateContact,
)
from pytake_gql.desk.channels import templates
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.conversations import bots
from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.conversations.ports import Option
from pytake_gql.desk.deliveries import media
from pytake_gql.desk.routing import handovers
from pytake_gql.desk.tags import service as tags
from pytake_gql.kernel.errors import Problem, Refusal
from pytake_gql.kernel.jobs import Job, JobQueue
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def do(uow: UnitOfWork, conversation: Conversation, run: FlowRun, effect: Effect) -> str | None:
    """Does it, or leaves it to a worker; answers what went wrong where the run goes on all the same."""
    match effect:
        case Say():
            await _say(uow, conversation, run, effect)
        case UpdateContact():
            return await _update_contact(uow, conversation, effect)
        case HandOff():
            to = handovers.Destination(effect.queue_id, effect.department_id, effect.member_id)
            await handovers.hand_over(uow, conversation, to, priority=effect.priority, note=effect.note)
        case Finish():
            await conversations.end(uow, conversation)
        case CallApi():
            _ask(uow, run, effect.number, FlowEffectKind.CALL_API, _call(effect))
        case AskAi():
            _ask(uow, run, effect.number, FlowEffectKind.ASK_AI, {"instruction": effect.instruction})
        case _:
            assert_never(effect)
    return None


async def _say(uow: UnitOfWork, conversation: Conversation, run: FlowRun, said: Say) -> None:
    choice = templates.Choice(said.template_id, said.template_variables) if said.template_id else None
    options = [Option(option.value, option.title) for option in said.options]
    queue = JobQueue.BULK if run.is_bulk else JobQueue.INTERACTIVE
    speech = bots.Speech(said.text, options, choice, awaits_file=said.attachment_url is not None)
    message = await bots.say(uow, conversation, speech, queue=queue)
    if said.attachment_url is not None:
        media.fetch_for(uow, message, said.attachment_url)


async def _update_contact(uow: UnitOfWork, conversation: Conversation, update: UpdateContact) -> str | None:
    """What is refused, such as a phone that another contact has, is left out, and told."""
    contact = await contacts.get(uow, conversation.contact_id)
    changes: dict[str, Any] = {
        name: value for name in ("name", "email", "phone") if (value := getattr(update, name)) is not None
    }
    if update.attributes:
        changes["attributes"] = {**contact.attributes, **update.attributes}
    if update.opt_out is not None:
        changes["opted_out"] = update.opt_out
    if update.add_tag_ids or update.remove_tag_ids:
        has = {tag.id for tag in (await contacts.tags_of(uow.session, [contact.id]))[contact.id]}
        # A tag that was deleted since the flow was published is no fault of the contact's.
        known = await tags.by_ids(uow.session, [*update.add_tag_ids])
        changes["tag_ids"] = sorted((has | known.keys()) - set(update.remove_tag_ids))
    refused: list[Problem] = []
    while changes:
        try:
            await contacts.update(uow, contact.id, changes)
            break
        except Refusal as refusal:
            refused += refusal.problems
            blamed = {problem.field[0] for problem in refusal.problems if problem.field}
            changes = {name: value for name, value in changes.items() if name not in blamed} if blamed else {}
    return "; ".join(problem.message("en") for problem in refused) or None


def _ask(uow: UnitOfWork, run: FlowRun, number: int, kind: FlowEffectKind, request: dict[str, Any]) -> None:
    row = FlowEffect(run_id=run.id, number=number, kind=kind, request=request, due_at=uow.now())
    uow.add(row)
    queue = JobQueue.BULK if run.is_bulk else JobQueue.INTERACTIVE
    uow.enqueue(Job("perform_flow_effect", (str(uow.organization_id), str(row.id)), queue))


def _call(effect: CallApi) -> dict[str, Any]:
    return {
        "method": effect.method,
        "url": effect.url,
        "headers": dict(effect.headers),
        "body": effect.body,
        "timeout_seconds": effect.timeout_seconds,
    }
