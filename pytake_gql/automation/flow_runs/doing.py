"""What a step's effects do inside its own transaction, each by the verb of the domain that it concerns (F1)."""

from typing import Any, TypeAlias, assert_never

from pytake_gql.automation.flow_runs import service
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowEffectKind, FlowRun
from pytake_gql.automation.flow_runs.standing import Standing
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
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.conversations import bots, speaking
from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.conversations.ports import Option
from pytake_gql.desk.deliveries import media
from pytake_gql.desk.routing import handovers
from pytake_gql.desk.tags import service as tags
from pytake_gql.kernel.errors import Problem, Refusal
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork

Plain: TypeAlias = Say | CallApi | AskAi
"""What `plain` writes: it moves no row but those of the run and its conversation."""


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
        case CallApi() | AskAi():
            _ask(uow, run, effect)
        case _:
            assert_never(effect)
    return None


async def do_plainly(uow: UnitOfWork, at: Standing, kind: ChannelKind, effect: Plain) -> None:
    """The same, of what `plain` writes."""
    if isinstance(effect, Say):
        options = [Option(option.value, option.title) for option in effect.options]
        await speaking.say(uow, at.conversation, kind, effect.text, options, queue=service.queue_of(at))
    else:
        _ask(uow, at, effect)


async def _say(uow: UnitOfWork, conversation: Conversation, run: FlowRun, said: Say) -> None:
    choice = templates.Choice(said.template_id, said.template_variables) if said.template_id else None
    options = [Option(option.value, option.title) for option in said.options]
    speech = bots.Speech(said.text, options, choice, awaits_file=said.attachment_url is not None)
    with uow.session.no_autoflush:
        message = await bots.say(uow, conversation, speech, queue=service.queue_of(run))
    if said.attachment_url is not None:
        await uow.session.flush()  # the message before what waits for it
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


def _ask(uow: UnitOfWork, run: FlowRun | Standing, effect: CallApi | AskAi) -> None:
    is_call, id_ = isinstance(effect, CallApi), uuid7()
    row = {
        "id": id_,
        "run_id": run.id,
        "number": effect.number,
        "kind": FlowEffectKind.CALL_API if is_call else FlowEffectKind.ASK_AI,
        "request": _call(effect) if isinstance(effect, CallApi) else {"instruction": effect.instruction},
        "due_at": uow.now(),
        "epoch": 0,
        "attempts": 0,
    }
    uow.append(FlowEffect, row)
    uow.enqueue(Job("perform_flow_effect", (str(uow.organization_id), str(id_)), service.queue_of(run)))


def _call(effect: CallApi) -> dict[str, Any]:
    return {
        "method": effect.method,
        "url": effect.url,
        "headers": dict(effect.headers),
        "body": effect.body,
        "timeout_seconds": effect.timeout_seconds,
    }
