"""Messages through a provider: paced, in order, retried or not, and only while the window is open (D27, D28)."""

import asyncio
import time
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.conversations import pace, window
from pytake_gql.desk.conversations.models import Message
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Fault
from pytake_gql.kernel.limiter import Rate
from tests.conftest import TravellingClock
from tests.meta import Wire

WINDOW = "query ($id: ID!) { conversation(id: $id) { replyWindow { isOpen closesAt } } }"


async def forget_pace(wire: Wire) -> None:
    """As if the seconds that a contact is spared had gone by."""
    await wire.ports.limiter._take.registered_client.delete(
        f"pytake:bucket:sends-pair:{wire.channel.id.hex}:{wire.contact}"
    )


async def channel(wire: Wire) -> Channel:
    [row] = [row for row in await wire.rows(Channel) if row.id == wire.channel.id]
    assert isinstance(row, Channel)
    return row


def texts(wire: Wire) -> list[str]:
    return [taken["text"]["body"] for taken in wire.line.sent]


async def test_d27_a_message_is_sent_with_the_providers_id_kept(wire: Wire) -> None:
    await wire.says("Oi")
    ours = await wire.answered("Pois não?")
    assert await wire.deliver_message(ours)
    [taken] = wire.line.sent
    row = await wire.message(ours)
    assert (row.status, row.provider_message_id, row.error, row.due_at) == ("SENT", taken["id"], None, None)
    assert (taken["to"], taken["text"]["body"]) == (wire.contact, "Pois não?")
    assert not await wire.deliver_message(ours)


async def test_d27_ten_workers_at_once_ask_the_provider_once(wire: Wire) -> None:
    await wire.says("Oi")
    ours = await wire.answered()
    assert sorted(await asyncio.gather(*(wire.deliver_message(ours) for _ in range(10)))) == [False] * 9 + [True]
    assert len(wire.line.sent) == 1


async def test_one_message_each_six_seconds_to_one_contact_and_nobody_sleeps(
    wire: Wire, clock: TravellingClock
) -> None:
    wire.recorder.is_throttling = True
    await wire.says("Oi")
    first, second = await wire.answered("Um"), await wire.answered("Dois")
    assert await wire.deliver_message(first)
    started = time.monotonic()
    assert not await wire.deliver_message(second)
    assert time.monotonic() - started < 4
    row = await wire.message(second)
    assert (row.status, row.attempts, row.error) == ("QUEUED", 0, None)
    assert row.due_at is not None
    assert 0 < (row.due_at - clock.now()).total_seconds() <= 6
    assert not await wire.deliver_message(second)  # it is not due
    assert texts(wire) == ["Um"]
    wire.line.taken_at.clear()
    await forget_pace(wire)
    clock.advance(seconds=7)
    assert await wire.deliver_message(second)
    assert texts(wire) == ["Um", "Dois"]


async def test_another_contact_need_not_wait(wire: Wire) -> None:
    await wire.says("Oi")
    one = await wire.answered("Um")
    wire.contact = str(int(wire.contact) + 1)
    await wire.says("Oi")
    other = await wire.answered("Outro", where=(await wire.rows(Message))[-1].conversation_id)
    assert await wire.deliver_message(one)
    assert await wire.deliver_message(other)


async def test_eighty_messages_a_second_of_one_number(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, clock: TravellingClock
) -> None:
    """The bucket of the number is empty: the token of the pair goes back, and the message is due a moment later."""
    await wire.says("Oi")
    ours = await wire.answered()
    limiter = wire.ports.limiter
    rate = pace.PACES[wire.channel.kind].per_account
    assert (rate.capacity, rate.per_second) == (80, 80)
    key, never = f"sends:{wire.channel.id.hex}", Rate(1, 0.01)
    await limiter.take(key, never)
    slow = pace.Pace(never, pace.PACES[wire.channel.kind].per_contact)
    monkeypatch.setattr(pace, "PACES", {wire.channel.kind: slow})
    assert not await wire.deliver_message(ours)
    row = await wire.message(ours)
    assert row.due_at is not None
    assert 90 < (row.due_at - clock.now()).total_seconds() <= 100
    monkeypatch.undo()
    await limiter.give_back(key, rate, -80)
    await limiter.give_back(key, rate, 80)
    clock.advance(seconds=101)
    assert await wire.deliver_message(ours)


async def test_what_was_said_first_arrives_first(wire: Wire, clock: TravellingClock) -> None:
    await wire.says("Oi")
    first, second = await wire.answered("Um"), await wire.answered("Dois")
    assert not await wire.deliver_message(second)
    assert (await wire.message(second)).status == "QUEUED"
    wire.recorder.faults.append(Fault(code=131016))
    assert not await wire.deliver_message(first)
    clock.advance(seconds=1.5)
    assert not await wire.deliver_message(second)  # the first is still to be tried again
    await forget_pace(wire)
    clock.advance(seconds=1)
    assert await wire.deliver_message(first)
    await forget_pace(wire)
    row = await wire.message(second)
    assert row.due_at is not None
    assert row.due_at <= clock.now()  # it was woken
    assert await wire.deliver_message(second)
    assert texts(wire) == ["Um", "Dois"]


async def test_one_that_fails_for_good_lets_the_next_one_go(wire: Wire) -> None:
    await wire.says("Oi")
    first, second = await wire.answered("Um"), await wire.answered("Dois")
    wire.recorder.faults.append(Fault(code=131026))
    assert not await wire.deliver_message(first)
    assert (await wire.message(first)).status == "FAILED"
    await forget_pace(wire)
    assert await wire.deliver_message(second)
    assert texts(wire) == ["Dois"]


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (Fault(status=429, code=130429), "QUEUED", "A fault that was ordered. (130429)"),
        (Fault(status=400, code=80007), "QUEUED", "A fault that was ordered. (80007)"),
        (Fault(status=429), "QUEUED", "HTTP 429"),
        (Fault(status=400, code=131047), "FAILED", "A fault that was ordered. (131047)"),
        (Fault(status=500), "UNKNOWN", "The answer of the channel was lost: HTTP 500"),
    ],
)
async def test_d27_transient_failures_are_tried_again_permanent_ones_are_not(
    wire: Wire, clock: TravellingClock, fault: Fault, status: str, error: str
) -> None:
    await wire.says("Oi")
    ours = await wire.answered()
    wire.recorder.faults.append(fault)
    assert not await wire.deliver_message(ours)
    row = await wire.message(ours)
    assert (row.status, row.error, row.due_at is not None) == (status, error, status == "QUEUED")
    clock.advance(seconds=3)
    await forget_pace(wire)
    assert await wire.deliver_message(ours) is (status == "QUEUED")
    assert len(wire.line.sent) == (1 if status == "QUEUED" else 0)
    assert (await channel(wire)).status == "CONNECTED"


async def test_a_token_that_ended_makes_the_channel_an_error_until_a_message_passes(wire: Wire) -> None:
    await wire.says("Oi")
    first, second, third = [await wire.answered(words) for words in ("Um", "Dois", "Três")]
    token, wire.line.token = wire.line.token, "renewed"
    for ours in (first, second):
        assert not await wire.deliver_message(ours)
        row = await wire.message(ours)
        assert (row.status, row.error) == ("FAILED", "Invalid OAuth access token. (190)")
        await forget_pace(wire)
    broken = await channel(wire)
    assert (broken.status, broken.last_error) == ("ERROR", "Invalid OAuth access token. (190)")
    wire.line.token = token
    assert await wire.deliver_message(third)
    mended = await channel(wire)
    assert (mended.status, mended.last_error) == ("CONNECTED", None)


async def test_a_reply_goes_with_the_providers_id_and_options_as_buttons(wire: Wire) -> None:
    asked = await wire.says("Tem azul?")
    [inbound] = await wire.rows(Message)
    ours = await wire.answered("Tem. Qual tamanho?", replyToId=f"Message_{inbound.id.hex}")
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        offered = [{"value": "p", "title": "Pequeno"}, {"value": "g", "title": "Grande"}]
        await uow.session.execute(sa.update(Message).where(Message.id == ours).values(options=offered))  # type: ignore[arg-type]
    assert await wire.deliver_message(ours)
    [taken] = wire.line.sent
    assert taken["context"] == {"message_id": asked}
    assert [b["reply"]["id"] for b in taken["interactive"]["action"]["buttons"]] == ["p", "g"]


async def test_instagram_from_hello_to_read(gram: Wire) -> None:
    now, us = time.time(), gram.line.address
    hello = payloads.event(gram.contact, us, now, message={"mid": "mid.1", "text": "Oi"})
    assert await gram.deliver(payloads.instagram(us, hello)) == 200
    first, second = await gram.answered("Um"), await gram.answered("Dois")
    assert await gram.deliver_message(first)
    assert await gram.deliver_message(second)
    assert [taken["message"]["text"] for taken in gram.line.sent] == ["Um", "Dois"]
    assert {taken["recipient"]["id"] for taken in gram.line.sent} == {gram.contact}
    echo = payloads.event(
        us, gram.contact, now, message={"mid": gram.line.sent[0]["id"], "text": "Um", "is_echo": True}
    )
    read = payloads.event(gram.contact, us, now, read={"mid": gram.line.sent[1]["id"]})
    assert await gram.deliver(payloads.instagram(us, echo, read)) == 200
    assert [(await gram.message(id_)).status for id_ in (first, second)] == ["READ", "READ"]
    assert await gram.counts() == (1, 1, 1, 3)


async def test_e8_on_instagram_an_echo_settles_a_lost_answer(gram: Wire) -> None:
    now, us = time.time(), gram.line.address
    hello = payloads.event(gram.contact, us, now, message={"mid": "mid.1", "text": "Oi"})
    await gram.deliver(payloads.instagram(us, hello))
    ours = await gram.answered("Um")
    gram.recorder.faults.append(Fault(is_lost=True))
    assert not await gram.deliver_message(ours)
    assert (await gram.message(ours)).status == "UNKNOWN"
    for words in ("Outra coisa", "Um"):
        echo = payloads.event(us, gram.contact, now, message={"mid": f"mid.{words}", "text": words, "is_echo": True})
        assert await gram.deliver(payloads.instagram(us, echo)) == 200
    row = await gram.message(ours)
    assert (row.status, row.provider_message_id, row.error) == ("SENT", "mid.Um", None)
    assert await gram.counts() == (1, 1, 1, 2)


async def test_what_instagram_delivers_becomes_text(gram: Wire) -> None:
    now, us = time.time(), gram.line.address
    events = [
        {"message": {"mid": "m1", "text": "Sim", "quick_reply": {"payload": "yes"}}},
        {
            "message": {
                "mid": "m2",
                "attachments": [{"type": "image", "payload": {"url": "https://x"}}, {"type": "audio"}],
            }
        },
        {"message": {"mid": "m3", "text": "Isto", "reply_to": {"mid": "m1"}}},
        {"message": {"mid": "m4", "is_unsupported": True}},
        {"message": {"mid": "m1", "is_deleted": True}},
        {"postback": {"mid": "m5", "title": "Começar", "payload": "start"}},
        {"reaction": {"mid": "m1", "action": "react", "reaction": "love", "emoji": "❤"}},
        {"reaction": {"mid": "m1", "action": "unreact"}},
        {"optin": {}},
    ]
    payload = payloads.instagram(us, *(payloads.event(gram.contact, us, now, **what) for what in events))  # type: ignore[arg-type]
    for _ in range(2):
        assert await gram.deliver(payload) == 200
    rows = await gram.rows(Message)
    assert [(row.text, row.chosen) for row in rows] == [
        ("Sim", "yes"),
        ("[Imagem]", None),
        ("[Áudio]", None),
        ("Isto", None),
        ("[Mensagem de um tipo não suportado: instagram]", None),
        ("Começar", "start"),
        ("❤", None),
    ]
    assert rows[3].reply_to_id == rows[6].reply_to_id == rows[0].id
    [other] = [f"{us}9"]
    assert await gram.deliver(payloads.instagram(other, *[])) == 404


# --------------------------------------------------------------------------------------- the window


async def shown(wire: Wire) -> tuple[bool, str | None]:
    id_ = f"Conversation_{(await wire.conversation()).id.hex}"
    found = (await wire.desk.admin.ask(WINDOW, id=id_))["replyWindow"]
    return found["isOpen"], found["closesAt"]


async def test_d28_the_window_closes_24_hours_after_the_contacts_last_message(
    wire: Wire, clock: TravellingClock
) -> None:
    at = int(time.time()) - 24 * 3600 + 60
    await wire.says("Oi", at=at)
    closes = datetime.fromtimestamp(at, clock.now().tzinfo) + timedelta(hours=24)
    written = closes.isoformat().replace("+00:00", "Z")
    assert await shown(wire) == (True, written)
    clock.ahead = closes - clock.now() - timedelta(seconds=30)
    assert (await wire.answer("A tempo"))["userErrors"] == []
    clock.advance(seconds=31)
    assert await shown(wire) == (False, written)
    before = await wire.counts()
    refused = await wire.answer("Tarde")
    assert refused["message"] is None
    assert refused["userErrors"] == [{"code": "CHANNEL_WINDOW_CLOSED", "field": ["conversationId"]}]
    assert await wire.counts() == before
    assert (await wire.answer("Uma nota", isNote=True))["userErrors"] == []
    await wire.says("Voltei", at=clock.now().timestamp())
    assert (await shown(wire))[0] is True
    assert (await wire.answer("De novo"))["userErrors"] == []


async def test_d28_web_chat_has_no_window(wire: Wire) -> None:
    await wire.desk.make.conversation(wire.desk.channel)
    assert await shown(wire) == (True, None)


async def test_a_text_is_as_long_as_the_channel_takes(wire: Wire) -> None:
    await wire.says("Oi")
    refused = await wire.answer("x" * 4097)
    assert refused["userErrors"] == [{"code": "TOO_LONG", "field": ["text"]}]
    assert (await wire.answer("x" * 4096))["userErrors"] == []
    assert (await wire.answer("x" * 4097, isNote=True))["userErrors"] == []


def test_d28_the_window_is_half_open() -> None:
    kind = ChannelKind.WHATSAPP
    at = datetime.fromisoformat("2026-05-01T12:00:00Z")
    end = at + timedelta(hours=24)
    assert window.of(kind, at, end - timedelta(microseconds=1)) == window.Window(is_open=True, closes_at=end)
    assert window.of(kind, at, end) == window.Window(is_open=False, closes_at=end)
    assert window.of(kind, None, end) == window.Window(is_open=False, closes_at=None)
