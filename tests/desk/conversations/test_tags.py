"""Tags of conversations, through the door."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from pytake_gql.desk.conversations.models import ConversationTag
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.ids import global_id
from tests.desk.desk import Desk, conversation_id
from tests.factories import Factory

UPDATE = """mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) {
    conversation { subject lastSeq tags { name } } userErrors { code field } } }"""
LIST = """query ($filter: ConversationFilter) { conversations(filter: $filter, first: 10) {
    nodes { id tags { name } } totalCount } }"""
TIMELINE = "query ($id: ID!) { conversation(id: $id) { lastSeq timeline(last: 2) { nodes { __typename seq } } } }"


@pytest.fixture
async def ids(desk: Desk) -> dict[str, str]:
    rows = [Tag(name=name, name_key=name.casefold()) for name in ("VIP", "Ação", "novo")]
    await desk.make.save(desk.organization.id, *rows)
    return {row.name: global_id("Tag", row.id) for row in rows}


async def begun(desk: Desk) -> str:
    return conversation_id((await desk.make.conversation(desk.channel)).id)


async def test_a_conversation_gets_tags_and_its_timeline_tells(desk: Desk, ids: dict[str, str]) -> None:
    id_ = await begun(desk)
    before = (await desk.agent.ask(TIMELINE, id=id_))["lastSeq"]
    told = await desk.agent.ask(UPDATE, input={"id": id_, "tagIds": [ids["VIP"], ids["Ação"]]})
    tagged = {"subject": None, "lastSeq": before + 1, "tags": [{"name": "Ação"}, {"name": "VIP"}]}
    assert told == {"conversation": tagged, "userErrors": []}
    last = (await desk.agent.ask(TIMELINE, id=id_))["timeline"]["nodes"][-1]
    assert last == {"__typename": "ConversationChanged", "seq": before + 1}
    # The same again changes nothing; with the subject it is one event.
    same = {"id": id_, "tagIds": [ids["Ação"], ids["VIP"]]}
    assert (await desk.agent.ask(UPDATE, input=same))["conversation"] == tagged
    both = await desk.agent.ask(UPDATE, input={"id": id_, "subject": "Troca", "tagIds": [ids["novo"]]})
    assert both["conversation"] == {"subject": "Troca", "lastSeq": before + 2, "tags": [{"name": "novo"}]}
    assert (await desk.agent.ask(UPDATE, input={"id": id_, "tagIds": []}))["conversation"]["tags"] == []
    async with desk.make.ports.database.session(desk.organization.id) as session:
        entries = (
            await session.execute(select(AuditEntry).where(AuditEntry.action == "conversation.changed"))
        ).scalars()
        changed = sorted((sorted(entry.changes) for entry in entries), key=len)
    assert changed == [["tag_ids"], ["tag_ids"], ["subject", "tag_ids"]]


async def test_tags_that_are_not_there_are_refused_and_nothing_changes(
    desk: Desk, make: Factory, ids: dict[str, str]
) -> None:
    id_, theirs = await begun(desk), Tag(name="Alheia", name_key="alheia")
    await make.save((await make.organization()).id, theirs)
    before = (await desk.agent.ask(UPDATE, input={"id": id_, "tagIds": [ids["VIP"]]}))["conversation"]
    for wrong in (global_id("Tag", theirs.id), f"Tag_{'0' * 32}", "Tag_1", id_):
        told = await desk.agent.ask(UPDATE, input={"id": id_, "subject": "X", "tagIds": [ids["VIP"], wrong]})
        assert told == {"conversation": None, "userErrors": [{"code": "NOT_FOUND", "field": ["tagIds", "1"]}]}
    told = await desk.agent.ask(UPDATE, input={"id": id_, "subject": "X", "tagIds": None})
    assert told["userErrors"] == [{"code": "REQUIRED", "field": ["tagIds"]}]
    assert (await desk.agent.ask(UPDATE, input={"id": id_}))["conversation"] == before


async def test_conversations_are_found_by_one_of_the_tags_and_tags_are_read_at_once(
    desk: Desk, ids: dict[str, str]
) -> None:
    talks = {name: await begun(desk) for name in ("both", "vip", "none")}
    await desk.agent.ask(UPDATE, input={"id": talks["both"], "tagIds": [ids["VIP"], ids["novo"]]})
    await desk.agent.ask(UPDATE, input={"id": talks["vip"], "tagIds": [ids["VIP"]]})

    async def found(*tag_ids: str) -> set[str]:
        listed = await desk.agent.ask(LIST, filter={"tagIds": list(tag_ids)})
        assert listed["totalCount"] == len(listed["nodes"])
        return {name for name, id_ in talks.items() if id_ in {node["id"] for node in listed["nodes"]}}

    assert await found(ids["VIP"]) == {"both", "vip"}
    assert await found(ids["novo"], "Tag_1", ids["novo"]) == {"both"}
    assert await found(ids["Ação"]) == await found() == set()
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = desk.make.ports.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert len((await desk.agent.ask(LIST))["nodes"]) == 3
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in statements if "conversation_tags" in statement]) == 1


async def test_a_deleted_tag_hangs_on_nothing(desk: Desk, ids: dict[str, str]) -> None:
    id_ = await begun(desk)
    await desk.agent.ask(UPDATE, input={"id": id_, "tagIds": [ids["VIP"], ids["novo"]]})
    delete = "mutation ($id: ID!) { deleteTag(input: {id: $id}) { userErrors { code } } }"
    assert (await desk.admin.ask(delete, id=ids["VIP"]))["userErrors"] == []
    assert (await desk.agent.ask(UPDATE, input={"id": id_}))["conversation"]["tags"] == [{"name": "novo"}]
    async with desk.make.ports.database.session(desk.organization.id) as session:
        assert len((await session.execute(select(ConversationTag))).all()) == 1
