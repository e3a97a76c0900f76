"""Files that members send through a provider: each by a call of its own, none twice, none lost without a word (D27)."""

from typing import Any
from uuid import UUID

import pytest

from pytake_gql.adapters.meta import parts
from pytake_gql.desk.channels.ports import ProviderFailed
from pytake_gql.desk.contacts.models import ContactIdentity
from pytake_gql.desk.conversations import pace
from pytake_gql.desk.conversations.models import Message
from pytake_gql.desk.conversations.ports import Option, Outgoing, OutgoingFile
from pytake_gql.development.meta import payloads
from pytake_gql.development.meta.recorder import Fault
from pytake_gql.kernel.limiter import Rate
from tests.desk.attachments.sending import PDF, PNG, upload
from tests.meta import Wire

OGG = b"OggS\0\2" + b"\0" * 30
PICTURE, DOCUMENT = ("foto.png", "image/png", PNG), ("nota.pdf", "application/pdf", PDF)
VOICE = ("voz.ogg", "audio/ogg", OGG)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts to one contact wait six seconds each: not here."""
    fast = dict.fromkeys(pace.PACES, pace.Pace(Rate(1000, 1000)))
    monkeypatch.setattr(pace, "PACES", fast)


async def writes(wire: Wire, words: str | None, *files: tuple[str, str, bytes]) -> UUID:
    """A member sends these to the contact, who wrote before."""
    if not await wire.rows(Message):
        await wire.says("Oi")
    admin = wire.desk.admin
    ids = [await upload(wire.http, admin, data, name=name, mime=mime) for name, mime, data in files]
    return await wire.answered(words, attachmentIds=ids)


def seen(wire: Wire) -> list[Any]:
    """What came to Meta: the kind, what goes with it, and the bytes."""
    found = []
    for taken in wire.line.sent:
        of = taken[taken["type"]]
        data = wire.line.media[of["id"]].data if "id" in of else None
        found.append((taken["type"], of.get("caption") or of.get("body"), of.get("filename"), data))
    return found


async def test_d27_a_picture_goes_with_its_caption(wire: Wire) -> None:
    ours = await writes(wire, "Veja", PICTURE)
    assert await wire.deliver_message(ours)
    assert seen(wire) == [("image", "Veja", None, PNG)]
    row, [taken] = await wire.message(ours), wire.line.sent
    assert (row.status, row.provider_message_id, row.parts_sent) == ("SENT", taken["id"], 0)
    assert taken["biz_opaque_callback_data"] == ours.hex
    [medium] = wire.line.media.values()
    assert medium.mime_type == "image/png"


async def test_d27_several_files_are_several_calls_and_the_last_stands_for_all(wire: Wire) -> None:
    ours = await writes(wire, "Veja", DOCUMENT, PICTURE, VOICE)
    for sent in (1, 2):
        assert await wire.deliver_message(ours)
        row = await wire.message(ours)
        assert (row.status, row.parts_sent, row.attempts, row.due_at is None) == ("QUEUED", sent, 0, False)
    assert await wire.deliver_message(ours)
    assert not await wire.deliver_message(ours)
    assert seen(wire) == [
        ("document", "Veja", "nota.pdf", PDF),
        ("image", None, None, PNG),
        ("audio", None, None, OGG),
    ]
    first, _, last = wire.line.sent
    await wire.told(first["id"], "read", data=first["biz_opaque_callback_data"])
    assert (await wire.message(ours)).status == "SENT"
    await wire.told(last["id"], "delivered", data=last["biz_opaque_callback_data"])
    row = await wire.message(ours)
    assert (row.status, row.provider_message_id) == ("DELIVERED", last["id"])


async def test_e8_a_part_whose_answer_is_lost_ends_the_message_and_nothing_is_doubled(wire: Wire) -> None:
    ours = await writes(wire, None, PICTURE, PICTURE, PICTURE)
    assert await wire.deliver_message(ours)
    wire.recorder.faults.append(Fault(status=503))
    assert not await wire.deliver_message(ours)  # the upload failed, which nobody has seen: it is tried again
    row = await wire.message(ours)
    assert (row.status, row.parts_sent, row.attempts) == ("QUEUED", 1, 1)
    await make_due(wire, ours)
    wire.recorder.message_faults.append(Fault(is_lost=True))
    assert not await wire.deliver_message(ours)
    row = await wire.message(ours)
    assert (row.status, row.error, row.parts_sent, row.due_at) == (
        "UNKNOWN",
        "Part 2 of 3: The answer of the channel was lost: HTTP 502",
        1,
        None,
    )
    assert not await wire.deliver_message(ours)
    assert len(wire.line.sent) == 2
    second = wire.line.sent[1]
    await wire.told(second["id"], "read", data=second["biz_opaque_callback_data"])
    assert (await wire.message(ours)).status == "UNKNOWN"  # the third part was never sent


async def test_e8_a_worker_that_died_at_a_part_does_not_send_it_again(wire: Wire) -> None:
    ours = await writes(wire, None, PICTURE, PICTURE)
    assert await wire.deliver_message(ours)
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        row = await uow.session.get_one(Message, (uow.organization_id, ours))
        row.attempts, row.due_at = 1, uow.now()  # the claim of a dead worker, whose lease ran out
    assert not await wire.deliver_message(ours)
    assert ((await wire.message(ours)).status, len(wire.line.sent)) == ("UNKNOWN", 1)


async def test_d27_a_transient_failure_in_the_middle_goes_on_where_it_was(wire: Wire) -> None:
    ours = await writes(wire, None, PICTURE, DOCUMENT)
    assert await wire.deliver_message(ours)
    wire.recorder.message_faults.append(Fault(status=429, code=130429))
    assert not await wire.deliver_message(ours)
    await make_due(wire, ours)
    assert await wire.deliver_message(ours)
    assert [kind for kind, *_ in seen(wire)] == ["image", "document"]
    assert (await wire.message(ours)).status == "SENT"


async def test_d27_a_refusal_in_the_middle_fails_and_says_how_far_it_got(wire: Wire) -> None:
    ours = await writes(wire, None, PICTURE, PICTURE, PICTURE)
    assert await wire.deliver_message(ours)
    wire.recorder.message_faults.append(Fault(status=400, code=131026))
    assert not await wire.deliver_message(ours)
    row = await wire.message(ours)
    assert (row.status, row.error) == ("FAILED", "Part 2 of 3: A fault that was ordered. (131026)")
    assert len(wire.line.sent) == 1
    [taken] = wire.line.sent
    await wire.told(taken["id"], "delivered", data=taken["biz_opaque_callback_data"])
    assert (await wire.message(ours)).status == "FAILED"


async def test_d27_a_part_that_fails_later_fails_the_message(wire: Wire) -> None:
    error = [{"code": 131053, "title": "Media upload error"}]
    for late, expected in ((False, "FAILED"), (True, "DELIVERED")):
        ours = await writes(wire, None, PICTURE, PICTURE)
        assert [await wire.deliver_message(ours) for _ in range(2)] == [True, True]
        first, last = wire.line.sent[-2:]
        told = [(first, "failed", error), (last, "delivered", [])]
        for taken, became, errors in reversed(told) if late else told:
            await wire.told(taken["id"], became, data=taken["biz_opaque_callback_data"], errors=errors)
        row = await wire.message(ours)
        assert (row.status, row.error) == (expected, "Media upload error (131053)")


async def test_d27_a_type_that_whatsapp_does_not_take_fails_before_anything_is_sent(wire: Wire) -> None:
    gif = ("a.gif", "image/gif", b"GIF89a" + b"\0" * 20)
    ours = await writes(wire, "Veja", PICTURE, gif)
    assert not await wire.deliver_message(ours)
    row = await wire.message(ours)
    assert (row.status, row.error) == ("FAILED", "WhatsApp takes no files of the type image/gif: a.gif")
    assert (wire.line.sent, wire.line.media) == ([], {})


async def test_instagram_gets_files_by_their_address(gram: Wire) -> None:
    event = payloads.event(gram.contact, gram.line.address, 0, message={"mid": "m.1", "text": "Oi"})
    event["timestamp"] = int(gram.ports.clock.now().timestamp() * 1000)
    assert await gram.deliver(payloads.instagram(gram.line.address, event)) == 200
    assert len(await gram.rows(ContactIdentity)) == 1
    ours = await writes(gram, "Veja", PICTURE, DOCUMENT)
    echo = {"mid": "m.echo", "text": "Veja", "is_echo": True}
    assert await gram.deliver_message(ours)
    back = payloads.event(gram.line.address, gram.contact, 0, message=echo)
    assert await gram.deliver(payloads.instagram(gram.line.address, back)) == 200
    assert (await gram.message(ours)).status == "QUEUED"  # its text is back, its files are still to go
    assert [await gram.deliver_message(ours) for _ in range(3)] == [True, True, False]
    text, picture, document = [taken["message"] for taken in gram.line.sent]
    assert text == {"text": "Veja"}
    assert [m["attachment"]["type"] for m in (picture, document)] == ["image", "file"]
    answers = [await gram.http.get(m["attachment"]["payload"]["url"]) for m in (picture, document)]
    assert [answer.content for answer in answers] == [PNG, PDF]
    assert (await gram.message(ours)).status == "SENT"


async def make_due(wire: Wire, id_: UUID) -> None:
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        row = await uow.session.get_one(Message, (uow.organization_id, id_))
        row.due_at = uow.now()


def file(mime_type: str, megabytes: int = 1) -> OutgoingFile:
    return OutgoingFile("nome", mime_type, megabytes << 20, "https://x.example/f", "key")


def split(text: str, *files: OutgoingFile, options: tuple[Option, ...] = ()) -> list[tuple[str, int, int, str | None]]:
    message = Outgoing(UUID(int=1), UUID(int=2), text, reply_to="r", attachments=files, options=options)
    told = parts.of_whatsapp(message)
    assert [part.is_last_part for part in told] == [False] * (len(told) - 1) + [True]
    return [(part.text, len(part.attachments), len(part.options), part.reply_to) for part in told]


def test_what_goes_together_on_whatsapp() -> None:
    image, audio, option = file("image/png"), file("audio/ogg"), (Option("v", "Sim"),)
    assert split("Oi") == [("Oi", 0, 0, "r")]
    assert split("", image, audio) == [("", 1, 0, "r"), ("", 1, 0, None)]
    assert split("Oi", image, audio) == [("Oi", 1, 0, "r"), ("", 1, 0, None)]
    assert split("Oi", audio, image) == [("Oi", 0, 0, "r"), ("", 1, 0, None), ("", 1, 0, None)]
    assert split("x" * 1024, image) == [("x" * 1024, 1, 0, "r")]
    assert split("x" * 1025, image) == [("x" * 1025, 0, 0, "r"), ("", 1, 0, None)]
    assert split("Oi", image, options=option) == [("", 1, 0, "r"), ("Oi", 0, 1, None)]


@pytest.mark.parametrize(("mime_type", "megabytes"), [("image/png", 6), ("image/webp", 1), ("text/csv", 1)])
def test_what_whatsapp_refuses_is_refused_for_good(mime_type: str, megabytes: int) -> None:
    with pytest.raises(ProviderFailed) as refused:
        split("Oi", file("image/png"), file(mime_type, megabytes))
    assert refused.value.is_transient is False
