"""What no id is asked for: lists, counts, searches, orders and cursors show the own organization only (G1)."""

import re
from collections.abc import Iterator
from typing import Any

import graphql
import httpx
import pytest
from graphql import get_named_type

from tests.client import Client
from tests.tenants.companies import ids_in, rows
from tests.tenants.conftest import Street, answer
from tests.tenants.holes import answer_type, built, fields, holes, may, operation, plain

CALLERS = ["ORG_ADMIN", "AGENT", "VISITOR"]
# Of everybody's organizations, for super admins.
PLATFORM = {"organizations"}
LISTS = [name for name in fields("Query") if answer_type("Query", name).name.endswith("Connection")]
PAGED = [name for name in LISTS if name not in PLATFORM]


def readings(field: str) -> Iterator[dict[str, Any]]:
    """Each way to ask: once plainly, and in each order and kind that there is."""
    yield {}
    for name, argument in fields("Query")[field].args.items():
        kind = get_named_type(argument.type)
        if isinstance(kind, graphql.GraphQLEnumType):
            yield from ({name: value} for value in kind.values)


def is_plain(field: str) -> bool:
    """Whether it can be asked without naming anything."""
    required = [name for name, given in fields("Query")[field].args.items() if str(given.type).endswith("!")]
    return not [name for name in required if get_named_type(fields("Query")[field].args[name].type).name == "ID"]


def named_in(told: Any) -> set[str]:
    return set(re.findall(r"[A-Z][A-Za-z]+_([0-9a-f]{32})", str(told)))


@pytest.mark.parametrize("caller", CALLERS)
async def test_g1_every_reading_shows_the_own_organization_only(street: Street, caller: str) -> None:
    client, own = street.client(street.callers()[caller]), ids_in(await rows(street.owner, street.ours))
    asked = 0
    for field in fields("Query"):
        if not may(caller, "Query", field) or not is_plain(field):
            continue
        for chosen in readings(field):
            told = await answer(client, plain(street.ours, "Query", field, **chosen))
            if field != "channelSchema":  # of the kinds, some are not there yet
                assert "errors" not in told, field
            assert street.secrets.in_(told) == [], field
            assert named_in(told) <= own, field
            asked += 1
    assert asked >= (1 if caller == "VISITOR" else 10)


async def test_the_other_company_sees_all_that_is_secret(street: Street, http: httpx.AsyncClient) -> None:
    """Else there would be nothing to leak."""
    theirs = Client(http, street.theirs.admin.token)
    for field in [*PAGED, "me", "organization", "departments", "queues", "channels", "invitations", "activeSessions"]:
        told = await answer(theirs, plain(street.theirs, "Query", field))
        assert street.word in str(told), field


@pytest.mark.parametrize("field", PAGED)
async def test_g1_a_count_is_that_of_the_own_list(street: Street, field: str) -> None:
    client = street.client(street.ours.admin.token)
    told = await client.ask(f"{{ {field}(first: 100) {{ nodes {{ id }} totalCount }} }}")
    assert told["totalCount"] == len(told["nodes"]) > 0
    told = await client.ask(f"{{ {field}(first: 0) {{ totalCount }} }}")
    assert told["totalCount"] > 0


async def test_g1_a_search_for_another_organizations_text_finds_what_nonsense_finds(street: Street) -> None:
    """Each argument that is a text, also those that are no search: an entity's type, a token, a cursor."""
    client, nonsense = street.client(street.ours.admin.token), "qz" + "0" * (len(street.word) - 2)
    for hole in holes("String"):
        if hole.root != "Query" or not may("ORG_ADMIN", "Query", hole.field):
            continue
        for text in (street.word, street.word[2:8], street.theirs.organization.slug):
            found = await answer(client, operation(street.ours, hole, text))
            absent = await answer(client, operation(street.ours, hole, nonsense[: len(text)]))
            # What is wrong with a graph is told with the names that were given.
            assert str(found).replace(text, "…") == str(absent).replace(nonsense[: len(text)], "…"), str(hole)


@pytest.mark.parametrize("field", PAGED)
async def test_g1_a_cursor_of_another_organizations_list_leads_to_the_own_only(
    street: Street, http: httpx.AsyncClient, field: str
) -> None:
    theirs, ours = Client(http, street.theirs.admin.token), street.client(street.ours.admin.token)
    own = ids_in(await rows(street.owner, street.ours))
    cursors = [edge["cursor"] for edge in (await theirs.ask(f"{{ {field} {{ edges {{ cursor }} }} }}"))["edges"]]
    assert cursors
    for argument in ("after", "before"):
        if argument not in fields("Query")[field].args:
            continue
        for cursor in cursors:
            told = await answer(ours, built("Query", field, {argument: cursor}))
            assert "errors" not in told
            assert street.secrets.in_(told) == []
            assert named_in(told["data"][field]["nodes"]) <= own
