"""An execution from its firing to its end: S19, S25, E4, E8, F10."""

import asyncio
from datetime import timedelta

import pytest

from pytake_gql.automation.flow_executions import audience, service
from pytake_gql.automation.flow_executions.models import ExecutionStatus, ExecutionTrigger, FlowExecution
from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.desk.contacts import merging
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.contacts.service import Criteria
from pytake_gql.desk.conversations.models import Conversation, TimelineEntry
from pytake_gql.kernel.ids import global_id
from tests.automation.flow_executions.campaign import ASKS, Campaign, plan
from tests.automation.flow_runs.bots import graph
from tests.conftest import TravellingClock
from tests.desk.desk import Desk


async def test_f10_everybody_is_told_once_and_the_execution_is_complete(campaign: Campaign) -> None:
    people = await campaign.contacts(60)
    execution_id = await campaign.fire()
    execution = await campaign.finish(execution_id)
    assert execution.status == "COMPLETED"
    assert await campaign.counts(execution_id) == {"COMPLETED": 60}
    assert sorted(await campaign.said()) == sorted(f"Olá {contact.name}" for contact in people)
    assert {row.attempts for row in await campaign.recipients(execution_id)} == {1}


async def test_the_conversations_are_numbered_and_their_timelines_have_no_gap(campaign: Campaign) -> None:
    await campaign.contacts(3)
    await campaign.finish(await campaign.fire())
    rows = await campaign.rows(Conversation)
    assert (sorted(row.number for row in rows), {row.status.value for row in rows}) == ([1, 2, 3], {"CLOSED"})
    for row in rows:
        entries = await campaign.rows(TimelineEntry, TimelineEntry.conversation_id == row.id)
        assert sorted(entry.seq for entry in entries) == list(range(1, row.last_seq + 1))


async def test_s19_twenty_who_fire_the_same_nominal_at_once_make_one_execution(campaign: Campaign) -> None:
    nominal = campaign.ports.clock.now()
    for given in (
        {"trigger": ExecutionTrigger.SCHEDULE, "scheduled_for": nominal},
        {"trigger": ExecutionTrigger.BACKFILL, "scheduled_for": nominal},
        {"client_key": "uma vez"},
    ):
        made = await asyncio.gather(*(campaign.fire(**given) for _ in range(20)))
        assert len(set(made)) == 1
    assert len(await campaign.rows(FlowExecution)) == 3
    assert await campaign.fire() != await campaign.fire()  # by hand and without a key: two


async def test_s19_a_tick_that_comes_again_makes_only_what_is_new(campaign: Campaign) -> None:
    nominal = campaign.ports.clock.now()
    firings = [
        campaign.firing(trigger=ExecutionTrigger.SCHEDULE, scheduled_for=nominal + timedelta(minutes=5 * number))
        for number in range(4)
    ]
    made = []
    for some in (firings[:3], firings):
        async with campaign.ports.units.of_system(campaign.organization_id) as uow:
            made.append([it.scheduled_for for it in (await service.create_all(uow, some)).values()])
    assert made == [[it.scheduled_for for it in firings[:3]], [firings[3].scheduled_for]]


async def test_s18_more_is_made_at_once_than_one_statement_can_say(campaign: Campaign) -> None:
    """PostgreSQL takes 32,767 parameters: a hundred automations that missed thirty each are more."""
    nominal = campaign.ports.clock.now()
    given = {"trigger": ExecutionTrigger.SCHEDULE, "status": ExecutionStatus.MISSED}
    firings = [campaign.firing(**given, scheduled_for=nominal - timedelta(minutes=number)) for number in range(2500)]
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        assert len(await service.create_all(uow, firings)) == 2500
    assert len(await campaign.rows(FlowExecution)) == 2500


async def test_what_is_only_history_is_never_run(campaign: Campaign) -> None:
    await campaign.contacts()
    given = {"trigger": ExecutionTrigger.SCHEDULE, "status": "MISSED", "reason": "O sistema estava fora do ar."}
    execution_id = await campaign.fire(**given)
    await campaign.look(execution_id)
    execution = await campaign.execution(execution_id)
    assert (execution.status, execution.reason, execution.due_at) == ("MISSED", given["reason"], None)
    assert execution.finished_at is not None
    assert await campaign.counts(execution_id) == {}


async def test_it_begins_when_its_time_has_come(campaign: Campaign, clock: TravellingClock) -> None:
    await campaign.contacts()
    execution_id = await campaign.fire(not_before=clock.now() + timedelta(minutes=10))
    await campaign.look(execution_id)
    assert (await campaign.execution(execution_id)).status == "QUEUED"
    clock.advance(minutes=10)
    assert await campaign.is_due(execution_id)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"


async def test_one_that_is_held_waits_to_be_released(campaign: Campaign, clock: TravellingClock) -> None:
    await campaign.contacts()
    execution_id = await campaign.fire(is_held=True)
    clock.advance(days=1)
    await campaign.look(execution_id)
    assert not await campaign.is_due(execution_id)
    assert (await campaign.execution(execution_id)).status == "QUEUED"
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        released = await service.release(uow, campaign.automation_id)
        assert await service.release(uow, campaign.automation_id) is None
    assert released is not None
    assert (await campaign.finish(execution_id)).status == "COMPLETED"


async def test_s25_the_opted_out_the_blocked_and_the_erased_are_no_recipients(campaign: Campaign) -> None:
    now = campaign.ports.clock.now()
    (reached,) = await campaign.contacts(name="Ana")
    (gone,) = await campaign.contacts(name="Lia", opted_out_at=now)
    await campaign.contacts(name="Rui", is_blocked=True)
    await campaign.contacts(name="Nin", erased_at=now)
    wanted = Audience(contact_ids=(reached.id, gone.id))
    async with campaign.ports.database.session(campaign.organization_id) as session:
        assert await audience.count(session, Audience()) == 1
        assert await audience.count(session, wanted) == 1
        assert await audience.count(session, Audience(criteria=Criteria(search="Ana"))) == 1
        assert await audience.count(session, Audience(criteria=Criteria(search="Lia"))) == 0
    for named in (Audience(), wanted, Audience(criteria=Criteria(search="Ana"))):
        execution_id = await campaign.fire(audience=named)
        await campaign.finish(execution_id)
        assert [row.contact_id for row in await campaign.recipients(execution_id)] == [reached.id]


async def test_s25_whoever_opts_out_after_the_start_is_skipped(campaign: Campaign) -> None:
    await campaign.contacts(3)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1))
    await campaign.begin(execution_id)
    rows = [row for row in await campaign.recipients(execution_id) if row.status == "PENDING"]
    assert len(rows) == 2
    await campaign.change(Contact, rows[0].contact_id, opted_out_at=campaign.ports.clock.now())
    await campaign.change(Contact, rows[1].contact_id, is_blocked=True)
    await campaign.finish(execution_id)
    assert await campaign.counts(execution_id) == {"COMPLETED": 1, "SKIPPED": 2}
    reasons = {row.contact_id: row.reason for row in await campaign.recipients(execution_id)}
    assert reasons[rows[0].contact_id] == "O contato pediu para não receber mais mensagens."
    assert reasons[rows[1].contact_id] == "O contato está bloqueado."
    assert len(await campaign.said()) == 1


async def test_another_organization_is_never_reached(campaign: Campaign, desk: Desk) -> None:
    stranger = await desk.make.contact(await desk.make.organization(), name="Estranha")
    (ours,) = await campaign.contacts()
    execution_id = await campaign.fire(audience=Audience(contact_ids=(ours.id, stranger.id)))
    await campaign.finish(execution_id)
    assert [row.contact_id for row in await campaign.recipients(execution_id)] == [ours.id]


async def test_f7_variables_are_templates_over_the_contact_and_who_lacks_one_is_skipped(campaign: Campaign) -> None:
    (rich,) = await campaign.contacts(name="Ana", attributes={"plano": "Ouro", "saldo": 7})
    (poor,) = await campaign.contacts(name="Rui")
    variables = {"plano": "Plano {{contact.attributes.plano}}", "saldo": "{{contact.attributes.saldo}}", "fixo": 3}
    execution_id = await campaign.fire(variables=variables)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    rows = {row.contact_id: row for row in await campaign.recipients(execution_id)}
    assert rows[rich.id].variables == {"plano": "Plano Ouro", "saldo": 7, "fixo": 3}
    assert rows[poor.id].status == "SKIPPED"
    assert rows[poor.id].reason == "O contato não tem valor para contact.attributes.plano, contact.attributes.saldo."
    assert await campaign.said() == ["Olá Ana"]


async def test_a_dry_run_resolves_everything_and_sends_nothing(campaign: Campaign) -> None:
    await campaign.contacts(30, attributes={"plano": "Ouro"})
    await campaign.contacts(name="Rui")
    execution_id = await campaign.fire(is_dry_run=True, variables={"plano": "{{contact.attributes.plano}}"})
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    reasons = [row.reason for row in await campaign.recipients(execution_id)]
    assert reasons.count("Simulação: teria sido enviado.") == 30
    assert reasons.count("O contato não tem valor para contact.attributes.plano.") == 1
    assert await campaign.counts(execution_id) == {"SKIPPED": 31}
    assert (await campaign.rows(Conversation), await campaign.rows(FlowRun), await campaign.said()) == ([], [], [])


async def test_who_was_never_on_the_channel_is_skipped(campaign: Campaign) -> None:
    await campaign.desk.make.contact(campaign.desk.organization)
    execution_id = await campaign.fire()
    await campaign.finish(execution_id)
    row = await campaign.recipient(execution_id)
    assert (row.status, row.reason) == ("SKIPPED", "O contato não é conhecido neste canal.")


async def test_who_talks_to_people_or_waits_for_them_is_not_interrupted(campaign: Campaign) -> None:
    conversation = await campaign.desk.make.conversation(campaign.channel)
    execution_id = await campaign.fire()
    await campaign.finish(execution_id)
    row = await campaign.recipient(execution_id)
    assert (row.contact_id, row.status) == (conversation.contact_id, "SKIPPED")
    assert row.reason == "O contato está falando com alguém da equipe, ou esperando atendimento."
    assert (await campaign.said(), len(await campaign.rows(Conversation))) == ([], 1)


async def test_a_flow_that_speaks_gives_way_to_the_next_one(desk: Desk) -> None:
    asking = await plan(desk, ASKS)
    await asking.contacts()
    first, second = await asking.fire(), await asking.fire()
    await asking.finish(first)
    before = await asking.recipient(first)
    assert before.status == "SENT"
    await asking.finish(second)
    after, gone = await asking.recipient(second), await asking.recipient(first)
    assert (after.status, after.conversation_id) == ("SENT", before.conversation_id)
    assert (gone.status, gone.reason) == ("CANCELLED", "A conversa passou para outra pessoa, ou foi encerrada.")
    assert [run.status.value for run in await asking.rows(FlowRun)] == ["CANCELLED", "WAITING"]


async def test_f10_a_recipient_replies_and_ends_with_its_run(desk: Desk) -> None:
    asking = await plan(desk, ASKS)
    visitor = await desk.make.visitor(desk.channel)
    await asking.known(visitor)
    execution_id = await asking.fire()
    assert (await asking.finish(execution_id)).status == "COMPLETED"
    assert await asking.counts(execution_id) == {"SENT": 1}
    await asking.say(visitor, "Sim")
    assert await asking.counts(execution_id) == {"REPLIED": 1}
    await asking.step()
    assert await asking.counts(execution_id) == {"COMPLETED": 1}
    row = await asking.recipient(execution_id)
    (run,) = await asking.rows(FlowRun)
    assert (row.flow_run_id, run.status, run.state["variables"]["resposta"]) == (run.id, "COMPLETED", "Sim")


async def test_f10_an_agent_who_takes_the_conversation_ends_the_recipient(desk: Desk) -> None:
    asking = await plan(desk, ASKS)
    await asking.contacts()
    execution_id = await asking.fire()
    await asking.finish(execution_id)
    row = await asking.recipient(execution_id)
    close = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code } } }"
    assert row.conversation_id is not None
    told = await desk.admin.ask(close, id=global_id("Conversation", row.conversation_id))
    assert told == {"userErrors": []}
    assert await asking.counts(execution_id) == {"CANCELLED": 1}


async def test_a_flow_that_fails_fails_its_recipient_with_the_reason(desk: Desk) -> None:
    endless = graph({"s": "START", "a": ("SET_VARIABLE", {"variable": "x", "value": "1"})}, "s -> a", "a -> a")
    failing = await plan(desk, endless)
    await failing.contacts()
    execution_id = await failing.fire()
    execution = await failing.finish(execution_id)
    row, (run,) = await failing.recipient(execution_id), await failing.rows(FlowRun)
    assert (execution.status, row.status, run.status) == ("FAILED", "FAILED", "FAILED")
    assert row.reason == run.error
    assert row.reason


async def test_a_flow_that_changes_the_contact_is_stepped_with_the_contact_held(desk: Desk) -> None:
    named = graph(
        {"s": "START", "u": ("UPDATE_CONTACT", {"name": "Nova"}), "m": ("MESSAGE", {"text": "Oi"}), "e": "END"},
        "s -> u",
        "u -> m",
        "m -> e",
    )
    naming = await plan(desk, named)
    (contact,) = await naming.contacts(name="Velha")
    execution_id = await naming.fire()
    await naming.finish(execution_id)
    await naming.deliver()
    assert await naming.said() == ["Oi"]
    (renamed,) = await naming.rows(Contact, Contact.id == contact.id)
    assert renamed.name == "Nova"
    assert await naming.counts(execution_id) == {"COMPLETED": 1}


async def test_all_that_a_flow_says_at_first_is_sent(desk: Desk) -> None:
    talk = graph(
        {"s": "START", "a": ("MESSAGE", {"text": "um"}), "b": ("MESSAGE", {"text": "dois"}), "e": "END"},
        "s -> a",
        "a -> b",
        "b -> e",
    )
    talking = await plan(desk, talk)
    await talking.contacts(2)
    execution_id = await talking.fire()
    await talking.finish(execution_id)
    await talking.deliver()
    assert sorted(await talking.said()) == ["dois", "dois", "um", "um"]
    assert {row.status.value for row in await talking.messages()} == {"SENT"}


async def test_d30_a_merged_contact_is_told_once(campaign: Campaign) -> None:
    kept, merged = await campaign.contacts(2)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1))
    await campaign.begin(execution_id)
    async with campaign.ports.units.of_system(campaign.organization_id) as uow:
        await merging.merge(uow, kept.id, merged.id)
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    row = await campaign.recipient(execution_id)
    assert (row.contact_id, row.status, len(await campaign.said())) == (kept.id, "COMPLETED", 1)


async def test_an_erased_contact_is_told_nothing_and_nothing_of_it_stays(campaign: Campaign) -> None:
    people = await campaign.contacts(2)
    execution_id = await campaign.fire(limits=campaign.limits(max_concurrent=1), variables={"nome": "{{contact.name}}"})
    await campaign.begin(execution_id)
    for contact in people:
        async with campaign.ports.units.of_system(campaign.organization_id) as uow:
            await merging.erase(uow, contact.id)
    await campaign.finish(execution_id)
    rows = await campaign.recipients(execution_id)
    assert sorted(row.status.value for row in rows) == ["COMPLETED", "SKIPPED"]
    assert [row.variables for row in rows] == [{}, {}]


async def test_a_channel_that_does_not_work_fails_it_with_the_reason(campaign: Campaign) -> None:
    await campaign.contacts(2)
    await campaign.change(type(campaign.channel), campaign.channel.id, status="ERROR", last_error="Token revogado")
    execution_id = await campaign.fire()
    execution = await campaign.finish(execution_id)
    assert execution.status == "FAILED"
    assert execution.reason == f"{campaign.channel.name} não está conectado: Token revogado"
    assert await campaign.said() == []


async def test_a_channel_with_executions_is_not_deleted(campaign: Campaign) -> None:
    await campaign.contacts()
    await campaign.fire()
    delete = "mutation ($id: ID!) { deleteChannel(input: {id: $id}) { userErrors { code } } }"
    told = await campaign.desk.admin.ask(delete, id=global_id("Channel", campaign.channel.id))
    assert told == {"userErrors": [{"code": "WRONG_STATE"}]}


@pytest.mark.parametrize("count", [0, 1, 26, 101])
async def test_every_size_of_audience_ends(campaign: Campaign, count: int) -> None:
    await campaign.contacts(count)
    execution_id = await campaign.fire()
    assert (await campaign.finish(execution_id)).status == "COMPLETED"
    assert await campaign.counts(execution_id) == ({"COMPLETED": count} if count else {})


async def test_ten_workers_at_once_tell_nobody_twice(campaign: Campaign) -> None:
    await campaign.contacts(150)
    execution_id = await campaign.fire()
    while (await campaign.execution(execution_id)).finished_at is None:
        await asyncio.gather(*(campaign.look(execution_id) for _ in range(10)))
    assert await campaign.counts(execution_id) == {"COMPLETED": 150}
    assert len(await campaign.said()) == 150


async def test_nothing_is_told_twice_when_contacts_are_blocked_meanwhile(campaign: Campaign) -> None:
    """A contact's row changes under the batch that holds it: one comes after the other."""
    people = await campaign.contacts(25)
    execution_id = await campaign.fire()

    async def block() -> None:
        for contact in people:
            async with campaign.ports.units.of_system(campaign.organization_id) as uow:
                await contacts.update(uow, contact.id, {"is_blocked": True})

    await asyncio.gather(block(), campaign.finish(execution_id))
    counts = await campaign.counts(execution_id)
    assert sum(counts.values()) <= 25
    assert len(await campaign.said()) == counts.get("COMPLETED", 0)
