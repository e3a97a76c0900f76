"""The schema walked as a stranger (G1): whatever is another organization's answers as what does not exist.

Each argument that takes an id, found in the schema as it stands, is given one of the other company; and the whole
again with the session's criterion off, and with row-level security off, so that each lock is seen to hold alone.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from pytake_gql import app
from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.conversations import timeline
from pytake_gql.kernel.bus import Wake
from pytake_gql.kernel.ids import global_id, id_of, uuid7
from pytake_gql.kernel.ports import Ports
from tests.client import Client
from tests.factories import Factory
from tests.tenants.companies import TENANT_TABLES, Company, Secrets, found, rows
from tests.tenants.conftest import Street, answer, without_criterion
from tests.tenants.holes import ANY, NODES, PUBLIC_DOORS, Hole, answer_type, holes, may, operation, rule
from tests.tenants.selections import LEVELS

NOT_FOUND = "Nothing was found by this id."
OF_SOMEBODY = {"Organization", "ActiveSession", "Notification", "VisitorChat", "VisitorMessage"}
"""Found by who asks, not by the organization alone."""
ENDING = ("delete", "remove", "cancel", "revoke", "close", "switch")
"""How verbs begin after which something is gone that others ask for."""
OF_REQUESTS = [hole for hole in holes() if hole.root != "Subscription" and hole.coordinate not in PUBLIC_DOORS]


def unknown(type_name: str) -> str:
    return global_id(type_name, uuid7())


def types_of(hole: Hole) -> list[str]:
    return NODES if hole.of == ANY else [hole.of]


def is_asked(caller: str, hole: Hole, of: str) -> bool:
    """Not what the caller is not served, and not what is the caller's business."""
    if caller == "SUPER_ADMIN" and of == "Organization":
        return False  # a super admin's business wherever they are
    if of == "Notification" and hole.is_list:
        return caller == "ORG_ADMIN"  # whose own the known one is
    if hole.field == "login":
        return caller == "ORG_ADMIN"  # the password is one person's, and every guess is counted
    return may(caller, hole.root, hole.field)


def expected(hole: Hole, path: tuple[str, ...], of: str) -> dict[str, Any] | None:
    """The one face of what is not there; None for filters, which answer a list."""
    answered = answer_type(hole.root, hole.field)
    if hole.root == "Mutation":
        error = {"__typename": "UserError", "code": "NOT_FOUND", "message": NOT_FOUND, "field": list(path)}
        nothing = {name: _nothing(str(it.type)) for name, it in answered.fields.items()}
        payload = nothing | {"__typename": answered.name, "userErrors": [error]}
        return {"data": {hole.field: payload}}
    return {"data": {hole.field: None}} if answered.name in {"Node", of} and hole.path == ("id",) else None


def _nothing(type_: str) -> Any:
    """What a payload holds where nothing changed."""
    if type_.startswith("[") and type_.endswith("!"):
        return []
    return 0 if type_ == "Int!" else None


def test_every_type_with_an_id_has_a_specimen(street: Street) -> None:
    """A domain that comes later adds its own to `tests/tenants/companies.py`."""
    assert sorted(street.ours.ids) == NODES
    assert all(id_.startswith(f"{name}_") for name, id_ in street.theirs.ids.items())


async def test_every_tenant_table_holds_rows_of_both(street: Street) -> None:
    """Else nothing of it could leak, and the walk would prove nothing about it."""
    for company in (street.ours, street.theirs):
        dump = await rows(street.owner, company)
        assert [table for table in TENANT_TABLES if not dump[table]] == []


@pytest.mark.parametrize("caller", ["ORG_ADMIN", "AGENT", "SUPER_ADMIN", "VISITOR"])
async def test_g1_another_organizations_id_answers_as_one_that_does_not_exist(street: Street, caller: str) -> None:
    client, faults = street.client(street.callers()[caller]), []
    before = await rows(street.owner, street.ours), await rows(street.owner, street.theirs)
    async with nothing_told(street):
        for hole in OF_REQUESTS:
            for of in types_of(hole):
                if is_asked(caller, hole, of):
                    faults += await differences(street, client, hole, of)
    assert not faults, "\n".join(fault[:900] for fault in faults[:20])
    assert (await rows(street.owner, street.ours), await rows(street.owner, street.theirs)) == before


async def differences(street: Street, client: Client, hole: Hole, of: str) -> list[str]:
    """What tells their id from an unknown, a mistyped or a malformed one: alone, and in a list behind a known one."""
    ours, faults = street.ours, []
    node_type = of if hole.field == "node" else None
    given = [street.theirs.ids[of], unknown(of)]
    if hole.of != ANY:
        given += [ours.ids[next(name for name in NODES if name != of)], "Nowhere_1"]
    for behind in range(2 if hole.is_list else 1):
        wanted = expected(hole, (*hole.path[1:], *([str(behind)] if hole.is_list else [])), of)
        known = [ours.ids[of]] * behind
        values = [[*known, id_] if hole.is_list else id_ for id_ in given]
        levels = LEVELS if wanted else 1
        asked = [operation(ours, hole, value, node_type=node_type, levels=levels) for value in values]
        told = await asyncio.gather(*(answer(client, one) for one in asked))
        if "errors" in told[0] or (wanted is not None and told[0] != wanted):
            faults.append(f"{hole} of {of}: {told[0]}")
        faults += [f"{hole} of {of}: {told[0]} but {one}" for one in told[1:] if one != told[0]]
        faults += [f"{hole} of {of} tells {secret}" for secret in street.secrets.in_any(told)]
    return faults


@contextlib.asynccontextmanager
async def nothing_told(street: Street) -> AsyncIterator[None]:
    """Nobody who follows the other company live hears anything meanwhile."""
    theirs, end = street.theirs, f"end:{uuid4().hex}"
    conversations = [id_of(id_) for id_ in theirs.conversation_ids]
    topics = [timeline.queue_topic(theirs.queue.id), timeline.inbox_topic(theirs.id), end]
    topics += [topic(id_) for id_ in conversations for topic in (timeline.conversation_topic, timeline.typing_topic)]
    async with street.ports.bus.subscribe(*topics) as wakes:
        yield
        street.ports.bus.publish([Wake(end)])
        assert await wakes.next(5) == Wake(end)


async def token(street: Street, caller: str) -> str:
    """Of a visitor who comes anew each time: one who asks so much would be told to wait."""
    if caller != "VISITOR":
        return street.callers()[caller]
    async with street.ports.database.session(street.ours.id) as session:
        channel = await session.get_one(Channel, (street.ours.id, street.ours.channel_id))
    return (await street.make.visitor(channel)).token


@pytest.mark.parametrize("caller", ["AGENT", "ORG_ADMIN", "VISITOR"])
async def test_g2_who_is_not_served_is_refused_whatever_the_id(street: Street, caller: str) -> None:
    for hole in OF_REQUESTS:
        if may(caller, hole.root, hole.field):
            continue
        client, of = street.client(await token(street, caller)), types_of(hole)[0]
        told = [
            await answer(client, operation(street.ours, hole, [id_] if hole.is_list else id_, levels=-1))
            for id_ in (street.theirs.ids[of], unknown(of))
        ]
        assert told[0] == told[1], str(hole)
        assert [error["extensions"]["code"] for error in told[0]["errors"]] == ["FORBIDDEN"]


@pytest.fixture(scope="module")
async def reader(ports: Ports, http: httpx.AsyncClient) -> Company:
    return await found(Factory(ports), http)


@pytest.mark.parametrize("hole", OF_REQUESTS, ids=str)
async def test_an_own_id_leads_somewhere(make: Factory, http: httpx.AsyncClient, reader: Company, hole: Hole) -> None:
    """Else the walk would compare two refusals that have nothing to do with the id."""
    ours = await found(make, http) if hole.field.startswith(ENDING) else reader
    client = Client(http, (ours.admin if may("ORG_ADMIN", hole.root, hole.field) else ours.super_admin).token)
    for of in types_of(hole):
        if of.startswith("Visitor") or rule(hole.root, hole.field) == {"visitor": True}:
            client = Client(http, ours.visitor.token)
        if hole.coordinate == "Query.auditLog.entityId" and of not in {"Channel", "Invitation"}:
            continue
        node_type = of if hole.field == "node" else None
        own = [ours.ids[of]] if hole.is_list else ours.ids[of]
        nowhere = [unknown(of)] if hole.is_list else unknown(of)
        absent = await answer(client, operation(ours, hole, nowhere, node_type=node_type))
        told = await answer(client, operation(ours, hole, own, node_type=node_type))
        assert "errors" not in told
        assert "NOT_FOUND" not in json.dumps(told)
        assert told != absent


async def test_without_any_lock_the_walk_would_see_the_other_company(
    make: Factory, http: httpx.AsyncClient, superuser_ports: Ports, owner: asyncpg.Connection
) -> None:
    """That the walk can fail: the criterion off for somebody whom row-level security does not bind."""
    ours, theirs = await found(make, http), await found(make, http)
    secrets = await Secrets.of(owner, theirs, ours)
    transport = httpx.ASGITransport(app.build(superuser_ports))
    async with httpx.AsyncClient(transport=transport, base_url=superuser_ports.settings.public_url) as unlocked:
        client = Client(unlocked, ours.admin.token)
        with without_criterion():
            for type_name in sorted(set(NODES) - OF_SOMEBODY):
                hole = next(hole for hole in OF_REQUESTS if hole.field == "node")
                asked = operation(ours, hole, theirs.ids[type_name], node_type=type_name)
                assert secrets.in_(await answer(client, asked)) != [], type_name
