"""A file that a flow names by its address: fetched, then sent; without it nothing is sent (F9, D29)."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytake_gql.desk.channels.ports import Account, ProviderFailed
from pytake_gql.desk.conversations.models import Message
from pytake_gql.desk.deliveries import jobs
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.deliveries.ports import AddressSource, Fetched
from pytake_gql.kernel.ports import Ports
from tests.automation.flow_runs.bots import Bot, Talk, graph
from tests.conftest import TravellingClock

URL = "https://files.example.com/a/Tabela%20de%20pre%C3%A7os.pdf"
CHAT = """{ visitorChat { messages(first: 9) { nodes { text status attachments { fileName mimeType } } } } }"""


@dataclass
class Files:
    told: Fetched | ProviderFailed

    async def fetch(self, account: Account, reference: str, *, most_bytes: int) -> Fetched:
        assert (account.channel_id is not None, reference, most_bytes) == (True, URL, 16 * 1024 * 1024)
        if isinstance(self.told, ProviderFailed):
            raise self.told
        return self.told


def with_files(ports: Ports, told: Fetched | ProviderFailed) -> Ports:
    return replace(ports, adapters={**ports.adapters, AddressSource: Files(told)})


async def said(bot: Bot, text: str | None) -> tuple[Talk, Message]:
    settings: dict[str, Any] = {"attachmentUrl": URL, **({"text": text} if text else {})}
    version = await bot.publish(graph({"s": "START", "m": ("MESSAGE", settings), "e": "END"}, "s -> m", "m -> e"))
    talk = await bot.visitor(version)
    await talk.say("Oi")
    return talk, next(m for m in await talk.messages() if m.author_kind == "BOT")


@pytest.mark.parametrize("text", ["Nossos preços:", None])
async def test_a_file_is_fetched_and_then_the_message_is_sent(bot: Bot, text: str | None) -> None:
    talk, message = await said(bot, text)
    assert (message.status, message.due_at, message.text) == ("QUEUED", None, text)
    ports = with_files(bot.ports, Fetched(b"%PDF-1.7 x", "application/pdf"))
    assert await jobs.fetch_medium(ports, {}, bot.organization_id, message.id)
    assert not await jobs.fetch_medium(ports, {}, bot.organization_id, message.id)
    [row] = await bot.rows(Message, Message.id == message.id)
    assert row.due_at is not None
    shown = (await talk.client.ask(CHAT))["messages"]["nodes"][1]
    file = {"fileName": "Tabela de preços.pdf", "mimeType": "application/pdf"}
    assert (shown["text"], shown["status"], shown["attachments"]) == (text, "QUEUED", [file])


async def test_a_file_that_does_not_come_fails_the_message_with_the_reason(bot: Bot, clock: TravellingClock) -> None:
    _, message = await said(bot, "Nossos preços:")
    ports = with_files(bot.ports, ProviderFailed("HTTP 503", is_transient=True))
    for _ in range(jobs.MOST_ATTEMPTS_OF_OURS):
        assert not await jobs.fetch_medium(ports, {}, bot.organization_id, message.id)
        clock.advance(minutes=2)
    [row] = await bot.rows(Message, Message.id == message.id)
    assert (row.status, row.error, row.text) == (
        "FAILED", "(Não foi possível carregar o arquivo.) HTTP 503", "Nossos preços:",
    )  # fmt: skip
    assert await bot.rows(DueMedium) == []
