"""What is thrown away, and with it the content: not sent in time, erased, or of an organization that is gone (D29)."""

import os
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql import duties
from pytake_gql.desk.attachments import service
from pytake_gql.desk.attachments.models import Attachment, DiscardedFile
from pytake_gql.desk.conversations.models import Message
from pytake_gql.kernel.ids import id_of
from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.attachments.sending import PNG, SEND, WRITE, prepare, upload
from tests.desk.desk import Desk, conversation_id, open_desk


async def keep_house(ports: Ports) -> None:
    for chore in duties.housekeeping(ports):
        await chore()


def files_of(desk: Desk) -> list[Path]:
    root = Path(desk.make.ports.settings.files_directory)
    return [path for path in root.rglob("*") if path.is_file() and desk.organization.id.hex in str(path)]


async def rows_of(desk: Desk) -> set[str]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        return {f"Attachment_{id_.hex}" for id_ in (await session.execute(select(Attachment.id))).scalars()}


async def discarded(desk: Desk) -> int:
    async with desk.make.ports.database.session(None) as session:
        theirs = select(sa.func.count()).where(DiscardedFile.organization_id == desk.organization.id)
        return int(await session.scalar(theirs) or 0)


async def test_d29_what_was_not_sent_in_time_is_swept_with_its_content(desk: Desk, clock: TravellingClock) -> None:
    row = await desk.make.conversation(desk.channel)
    sent, unsent = await upload(desk.http, desk.agent), await upload(desk.http, desk.agent)
    empty = await prepare(desk.agent, len(PNG))
    input_ = {"conversationId": conversation_id(row.id), "attachmentIds": [sent]}
    assert (await desk.agent.ask(SEND, input=input_))["userErrors"] == []
    clock.advance(hours=5, minutes=59)
    await keep_house(desk.make.ports)
    assert await rows_of(desk) == {sent, unsent, empty.id}
    clock.advance(minutes=2)
    await keep_house(desk.make.ports)
    assert (await rows_of(desk), await discarded(desk)) == ({sent}, 0)
    assert [path.parent.name for path in files_of(desk)] == [id_of(sent).hex]


async def test_erasing_conversations_erases_their_files_and_no_others(desk: Desk) -> None:
    rows = [await desk.make.conversation(desk.channel) for _ in range(2)]
    files = []
    for row in rows:
        files.append(await upload(desk.http, desk.agent))
        input_ = {"conversationId": conversation_id(row.id), "attachmentIds": files[-1:]}
        sent = await desk.agent.ask(SEND, input=input_)
    url = sent["message"]["attachments"][0]["url"]
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await service.erase(uow, [rows[1].id])
    assert (await desk.http.get(url)).status_code == 404  # at once, whoever still has the address
    assert (await rows_of(desk), await discarded(desk)) == ({files[0]}, 1)
    await keep_house(desk.make.ports)
    assert [path.parent.name for path in files_of(desk)] == [id_of(files[0]).hex]
    assert await discarded(desk) == 0
    whole = "query ($id: ID!) { conversation(id: $id) { messages { nodes { attachments { id } } } } }"
    read = await desk.agent.ask(whole, id=conversation_id(rows[1].id))
    assert [message["attachments"] for message in read["messages"]["nodes"]] == [[], []]


async def test_a_visitors_unsent_uploads_are_erased_alone(desk: Desk) -> None:
    visitors = [await desk.make.visitor(desk.channel) for _ in range(2)]
    clients = [Client(desk.http, visitor.token) for visitor in visitors]
    theirs, others = await upload(desk.http, clients[0]), await upload(desk.http, clients[1])
    sent = await upload(desk.http, clients[0])
    assert (await clients[0].ask(WRITE, input={"attachmentIds": [sent]}))["userErrors"] == []
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await service.erase_uploads_of(uow, visitors[0].principal)
    assert await rows_of(desk) == {others, sent}
    assert theirs not in await rows_of(desk)


async def test_whatever_deletes_a_message_or_an_organization_deletes_its_files(desk: Desk, ports: Ports) -> None:
    other = await open_desk(desk.make, desk.http)
    for at in (desk, other):
        row = await at.make.conversation(at.channel)
        file = await upload(at.http, at.agent)
        input_ = {"conversationId": conversation_id(row.id), "attachmentIds": [file]}
        assert (await at.agent.ask(SEND, input=input_))["userErrors"] == []
        await upload(at.http, at.agent)
        assert len(files_of(at)) == 2
    async with ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(sa.delete(Message).where(col(Message.has_attachments)))
    async with ports.units.of_system(other.organization.id) as uow:
        await uow.session.execute(sa.delete(Organization).where(col(Organization.id) == other.organization.id))
    assert (await discarded(desk), await discarded(other)) == (1, 2)
    await keep_house(ports)
    assert (len(files_of(desk)), files_of(other)) == (1, [])


async def test_more_than_one_chunk_is_deleted_at_a_time(
    desk: Desk, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_SWEPT_AT_MOST", 2)
    ids = [await upload(desk.http, desk.agent) for _ in range(5)]
    async with ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(sa.delete(Attachment).where(col(Attachment.id).in_([id_of(id_) for id_ in ids])))
    assert await discarded(desk) == 5
    await service.delete_discarded(ports.units, ports.files)
    assert (await discarded(desk), files_of(desk)) == (0, [])


async def test_an_upload_that_broke_off_long_ago_is_tidied_away(desk: Desk, ports: Ports) -> None:
    await upload(desk.http, desk.agent)
    old, new = [Path(ports.settings.files_directory) / "incoming" / f"{name}.part" for name in ("old", "new")]
    for part, age in ((old, 90_000), (new, 60)):
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age,) * 2)
    await ports.files.tidy()
    assert (old.exists(), new.exists()) == (False, True)
    new.unlink()
