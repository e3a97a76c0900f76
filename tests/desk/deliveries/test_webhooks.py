"""The door that Meta delivers to: who is let in, and that what comes counts once (G21, D26)."""

import asyncio
import time
from typing import Any

import httpx
import orjson
import pytest

from pytake_gql import webhooks
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.deliveries import service as deliveries
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Recorder, sign
from tests.conftest import TravellingClock
from tests.desk.desk import open_desk
from tests.factories import Factory
from tests.meta import Wire, connect


def hello(wire: Wire, **given: Any) -> bytes:
    message = payloads.text(wire.contact, "Oi", time.time(), **given)
    return orjson.dumps(payloads.whatsapp(wire.line.address, messages=[message]))


async def change_secrets(wire: Wire, **secrets: str | None) -> None:
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await channels.update(uow, wire.channel.id, {"secrets": secrets})


# ---------------------------------------------------------------------------------------- the handshake


async def test_the_handshake_gives_the_challenge_to_who_knows_the_token(wire: Wire) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": wire.line.verify_token, "hub.challenge": "1158201444"}
    answer = await wire.http.get(wire.path, params=query)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert wire.line.webhook_url.endswith(wire.path)


WRONG_HANDSHAKES = [
    ({"hub.verify_token": "wrong"}, 403),
    ({"hub.verify_token": ""}, 403),
    ({"hub.verify_token": "ção"}, 403),
    ({"hub.mode": "unsubscribe"}, 400),
    ({"hub.challenge": ""}, 400),
    ({"hub.challenge": "1" * 1001}, 400),
]


async def test_a_wrong_handshake_is_refused(wire: Wire) -> None:
    for changed, status in WRONG_HANDSHAKES:
        query = {"hub.mode": "subscribe", "hub.verify_token": wire.line.verify_token, "hub.challenge": "1"}
        answer = await wire.http.get(wire.path, params={**query, **changed})
        assert (answer.status_code, "error" in answer.json()) == (status, True)


async def test_without_a_verify_token_nothing_is_verified(wire: Wire) -> None:
    await change_secrets(wire, verifyToken=None)
    query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
    assert (await wire.http.get(wire.path, params=query)).status_code == 403


# ---------------------------------------------------------------------------------------- who is let in


async def test_g21_a_signed_message_is_stored(wire: Wire) -> None:
    body = hello(wire)
    answer = await wire.post(body, sign(wire.line.app_secret, body))
    assert (answer.status_code, answer.text) == (200, "stored")
    assert await wire.counts() == (1, 1, 1, 1)
    [contact], [identity] = await wire.rows(Contact), await wire.rows(ContactIdentity)
    assert (contact.name, contact.phone, identity.external_id) == ("Bia", f"+{wire.contact}", wire.contact)
    [message] = await wire.rows(Message)
    assert (message.text, message.direction, message.status) == ("Oi", "INBOUND", "RECEIVED")
    conversation = await wire.conversation()
    assert (conversation.status, conversation.queue_id) == ("QUEUED", wire.desk.queue.id)
    assert (conversation.unread_count, conversation.last_message_preview) == (1, "Oi")


def forgeries(wire: Wire, body: bytes) -> list[str | None]:
    right = sign(wire.line.app_secret, body)
    return [
        None,
        "",
        right.removeprefix("sha256="),
        right.replace("sha256=", "sha1="),
        right[:-1],
        right.upper(),
        sign("another secret", body),
        sign(wire.line.app_secret, body + b" "),
        sign("", body),
        "sha256=ção",
    ]


async def test_g21_a_forged_stripped_or_moved_signature_is_refused(wire: Wire) -> None:
    body = hello(wire)
    for forged in forgeries(wire, body):
        answer = await wire.post(body, forged.encode() if forged and not forged.isascii() else forged)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert await wire.counts() == (0, 0, 0, 0)


async def test_g21_a_signature_of_one_body_does_not_let_another_in(wire: Wire) -> None:
    seen, other = hello(wire), hello(wire)
    signature = sign(wire.line.app_secret, seen)
    assert (await wire.post(other, signature)).status_code == 403
    assert await wire.counts() == (0, 0, 0, 0)


async def test_g21_a_replay_counts_once(wire: Wire) -> None:
    body = hello(wire)
    for _ in range(3):
        assert (await wire.post(body, sign(wire.line.app_secret, body))).status_code == 200
    assert await wire.counts() == (1, 1, 1, 1)


async def test_g21_without_a_secret_everything_is_refused(wire: Wire) -> None:
    await change_secrets(wire, appSecret=None)
    body = hello(wire)
    for signature in (sign(wire.line.app_secret, body), sign("", body), None):
        assert (await wire.post(body, signature)).status_code == 403
    assert await wire.counts() == (0, 0, 0, 0)


async def test_g21_two_secrets_are_valid_during_a_rotation(wire: Wire, clock: TravellingClock) -> None:
    await change_secrets(wire, appSecret="the new one")
    for secret in (wire.line.app_secret, "the new one"):
        body = hello(wire)
        assert (await wire.post(body, sign(secret, body))).status_code == 200
    await change_secrets(wire, accessToken="another token")  # says nothing about the app secret
    clock.advance(hours=23, minutes=59)
    body = hello(wire)
    assert (await wire.post(body, sign(wire.line.app_secret, body))).status_code == 200
    clock.advance(minutes=2)
    assert (await wire.post(hello(wire), sign(wire.line.app_secret, body))).status_code == 403
    assert (await wire.post(body, sign(wire.line.app_secret, body))).status_code == 403
    assert (await wire.post(body, sign("the new one", body))).status_code == 200
    assert len(await wire.rows(Message)) == 3


async def test_g21_a_secret_that_leaked_ends_at_once_when_it_is_cleared_first(wire: Wire) -> None:
    await change_secrets(wire, appSecret=None)
    await change_secrets(wire, appSecret="the new one")
    body = hello(wire)
    assert (await wire.post(body, sign(wire.line.app_secret, body))).status_code == 403
    assert (await wire.post(body, sign("the new one", body))).status_code == 200


async def test_g1_an_unknown_channel_has_the_face_of_a_forgery(wire: Wire) -> None:
    body = hello(wire)
    headers = {"x-hub-signature-256": sign(wire.line.app_secret, body)}
    forged = (await wire.post(body, "sha256=0")).json()["error"]
    for path in ("Channel_" + "0" * 32, "Channel_x", "Contact_" + "0" * 32, "Channel_" + "F" * 32, "%00"):
        answer = await wire.http.post(f"/webhooks/{path}", content=body, headers=headers)
        told = answer.json()["error"]
        assert (answer.status_code, {**told, "requestId": ""}) == (403, {**forged, "requestId": ""})


async def test_a_web_chat_is_delivered_nothing(wire: Wire) -> None:
    body = hello(wire)
    path = f"/webhooks/Channel_{wire.desk.channel.id.hex}"
    answer = await wire.http.post(path, content=body, headers={"x-hub-signature-256": sign("", body)})
    assert answer.status_code == 403


async def test_an_organization_that_was_suspended_is_delivered_nothing(wire: Wire) -> None:
    body = hello(wire)
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        organization = await uow.session.get(type(wire.desk.organization), wire.desk.organization.id)
        assert organization is not None
        organization.is_active = False
    assert (await wire.post(body, sign(wire.line.app_secret, body))).status_code == 403
    assert await wire.counts() == (0, 0, 0, 0)


async def test_an_unknown_number_is_refused(wire: Wire) -> None:
    message = payloads.text(wire.contact, "Oi", time.time())
    assert await wire.deliver(payloads.whatsapp("99999", messages=[message])) == 404
    assert await wire.counts() == (0, 0, 0, 0)


async def test_g1_a_body_of_another_organizations_number_is_refused(
    wire: Wire, make: Factory, http: httpx.AsyncClient, graph_url: tuple[Recorder, str]
) -> None:
    """Even signed with the other's secret, and with one's own."""
    other = await connect(await open_desk(make, http), *graph_url)
    body = hello(other)
    assert (await wire.post(body, sign(other.line.app_secret, body))).status_code == 403
    assert (await wire.post(body, sign(wire.line.app_secret, body))).status_code == 404
    assert await wire.counts() == await other.counts() == (0, 0, 0, 0)
    own, theirs = orjson.loads(hello(wire)), orjson.loads(body)
    assert await wire.deliver({**own, "entry": own["entry"] + theirs["entry"]}) == 200
    assert (await wire.counts(), await other.counts()) == ((1, 1, 1, 1), (0, 0, 0, 0))


async def test_one_app_may_deliver_for_several_numbers_of_an_organization(
    wire: Wire, graph_url: tuple[Recorder, str]
) -> None:
    second = await connect(wire.desk, *graph_url)
    assert await wire.deliver(orjson.loads(hello(second))) == 404  # signed by another app
    await change_secrets(second, appSecret=wire.line.app_secret)
    assert await wire.deliver(orjson.loads(hello(second))) == 200
    [message] = await wire.rows(Message)
    assert message.channel_id == second.channel.id


async def test_what_is_no_delivery_is_refused(wire: Wire) -> None:
    for body in (b"", b"{", b"[]", b"null", b'{"object": "page", "entry": []}', b'{"object": "instagram", "entry": []}',
                 b'{"object": "whatsapp_business_account"}', b"[" * 5000, b'{"object": "\xff"}'):  # fmt: skip
        answer = await wire.post(body, sign(wire.line.app_secret, body))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT"), body
    too_long = b" " * (webhooks.MOST_BYTES + 1)
    assert (await wire.post(too_long, sign(wire.line.app_secret, too_long))).status_code == 413
    assert await wire.counts() == (0, 0, 0, 0)


async def test_a_delivery_of_another_field_is_acknowledged(wire: Wire) -> None:
    entry = {"id": "1", "changes": [{"field": "account_update", "value": {"event": "PARTNER_ADDED"}}]}
    assert await wire.deliver({"object": "whatsapp_business_account", "entry": [entry]}) == 200
    assert await wire.counts() == (0, 0, 0, 0)


# ------------------------------------------------------------------------------------ it counts once


async def test_d26_twenty_parallel_deliveries_make_one_of_each(wire: Wire) -> None:
    body = hello(wire)
    signature = sign(wire.line.app_secret, body)
    answers = await asyncio.gather(*(wire.post(body, signature) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert await wire.counts() == (1, 1, 1, 1)
    conversation = await wire.conversation()
    assert (conversation.unread_count, conversation.number) == (1, 1)


async def test_d26_an_album_of_ten_from_a_new_contact_in_one_delivery(wire: Wire) -> None:
    album = [
        payloads.said(wire.contact, "image", {"id": f"m{n}", "mime_type": "image/jpeg", "caption": f"Foto {n}"}, 1e9)
        for n in range(10)
    ]
    assert await wire.deliver(payloads.whatsapp(wire.line.address, messages=album)) == 200
    assert await wire.counts() == (1, 1, 1, 10)
    assert [m.text for m in await wire.rows(Message)] == [f"[Imagem]\nFoto {n}" for n in range(10)]


async def test_d26_an_album_of_ten_in_parallel_deliveries(wire: Wire) -> None:
    bodies = [hello(wire) for _ in range(10)]
    answers = await asyncio.gather(*(wire.post(b, sign(wire.line.app_secret, b)) for b in bodies + bodies))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert await wire.counts() == (1, 1, 1, 10)
    assert sorted(m.seq for m in await wire.rows(Message)) == list(range(2, 12))
    assert (await wire.conversation()).unread_count == 10


async def test_d26_deliveries_with_the_same_contacts_in_other_orders_do_not_lock_each_other(wire: Wire) -> None:
    people = [f"551198{n:07d}" for n in range(6)]
    messages = [payloads.text(who, "Oi", time.time()) for who in people]
    orders = [messages[n:] + messages[:n] for n in range(6)] + [messages[::-1]]
    statuses = await asyncio.gather(
        *(wire.deliver(payloads.whatsapp(wire.line.address, messages=order)) for order in orders)
    )
    assert statuses == [200] * 7
    assert await wire.counts() == (6, 6, 6, 6)


async def test_d26_what_fails_in_the_middle_stores_nothing_and_is_delivered_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [payloads.text(wire.contact, words, time.time()) for words in ("Um", "Dois")]
    payload, receive, seen = payloads.whatsapp(wire.line.address, messages=messages), deliveries._receive, []

    async def fail_at_the_second(*given: Any) -> None:
        seen.append(given)
        if len(seen) == 2:
            raise RuntimeError("the machine burns")
        await receive(*given)

    monkeypatch.setattr(deliveries, "_receive", fail_at_the_second)
    with pytest.raises(RuntimeError, match="burns"):
        await wire.deliver(payload)
    assert await wire.counts() == (0, 0, 0, 0)
    monkeypatch.undo()
    assert await wire.deliver(payload) == 200
    assert [m.text for m in await wire.rows(Message)] == ["Um", "Dois"]


async def test_two_organizations_may_get_the_same_provider_id(
    wire: Wire, make: Factory, http: httpx.AsyncClient, graph_url: tuple[Recorder, str]
) -> None:
    other = await connect(await open_desk(make, http), *graph_url)
    await wire.says(id_="wamid.same")
    await other.says(id_="wamid.same")
    assert (await wire.counts(), await other.counts()) == ((1, 1, 1, 1), (1, 1, 1, 1))
    assert {m.organization_id for m in await wire.rows(Message)} == {wire.desk.organization.id}
    assert len(await other.rows(Conversation)) == 1
