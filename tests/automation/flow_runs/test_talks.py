"""Flows that talk in a web chat, from the visitor's first word to its end (D1, F1, F2)."""

from tests.automation.flow_runs.bots import Bot, graph
from tests.conftest import TravellingClock

MENU = {
    "text": "Como posso ajudar?",
    "options": [{"value": "vendas", "title": "Vendas"}, {"value": "fim", "title": "Fim"}],
}


async def test_d1_a_flow_greets_a_new_conversation_asks_and_hands_it_to_the_queue(bot: Bot) -> None:
    version = await bot.publish(
        graph(
            {
                "s": "START",
                "oi": ("MESSAGE", {"text": "Olá!"}),
                "menu": ("MENU", MENU),
                "nome": ("QUESTION", {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}),
                "gente": ("HANDOFF", {"priority": "HIGH", "note": "É {{nome}}"}),
                "fim": ("END", {"text": "Até logo."}),
            },
            "s -> oi",
            "oi -> menu",
            "menu:vendas -> nome",
            "menu:fim -> fim",
            "nome -> gente",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Bom dia")
    assert await talk.heard() == ["> Bom dia", "Olá!", "Como posso ajudar?"]
    assert await talk.status() == "BOT"
    await talk.say(option="vendas")
    await talk.say("Bia")
    assert await talk.heard() == [
        "> Bom dia",
        "Olá!",
        "Como posso ajudar?",
        "> Vendas",
        "Seu nome?",
        "> Bia",
    ]
    conversation, run = await talk.conversation(), await talk.run()
    assert (conversation.status, conversation.priority, conversation.queue_id) == ("QUEUED", "HIGH", bot.desk.queue.id)
    assert (run.status, run.state["variables"], run.finished_at is not None) == ("HANDED_OFF", {"nome": "Bia"}, True)
    assert await talk.path() == [
        ("s", "next"),
        ("oi", "next"),
        ("menu", "vendas"),
        ("nome", "next"),
        ("gente", None),
    ]
    assert [(m.author_kind, m.text) for m in await talk.messages() if m.is_note] == [("BOT", "É Bia")]


async def test_f3_a_reply_that_does_not_come_times_out_once(bot: Bot, clock: TravellingClock) -> None:
    asked = {"text": "Seu nome?", "variable": "nome", "type": "TEXT", "timeoutSeconds": 60}
    version = await bot.publish(
        graph(
            {"s": "START", "nome": ("QUESTION", asked), "fim": ("END", {"text": "Volte logo."})},
            "s -> nome",
            "nome:timeout -> fim",
        )
    )
    talk = await bot.visitor(version)
    await talk.say("Oi")
    clock.advance(seconds=59)
    assert await bot.drain() == 0
    clock.advance(seconds=2)
    assert await bot.drain() == 1
    assert await bot.drain() == 0
    assert await talk.heard() == ["> Oi", "Seu nome?", "Volte logo."]
    assert (await talk.status(), (await talk.run()).status) == ("CLOSED", "COMPLETED")
    assert await talk.path() == [("s", "next"), ("nome", "timeout"), ("fim", None)]
