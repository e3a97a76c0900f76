"""Which contacts a list shows, by tags and attributes; and the tags of a contact."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlmodel import col, select

from pytake_gql.desk.contacts import service
from pytake_gql.desk.contacts.models import ContactTag
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id, id_of
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory

LIST = """query ($filter: ContactFilter, $first: Int, $after: String) {
    contacts(filter: $filter, first: $first, after: $after) {
        nodes { name tags { name } } totalCount pageInfo { endCursor hasNextPage } } }"""
CREATE = """mutation ($input: CreateContactInput!) { createContact(input: $input) {
    contact { id tags { name } } userErrors { code field } } }"""
UPDATE = """mutation ($input: UpdateContactInput!) { updateContact(input: $input) {
    contact { id name tags { name } } userErrors { code field } } }"""


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


async def tags(desk: Desk, *names: str) -> dict[str, str]:
    rows = [Tag(name=name, name_key=name.casefold()) for name in names]
    await desk.make.save(desk.organization.id, *rows)
    return {row.name: global_id("Tag", row.id) for row in rows}


async def names(desk: Desk, **wanted: Any) -> list[str]:
    found = await desk.agent.ask(LIST, filter=wanted)
    assert found["totalCount"] == len(found["nodes"])
    return [node["name"] for node in found["nodes"]]


async def test_a_contact_has_tags(desk: Desk) -> None:
    ids = await tags(desk, "VIP", "Ação", "novo")
    made = await desk.agent.ask(CREATE, input={"name": "Ana", "tagIds": [ids["VIP"], ids["Ação"], ids["VIP"]]})
    id_ = made["contact"]["id"]
    assert made["contact"]["tags"] == [{"name": "Ação"}, {"name": "VIP"}]
    changed = await desk.agent.ask(UPDATE, input={"id": id_, "tagIds": [ids["novo"], ids["VIP"]]})
    assert changed["contact"]["tags"] == [{"name": "novo"}, {"name": "VIP"}]
    assert (await desk.agent.ask(UPDATE, input={"id": id_, "name": "Ana L."}))["contact"]["tags"] == [
        {"name": "novo"},
        {"name": "VIP"},
    ]
    delete = "mutation ($id: ID!) { deleteTag(input: {id: $id}) { userErrors { code } } }"
    assert (await desk.admin.ask(delete, id=ids["novo"]))["userErrors"] == []
    assert (await desk.agent.ask(LIST))["nodes"] == [{"name": "Ana L.", "tags": [{"name": "VIP"}]}]
    assert (await desk.agent.ask(UPDATE, input={"id": id_, "tagIds": []}))["contact"]["tags"] == []
    async with desk.make.ports.database.session(desk.organization.id) as session:
        entries = (await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))).scalars()
        told = [(entry.action, sorted(entry.changes)) for entry in entries]
    assert told == [
        ("contact.created", ["name", "tag_ids"]),
        ("contact.updated", ["tag_ids"]),
        ("contact.updated", ["name"]),
        ("tag.deleted", ["name"]),
        ("contact.updated", ["tag_ids"]),
    ]


async def test_tags_that_are_not_there_are_refused_and_nothing_changes(desk: Desk, make: Factory) -> None:
    ids = await tags(desk, "VIP")
    other = Tag(name="Alheia", name_key="alheia")
    await make.save((await make.organization()).id, other)
    id_ = (await desk.agent.ask(CREATE, input={"name": "Ana", "tagIds": [ids["VIP"]]}))["contact"]["id"]
    for wrong in (global_id("Tag", other.id), f"Tag_{'0' * 32}", "Tag_1", id_):
        expected = [{"code": "NOT_FOUND", "field": ["tagIds", "1"]}]
        told = await desk.agent.ask(UPDATE, input={"id": id_, "name": "X", "tagIds": [ids["VIP"], wrong]})
        assert told == {"contact": None, "userErrors": expected}
        told = await desk.agent.ask(CREATE, input={"name": "X", "tagIds": [ids["VIP"], wrong]})
        assert told == {"contact": None, "userErrors": expected}
    told = await desk.agent.ask(UPDATE, input={"id": id_, "name": "X", "tagIds": None})
    assert told["userErrors"] == [{"code": "REQUIRED", "field": ["tagIds"]}]
    assert (await desk.agent.ask(LIST))["nodes"] == [{"name": "Ana", "tags": [{"name": "VIP"}]}]


async def test_contacts_are_found_that_have_all_of_the_tags(desk: Desk) -> None:
    ids = await tags(desk, "a", "b")
    for name, has in (("Ana", "ab"), ("Bia", "a"), ("Caio", "b"), ("Davi", "")):
        await desk.agent.ask(CREATE, input={"name": name, "tagIds": [ids[tag] for tag in has]})
    assert await names(desk, tagIds=[ids["a"]]) == ["Bia", "Ana"]
    assert await names(desk, tagIds=[ids["b"], ids["a"], ids["a"]]) == ["Ana"]
    assert await names(desk, tagIds=[]) == ["Davi", "Caio", "Bia", "Ana"]
    for nowhere in (f"Tag_{'0' * 32}", "Tag_1", f"Contact_{ids['a'][4:]}"):
        assert await names(desk, tagIds=[ids["a"], nowhere]) == []


async def test_contacts_are_found_that_are_equal_in_every_attribute_given(desk: Desk) -> None:
    known: dict[str, dict[str, Any]] = {
        "Ana": {"plano": "Ouro", "assentos": 3, "vip": True},
        "Bia": {"plano": "Ouro", "assentos": 4, "vip": False},
        "Caio": {"plano": "ouro", "assentos": "3"},
    }
    for name, attributes in known.items():
        await desk.agent.ask(CREATE, input={"name": name, "attributes": attributes})
    assert await names(desk, attributes={"plano": "Ouro"}) == ["Bia", "Ana"]
    assert await names(desk, attributes={"plano": "Ouro", "assentos": 3}) == ["Ana"]
    assert await names(desk, attributes={"assentos": 3.0}) == ["Ana"]
    assert await names(desk, attributes={"assentos": "3"}) == ["Caio"]
    assert await names(desk, attributes={"vip": False}) == ["Bia"]
    assert await names(desk, attributes={"cidade": None}) == []
    assert await names(desk, attributes={"plano": ["Ouro"]}) == []
    assert await names(desk, attributes={}) == ["Caio", "Bia", "Ana"]
    assert await names(desk, attributes={"plano": "Ouro"}, isBlocked=True) == []
    wrongs: list[Any] = [[], "plano", 3, {"plano": "a\0b"}]
    for wrong in wrongs:
        assert await desk.agent.code(LIST, filter={"attributes": wrong}) == "BAD_USER_INPUT"


async def test_attributes_that_many_have_are_found_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """From some number on the list is walked instead of the index asked: the answer is the same."""
    monkeypatch.setattr(service, "_FEW", 2)
    for name, plan in (("Ana", "Ouro"), ("Bia", "Prata"), ("Caio", "Ouro"), ("Davi", "Ouro")):
        await desk.agent.ask(CREATE, input={"name": name, "attributes": {"plano": plan}})
    assert await names(desk, attributes={"plano": "Ouro"}) == ["Davi", "Caio", "Ana"]
    assert await names(desk, attributes={"plano": "Prata"}) == ["Bia"]


async def test_what_is_found_is_paged_and_its_tags_are_read_at_once(desk: Desk) -> None:
    ids, now = await tags(desk, "a"), desk.make.ports.clock.now()
    for number in range(5):
        row = await desk.make.contact(
            desk.organization, name=str(number), attributes={"n": 1}, created_at=now - timedelta(minutes=number)
        )
        await desk.make.save(desk.organization.id, ContactTag(contact_id=row.id, tag_id=id_of(ids["a"])))
    await desk.make.contact(desk.organization, name="X", attributes={"n": 1})
    wanted = {"tagIds": [ids["a"]], "attributes": {"n": 1}}
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = desk.make.ports.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        first = await desk.agent.ask(LIST, filter=wanted, first=3)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in statements if "FROM contact_tags JOIN" in statement]) == 1
    assert ([node["name"] for node in first["nodes"]], first["totalCount"]) == (["0", "1", "2"], 5)
    rest = await desk.agent.ask(LIST, filter=wanted, first=3, after=first["pageInfo"]["endCursor"])
    assert ([node["name"] for node in rest["nodes"]], rest["pageInfo"]["hasNextPage"]) == (["3", "4"], False)
