"""What contacts send, as members read it, and what becomes of what is sent to them (D26, D27)."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pytake_gql.desk.contacts import service as contacts
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations import service as conversations
from pytake_gql.desk.conversations.models import Conversation, Message, TimelineEntry
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Fault
from tests.conftest import TravellingClock
from tests.meta import Wire

AT = 1_750_000_000.0


async def sends(wire: Wire, kind: str, content: Any) -> Message:
    """The contact sends one message of that type; the newest row."""
    message = payloads.said(wire.contact, kind, content, AT)
    assert await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message])) == 200
    rows = await wire.rows(Message)
    assert rows[-1].provider_message_id == message["id"]
    newest: Message = rows[-1]
    return newest


UNSUPPORTED = "[Mensagem de um tipo não suportado: {}]"
MAP = "https://www.google.com/maps?q=-23.5,-46.25"
CONTENTS: list[tuple[str, Any, str, str | None]] = [
    ("text", {"body": "Olá 👋\nTudo bem?"}, "Olá 👋\nTudo bem?", None),
    ("text", {"body": "a\0b"}, "a\ufffdb", None),
    ("button", {"text": "Sim", "payload": "yes-1"}, "Sim", "yes-1"),
    ("button", {"text": "Sim\0", "payload": "\0" + "y" * 2000}, "Sim\ufffd", "\ufffd" + "y" * 999),
    ("interactive", {"type": "button_reply", "button_reply": {"id": "b1", "title": "Comprar"}}, "Comprar", "b1"),
    ("interactive", {"type": "list_reply", "list_reply": {"id": "r2", "title": "Troca"}}, "Troca", "r2"),
    ("interactive", {"type": "nfm_reply", "nfm_reply": {"name": "flow"}}, UNSUPPORTED.format("interactive"), None),
    ("location", {"latitude": -23.5, "longitude": -46.25, "name": "Loja", "address": "Rua A, 1"},
     f"[Localização]\nLoja\nRua A, 1\n{MAP}", None),
    ("location", {"latitude": -23.5, "longitude": -46.25}, f"[Localização]\n{MAP}", None),
    ("location", {"latitude": "north"}, UNSUPPORTED.format("location"), None),
    ("image", {"id": "m1", "mime_type": "image/jpeg"}, "[Imagem]", None),
    ("video", {"id": "m1", "caption": "Veja"}, "[Vídeo]\nVeja", None),
    ("audio", {"id": "m1", "voice": True}, "[Áudio]", None),
    ("document", {"id": "m1", "filename": "nota.pdf", "caption": "A nota"}, "[Documento]\nnota.pdf\nA nota", None),
    ("sticker", {"id": "m1", "animated": False}, "[Figurinha]", None),
    ("order", {"catalog_id": "1"}, UNSUPPORTED.format("order"), None),
    ("unsupported", None, UNSUPPORTED.format("unsupported"), None),
    ("system", {"body": "Bia mudou de número", "type": "user_changed_number"}, "Bia mudou de número", None),
]  # fmt: skip


async def test_what_a_contact_sends_becomes_text(wire: Wire) -> None:
    for kind, content, text, chosen in CONTENTS:
        message = await sends(wire, kind, content)
        assert (message.text, message.chosen, message.status) == (text, chosen, "RECEIVED"), (kind, content)
    assert await wire.counts() == (1, 1, 1, len(CONTENTS))


async def test_placeholders_are_in_the_organizations_language(wire: Wire) -> None:
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        row = await uow.session.get(type(wire.desk.organization), wire.desk.organization.id)
        assert row is not None
        row.locale = "en"
    assert (await sends(wire, "image", {"id": "m"})).text == "[Image]"


async def test_one_message_that_cannot_be_read_does_not_lose_the_others(wire: Wire) -> None:
    soon = {"from": wire.contact, "id": "y", "type": "text", "timestamp": "soon", "text": {"body": "?"}}
    nul, long = {**soon, "id": "a\0b", "timestamp": "1"}, {**soon, "from": "1" * 201, "timestamp": "1"}
    broken: list[Any] = [{"from": wire.contact}, {"id": "x", "type": "text"}, "text", None, soon, nul, long]
    times: list[Any] = [None, [], "nan", "inf", "1e300"]
    broken += [{**soon, "timestamp": at} for at in times]
    good = payloads.text(wire.contact, "Oi", AT)
    payload = payloads.whatsapp(wire.line.address, messages=[good], statuses=[{"id": "z"}, {"status": "sent"}])
    payload["entry"][0]["changes"][0]["value"]["messages"] = [*broken, good]
    assert await wire.deliver(payload) == 200
    assert [m.text for m in await wire.rows(Message)] == ["Oi"]


async def test_a_reply_points_to_what_it_answers(wire: Wire) -> None:
    first = await wire.says("Oi")
    ours = await wire.answered("Pois não?")
    await wire.deliver_message(ours)
    [taken] = wire.line.sent
    await wire.says("Quero isto", context=taken["id"])
    await wire.says("E isto", context=first)
    await wire.says("E o quê?", context="wamid.unknown")
    rows = await wire.rows(Message)
    assert [row.reply_to_id for row in rows] == [None, None, ours, rows[0].id, None]


async def test_a_reaction_stands_beside_its_message_and_wakes_nobody(wire: Wire) -> None:
    await wire.says("Oi")
    ours = await wire.answered("Feito!")
    await wire.deliver_message(ours)
    [taken], before = wire.line.sent, await wire.conversation()
    [identity] = await wire.rows(ContactIdentity)
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await conversations.close(uow, before.id)
    reaction = await sends(wire, "reaction", {"message_id": taken["id"], "emoji": "👍"})
    assert (reaction.text, reaction.reply_to_id, reaction.conversation_id) == ("👍", ours, before.id)
    [after], [same] = await wire.rows(Conversation), await wire.rows(ContactIdentity)
    assert (after.status, after.unread_count) == ("CLOSED", before.unread_count + 1)
    assert same.last_wrote_at == identity.last_wrote_at  # a thumb opens no reply window


async def test_a_reaction_that_is_taken_back_or_to_nothing_known_says_nothing(wire: Wire) -> None:
    known = await wire.says("Oi")
    for reaction in ({"message_id": known, "emoji": ""}, {"message_id": known}, {"message_id": "gone", "emoji": "👍"}):
        message = payloads.said(wire.contact, "reaction", reaction, AT)
        assert await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message])) == 200
    assert [m.text for m in await wire.rows(Message)] == ["Oi"]


async def test_a_profile_names_a_new_contact_and_leaves_a_known_ones_name(wire: Wire) -> None:
    odd = "  Bia\n\0 " + "x" * 200
    message = payloads.text(wire.contact, "Oi", AT)
    await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message], names={wire.contact: odd}))
    [contact] = await wire.rows(Contact)
    assert contact.name == f"Bia {'x' * 116}"
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await contacts.update(uow, contact.id, {"name": "Beatriz Lima"})
    message = payloads.text(wire.contact, "Oi", AT)
    await wire.deliver(payloads.whatsapp(wire.line.address, messages=[message], names={wire.contact: "B."}))
    [contact], [identity] = await wire.rows(Contact), await wire.rows(ContactIdentity)
    assert (contact.name, identity.display_name) == ("Beatriz Lima", "B.")


async def test_a_contact_who_hides_the_phone_is_known_by_the_user_id(wire: Wire) -> None:
    message = payloads.text("US.13491208655302741918", "Oi", time.time())
    message["from_user_id"] = message.pop("from")
    payload = payloads.whatsapp(wire.line.address)
    value = payload["entry"][0]["changes"][0]["value"]
    value["contacts"] = [{"profile": {"name": "Bia"}, "user_id": "US.13491208655302741918"}]
    value["messages"] = [message]
    assert await wire.deliver(payload) == 200
    [contact], [identity] = await wire.rows(Contact), await wire.rows(ContactIdentity)
    assert (contact.name, contact.phone, identity.external_id) == ("Bia", None, "US.13491208655302741918")
    await wire.deliver_message(await wire.answered())
    assert (wire.line.sent[0]["recipient"], "to" in wire.line.sent[0]) == ("US.13491208655302741918", False)


async def test_a_number_that_is_none_by_our_rules_loses_no_message(wire: Wire) -> None:
    wire.contact = "1"
    await wire.says("Oi")
    [contact] = await wire.rows(Contact)
    assert contact.phone is None


async def test_who_is_blocked_is_not_heard(wire: Wire) -> None:
    await wire.says("Oi")
    [contact] = await wire.rows(Contact)
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await contacts.update(uow, contact.id, {"is_blocked": True})
    await wire.says("De novo")
    assert [m.text for m in await wire.rows(Message)] == ["Oi"]


# ------------------------------------------------------------------------------------------- statuses


async def sent(wire: Wire) -> tuple[UUID, str]:
    """One message that Meta took: our id and its."""
    await wire.says("Oi")
    ours = await wire.answered()
    assert await wire.deliver_message(ours)
    return ours, wire.line.sent[-1]["id"]


async def became(wire: Wire, ours: UUID) -> list[str]:
    rows = await wire.rows(TimelineEntry)
    return [r.data["message_status"] for r in rows if r.kind == "MESSAGE_STATUS_CHANGED" and r.message_id == ours]


WAYS = [
    (["sent", "delivered", "read"], ["SENT", "DELIVERED", "READ"]),
    (["read", "delivered", "sent"], ["SENT", "READ"]),
    (["delivered", "delivered", "sent"], ["SENT", "DELIVERED"]),
    (["delivered", "failed"], ["SENT", "DELIVERED"]),
    (["failed", "sent"], ["SENT", "FAILED"]),
    (["deleted", "warning"], ["SENT"]),
]


async def test_d27_statuses_move_forward_only(wire: Wire) -> None:
    for told, expected in WAYS:
        wire.contact = str(int(wire.contact) + 1)
        await wire.says("Oi")
        newest = (await wire.rows(Conversation))[-1]
        ours = await wire.answered(where=newest.id)
        assert await wire.deliver_message(ours)
        for status in told:
            await wire.told(wire.line.sent[-1]["id"], status)
        assert (await became(wire, ours), (await wire.message(ours)).status) == (expected, expected[-1])


async def test_d27_a_status_that_comes_before_our_own_word_stands(wire: Wire) -> None:
    """Meta is faster than the worker's answer: its SENT comes after READ, and changes nothing."""
    await wire.says("Oi")
    ours = await wire.answered()
    wire.recorder.faults.append(Fault(seconds=0.3, is_lost=True))
    delivering = asyncio.create_task(wire.deliver_message(ours))
    await asyncio.sleep(0.1)
    await wire.told("wamid.fast", "read", data=ours.hex)
    row = await wire.message(ours)
    assert (row.status, row.provider_message_id, row.due_at) == ("READ", "wamid.fast", None)
    assert await delivering is False
    row = await wire.message(ours)
    assert (row.status, row.error, row.provider_message_id) == ("READ", None, "wamid.fast")
    assert await became(wire, ours) == ["READ"]


async def test_e8_a_lost_answer_is_unknown_and_settled_by_the_status(wire: Wire) -> None:
    await wire.says("Oi")
    ours = await wire.answered()
    wire.recorder.faults.append(Fault(is_lost=True))
    assert not await wire.deliver_message(ours)
    row = await wire.message(ours)
    assert (row.status, row.error) == ("UNKNOWN", "The answer of the channel was lost: HTTP 502")
    [taken] = wire.line.sent
    assert taken["biz_opaque_callback_data"] == ours.hex
    await wire.told(taken["id"], "delivered", data=ours.hex)
    row = await wire.message(ours)
    assert (row.status, row.error, row.provider_message_id) == ("DELIVERED", None, taken["id"])
    assert not await wire.deliver_message(ours)
    assert len(wire.line.sent) == 1


async def test_a_failure_tells_metas_reason(wire: Wire) -> None:
    ours, theirs = await sent(wire)
    error = {"code": 131026, "title": "Message undeliverable", "error_data": {"details": "Not on WhatsApp."}}
    await wire.told(theirs, "failed", errors=[error])
    row = await wire.message(ours)
    assert (row.status, row.error) == ("FAILED", "Not on WhatsApp. (131026)")


async def test_g1_a_status_reaches_no_message_of_another_channel(wire: Wire) -> None:
    ours, _ = await sent(wire)
    conversation = await wire.desk.make.conversation(wire.desk.channel)
    [chat] = [m for m in await wire.rows(Message) if m.conversation_id == conversation.id]
    await wire.told("wamid.x", "read", data=chat.id.hex)
    await wire.told("wamid.x", "read", data="not ours")
    await wire.told("wamid.x", "read")
    assert (await wire.message(chat.id)).status == "RECEIVED"
    assert (await wire.message(ours)).status == "SENT"


async def test_d28_the_window_counts_from_the_providers_clock(wire: Wire, clock: TravellingClock) -> None:
    now = time.time()
    await wire.says("Nova", at=now - 60)
    await wire.says("Velha, que chega depois", at=now - 3600)
    [identity] = await wire.rows(ContactIdentity)
    assert identity.last_wrote_at == datetime.fromtimestamp(int(now - 60), UTC)
    await wire.says("Do futuro", at=now + 9999)
    [identity] = await wire.rows(ContactIdentity)
    assert identity.last_wrote_at <= clock.now()
