"""/dev/chat in a real browser: a customer plays against an agent who answers through GraphQL."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from pytake_gql import app, bootstrap
from pytake_gql.desk.conversations import jobs
from pytake_gql.development import chat_page, demo
from pytake_gql.kernel.ids import global_id, parse_global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Environment
from tests.browser import Page, browse
from tests.desk.attachments.sending import PDF, PNG, SVG, upload
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory
from tests.sockets import Served, serving

PULL = """mutation { pullNextConversation(input: {}) { conversation { id contact { name }
    messages { nodes { text } } } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { id seq status } userErrors { code } } }"""
READ = (
    "query ($id: ID!) { conversation(id: $id) { rating ratingComment messages(first: 50) { nodes { text status } } } }"
)
SET_TYPING = "mutation ($input: SetTypingInput!) { setTyping(input: $input) { userErrors { code } } }"
CLOSE = "mutation ($input: CloseConversationInput!) { closeConversation(input: $input) { userErrors { code } } }"
TYPING = """subscription ($id: ID!) { conversationEvents(conversationId: $id) {
    ... on TypingChanged { authorKind isTyping } } }"""
BUBBLES = "[...document.querySelectorAll('.message .bubble')].map((bubble) => bubble.textContent)"
STATUS = "document.getElementById('status').textContent"
GREETING = "<img src=x onerror=alert(1)> Olá & bem-vinda!"
HOSTILE = "<script>alert('oi')</script> & <b>negrito</b>\nsegunda linha"


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


@pytest.fixture
async def own(ports: Ports) -> AsyncIterator[Served]:
    """A server of this test's own: its sockets are dropped."""
    async with serving(app.build(ports)) as served:
        yield served


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browse("pt-BR") as opened:
        yield opened


class Agent:
    """Works at the desk through the API, as a front end would."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.conversation = ""

    async def pull(self) -> Any:
        taken = (await self.desk.agent.ask(PULL))["conversation"]
        self.conversation = taken["id"]
        return taken

    async def say(self, text: str, **input_: Any) -> int:
        input_ = {"conversationId": self.conversation, "text": text, **input_}
        answer = await self.desk.agent.ask(SEND, input=input_)
        assert answer["userErrors"] == []
        parsed, ports = parse_global_id(answer["message"]["id"]), self.desk.make.ports
        assert parsed is not None
        await jobs.deliver_message(ports, bootstrap.channels(ports), self.desk.organization.id, parsed[1])
        seq: int = answer["message"]["seq"]
        return seq

    async def statuses(self) -> dict[str, str]:
        conversation = await self.desk.admin.ask(READ, id=self.conversation)
        return {message["text"]: message["status"] for message in conversation["messages"]["nodes"]}


async def enter(page: Page, served: Served, desk: Desk, name: str) -> None:
    """Opens the page, and begins the visit by keyboard alone."""
    settings = {"title": "Loja & Cia", "greeting": GREETING, "color": "#FFD60A"}
    channel = await desk.make.channel(desk.organization, queue_id=desk.queue.id, settings=settings)
    await page.open(f"{served.url}/dev/chat?channel={global_id('Channel', channel.id)}")
    await page.until("!document.getElementById('welcome').hidden")
    await page.value("document.getElementById('name').focus()")
    await page.type(name)
    await page.press("Enter")
    await page.until("document.activeElement.id", "text")


async def write(page: Page, text: str) -> None:
    await page.value("document.getElementById('text').focus()")
    await page.type(text)
    await page.press("Enter")


async def test_a_customer_is_answered_live_loses_the_connection_and_rates(page: Page, own: Served, desk: Desk) -> None:
    agent = Agent(desk)
    await enter(page, own, desk, "Bia <i>")
    assert await page.value("document.title") == "Loja & Cia"
    assert await page.value("document.getElementById('greeting').textContent") == GREETING
    assert await page.value("getComputedStyle(document.querySelector('header')).color") == "rgb(0, 0, 0)"
    await write(page, HOSTILE)
    await page.until(BUBBLES, [HOSTILE])
    await page.until(STATUS, "Aguardando: você é o 1º da fila")
    await page.until("document.querySelectorAll('.pending').length", 0)
    taken = await agent.pull()
    assert (taken["contact"]["name"], taken["messages"]["nodes"]) == ("Bia <i>", [{"text": HOSTILE}])
    await page.until(STATUS, "Ana Agent está com você")
    await desk.agent.ask(SET_TYPING, input={"conversationId": agent.conversation, "isTyping": True})
    await page.until("document.getElementById('typing').textContent", "Ana Agent está digitando…")
    await agent.say("Só entre nós", isNote=True)
    await agent.say("<u>Olá</u>, tudo bem?")
    await page.until(BUBBLES, [HOSTILE, "<u>Olá</u>, tudo bem?"])
    await page.until("document.getElementById('typing').textContent", "")
    await page.until("document.querySelectorAll('main script, main img, main b, main u, main i').length", 0)
    await became(agent, "<u>Olá</u>, tudo bem?", "READ")

    for number in range(3):  # whatever happens while the socket is away is there once it is back
        await drop_sockets(own)
        await agent.say(f"Resposta {number}")
    await write(page, "Obrigada!")
    replies = [HOSTILE, "<u>Olá</u>, tudo bem?", "Resposta 0", "Resposta 1", "Resposta 2", "Obrigada!"]
    await page.until(BUBBLES, replies)
    await page.until("document.getElementById('banner').hidden")

    await page.call("Page.reload")  # the visit goes on
    await page.until(BUBBLES, replies)
    await page.until(STATUS, "Ana Agent está com você")
    await agent.say("Até logo!")
    await page.until(BUBBLES, [*replies, "Até logo!"])
    assert (await desk.agent.ask(CLOSE, input={"id": agent.conversation}))["userErrors"] == []
    await page.until(STATUS, "Conversa encerrada")
    await rate(page)
    await page.until(STATUS, "Conversa encerrada. Sua nota: 4 de 5. Obrigado!")
    stored = await desk.admin.ask(READ, id=agent.conversation)
    assert (stored["rating"], stored["ratingComment"]) == (4, "Muito bom")
    assert page.complaints == []


async def became(agent: Agent, text: str, status: str) -> None:
    async with asyncio.timeout(10):
        while (await agent.statuses())[text] != status:
            await asyncio.sleep(0.05)


async def drop_sockets(served: Served) -> None:
    """As a proxy does it that loses its connections; the page comes back by itself."""
    sockets = served.app.state.doorway.sockets
    async with asyncio.timeout(10):
        while not len(sockets):
            await asyncio.sleep(0.02)
        for socket in list(sockets._open):
            await socket.close(1012, "dropped")
        while len(sockets):
            await asyncio.sleep(0.02)


async def rate(page: Page) -> None:
    """With the keyboard."""
    await page.until("document.getElementById('rating').hidden", expected=False)
    await page.value("document.querySelector('#stars input[value=\"3\"]').focus()")
    await page.press(" ")
    await page.press("ArrowRight")
    await page.press("Tab")
    await page.type("Muito bom")
    await page.press("Enter")


CHOOSE = """(({name, type, content}) => {
    const chosen = new DataTransfer();
    chosen.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type}));
    const input = document.getElementById('file');
    input.files = chosen.files;
    input.dispatchEvent(new Event('change'));
})(%s)"""
FILES = """query ($id: ID!) { conversation(id: $id) { messages { nodes { text attachments { fileName url } } } } }"""


async def choose(page: Page, name: str, media_type: str, content: bytes) -> None:
    given = {"name": name, "type": media_type, "content": base64.b64encode(content).decode()}
    await page.value(CHOOSE % json.dumps(given))


async def test_files_go_both_ways_and_a_disguised_one_does_not(page: Page, own: Served, desk: Desk) -> None:
    agent = Agent(desk)
    await enter(page, own, desk, "")
    await choose(page, "<b>.png", "image/png", PNG)
    await page.until(BUBBLES, ["📎 _b_.png"])
    await page.until("document.querySelectorAll('.pending').length", 0)
    await choose(page, "mal.png", "image/png", SVG)
    note = "document.querySelector('.failed .note')?.textContent"
    await page.until(note, "não enviada: O conteúdo não é do tipo image/png.")
    await agent.pull()
    stored = (await desk.agent.ask(FILES, id=agent.conversation))["messages"]["nodes"]
    assert [(message["text"], message["attachments"][0]["fileName"]) for message in stored] == [(None, "_b_.png")]
    assert (await desk.http.get(stored[0]["attachments"][0]["url"])).content == PNG
    file = await upload(desk.http, desk.agent, PDF, name="nota.pdf", mime="application/pdf")
    await agent.say("Aqui está", attachmentIds=[file])
    answered = "document.querySelector('.message:not(.mine) .bubble')?.textContent"
    await page.until(answered, "Aqui está\n📎 nota.pdf")
    fetched = "fetch(document.querySelector('.message:not(.mine) a').href).then((answer) => answer.text())"
    assert await page.value(fetched) == PDF.decode()
    assert [complaint for complaint in page.complaints if " 422 " not in complaint] == []


async def test_the_agent_sees_that_the_customer_types(page: Page, own: Served, desk: Desk) -> None:
    agent = Agent(desk)
    await enter(page, own, desk, "")
    await write(page, "Oi")
    await page.until("document.querySelectorAll('.pending').length", 0)
    await agent.pull()
    async with own.socket() as socket:
        await socket.start(desk.agent.token or "")
        await socket.subscribe(TYPING, id=agent.conversation)
        await asyncio.sleep(0.2)
        await page.type("Quanto ")
        assert await socket.update() == {"authorKind": "CONTACT", "isTyping": True}
        await page.type("custa?")
        await page.press("Enter")
        updates = [await socket.update(), await socket.update()]
        assert {"authorKind": "CONTACT", "isTyping": False} in updates
    await page.until(BUBBLES, ["Oi", "Quanto custa?"])
    assert page.complaints == []


async def test_everything_has_a_name_and_what_comes_is_read_aloud(page: Page, own: Served, desk: Desk) -> None:
    await enter(page, own, desk, "")
    unnamed = """[...document.querySelectorAll('button, input, textarea, [role=log]')].filter((element) =>
        !element.labels?.length && !element.getAttribute('aria-label') && !element.textContent.trim())
        .map((element) => element.outerHTML)"""
    assert await page.value(unnamed) == []
    assert await page.value("document.documentElement.lang") == "pt-BR"
    live = "(({role, ariaLive}) => [role, ariaLive])(document.getElementById('log'))"
    assert await page.value(live) == ["log", "polite"]
    assert page.complaints == []


async def test_english_for_a_browser_that_asks_for_it(own: Served, desk: Desk) -> None:
    async with browse("en-US") as page:
        await enter(page, own, desk, "Bia")
        assert await page.value("document.documentElement.lang") == "en"
        await page.until(STATUS, "Write whenever you like")
        await page.open(f"{own.url}/dev/chat?channel=nowhere")
        await page.until("!document.getElementById('welcome').hidden")
        await page.value("document.querySelector('#welcome button').click()")
        await page.until("document.getElementById('banner').textContent", "Nothing was found by this id.")
        assert page.complaints == []


async def test_the_page_comes_with_a_strict_policy_and_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    answer = await http.get("/dev/chat?channel=x")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    parts = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert parts == ["data:,", "/dev/chat/chat.css", "/dev/chat/chat.js"]
    for name, media_type in chat_page._MEDIA_TYPES.items():
        got = await http.get(f"/dev/chat/{name}")
        assert (got.status_code, got.headers["content-type"]) == (200, f"{media_type}; charset=utf-8"), name
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|style=|onclick=\"", got.text), name
    for name in ("chat_page.py", "..%2Fdemo.py", "__init__.py", "nothing"):
        assert (await http.get(f"/dev/chat/{name}")).status_code == 404


async def test_without_a_channel_it_leads_to_the_demo_shops(ports: Ports, http: httpx.AsyncClient) -> None:
    if not await demo.is_planted(ports):
        assert (await http.get("/dev/chat")).status_code == 200  # the page says what it needs
        await demo.plant(ports, "!")
    answer = await http.get("/dev/chat")
    assert (answer.status_code, answer.headers["location"]) == (307, f"/dev/chat?channel={demo.CHANNEL}")


async def test_it_does_not_exist_in_production(ports: Ports) -> None:
    production = replace(ports, settings=replace(ports.settings, environment=Environment.PRODUCTION))
    transport = httpx.ASGITransport(app.build(production))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/dev/chat", "/dev/chat/chat.js"):
            assert (await client.get(path)).status_code == 404
