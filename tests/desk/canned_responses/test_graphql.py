"""Canned responses through the door: as each role, and as strangers."""

import asyncio
from typing import Any

import pytest
from sqlmodel import col, select

from pytake_gql.desk.canned_responses.models import CannedResponse
from pytake_gql.desk.canned_responses.service import MOST
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.principal import Role
from tests.client import Client
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory

SAVE = """mutation ($input: SaveCannedResponseInput!) { saveCannedResponse(input: $input) {
    cannedResponse { id shortcut text } userErrors { code field } } }"""
DELETE = """mutation ($input: DeleteCannedResponseInput!) { deleteCannedResponse(input: $input) {
    cannedResponse { id shortcut text } userErrors { code field } } }"""
ALL = "query ($search: String) { cannedResponses(search: $search) { shortcut } }"
NODE = "query ($id: ID!) { node(id: $id) { ... on CannedResponse { shortcut } } }"


async def save(client: Client, shortcut: str, text: str = "Bom dia!", **input_: Any) -> str:
    answer = await client.ask(SAVE, input={"shortcut": shortcut, "text": text, **input_})
    assert answer["userErrors"] == []
    id_: str = answer["cannedResponse"]["id"]
    return id_


async def shown(client: Client, search: str | None = None) -> list[str]:
    return [response["shortcut"] for response in await client.ask(ALL, search=search)]


def errors(answer: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    assert answer["cannedResponse"] is None
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


async def audited(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    async with desk.make.ports.database.session(desk.organization.id) as session:
        entries = select(AuditEntry).where(AuditEntry.entity_type == "CannedResponse").order_by(col(AuditEntry.id))
        return [(entry.action, entry.changes) for entry in (await session.execute(entries)).scalars()]


async def test_one_is_made_changed_read_and_deleted(desk: Desk) -> None:
    made = await desk.admin.ask(SAVE, input={"shortcut": " Oi ", "text": " Olá!\nTudo bem? "})
    id_ = made["cannedResponse"]["id"]
    assert made["cannedResponse"] == {"id": id_, "shortcut": "Oi", "text": "Olá!\nTudo bem?"}
    assert await desk.agent.ask(NODE, id=id_) == {"shortcut": "Oi"}
    changed = await desk.admin.ask(SAVE, input={"id": id_, "shortcut": "OI", "text": "Olá!"})
    assert changed["cannedResponse"] == {"id": id_, "shortcut": "OI", "text": "Olá!"}
    await save(desk.admin, "OI", "Olá!", id=id_)
    gone = await desk.admin.ask(DELETE, input={"id": id_})
    assert gone == {"cannedResponse": {"id": id_, "shortcut": "OI", "text": "Olá!"}, "userErrors": []}
    assert (await shown(desk.agent), await desk.agent.ask(NODE, id=id_)) == ([], None)
    assert errors(await desk.admin.ask(DELETE, input={"id": id_})) == [("NOT_FOUND", ["id"])]
    assert await audited(desk) == [
        ("canned_response.created", {"shortcut": {"from": None, "to": "Oi"}}),
        (
            "canned_response.updated",
            {"shortcut": {"from": "Oi", "to": "OI"}, "text": {"from": "Olá!\nTudo bem?", "to": "Olá!"}},
        ),
        ("canned_response.deleted", {"shortcut": {"from": "OI", "to": None}}),
    ]


async def test_a_search_finds_what_begins_so_first(desk: Desk) -> None:
    for shortcut, text in (("tchau", "Até logo"), ("oi", "Boa tarde"), ("boa", "Olá"), ("cem%", "100% seguro")):
        await save(desk.admin, shortcut, text)
    assert await shown(desk.agent) == ["boa", "cem%", "oi", "tchau"]
    assert await shown(desk.agent, "BOA") == ["boa", "oi"]
    assert await shown(desk.agent, "T") == ["tchau", "oi"]
    assert await shown(desk.agent, "%") == ["cem%"]
    assert await shown(desk.agent, " ") == ["boa", "cem%", "oi", "tchau"]
    assert await shown(desk.agent, "nada") == []


@pytest.mark.parametrize(
    ("input_", "code", "field"),
    [
        ({"shortcut": " "}, "REQUIRED", "shortcut"),
        ({"shortcut": "x" * 61}, "TOO_LONG", "shortcut"),
        ({"shortcut": "bom dia"}, "INVALID", "shortcut"),
        ({"shortcut": "a\nb"}, "INVALID", "shortcut"),
        ({"shortcut": "a\0"}, "INVALID", "shortcut"),
        ({"shortcut": "PREÇO"}, "TAKEN", "shortcut"),
        ({"text": " \n"}, "REQUIRED", "text"),
        ({"text": "x" * 10_001}, "TOO_LONG", "text"),
    ],
)
async def test_bad_ones_are_refused_and_nothing_changes(
    desk: Desk, input_: dict[str, Any], code: str, field: str
) -> None:
    await save(desk.admin, "preço")
    other = await save(desk.admin, "outro")
    before = await shown(desk.admin), await audited(desk)
    for given in ({"shortcut": "novo", "text": "Oi", **input_}, {"id": other, "shortcut": "o", "text": "Oi", **input_}):
        assert errors(await desk.admin.ask(SAVE, input=given)) == [(code, [field])]
    assert (await shown(desk.admin), await audited(desk)) == before


async def test_of_equal_ones_made_at_once_one_is_made(desk: Desk) -> None:
    answers = await asyncio.gather(
        *(desk.admin.ask(SAVE, input={"shortcut": name, "text": "Oi"}) for name in ("oi", "OI", "Oi", "oI"))
    )
    codes = [error["code"] for answer in answers for error in answer["userErrors"]]
    assert codes == ["TAKEN"] * 3
    assert len(await shown(desk.agent)) == 1


async def test_there_are_at_most_500(desk: Desk) -> None:
    rows = [CannedResponse(shortcut=f"s{n}", shortcut_key=f"s{n}", text="Oi") for n in range(MOST)]
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        uow.session.add_all(rows)
    assert errors(await desk.admin.ask(SAVE, input={"shortcut": "um", "text": "Oi"})) == [("LIMIT_REACHED", None)]
    assert len(await shown(desk.agent)) == MOST


async def test_members_read_and_admins_write(desk: Desk, anonymous: Client) -> None:
    id_ = await save(desk.admin, "oi")
    _, viewer = await desk.colleague(Role.VIEWER)
    assert await shown(viewer) == ["oi"]
    for client, code in ((desk.agent, "FORBIDDEN"), (viewer, "FORBIDDEN"), (anonymous, "UNAUTHENTICATED")):
        assert await client.code(SAVE, input={"shortcut": "a", "text": "b"}) == code
        assert await client.code(DELETE, input={"id": id_}) == code
    assert await (await desk.visitor()).code(ALL) == "FORBIDDEN"
    assert await shown(desk.admin) == ["oi"]


async def test_g1_another_organizations_are_not_there(desk: Desk, make: Factory) -> None:
    theirs = await open_desk(make, desk.http)
    id_ = await save(theirs.admin, "oi")
    for given in (id_, f"CannedResponse_{'0' * 32}", "nonsense"):
        assert errors(await desk.admin.ask(DELETE, input={"id": given})) == [("NOT_FOUND", ["id"])]
        changed = await desk.admin.ask(SAVE, input={"id": given, "shortcut": "x", "text": "y"})
        assert errors(changed) == [("NOT_FOUND", ["id"])]
    await save(desk.admin, "oi")
    assert await shown(theirs.agent) == ["oi"]
