"""Fifty pulls at once, over and over: D5, D11."""

import asyncio

import sqlalchemy as sa

from pytake_gql.tenancy.members.models import Member
from tests.desk.desk import Desk, conversation_id


async def test_d11_fifty_pulls_at_once_over_two_hundred_waiting_twenty_rounds(desk: Desk, is_long: bool) -> None:
    """Each conversation once, in D5's order, 0 doubles."""
    pull = "mutation { pullNextConversation(input: {}) { conversation { id } emptyReason userErrors { code } } }"
    agents = [(await desk.colleague(capacity=100))[1] for _ in range(10)]
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        await uow.session.execute(sa.update(Member).values(capacity=10_000))
    for round_ in range(20 if is_long else 1):
        rows = await desk.make.waiting(desk.channel, 200, first_number=1 + 200 * round_)
        waiting = [conversation_id(row.id) for row in rows]
        taken: list[str] = []
        for _ in range(4):
            answers = await asyncio.gather(*(agent.ask(pull) for agent in agents for _ in range(5)))
            batch = [answer["conversation"]["id"] for answer in answers]
            assert sorted(batch) == sorted(waiting[len(taken) : len(taken) + 50])
            taken += batch
        assert len(set(taken)) == 200
