"""What people do to a conversation in which a flow speaks, and what flows do to conversations (D1, D24, F2)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from pytake_gql.automation.flow_runs import jobs
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowRun
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.desk.conversations.models import TimelineEntry, TimelineKind
from pytake_gql.desk.sla.models import SlaClock
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.members.models import Availability
from tests.automation.flow_runs.bots import Bot, Talk, flow_id, graph
from tests.conftest import TravellingClock

ASSIGN = "mutation ($input: AssignConversationInput!) { assignConversation(input: $input) { userErrors { code } } }"
TRANSFER = (
    "mutation ($input: TransferConversationInput!) { transferConversation(input: $input) { userErrors { code } } }"
)
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
UPDATE_CHANNEL = """mutation ($input: UpdateChannelInput!) { updateChannel(input: $input) {
    channel { flow { id } } userErrors { code field } } }"""
RUN = """query ($id: ID!) { conversation(id: $id) { flowRun {
    id status version currentNodeId variables error finishedAt flow { id } conversation { id }
    steps { nodeId kind leftBy error } } timeline(first: 50) { nodes { __typename seq
    ... on FlowStepTaken { flowRunId nodeId } ... on ConversationTransferred { reason note } } } } }"""


async def asking(bot: Bot) -> FlowVersion:
    return await bot.publish(
        graph(
            {
                "s": "START",
                "nome": ("QUESTION", {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}),
                "fim": ("END", {"text": "Até logo, {{nome}}."}),
            },
            "s -> nome",
            "nome -> fim",
        )
    )


async def handing(bot: Bot, **settings: Any) -> Talk:
    """A visitor whom a flow has handed over at once."""
    version = await bot.publish(graph({"s": "START", "gente": ("HANDOFF", settings)}, "s -> gente"))
    talk = await bot.visitor(version)
    await talk.say("Oi")
    return talk


async def kinds(talk: Talk) -> list[str]:
    rows = await talk.bot.rows(TimelineEntry, TimelineEntry.conversation_id == (await talk.conversation()).id)
    return [row.kind.value for row in sorted(rows, key=lambda row: int(row.seq))]


async def test_d1_an_agent_who_takes_it_ends_the_run_and_nothing_wakes_it(bot: Bot) -> None:
    talk = await bot.visitor(await asking(bot))
    await talk.say("Oi")
    id_ = global_id("Conversation", (await talk.conversation()).id)
    member = global_id("Member", bot.desk.agent_member.id)
    assert await bot.desk.agent.ask(ASSIGN, input={"id": id_, "memberId": member}) == {"userErrors": []}
    run = await talk.run()
    assert ((await talk.conversation()).status, run.status, run.wake_at) == ("ACTIVE", "CANCELLED", None)
    await talk.say("Alguém aí?")
    assert await talk.heard() == ["> Oi", "Seu nome?", "> Alguém aí?"]
    assert (await talk.run()).id == run.id


async def test_d1_a_transfer_to_a_queue_ends_the_run(bot: Bot) -> None:
    other = await bot.desk.make.queue(bot.desk.organization)
    talk = await bot.visitor(await asking(bot))
    await talk.say("Oi")
    id_ = global_id("Conversation", (await talk.conversation()).id)
    told = await bot.desk.admin.ask(TRANSFER, input={"id": id_, "queueId": global_id("Queue", other.id)})
    assert told == {"userErrors": []}
    conversation = await talk.conversation()
    assert (conversation.status, conversation.queue_id) == ("QUEUED", other.id)
    assert (await talk.run()).status == "CANCELLED"


async def test_d1_closing_cancels_the_run_and_what_it_asked_for(bot: Bot) -> None:
    version = await bot.publish(
        graph(
            {"s": "START", "api": ("API_CALL", {"method": "GET", "url": "https://api.example.com/"}), "e": "END"},
            "s -> api",
            "api -> e",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi", is_drained=False)
    conversation = await talk.conversation()
    run = await talk.run()
    assert await jobs.step_flow_run(bot.ports, bot.organization_id, run.id)
    assert len(await bot.rows(FlowEffect, FlowEffect.run_id == run.id)) == 1
    closed = await bot.desk.agent.ask(CLOSE, input={"id": global_id("Conversation", conversation.id)})
    assert closed == {"userErrors": []}
    assert (await talk.run()).status == "CANCELLED"
    assert await bot.rows(FlowEffect, FlowEffect.run_id == run.id) == []
    assert await bot.drain() == 0
    assert bot.world.calls == []


async def test_d3_who_writes_after_the_end_reaches_people(bot: Bot) -> None:
    talk = await bot.visitor(await asking(bot))
    await talk.say("Oi")
    await talk.say("Bia")
    assert (await talk.status(), (await talk.run()).status) == ("CLOSED", "COMPLETED")
    await talk.say("Mais uma coisa")
    assert await talk.status() == "QUEUED"
    assert await talk.heard() == ["> Oi", "Seu nome?", "> Bia", "Até logo, Bia.", "> Mais uma coisa"]


async def test_f2_what_comes_while_a_step_runs_waits_its_turn(bot: Bot) -> None:
    questions = {name: ("QUESTION", {"text": f"{name}?", "variable": name, "type": "TEXT"}) for name in ("a", "b", "c")}
    version = await bot.publish(
        graph(
            {"s": "START", **questions, "e": ("END", {"text": "{{a}} {{b}} {{c}}"})},
            "s -> a",
            "a -> b",
            "b -> c",
            "c -> e",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    for text in ("um", "dois", "três"):
        await talk.say(text, is_drained=False)
    assert await bot.drain() == 3
    assert (await talk.heard())[-1] == "um dois três"
    assert await talk.path() == [("s", "next"), ("a", "next"), ("b", "next"), ("c", "next"), ("e", None)]


async def test_f2_what_is_said_during_a_wait_answers_nothing_that_is_asked_later(
    bot: Bot, clock: TravellingClock
) -> None:
    version = await bot.publish(
        graph(
            {
                "s": "START",
                "w": ("WAIT", {"seconds": 3600}),
                "nome": ("QUESTION", {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}),
                "e": "END",
            },
            "s -> w",
            "w -> nome",
            "nome -> e",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    await talk.say("Alô?")
    clock.advance(hours=2)
    assert await bot.drain() == 1
    assert await talk.heard() == ["> Oi", "> Alô?", "Seu nome?"]
    assert (await talk.run()).status == "WAITING"


async def test_a_handoff_tells_why_it_moved_and_leaves_its_note(bot: Bot) -> None:
    other = await bot.desk.make.queue(bot.desk.organization)
    talk = await handing(bot, queueId=global_id("Queue", other.id), priority="URGENT", note="Cliente antigo")
    conversation = await talk.conversation()
    assert (conversation.status, conversation.priority, conversation.queue_id) == ("QUEUED", "URGENT", other.id)
    shown = await bot.desk.admin.ask(RUN, id=global_id("Conversation", conversation.id))
    run = shown["flowRun"]
    assert {key: run[key] for key in ("status", "version", "currentNodeId", "variables", "error")} == {
        "status": "HANDED_OFF",
        "version": 1,
        "currentNodeId": "gente",
        "variables": {},
        "error": None,
    }
    assert run["conversation"] == {"id": global_id("Conversation", conversation.id)}
    assert run["steps"] == [
        {"nodeId": "s", "kind": "START", "leftBy": "next", "error": None},
        {"nodeId": "gente", "kind": "HANDOFF", "leftBy": None, "error": None},
    ]
    nodes = shown["timeline"]["nodes"]
    assert [node["seq"] for node in nodes] == list(range(1, len(nodes) + 1))
    assert [node["nodeId"] for node in nodes if node["__typename"] == "FlowStepTaken"] == ["s", "gente"]
    moved = [node for node in nodes if node["__typename"] == "ConversationTransferred"]
    assert [(node["reason"], node["note"]) for node in moved] == [("FLOW", "Cliente antigo")]
    assert await kinds(talk) == [
        "STATUS_CHANGED",
        "MESSAGE_ADDED",
        "FLOW_STEP_TAKEN",
        "FLOW_STEP_TAKEN",
        "TRANSFERRED",
        "STATUS_CHANGED",
        "MESSAGE_ADDED",
    ]


async def test_d24_the_first_response_is_due_from_the_handoff_on(bot: Bot, clock: TravellingClock) -> None:
    queue = await bot.desk.make.queue(bot.desk.organization, first_response_minutes=10)
    asked = {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}
    to = {"queueId": global_id("Queue", queue.id)}
    version = await bot.publish(
        graph({"s": "START", "nome": ("QUESTION", asked), "g": ("HANDOFF", to)}, "s -> nome", "nome -> g")
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    conversation = await talk.conversation()
    assert await bot.rows(SlaClock, SlaClock.conversation_id == conversation.id) == []
    clock.advance(minutes=30)
    await talk.say("Bia")
    [due] = await bot.rows(SlaClock, SlaClock.conversation_id == conversation.id)
    conversation = await talk.conversation()
    assert (due.target, due.due_at - due.started_at, due.met_at) == ("FIRST_RESPONSE", timedelta(minutes=10), None)
    assert due.started_at == conversation.queued_at


async def test_a_handoff_to_a_member_gives_it_to_who_answers_now(bot: Bot) -> None:
    talk = await handing(bot, memberId=global_id("Member", bot.desk.agent_member.id), note="Para você")
    conversation = await talk.conversation()
    assert (conversation.status, conversation.assignee_id) == ("ACTIVE", bot.desk.agent_member.id)
    [assigned] = await bot.rows(
        TimelineEntry,
        TimelineEntry.conversation_id == conversation.id,
        TimelineEntry.kind == TimelineKind.ASSIGNED,
    )
    assert assigned.data["reason"] == "FLOW"


async def test_a_handoff_to_a_member_who_is_away_waits_in_the_queue_and_says_why(bot: Bot) -> None:
    away, _ = await bot.desk.colleague(availability=Availability.AWAY, name="Rui")
    talk = await handing(bot, memberId=global_id("Member", away.id))
    conversation = await talk.conversation()
    assert (conversation.status, conversation.queue_id) == ("QUEUED", bot.desk.queue.id)
    assert [m.text for m in await talk.messages() if m.is_note] == ["Rui não está atendendo agora."]


async def test_a_handoff_to_a_department_waits_in_its_open_queue_of_the_highest_priority(bot: Bot) -> None:
    department = await bot.desk.make.department(bot.desk.organization)
    make, organization = bot.desk.make, bot.desk.organization
    await make.queue(organization, department_id=department.id, priority=10)
    high = await make.queue(organization, department_id=department.id, priority=90)
    await make.queue(organization, department_id=department.id, priority=95, is_active=False)
    talk = await handing(bot, departmentId=global_id("Department", department.id))
    assert (await talk.conversation()).queue_id == high.id


async def test_a_handoff_to_a_queue_that_is_gone_goes_where_the_channel_leads(bot: Bot) -> None:
    talk = await handing(bot, queueId=global_id("Queue", uuid4()))
    assert (await talk.conversation()).queue_id == bot.desk.queue.id


async def test_a_channel_takes_a_published_flow_and_no_other(bot: Bot) -> None:
    version = await asking(bot)
    channel = global_id("Channel", bot.desk.channel.id)
    told = await bot.desk.admin.ask(UPDATE_CHANNEL, input={"id": channel, "flowId": flow_id(version)})
    assert told == {"channel": {"flow": {"id": flow_id(version)}}, "userErrors": []}
    unknown = {"id": channel, "flowId": global_id("Flow", uuid4())}
    refused = await bot.desk.admin.ask(UPDATE_CHANNEL, input=unknown)
    assert refused == {"channel": None, "userErrors": [{"code": "NOT_FOUND", "field": ["flowId"]}]}
    talk = await bot.visitor()
    await talk.say("Oi")
    assert await talk.status() == "BOT"
    told = await bot.desk.admin.ask(UPDATE_CHANNEL, input={"id": channel, "flowId": None})
    assert told == {"channel": {"flow": None}, "userErrors": []}
    talk = await bot.visitor()
    await talk.say("Oi")
    assert await talk.status() == "QUEUED"


async def test_d21_a_run_is_seen_by_whoever_sees_its_conversation(bot: Bot) -> None:
    talk = await bot.visitor(await asking(bot))
    await talk.say("Oi")
    run = global_id("FlowRun", (await talk.run()).id)
    _, stranger = await bot.desk.colleague(Role.AGENT, serves=False)
    document = "query ($id: ID!) { node(id: $id) { id } }"
    assert await bot.desk.agent.ask(document, id=run) == {"id": run}
    assert await stranger.ask(document, id=run) is None


async def test_d30_erasing_a_contact_forgets_what_a_flow_was_told(bot: Bot) -> None:
    version = await bot.publish(
        graph(
            {
                "s": "START",
                "nome": ("QUESTION", {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}),
                "idade": ("QUESTION", {"text": "Idade?", "variable": "idade", "type": "NUMBER"}),
            },
            "s -> nome",
            "nome -> idade",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    await talk.say("Bia")
    run = await talk.run()
    assert run.state["variables"] == {"nome": "Bia"}
    contact_id = (await talk.conversation()).contact_id
    erase = "mutation ($input: DeleteContactInput!) { deleteContact(input: $input) { userErrors { code } } }"
    told = await bot.desk.admin.ask(erase, input={"id": global_id("Contact", contact_id)})
    assert told == {"userErrors": []}
    [row] = await bot.rows(FlowRun, FlowRun.id == run.id)
    assert (row.status, row.state["variables"], row.unheard) == ("CANCELLED", {}, [])
