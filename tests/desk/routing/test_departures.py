"""Nothing is orphaned when a member, a queue or a channel goes."""

from typing import Any

from pytake_gql.kernel.ids import global_id
from tests.desk.desk import Desk, conversation_id

PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
READ = "query ($id: ID!) { conversation(id: $id) { status assignee { id } queue { id } queuePosition lastSeq } }"
REMOVE = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userErrors { code field } } }"
UPDATE = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { userErrors { code field } } }"
DELETE = "mutation ($input: DeleteQueueInput!) { deleteQueue(input: $input) { userErrors { code field } } }"
FINE: dict[str, Any] = {"userErrors": []}


async def test_d20_what_a_removed_member_had_goes_back_with_its_place(desk: Desk) -> None:
    first = await desk.make.conversation(desk.channel)
    await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    assert await desk.admin.ask(REMOVE, input={"id": global_id("Member", desk.agent_member.id)}) == FINE
    read = await desk.admin.ask(READ, id=conversation_id(first.id))
    assert (read["status"], read["assignee"], read["queuePosition"]) == ("QUEUED", None, 1)


async def test_what_a_removed_member_had_goes_to_the_one_named(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    heir, _ = await desk.colleague(capacity=0)
    heir_id = global_id("Member", heir.id)
    input_ = {"id": global_id("Member", desk.agent_member.id), "reassignToId": heir_id}
    assert await desk.admin.ask(REMOVE, input=input_) == FINE
    read = await desk.admin.ask(READ, id=conversation_id(row.id))
    assert (read["status"], read["assignee"]) == ("ACTIVE", {"id": heir_id})
    loads = await desk.admin.ask("{ members { nodes { id load } } }")
    assert {node["id"]: node["load"] for node in loads["nodes"]}[heir_id] == 1


async def test_d20_what_a_deactivated_member_had_goes_back(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    member = global_id("Member", desk.agent_member.id)
    assert await desk.admin.ask(UPDATE, input={"id": member, "isActive": False}) == FINE
    read = await desk.admin.ask(READ, id=conversation_id(row.id))
    assert (read["status"], read["assignee"]) == ("QUEUED", None)
    assert (await desk.admin.ask("query ($id: ID!) { member(id: $id) { load } }", id=member)) == {"load": 0}


async def test_a_queue_in_which_conversations_wait_needs_a_place_for_them(desk: Desk) -> None:
    row = await desk.make.conversation(desk.channel)
    queue_id = global_id("Queue", desk.queue.id)
    refused = await desk.admin.ask(DELETE, input={"id": queue_id})
    assert refused == {"userErrors": [{"code": "REQUIRED", "field": ["moveToQueueId"]}]}
    assert (await desk.admin.ask(READ, id=conversation_id(row.id)))["queue"] == {"id": queue_id}
    other = global_id("Queue", (await desk.make.queue(desk.organization)).id)
    assert await desk.admin.ask(DELETE, input={"id": queue_id, "moveToQueueId": other}) == FINE
    read = await desk.admin.ask(READ, id=conversation_id(row.id))
    assert (read["status"], read["queue"]) == ("QUEUED", {"id": other})


async def test_a_channel_with_conversations_stays(desk: Desk) -> None:
    await desk.make.conversation(desk.channel)
    document = "mutation ($input: DeleteChannelInput!) { deleteChannel(input: $input) { userErrors { code field } } }"
    channel_id = global_id("Channel", desk.channel.id)
    refused = await desk.admin.ask(document, input={"id": channel_id})
    assert refused == {"userErrors": [{"code": "WRONG_STATE", "field": ["id"]}]}
    assert [channel["id"] for channel in await desk.admin.ask("{ channels { id } }")] == [channel_id]
