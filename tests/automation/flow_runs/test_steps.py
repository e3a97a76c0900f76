"""One transaction a step: races, pinned versions, effects once, and what has to be locked first (F1-F5)."""

import asyncio
import random
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.automation.ai.ports import AssistantFailed, Turn
from pytake_gql.automation.flow_runs import jobs, service
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowRun
from pytake_gql.automation.flow_runs.outside import Outside, idempotency_key
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.contacts.service import LINKS
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.tags.models import Tag
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.public_http import Answer, CallFailed
from pytake_gql.kernel.translation import translate
from pytake_gql.tenancy.members import presence
from tests.automation.flow_runs.bots import Bot, Talk, flow_id, graph
from tests.conftest import TravellingClock

NAME = {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}
API = {
    "method": "POST",
    "url": "https://api.example.com/pedidos/{{pedido}}",
    "body": {"id": "{{pedido}}"},
    "headers": {"X-Key": "abc"},
    "save": {"estado": "/order/status"},
}


async def calling(bot: Bot) -> FlowVersion:
    return await bot.publish(
        graph(
            {
                "s": "START",
                "p": ("QUESTION", {"text": "Pedido?", "variable": "pedido", "type": "TEXT"}),
                "api": ("API_CALL", API),
                "ok": ("END", {"text": "Está {{estado}}."}),
                "nada": ("END", {"text": "Não achei."}),
            },
            "s -> p",
            "p -> api",
            "api -> ok",
            "api:error -> nada",
        )
    )


def answer(status: int = 200, body: Any = None) -> Answer:
    return Answer(status, "application/json", orjson.dumps(body))


async def asked(bot: Bot, version: FlowVersion) -> tuple[Talk, FlowEffect]:
    """A visitor whose run has asked for an effect that nobody has done yet."""
    talk = await bot.visitor(version)
    await talk.say("Oi")
    await talk.say("42", is_drained=False)
    assert await jobs.step_flow_run(bot.ports, bot.organization_id, (await talk.run()).id)
    [effect] = await bot.rows(FlowEffect, FlowEffect.run_id == (await talk.run()).id)
    return talk, effect


def outside(bot: Bot) -> Outside:
    return Outside(bot.world, bot.world)


async def test_f9_a_call_is_made_once_and_its_answer_is_data(bot: Bot) -> None:
    bot.world.answers = [answer(body={"order": {"status": "a caminho"}})]
    talk = await bot.visitor(await calling(bot))
    await talk.say("Oi")
    await talk.say("4 2")
    run = await talk.run()
    [call] = bot.world.calls
    assert (call.method, call.url, call.timeout_seconds) == ("POST", "https://api.example.com/pedidos/4%202", 10.0)
    assert orjson.loads(call.body or b"") == {"id": "4 2"}
    assert call.headers == {
        "X-Key": "abc",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key(run.id, 1),
    }
    assert await talk.heard() == ["> Oi", "Pedido?", "> 4 2", "Está a caminho."]
    assert await bot.rows(FlowEffect, FlowEffect.run_id == run.id) == []


async def test_f9_what_fails_goes_on_by_error(bot: Bot) -> None:
    for failure in (answer(404, {"error": "unknown"}), CallFailed("No connection.")):
        bot.world.answers = [failure]
        talk = await bot.visitor(await calling(bot))
        await talk.say("Oi")
        await talk.say("42")
        assert (await talk.heard())[-1] == "Não achei."
        assert (await talk.path())[2:] == [("api", "error"), ("nada", None)]


async def test_f1_an_effect_whose_worker_died_is_not_done_again(bot: Bot, clock: TravellingClock) -> None:
    talk, effect = await asked(bot, await calling(bot))
    async with bot.ports.units.of_system(bot.organization_id) as uow:
        claim = await jobs._claim(uow, effect.id)  # the worker that dies now
    assert claim is not None
    assert not await jobs.perform_flow_effect(bot.ports, outside(bot), bot.organization_id, effect.id)
    clock.advance(seconds=30)
    assert await bot.drain() == 1
    assert bot.world.calls == []
    assert (await talk.heard())[-1] == "Não achei."


async def test_f1_a_worker_whose_lease_ran_out_tells_nothing(bot: Bot, clock: TravellingClock) -> None:
    talk, effect = await asked(bot, await calling(bot))
    bot.world.answers = [answer(body={"order": {"status": "tarde demais"}})]
    entered, go_on = asyncio.Event(), asyncio.Event()
    real = bot.world.call

    async def slow(call: Any) -> Answer:
        entered.set()
        await go_on.wait()
        return await real(call)

    bot.world.call = slow  # type: ignore[method-assign]
    late = asyncio.create_task(jobs.perform_flow_effect(bot.ports, outside(bot), bot.organization_id, effect.id))
    await entered.wait()
    clock.advance(seconds=30)
    assert await jobs.perform_flow_effect(bot.ports, outside(bot), bot.organization_id, effect.id)
    go_on.set()
    assert not await late
    assert (await talk.heard())[-1] == "Não achei."
    assert len(bot.world.calls) == 1


async def test_f1_two_workers_do_one_effect_once(bot: Bot) -> None:
    talk, effect = await asked(bot, await calling(bot))
    bot.world.answers = [answer(body={"order": {"status": "pago"}})] * 5
    done = await asyncio.gather(
        *(jobs.perform_flow_effect(bot.ports, outside(bot), bot.organization_id, effect.id) for _ in range(5))
    )
    assert sorted(done) == [False] * 4 + [True]
    assert len(bot.world.calls) == 1
    assert (await talk.heard())[-1] == "Está pago."


async def test_f2_what_comes_during_an_effect_waits_for_the_question_after_it(bot: Bot) -> None:
    version = await bot.publish(
        graph(
            {
                "s": "START",
                "api": ("API_CALL", {"method": "GET", "url": "https://api.example.com/"}),
                "nome": ("QUESTION", NAME),
                "e": ("END", {"text": "Oi, {{nome}}"}),
            },
            "s -> api",
            "api -> nome",
            "nome -> e",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi", is_drained=False)
    run = await talk.run()
    assert await jobs.step_flow_run(bot.ports, bot.organization_id, run.id)
    await talk.say("Bia", is_drained=False)
    assert not await jobs.step_flow_run(bot.ports, bot.organization_id, run.id)
    assert (await talk.run()).wake_at is None
    bot.world.answers = [answer(body={})]
    assert await bot.drain() == 2
    assert await talk.heard() == ["> Oi", "> Bia", "Seu nome?", "Oi, Bia"]


async def test_an_ai_answers_what_was_said(bot: Bot) -> None:
    version = await bot.publish(
        graph(
            {
                "s": "START",
                "p": ("QUESTION", {"text": "Qual a dúvida?", "variable": "d", "type": "TEXT"}),
                "ia": ("AI_REPLY", {"instruction": "Seja breve.", "variable": "r"}),
                "e": "END",
                "g": ("HANDOFF", {"note": "A IA falhou"}),
            },
            "s -> p",
            "p -> ia",
            "ia -> e",
            "ia:error -> g",
        )
    )
    bot.world.replies = ["Abrimos às 9."]
    talk = await bot.visitor(version)
    await talk.say("Oi")
    await talk.say("Que horas abre?")
    assert await talk.heard() == ["> Oi", "Qual a dúvida?", "> Que horas abre?", "Abrimos às 9."]
    [question] = bot.world.questions
    assert (question.organization_id, question.instruction) == (bot.organization_id, "Seja breve.")
    assert question.turns == [Turn(True, "Oi"), Turn(False, "Qual a dúvida?"), Turn(True, "Que horas abre?")]
    bot.world.replies = [AssistantFailed("No AI provider is set up.")]
    talk = await bot.visitor(version)
    await talk.say("Oi")
    await talk.say("Que horas abre?")
    assert (await talk.status(), (await talk.path())[2]) == ("QUEUED", ("ia", "error"))


async def test_f3_a_reply_that_races_a_timeout_is_taken_once_or_too_late(
    bot: Bot, clock: TravellingClock, is_long: bool
) -> None:
    version = await bot.publish(
        graph(
            {
                "s": "START",
                "nome": ("QUESTION", {**NAME, "timeoutSeconds": 60}),
                "fim": ("QUESTION", {"text": "Até?", "variable": "x", "type": "TEXT"}),
                "tarde": ("QUESTION", {"text": "Ainda aí?", "variable": "y", "type": "TEXT"}),
                "e": "END",
            },
            "s -> nome",
            "nome -> fim",
            "nome:timeout -> tarde",
            "fim -> e",
            "tarde -> e",
        )
    )
    ends: set[str] = set()
    for _ in range(200 if is_long else 6):
        clock.ahead = timedelta()
        talks = [await bot.visitor(version) for _ in range(5)]
        await asyncio.gather(*(talk.write("Oi") for talk in talks))
        await bot.drain()
        runs = [(await talk.run()).id for talk in talks]
        clock.advance(seconds=61)
        await asyncio.gather(
            *(_soon(jobs.step_flow_run(bot.ports, bot.organization_id, run_id)) for run_id in runs),
            *(talk.write("Bia") for talk in talks),
            *(_soon(jobs.step_flow_run(bot.ports, bot.organization_id, run_id)) for run_id in runs),
        )
        await bot.drain()
        for talk in talks:
            ends.add(await _first(talk))
    assert ends <= {"reply", "timeout"}
    assert not is_long or len(ends) == 2


async def _soon(step: Awaitable[bool]) -> bool:
    """A reply has more to do before it locks anything: without a head start it would always be the second."""
    await asyncio.sleep(random.uniform(0, 0.1))
    return await step


async def _first(talk: Talk) -> str:
    """Which of the two was first; nothing was lost or taken twice."""
    run, path = await talk.run(), await talk.path()
    if path[1] == ("nome", "next"):
        assert path == [("s", "next"), ("nome", "next"), ("fim", None)]
        assert (run.state["variables"], run.status) == ({"nome": "Bia"}, "WAITING")
        return "reply"
    # The reply answers what was asked then.
    assert path == [("s", "next"), ("nome", "timeout"), ("tarde", "next"), ("e", None)]
    assert (run.state["variables"], run.status) == ({"y": "Bia"}, "COMPLETED")
    return "timeout"


async def test_f5_runs_of_version_1_end_as_version_1(bot: Bot, is_long: bool) -> None:
    def drawn(word: str) -> dict[str, Any]:
        return graph(
            {"s": "START", "nome": ("QUESTION", NAME), "e": ("END", {"text": f"{word}, {{{{nome}}}}"})},
            "s -> nome",
            "nome -> e",
        )

    first = await bot.publish(drawn("Versão 1"))
    talks = [await bot.visitor(first) for _ in range(100 if is_long else 10)]
    await asyncio.gather(*(talk.write("Oi") for talk in talks))
    await bot.drain()
    await bot.publish(drawn("Versão 2"), of=await bot.flow_of(first))
    await asyncio.gather(*(talk.write("Bia") for talk in talks))
    await bot.drain()
    assert {tuple((await talk.heard())[-1:]) for talk in talks} == {("Versão 1, Bia",)}
    newer = await bot.visitor()
    await newer.say("Oi")
    await newer.say("Bia")
    assert (await newer.heard())[-1] == "Versão 2, Bia"
    document = "query ($id: ID!) { conversation(id: $id) { flowRun { version } } }"
    versions = [
        (await bot.desk.admin.ask(document, id=global_id("Conversation", (await talk.conversation()).id)))
        for talk in (talks[0], newer)
    ]
    assert versions == [{"flowRun": {"version": 1}}, {"flowRun": {"version": 2}}]


async def test_f5_a_jump_leads_to_the_version_that_was_published_when_the_run_began(bot: Bot) -> None:
    other = await bot.publish(graph({"s": "START", "e": ("END", {"text": "Outro 1"})}, "s -> e"))
    version = await bot.publish(
        graph(
            {"s": "START", "nome": ("QUESTION", NAME), "j": ("JUMP", {"flowId": flow_id(other)})},
            "s -> nome",
            "nome -> j",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    await bot.publish(graph({"s": "START", "e": ("END", {"text": "Outro 2"})}, "s -> e"), of=await bot.flow_of(other))
    await talk.say("Bia")
    assert (await talk.heard())[-1] == "Outro 1"


async def test_f4_a_breach_fails_the_run_and_hands_it_over(bot: Bot) -> None:
    loop = {f"m{n}": ("SET_VARIABLE", {"variable": "x", "value": n}) for n in range(60)}
    ways = [f"m{n} -> m{n + 1}" for n in range(59)]
    talk = await bot.visitor(await bot.publish(graph({"s": "START", **loop, "e": "END"}, "s -> m0", *ways, "m59 -> e")))
    await talk.say("Oi")
    run = await talk.run()
    reason = translate("The run takes more than {most} steps without a wait.", "pt-BR", most=50)
    assert (run.status, run.error) == ("FAILED", reason)
    assert (await talk.conversation()).status == "QUEUED"
    assert [m.text for m in await talk.messages() if m.is_note] == [run.error]


async def test_f1_a_step_that_cannot_be_done_fails_the_run_and_hands_it_over(bot: Bot) -> None:
    gone = global_id("MessageTemplate", UUID(int=1))
    version = await bot.publish(
        graph(
            {"s": "START", "m": ("MESSAGE", {"text": "Oi!"}), "t": ("MESSAGE", {"templateId": gone}), "e": "END"},
            "s -> m",
            "m -> t",
            "t -> e",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    run = await talk.run()
    assert (run.status, run.error, run.wake_at) == ("FAILED", "Nada foi encontrado com este id.", None)
    assert (await talk.status(), await talk.heard()) == ("QUEUED", ["> Oi"])


async def test_f1_a_contact_is_locked_before_the_conversation_and_what_does_not_fit_is_told(bot: Bot) -> None:
    vip = Tag(name="VIP", name_key="vip")
    await bot.desk.make.save(bot.organization_id, vip)
    known = {
        "name": "Bia {{organization.name}}",
        "email": "bia@example.com",
        "phone": "11 91234-5678",
        "attributes": {"plano": "ouro"},
        "addTagIds": [global_id("Tag", vip.id)],
        "optOut": True,
    }
    version = await bot.publish(graph({"s": "START", "c": ("UPDATE_CONTACT", known), "e": "END"}, "s -> c", "c -> e"))
    talk = await bot.visitor(version)
    await talk.say("Oi")
    [contact] = await bot.rows(Contact, Contact.id == (await talk.conversation()).contact_id)
    assert (contact.name, contact.email) == (f"Bia {bot.desk.organization.name}", "bia@example.com")
    assert (contact.phone, contact.attributes) == ("+5511912345678", {"plano": "ouro"})
    assert contact.opted_out_at is not None
    async with bot.ports.database.session(bot.organization_id) as session:
        tags = (await LINKS.tags_of(session, [contact.id]))[contact.id]
    assert [tag.name for tag in tags] == ["VIP"]
    second = await bot.visitor(version)  # the phone is the first one's now
    await second.say("Oi")
    [contact] = await bot.rows(Contact, Contact.id == (await second.conversation()).contact_id)
    assert (contact.phone, contact.email) == (None, "bia@example.com")
    async with bot.ports.database.session(bot.organization_id) as session:
        rows = (await service.steps_of(session, [(await second.run()).id]))[(await second.run()).id]
    assert [row.error for row in rows] == [None, "Another contact has this phone.", None]


async def test_d11_handoffs_to_one_member_at_once_never_go_above_the_capacity(bot: Bot) -> None:
    async with bot.ports.units.of_system(bot.organization_id) as uow:
        await presence.beat(uow, [bot.desk.agent_member.id])
    to = {"memberId": global_id("Member", bot.desk.agent_member.id)}
    version = await bot.publish(graph({"s": "START", "g": ("HANDOFF", to)}, "s -> g"))
    talks = [await bot.visitor(version) for _ in range(10)]
    await asyncio.gather(*(talk.write("Oi") for talk in talks))
    runs = [(await talk.run()).id for talk in talks]
    assert (
        await asyncio.gather(*(jobs.step_flow_run(bot.ports, bot.organization_id, id_) for id_ in runs)) == [True] * 10
    )
    mine = await bot.rows(Conversation, Conversation.assignee_id == bot.desk.agent_member.id)
    assert len(mine) == bot.desk.agent_member.capacity < 10
    rest = await bot.rows(Conversation, Conversation.status == "QUEUED")
    assert len(rest) == 10 - len(mine)


async def test_a_run_of_20_steps_costs_no_more_than_20_transactions(bot: Bot) -> None:
    nodes: dict[str, Any] = {"s": "START"}
    ways = ["s -> m0"]
    for n in range(6):
        nodes[f"m{n}"] = ("MESSAGE", {"text": f"m{n}"})
        nodes[f"q{n}"] = ("QUESTION", {"text": f"q{n}?", "variable": f"v{n}", "type": "TEXT"})
        nodes[f"v{n}"] = ("SET_VARIABLE", {"variable": "x", "value": f"{{{{v{n}}}}}"})
        ways += [f"m{n} -> q{n}", f"q{n} -> v{n}", f"v{n} -> {f'm{n + 1}' if n < 5 else 'e'}"]
    nodes["e"] = ("END", {"text": "Fim"})
    talk = await bot.visitor(await bot.publish(graph(nodes, *ways)))
    committed = 0

    def count(_connection: Any) -> None:
        nonlocal committed
        committed += 1

    sa.event.listen(bot.ports.database.engine.sync_engine, "commit", count)
    spent = 0
    try:
        for text in ("Oi", *"abcdef"):
            await talk.say(text, is_drained=False)
            before, run_id = committed, (await talk.run()).id
            assert await jobs.step_flow_run(bot.ports, bot.organization_id, run_id)
            spent += committed - before
    finally:
        sa.event.remove(bot.ports.database.engine.sync_engine, "commit", count)
    assert len(await talk.path()) == 20
    assert spent == 7
    assert (await talk.run()).status == "COMPLETED"


async def test_e11_what_a_campaign_says_goes_by_the_other_queue(bot: Bot) -> None:
    version = await bot.publish(
        graph({"s": "START", "m": ("MESSAGE", {"text": "Oferta"}), "q": ("QUESTION", NAME)}, "s -> m", "m -> q")
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    run = await talk.run()
    async with bot.ports.units.of_system(bot.organization_id) as uow:
        await uow.session.execute(sa.update(FlowRun).where(col(FlowRun.id) == run.id).values(is_bulk=True))
    async with bot.ports.units.of_system(bot.organization_id) as uow:
        found = await service.live_in(uow, run.conversation_id)
        assert found is not None
        service.wake(uow, found)
        [job] = uow.jobs
    assert (job.name, job.queue) == ("step_flow_run", "pytake:jobs:bulk")
