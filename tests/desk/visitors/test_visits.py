"""Beginning a visit and going on with it: whose visitor this is, and what is stored of them."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.contacts.models import Contact, ContactIdentity
from pytake_gql.kernel.ids import global_id, parse_global_id, uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.organizations.models import Frontend, FrontendEnvironment
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.desk import Desk, open_desk
from tests.desk.visitors.conftest import Browser
from tests.factories import Factory

START = """mutation ($input: StartVisitInput!) { startVisit(input: $input) {
    visit { visitorToken expiresAt settings chat { status } } userErrors { code field } } }"""
WRITE = """mutation ($input: SendVisitorMessageInput!) { sendVisitorMessage(input: $input) {
    message { text } chat { id } userErrors { code field } } }"""
CHAT = "{ visitorChat { id } }"
CREATE = """mutation ($input: CreateChannelInput!) { createChannel(input: $input) {
    channel { id } userErrors { code field } } }"""
DETAILS: tuple[Any, ...] = (Contact.name, Contact.phone, Contact.email, Contact.attributes)
SECRET = "a-secret-of-the-site"


@pytest.fixture
def door(browser: Browser) -> Client:
    return browser()


def channel_id(desk: Desk) -> str:
    return global_id("Channel", desk.channel.id)


async def start(client: Client, channel: str, **input_: Any) -> Any:
    """The visit; or the refusals, when there is none."""
    answer = await client.ask(START, input={"channelId": channel, **input_})
    assert (answer["visit"] is None) == bool(answer["userErrors"])
    return answer["visit"] or [(error["code"], error["field"]) for error in answer["userErrors"]]


async def known(ports: Ports, organization_id: UUID) -> list[tuple[Any, ...]]:
    """Who the organization knows, as (external id, name, phone, e-mail, attributes)."""
    statement = (
        sa.select(col(ContactIdentity.external_id), *(col(column) for column in DETAILS))
        .join(Contact, col(Contact.id) == ContactIdentity.contact_id)
        .order_by(col(ContactIdentity.id))
    )
    async with ports.database.session(organization_id) as session:
        return [tuple(row) for row in await session.execute(statement)]


async def contacts(ports: Ports, organization_id: UUID) -> int:
    async with ports.database.session(organization_id) as session:
        return len((await session.execute(select(Contact.id))).all())


def proof(user_id: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()


async def site_with_secret(desk: Desk) -> str:
    """A channel whose site proves who its users are."""
    secrets = {"identitySecret": SECRET}
    made = await desk.admin.ask(CREATE, input={"kind": "WEB_CHAT", "name": "Site com login", "secrets": secrets})
    assert made["userErrors"] == []
    id_: str = made["channel"]["id"]
    return id_


async def test_a_fresh_visit_stores_nothing_of_a_visitor_who_says_nothing(
    desk: Desk, door: Client, ports: Ports
) -> None:
    settings = {"title": "Loja", "color": "#112233", "allowedOrigins": ["https://loja.example.com"]}
    channel = await desk.make.channel(desk.organization, settings=settings)
    before = datetime.now(UTC)
    visit = await start(door, global_id("Channel", channel.id), name="  ", email=" ", attributes={})
    assert visit["settings"] == {"title": "Loja", "color": "#112233"}
    assert visit["chat"] is None
    expires_at = datetime.fromisoformat(visit["expiresAt"])
    assert timedelta(days=30) - timedelta(seconds=5) < expires_at - before < timedelta(days=30, seconds=5)
    assert await Client(door.http, visit["visitorToken"]).ask(CHAT) is None
    assert await contacts(ports, desk.organization.id) == 0


async def test_what_the_page_knows_of_its_visitor_becomes_a_contact(desk: Desk, door: Client, ports: Ports) -> None:
    visit = await start(
        door,
        channel_id(desk),
        name=" Bia ",
        email="Bia@Example.com",
        phone="(11) 98765-4321",
        attributes={"plano": "ouro", "pedidos": 3, "vip": True},
    )
    ((external_id, *details),) = await known(ports, desk.organization.id)
    assert external_id.startswith("visitor:")
    assert details == ["Bia", "+5511987654321", "bia@example.com", {"plano": "ouro", "pedidos": 3, "vip": True}]
    again = await start(door, channel_id(desk), visitorToken=visit["visitorToken"], attributes={"vip": False})
    assert "visitorToken" in again
    ((same, *details),) = await known(ports, desk.organization.id)
    assert (same, details[3]) == (external_id, {"plano": "ouro", "pedidos": 3, "vip": False})


async def test_a_visit_goes_on_with_its_token(desk: Desk, door: Client, clock: TravellingClock) -> None:
    first = await start(door, channel_id(desk))
    written = await Client(door.http, first["visitorToken"]).ask(WRITE, input={"text": "Oi"})
    clock.advance(days=29)
    second = await start(door, channel_id(desk), visitorToken=first["visitorToken"])
    assert second["chat"] == {"status": "QUEUED"}
    assert second["expiresAt"] > first["expiresAt"]
    clock.advance(days=2)  # the first token has expired, the second one has not
    assert await Client(door.http, second["visitorToken"]).ask(CHAT) == written["chat"]
    assert await Client(door.http, first["visitorToken"]).code(CHAT) == "UNAUTHENTICATED"


async def test_two_visits_are_two_visitors(desk: Desk, door: Client) -> None:
    first, second = await start(door, channel_id(desk)), await start(door, channel_id(desk))
    await Client(door.http, first["visitorToken"]).ask(WRITE, input={"text": "Oi"})
    assert await Client(door.http, second["visitorToken"]).ask(CHAT) is None


async def test_what_cannot_go_on_is_expired(desk: Desk, door: Client, ports: Ports, clock: TravellingClock) -> None:
    elsewhere = await desk.make.channel(desk.organization)
    visit = await start(door, global_id("Channel", elsewhere.id))
    own = await start(door, channel_id(desk))
    expired = [("EXPIRED", ["visitorToken"])]
    tokens = {
        "another channel's": visit["visitorToken"],
        "a member's": desk.agent.token,
        "forged": f"{own['visitorToken'][:-4]}AAAA",
        "no token": "x",
        "empty": "",
    }
    for name, token in tokens.items():
        answer = await start(door, channel_id(desk), visitorToken=token, name="Bia")
        assert answer == expired, name
    clock.advance(days=30, seconds=1)
    assert await start(door, channel_id(desk), visitorToken=own["visitorToken"]) == expired
    assert await contacts(ports, desk.organization.id) == 0


async def test_a_site_proves_who_its_user_is(desk: Desk, door: Client, ports: Ports) -> None:
    site = await site_with_secret(desk)
    visit = await start(door, site, userId="42", userIdProof=proof("42"), name="Bia")
    assert [row[:2] for row in await known(ports, desk.organization.id)] == [("42", "Bia")]
    written = await Client(door.http, visit["visitorToken"]).ask(WRITE, input={"text": "Oi"})
    elsewhere = await start(door, site, userId="42", userIdProof=proof("42").upper())
    assert await Client(door.http, elsewhere["visitorToken"]).ask(CHAT) == written["chat"]
    assert len(await known(ports, desk.organization.id)) == 1


async def test_without_the_sites_proof_nobody_is_its_user(desk: Desk, door: Client, ports: Ports) -> None:
    site = await site_with_secret(desk)
    refused = [("INVALID_CREDENTIALS", ["userIdProof"])]
    for wrong in (None, "", proof("43"), proof("42", "another secret, of somebody"), "é", proof("42")[:-1]):
        assert await start(door, site, userId="42", userIdProof=wrong, name="Eva") == refused, wrong
    forged = "visitor:00000000000000000000000000000000"
    assert await start(door, site, userId=forged, userIdProof=proof(forged)) == refused
    assert await start(door, channel_id(desk), userId="42", userIdProof=proof("42", "")) == refused  # has no secret
    assert await start(door, site, userId=" ", userIdProof=proof(" ")) == [("REQUIRED", ["userId"])]
    assert await contacts(ports, desk.organization.id) == 0


async def test_g1_whatever_is_no_web_chat_is_not_there(desk: Desk, door: Client, make: Factory) -> None:
    whatsapp = await make.channel(desk.organization, kind=ChannelKind.WHATSAPP)
    gone = await open_desk(make, desk.http)
    async with make.ports.units.of_system(gone.organization.id) as uow:
        organization = await uow.session.get(type(gone.organization), gone.organization.id)
        assert organization is not None
        organization.is_active = False
    for id_ in (
        global_id("Channel", whatsapp.id),
        global_id("Channel", gone.channel.id),
        global_id("Channel", uuid7()),
        global_id("Queue", desk.channel.id),
        desk.channel.id.hex,
        "",
        "Channel_",
        "*",
    ):
        assert await start(door, id_) == [("NOT_FOUND", ["channelId"])], id_


async def test_a_chat_may_name_the_sites_that_carry_it(desk: Desk, browser: Browser) -> None:
    shop, blog = "https://loja.example.com", "https://blog.example.com"
    fronts = [Frontend(environment=FrontendEnvironment.PRODUCTION, origin=origin) for origin in (shop, blog)]
    await desk.make.save(desk.organization.id, *fronts)
    channel = await desk.make.channel(desk.organization, settings={"allowedOrigins": [shop]})
    id_ = global_id("Channel", channel.id)
    assert await start(browser(blog), id_) == [("FORBIDDEN", ["channelId"])]
    assert "visitorToken" in await start(browser(shop), id_)
    assert "visitorToken" in await start(browser(), id_)  # no browser
    assert "visitorToken" in await start(browser(blog), channel_id(desk))  # that one names none


@pytest.mark.parametrize(
    ("input_", "refused"),
    [
        ({"attributes": {"a": {"b": 1}}}, [("INVALID", ["attributes", "a"])]),
        ({"attributes": {"a": [1], "b": None}}, [("INVALID", ["attributes", "a"]), ("INVALID", ["attributes", "b"])]),
        ({"attributes": "plano"}, [("INVALID", ["attributes"])]),
        ({"attributes": {"a": "\0"}}, [("INVALID", ["attributes", "a"])]),
        ({"attributes": {str(n): n for n in range(101)}}, [("TOO_MANY", ["attributes"])]),
        ({"name": "x" * 121}, [("TOO_LONG", ["name"])]),
        ({"name": "B\0ia"}, [("INVALID", ["name"])]),
        ({"email": "bia"}, [("INVALID", ["email"])]),
        ({"phone": "abc"}, [("INVALID", ["phone"])]),
        ({"email": "bia", "phone": "abc"}, [("INVALID", ["phone"]), ("INVALID", ["email"])]),
    ],
    ids=str,
)
async def test_what_is_told_of_a_visitor_is_checked(
    desk: Desk, door: Client, ports: Ports, input_: dict[str, Any], refused: Any
) -> None:
    assert await start(door, channel_id(desk), **input_) == refused
    assert await contacts(ports, desk.organization.id) == 0


async def test_g16_visits_are_counted_by_address(desk: Desk, door: Client, ports: Ports) -> None:
    for _ in range(20):
        assert "visitorToken" in await start(door, channel_id(desk), name="Bia")
    answer = await door.post(START, input={"channelId": channel_id(desk), "name": "Bia"})
    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < error["extensions"]["retryAfterSeconds"] <= 5
    assert await contacts(ports, desk.organization.id) == 20


async def test_the_token_names_no_more_than_channel_and_visitor(desk: Desk, door: Client, ports: Ports) -> None:
    visit = await start(door, channel_id(desk), name="Bia", email="bia@example.com")
    principal = await ports.authority.identify(visit["visitorToken"])
    parsed = parse_global_id(channel_id(desk))
    assert parsed is not None
    ((external_id, *_),) = await known(ports, desk.organization.id)
    assert (principal.organization_id, principal.channel_id, principal.external_id) == (  # type: ignore[union-attr]
        desk.organization.id,
        parsed[1],
        external_id,
    )
