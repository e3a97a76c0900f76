"""The ready flows: whole, alike in each language, and golden transcripts by `simulateFlow`."""

from typing import Any

import pytest

from pytake_gql.automation.flows import problems, ready, service
from pytake_gql.automation.flows.ready import ReadyFlowKey
from pytake_gql.automation.flows.references import Known
from pytake_gql.kernel.ids import global_id
from tests.automation.flows.test_graphql import CREATE, GRAPH, ONE, SIMULATE
from tests.client import Client
from tests.desk.desk import Desk

READY = f"{{ readyFlows {{ key name description graph {{ {GRAPH} }} }} }}"


@pytest.mark.parametrize("locale", ["pt-BR", "en"])
@pytest.mark.parametrize("key", ReadyFlowKey)
def test_a_ready_flow_has_no_errors(key: ReadyFlowKey, locale: str) -> None:
    """What may be empty where a question was not answered is all there is to say."""
    found = problems.check(ready.load(key, locale).graph, Known())
    assert {it.template for it in found} <= {"Not every path here sets {name}: it may be empty."}


def skeleton(of: ready.ReadyFlow) -> Any:
    nodes = [(it["nodeId"], it["kind"], sorted(it["settings"]), it["position"]) for it in of.graph["nodes"]]
    return nodes, of.graph["edges"]


@pytest.mark.parametrize("key", ReadyFlowKey)
def test_a_ready_flow_is_the_same_in_each_language(key: ReadyFlowKey) -> None:
    portuguese, english = ready.load(key, "pt-BR"), ready.load(key, "en")
    assert skeleton(portuguese) == skeleton(english)
    assert portuguese.name != english.name
    assert ready.load(key, "de") is not None
    assert ready.load(key, "de").name == english.name


async def play(
    desk: Desk, key: ReadyFlowKey, replies: list[str], **given: Any
) -> tuple[list[str], str, dict[str, Any]]:
    """The transcript (what the contact writes is marked), how it ends, and the whole answer."""
    flows = {it["key"]: it for it in await desk.agent.ask(READY)}
    told = await desk.agent.ask(SIMULATE, input={"graph": flows[key]["graph"], "replies": replies, **given})
    lines = [f"> {it['text']}" if it["direction"] == "INBOUND" else it["text"] for it in told["transcript"]]
    return lines, told["status"], told


async def test_f8_greeting(desk: Desk) -> None:
    menu = "How can we help?"
    lines, status, told = await play(desk, ReadyFlowKey.GREETING, ["?", "2", "The screen is dark."])
    assert (lines, status) == (
        [
            "Hello and welcome!",
            menu,
            "> ?",
            "Desculpe, não entendi. Por favor, escolha uma das opções.",
            "> 2",
            "Tell us in one message what happened.",
            "> The screen is dark.",
        ],
        "HANDED_OFF",
    )
    assert told["variables"] == {"wish": "support", "problem": "The screen is dark."}
    assert [it["nodeId"] for it in told["steps"]] == ["start", "known", "hello", "menu", "problem", "support"]
    contact = await desk.make.contact(desk.organization, name="Ana")
    known = {"contactId": global_id("Contact", contact.id)}
    lines, status, _ = await play(desk, ReadyFlowKey.GREETING, ["Nothing, thanks"], **known)
    assert (lines, status) == (
        [
            "Hello Ana! Good to see you again.",
            menu,
            "> Nothing, thanks",
            "All right! Just write whenever you need us.",
        ],
        "COMPLETED",
    )


async def test_f8_opening_hours(desk: Desk) -> None:
    name = desk.organization.name
    lines, status, _ = await play(desk, ReadyFlowKey.OPENING_HOURS, [])
    assert (lines, status) == ([f"Hello! Someone from {name} will be with you shortly."], "HANDED_OFF")
    await desk.admin.ask("""mutation { updateOrganization(input: {openingHours: [
        {weekday: MONDAY, opensAt: "08:00", closesAt: "18:00"}]}) { userErrors { message } } }""")
    sunday = {"at": "2026-03-08T15:00:00Z"}
    closed = "Hello! We are closed right now. Would you like to leave a message?"
    lines, status, told = await play(
        desk, ReadyFlowKey.OPENING_HOURS, ["yes", "Call me back", "ana@example.com"], **sunday
    )
    assert (lines, status) == (
        [
            closed,
            "> yes",
            "Write it in one message.",
            "> Call me back",
            "By which e-mail address can we answer?",
            "> ana@example.com",
            "Noted! We will answer as soon as we open.",
        ],
        "HANDED_OFF",
    )
    assert told["variables"] == {"message": "Call me back", "email": "ana@example.com"}
    lines, status, _ = await play(desk, ReadyFlowKey.OPENING_HOURS, ["No"], **sunday)
    assert (lines, status) == ([closed, "> No", "All right. See you soon!"], "COMPLETED")


async def test_f8_lead_capture(desk: Desk) -> None:
    replies = ["Ana", "ana at example", "ana@example.com", "(11) 98765-4321", "A service"]
    lines, status, told = await play(desk, ReadyFlowKey.LEAD_CAPTURE, replies)
    assert (lines, status) == (
        [
            "Hello! Four quick questions, and we prepare an offer for you.",
            "What is your name?",
            "> Ana",
            "Nice to meet you, Ana! What is your e-mail address?",
            "> ana at example",
            "Desculpe, isso não é um e-mail. Ele se parece com nome@exemplo.com.br.",
            "> ana@example.com",
            "And your phone, with its area code?",
            "> (11) 98765-4321",
            "What are you looking for?",
            "> A service",
            "Thank you, Ana! Someone from our team will talk to you in a moment.",
        ],
        "HANDED_OFF",
    )
    assert told["variables"] == {
        "name": "Ana",
        "email": "ana@example.com",
        "phone": "+5511987654321",
        "interest": "service",
    }


async def test_f8_order_status(desk: Desk) -> None:
    asked = "What is the number of your order? It has 4 to 10 digits."
    answer = {"status": "on its way", "delivery": {"date": "12/03"}}
    lines, status, told = await play(
        desk, ReadyFlowKey.ORDER_STATUS, ["12", "1234", "another", "99999", "3"], effects={"ask": answer}
    )
    more = "Anything else?"
    assert (lines, status) == (
        [
            asked,
            "> 12",
            "This number does not look right: it has 4 to 10 digits.",
            "> 1234",
            "Order 1234 is: on its way. It should arrive on 12/03.",
            more,
            "> another",
            asked,
            "> 99999",
            "Order 99999 is: on its way. It should arrive on 12/03.",
            more,
            "> 3",
            "Thank you! See you soon.",
        ],
        "COMPLETED",
    )
    assert told["variables"] == {"order": "99999", "status": "on its way", "delivery": "12/03"}
    failed = await play(desk, ReadyFlowKey.ORDER_STATUS, ["1234"], effects={"ask": "error"})
    sorry = "I could not find order 1234. Someone will help you."
    assert failed[:2] == ([asked, "> 1234", sorry], "HANDED_OFF")
    delivered = await play(desk, ReadyFlowKey.ORDER_STATUS, ["1234"], effects={"ask": {"status": "delivered"}})
    assert delivered[:2] == ([asked, "> 1234", "Order 1234 has been delivered.", more], "WAITING")


async def test_a_ready_flow_can_be_taken_over(desk: Desk) -> None:
    """In the caller's language; what `readyFlows` answers is what `createFlow` takes."""
    admin = Client(desk.http, desk.admin.token, locale="pt-BR")
    for given in await admin.ask(READY):
        taken = {name: given[name] for name in ("name", "description", "graph")}
        answer = await admin.ask(CREATE, input=taken)
        assert answer["userErrors"] == []
        assert answer["flow"]["draft"] == given["graph"]


async def test_a_ready_flow_is_planted_and_published(desk: Desk) -> None:
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        flow = await service.plant(uow, ReadyFlowKey.GREETING, "pt-BR")
    planted = await desk.agent.ask(ONE, id=global_id("Flow", flow.id))
    assert (planted["name"], planted["published"]) == ("Saudação com menu", {"number": 1})
