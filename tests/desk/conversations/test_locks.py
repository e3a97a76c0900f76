"""The one order of locks: agents, then the conversation (D11). Nobody waits in a circle."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from pytake_gql.desk.conversations import messages, service
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from tests.desk.desk import Desk, conversation_id

PULL = "mutation { pullNextConversation(input: {}) { conversation { id } } }"
CLOSE = """mutation ($input: CloseConversationInput!) { closeConversation(input: $input) {
    conversation { status } userErrors { code } } }"""
REMOVE = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userErrors { code } } }"
READ = "query ($id: ID!) { conversation(id: $id) { status messages { nodes { text } } } }"
WAITERS = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def somebody_waits(ports: Ports) -> None:
    """Until another transaction is held up by a lock."""
    async with asyncio.timeout(10):
        while True:
            async with ports.database.session(None) as session:
                if await session.scalar(WAITERS):
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("what", ["close", "remove"])
async def test_d11_an_agent_writes_while_the_conversation_is_taken_away(
    desk: Desk, superuser_ports: Ports, what: str
) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    signed_in = await desk.make.signed_in(desk.agent_member)
    documents: dict[str, tuple[str, Any]] = {
        "close": (CLOSE, {"id": conversation_id(row.id)}),
        "remove": (REMOVE, {"id": global_id("Member", desk.agent_member.id)}),
    }
    document, input_ = documents[what]
    async with desk.make.ports.units.open(signed_in.principal) as uow:
        await service.get(uow, row.id)
        other = asyncio.create_task(desk.admin.ask(document, input=input_))
        await somebody_waits(superuser_ports)
        await messages.send(uow, row.id, messages.Draft("Um momento"), idempotency_key=None)
        await uow.session.flush()
    assert (await other)["userErrors"] == []
    after = await desk.admin.ask(READ, id=conversation_id(row.id))
    assert after["messages"]["nodes"][-1] == {"text": "Um momento"}
    assert after["status"] == {"close": "CLOSED", "remove": "QUEUED"}[what]


async def test_d11_a_visitor_reads_while_the_conversation_is_closed(desk: Desk, superuser_ports: Ports) -> None:
    row = await desk.make.conversation(desk.channel)
    await desk.agent.ask(PULL)
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        conversation = await service.get(uow, row.id)
        conversation.contact_read_seq = 1
        await uow.session.flush()
        closing = asyncio.create_task(desk.agent.ask(CLOSE, input={"id": conversation_id(row.id)}))
        await somebody_waits(superuser_ports)
        conversation.contact_read_seq = 2  # a second change of one row has its foreign keys checked anew
        await uow.session.flush()
    assert (await closing)["conversation"] == {"status": "CLOSED"}
