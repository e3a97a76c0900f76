"""What is taken, known or said in one organization is free, unknown and unsaid in every other (G1)."""

from typing import Any
from uuid import uuid4

import httpx

from tests.tenants.companies import Company, found, rows
from tests.tenants.conftest import Street

CREATE = """mutation ($input: %s!) { %s(input: $input) { %s { id } userErrors { code field message } } }"""
VISIT = """mutation ($input: StartVisitInput!) {
    startVisit(input: $input) { visit { visitorToken } userErrors { code field } } }"""


def texts(ours: Company, theirs: dict[str, list[dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Mutation, and what it makes, to an input with what stands in the other company's rows."""
    contact, queue = theirs["contacts"][0], theirs["queues"][0]
    names = {"departmentId": ours.ids["Department"], "name": queue["name"], "slug": queue["slug"]}
    key = theirs["idempotency_keys"][0]["key"]
    return {
        ("createDepartment", "department"): {"name": theirs["departments"][0]["name"]},
        ("createQueue", "queue"): names,
        ("createChannel", "channel"): {"kind": "WEB_CHAT", "name": theirs["channels"][0]["name"]},
        ("createContact", "contact"): {"name": contact["name"], "email": contact["email"]},
        ("inviteMember", "invitation"): {"email": theirs["members"][0]["email"], "role": "AGENT"},
        ("sendMessage", "message"): {
            "conversationId": ours.ids["Conversation"],
            "text": f"Oi {uuid4().hex}",
            "idempotencyKey": key,
        },
    }


async def test_g1_what_another_organization_has_is_not_taken_here(street: Street, http: httpx.AsyncClient) -> None:
    """Asked by a company of its own: it is full of the other one's texts afterwards."""
    ours, before = await found(street.make, http), await rows(street.owner, street.theirs)
    client = street.client(ours.admin.token)
    for (field, what), given in texts(ours, before).items():
        told = await client.ask(CREATE % (f"{field[0].upper()}{field[1:]}Input", field, what), input=given)
        assert told["userErrors"] == [], field
        assert told[what]["id"]
    assert await rows(street.owner, street.theirs) == before


async def test_g1_a_visitors_token_begins_no_visit_with_another_organization(street: Street) -> None:
    before = await rows(street.owner, street.theirs)
    given = {"channelId": street.theirs.ids["Channel"], "visitorToken": street.ours.visitor.token, "name": "Bia"}
    told = await street.client(None).ask(VISIT, input=given)
    assert told == {"visit": None, "userErrors": [{"code": "EXPIRED", "field": ["visitorToken"]}]}
    assert await rows(street.owner, street.theirs) == before
