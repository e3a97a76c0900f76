"""Golden transcripts: what `simulateFlow` says equals the real run through web chat, message by message (F8)."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import pytest

from pytake_gql.automation.ai.ports import AssistantFailed
from pytake_gql.automation.flows import service as flows
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.automation.flows.ready import ReadyFlowKey
from pytake_gql.automation.flows.versions import published
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.public_http import Answer, CallFailed
from tests.automation.flow_runs.bots import Bot, Talk, flow_id, graph
from tests.conftest import TravellingClock

SIMULATE = """query ($input: SimulateFlowInput!) { simulateFlow(input: $input) {
    status variables transcript { direction text } steps { nodeId kind leftBy } } }"""
RUN = """query ($id: ID!) { conversation(id: $id) { flowRun {
    status variables steps { nodeId kind leftBy } } } }"""


@dataclass(frozen=True)
class Case:
    of: ReadyFlowKey | dict[str, Any]
    replies: tuple[str, ...] = ()
    effects: dict[str, Any] = field(default_factory=dict)
    """By node, as a simulation takes them: each is asked for once."""
    waits: int = 0
    """How often time has to pass."""
    is_random: bool = False


def question(type_: str, **more: Any) -> dict[str, Any]:
    asked = ("QUESTION", {"text": "Diga.", "variable": "v", "type": type_, "attempts": 2, **more})
    nodes = {"s": "START", "q": asked, "ok": ("END", {"text": "Ok: {{v}}"}), "no": ("END", {"text": "Não deu."})}
    return graph(nodes, "s -> q", "q -> ok", "q:invalid -> no", "q:timeout -> no")


def through(*node: Any, **ways: str) -> dict[str, Any]:
    """One node, and an END for each way out of it that says which it was."""
    ends = {f"e_{way}": ("END", {"text": said}) for way, said in ways.items()}
    edges = [f"n:{way} -> e_{way}" for way in ways]
    return graph({"s": "START", "n": node[0] if len(node) == 1 else node, **ends}, "s -> n", *edges)


RULE = {"left": "{{v}}", "operator": "GREATER", "right": 10}
CONDITION = {"branches": [{"name": "muito", "match": "ALL", "rules": [RULE]}]}
NUMBER = ("QUESTION", {"text": "Quantos?", "variable": "v", "type": "NUMBER"})
CHOOSING = graph(
    {"s": "START", "q": NUMBER, "c": ("CONDITION", CONDITION), "m": ("END", {"text": "Muitos: {{v}}"}),
     "p": ("END", {"text": "Poucos: {{v}}"})},
    "s -> q", "q -> c", "c:muito -> m", "c:default -> p",
)  # fmt: skip
MENU = {"text": "Qual?", "options": [{"value": "a", "title": "Azul"}, {"value": "v", "title": "Verde"}], "attempts": 2}
API = {"method": "GET", "url": "https://api.example.com/", "save": {"x": "/x"}}
WAIT = graph(
    {"s": "START", "a": ("MESSAGE", {"text": "Um momento."}), "w": ("WAIT", {"seconds": 86400}),
     "q": ("QUESTION", {"text": "E agora?", "variable": "v", "type": "TEXT"}), "e": ("END", {"text": "{{v}}!"})},
    "s -> a", "a -> w", "w -> q", "q -> e",
)  # fmt: skip
CONTACT = graph(
    {"s": "START", "c": ("UPDATE_CONTACT", {"name": "Bia", "attributes": {"plano": "ouro"}}),
     "e": ("END", {"text": "{{contact.name}}, {{contact.attributes.plano}}, {{contact.email}}"})},
    "s -> c", "c -> e",
)  # fmt: skip
SET = graph(
    {"s": "START", "v": ("SET_VARIABLE", {"variable": "v", "value": "{{organization.name}}"}),
     "e": ("END", {"text": "Aqui é {{v}}. {{nada}}"})},
    "s -> v", "v -> e",
)  # fmt: skip
AI = {"instruction": "Responda.", "variable": "r"}
BRANCHES = {"branches": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]}
JUMP = graph(
    {"s": "START", "q": ("QUESTION", {"text": "Nome?", "variable": "v", "type": "TEXT"}),
     "c": ("CONDITION", {"branches": [{"name": "de_novo", "match": "ANY", "rules": [
         {"left": "{{v}}", "operator": "EQUALS", "right": "de novo"}]}]}),
     "j": ("JUMP", {"nodeId": "q"}), "e": ("END", {"text": "Oi, {{v}}"})},
    "s -> q", "q -> c", "c:de_novo -> j", "c:default -> e",
)  # fmt: skip
ORDER = {"ask": {"status": "enviado", "delivery": {"date": "sexta"}}}

CASES = {
    "ready greeting, support": Case(ReadyFlowKey.GREETING, ("quê?", "Preciso de ajuda", "Não liga")),
    "ready greeting, nothing": Case(ReadyFlowKey.GREETING, ("4",)),
    "ready lead capture": Case(
        ReadyFlowKey.LEAD_CAPTURE, ("Ana", "ana at example", "ana@example.com", "(11) 98765-4321", "Um serviço")
    ),
    "ready opening hours": Case(ReadyFlowKey.OPENING_HOURS),
    "ready order status": Case(ReadyFlowKey.ORDER_STATUS, ("abc", "#1234", "É só isso"), ORDER),
    "ready order status, unknown": Case(ReadyFlowKey.ORDER_STATUS, ("1234",), {"ask": "error"}),
    "MENU by number": Case(through("MENU", MENU, a="Azul!", v="Verde!", invalid="Nada."), ("2",)),
    "MENU by title": Case(through("MENU", MENU, a="Azul!", v="Verde!", invalid="Nada."), ("azul",)),
    "MENU not understood": Case(through("MENU", MENU, a="Azul!", v="Verde!", invalid="Nada."), ("x", "y")),
    "QUESTION NUMBER": Case(question("NUMBER"), ("muitos", "1.234,5")),
    "QUESTION EMAIL": Case(question("EMAIL", errorText="Isso é um e-mail?"), ("x", "ana@example.com")),
    "QUESTION PHONE": Case(question("PHONE"), ("11 91234-5678",)),
    "QUESTION DATE": Case(question("DATE"), ("hoje não", "08/03/2026")),
    "QUESTION CHOICE": Case(question("CHOICE", choices=["Pix", "Boleto"]), ("2",)),
    "QUESTION invalid": Case(question("NUMBER"), ("x", "y")),
    "CONDITION": Case(CHOOSING, ("11",)),
    "CONDITION default": Case(CHOOSING, ("10",)),
    "RANDOM": Case(through("RANDOM", BRANCHES, a="Sorte!", b="Sorte!"), is_random=True),
    "OPENING_HOURS": Case(through("OPENING_HOURS", {}, open="Aberto.", closed="Fechado.")),
    "SET_VARIABLE": Case(SET),
    "UPDATE_CONTACT": Case(CONTACT),
    "WAIT": Case(WAIT, ("Oi",), waits=1),
    "API_CALL": Case(through("API_CALL", API, next="{{x}}", error="Falhou."), effects={"n": {"x": "{{y}}"}}),
    "API_CALL fails": Case(through("API_CALL", API, next="{{x}}", error="Falhou."), effects={"n": "error"}),
    "AI_REPLY": Case(through("AI_REPLY", AI, next="Disse: {{r}}", error="Falhou."), effects={"n": "Claro!"}),
    "AI_REPLY fails": Case(through("AI_REPLY", AI, next="Disse: {{r}}", error="Falhou."), effects={"n": "error"}),
    "JUMP": Case(JUMP, ("de novo", "Bia")),
    "HANDOFF": Case(through("HANDOFF", {"note": "Nota"})),
}


async def planted(bot: Bot, case: Case) -> FlowVersion:
    if isinstance(case.of, dict):
        return await bot.publish(case.of)
    async with bot.ports.units.of_system(bot.organization_id) as uow:
        flow = await flows.plant(uow, case.of, "pt-BR")
        await uow.session.flush()
        return (await published(uow.session, [flow.id]))[flow.id]


def tell(bot: Bot, effects: dict[str, Any]) -> None:
    """The outside world answers as the simulation was told; of these flows each has one effect."""
    for told in effects.values():
        fails = told == "error"
        body = Answer(200, "application/json", orjson.dumps(told))
        bot.world.answers.append(CallFailed("error") if fails else body)
        bot.world.replies.append(AssistantFailed("error") if fails else str(told))


async def talked(bot: Bot, clock: TravellingClock, case: Case) -> Talk:
    talk = await bot.visitor()
    await talk.say("Oi")
    for _ in range(case.waits):
        clock.advance(days=1, seconds=1)
        await bot.drain()
    for reply in case.replies:
        await talk.say(reply)
    return talk


@pytest.mark.parametrize("name", CASES)
async def test_f8_the_simulation_is_what_the_visitor_reads(bot: Bot, clock: TravellingClock, name: str) -> None:
    case = CASES[name]
    version = await planted(bot, case)
    simulated = await bot.desk.admin.ask(
        SIMULATE, input={"flowId": flow_id(version), "replies": list(case.replies), "effects": case.effects}
    )
    tell(bot, case.effects)
    await bot.greets(version)
    talk = await talked(bot, clock, case)
    clock.ahead = timedelta()  # tokens are good for minutes
    said = [f"{'> ' if line['direction'] == 'INBOUND' else ''}{line['text']}" for line in simulated["transcript"]]
    assert await talk.heard() == ["> Oi", *said]
    shown = await bot.desk.admin.ask(RUN, id=global_id("Conversation", (await talk.conversation()).id))
    run = shown["flowRun"]
    assert (run["status"], run["variables"]) == (simulated["status"], simulated["variables"])
    if not case.is_random:
        assert run["steps"] == simulated["steps"]
    if case.effects:
        assert len(bot.world.calls) + len(bot.world.questions) == 1


def test_f8_every_kind_of_node_has_a_golden_transcript() -> None:
    drawn = [case.of for case in CASES.values() if isinstance(case.of, dict)]
    assert {node["kind"] for it in drawn for node in it["nodes"]} == {
        "START", "MESSAGE", "MENU", "QUESTION", "CONDITION", "RANDOM", "OPENING_HOURS", "SET_VARIABLE",
        "UPDATE_CONTACT", "WAIT", "API_CALL", "AI_REPLY", "JUMP", "HANDOFF", "END",
    }  # fmt: skip
    assert {case.of for case in CASES.values() if not isinstance(case.of, dict)} == set(ReadyFlowKey)
