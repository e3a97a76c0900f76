"""Channels, through the door: what they are told, and secrets that never come back (G14)."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from pytake_gql.desk.channels.models import Channel
from pytake_gql.desk.contacts import service as contacts
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.graphql.mutation import local_id
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.organizations.models import Organization
from tests.client import Client
from tests.factories import Factory

FIELDS = "id kind name status lastError queue { id } webhookUrl settings"
CREATE = f"""mutation ($input: CreateChannelInput!) {{ createChannel(input: $input) {{
    channel {{ {FIELDS} }} userErrors {{ code field message }} }} }}"""
UPDATE = f"""mutation ($input: UpdateChannelInput!) {{ updateChannel(input: $input) {{
    channel {{ {FIELDS} }} userErrors {{ code field message }} }} }}"""
DELETE = """mutation ($input: DeleteChannelInput!) { deleteChannel(input: $input) {
    channel { id } userErrors { code field } } }"""
READ = f"query ($id: ID!) {{ channel(id: $id) {{ {FIELDS} }} }}"
SECRET = "this-is-very-secret-indeed"


@dataclass(frozen=True)
class Desk:
    """An organization, as its admin works in it."""

    organization: Organization
    admin: Client
    make: Factory

    async def channel(self, name: str = "Site", **values: Any) -> str:
        made = await self.admin.ask(CREATE, input={"kind": "WEB_CHAT", "name": name, **values})
        assert made["userErrors"] == []
        id_: str = made["channel"]["id"]
        return id_

    async def update(self, id_: str, **values: Any) -> Any:
        changed = await self.admin.ask(UPDATE, input={"id": id_, **values})
        assert changed["userErrors"] == []
        return changed["channel"]

    async def read(self, id_: str) -> Any:
        return await self.admin.ask(READ, id=id_)

    async def row(self, id_: str) -> Channel:
        async with self.make.ports.database.session(self.organization.id) as session:
            return (await session.execute(select(Channel).where(Channel.id == local_id("Channel", id_)))).scalar_one()

    async def refused(self, document: str, **given: Any) -> list[tuple[str, list[str] | None]]:
        answer = await self.admin.ask(document, input=given)
        assert answer["channel"] is None
        return [(error["code"], error["field"]) for error in answer["userErrors"]]

    async def audited(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.make.ports.database.session(self.organization.id) as session:
            entries = await session.execute(select(AuditEntry).order_by(col(AuditEntry.id)))
            return [(entry.action, entry.changes) for entry in entries.scalars()]


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    organization = await make.organization()
    admin = Client(http, (await make.signed_in(await make.member(organization, Role.ORG_ADMIN))).token)
    return Desk(organization, admin, make)


async def test_a_web_chat_is_made_read_changed_and_deleted(desk: Desk) -> None:
    queue = global_id("Queue", (await desk.make.queue(desk.organization)).id)
    made = await desk.admin.ask(CREATE, input={"kind": "WEB_CHAT", "name": " Site "})
    id_ = made["channel"]["id"]
    expected = {
        "id": id_,
        "kind": "WEB_CHAT",
        "name": "Site",
        "status": "CONNECTED",
        "lastError": None,
        "queue": None,
        "webhookUrl": f"{desk.make.ports.settings.public_url}/graphql",
        "settings": {"color": "#2563EB", "allowedOrigins": []},
    }
    assert made == {"channel": expected, "userErrors": []}
    settings = {
        "title": "Fale conosco",
        "greeting": "Oi!\nComo ajudar?",
        "color": "#aabbcc",
        "locale": "pt-BR",
        "allowedOrigins": ["https://www.example.com", "http://localhost:3000"],
    }
    changed = await desk.update(id_, name="Loja", queueId=queue, settings=settings)
    assert changed == await desk.read(id_) == {**expected, "name": "Loja", "queue": {"id": queue}, "settings": settings}
    assert await desk.admin.ask("{ channels { id name } }") == [{"id": id_, "name": "Loja"}]
    assert (await desk.update(id_, queueId=None))["queue"] is None
    assert await desk.admin.ask(DELETE, input={"id": id_}) == {"channel": {"id": id_}, "userErrors": []}
    assert await desk.read(id_) is None
    assert [action for action, _ in await desk.audited()] == [
        "channel.created", "channel.updated", "channel.updated", "channel.deleted",
    ]  # fmt: skip


async def test_d32_the_schema_of_a_kind_names_its_settings_and_secrets(desk: Desk) -> None:
    schema = await desk.admin.ask("{ channelSchema(kind: WEB_CHAT) }")
    assert set(schema) == {"settings", "secrets"}
    assert list(schema["settings"]["properties"]) == ["title", "greeting", "color", "locale", "allowedOrigins"]
    assert schema["settings"]["properties"]["color"]["pattern"] == "^#[0-9A-Fa-f]{6}$"
    assert list(schema["secrets"]["properties"]) == ["identitySecret"]
    assert schema["secrets"]["writeOnly"] is True


WRONG_SETTINGS = [
    ({"color": "blue"}, "INVALID", ["color"]),
    ({"color": None}, "INVALID", ["color"]),
    ({"title": "x" * 121}, "TOO_LONG", ["title"]),
    ({"title": " "}, "INVALID", ["title"]),
    ({"greeting": 1}, "INVALID", ["greeting"]),
    ({"locale": "fr"}, "INVALID", ["locale"]),
    ({"allowedOrigins": "https://example.com"}, "INVALID", ["allowedOrigins"]),
    ({"allowedOrigins": ["https://example.com", "https://example.com/path"]}, "INVALID", ["allowedOrigins", "1"]),
    ({"allowedOrigins": ["http://example.com"]}, "INVALID", ["allowedOrigins", "0"]),
    ({"allowedOrigins": ["https://example.com"] * 51}, "TOO_MANY", ["allowedOrigins"]),
    ({"allowed_origins": []}, "INVALID", ["allowed_origins"]),
    ({"identitySecret": SECRET}, "INVALID", ["identitySecret"]),
    ([], "INVALID", []),
    ("text", "INVALID", []),
]


@pytest.mark.parametrize(("given", "code", "path"), WRONG_SETTINGS)
async def test_wrong_settings_are_refused_with_their_path(desk: Desk, given: Any, code: str, path: list[str]) -> None:
    id_ = await desk.channel(settings={"title": "Oi"})
    before = await desk.read(id_)
    assert await desk.refused(UPDATE, id=id_, name="Outro", settings=given) == [(code, ["settings", *path])]
    assert await desk.read(id_) == before


async def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made(desk: Desk) -> None:
    await desk.channel("Site")
    refused = await desk.refused(
        CREATE,
        kind="WEB_CHAT",
        name="Site",
        queueId=f"Queue_{'0' * 32}",
        settings={"color": "x", "nothing": 1},
        secrets={"identitySecret": "short", "other": "x"},
    )
    assert refused == [
        ("TAKEN", ["name"]),
        ("NOT_FOUND", ["queueId"]),
        ("INVALID", ["settings", "color"]),
        ("INVALID", ["settings", "nothing"]),
        ("INVALID", ["secrets", "identitySecret"]),
        ("INVALID", ["secrets", "other"]),
    ]
    assert len(await desk.admin.ask("{ channels { id } }")) == 1


@pytest.mark.parametrize("field", ["name", "settings"])
async def test_null_does_not_clear_what_a_channel_must_have(desk: Desk, field: str) -> None:
    id_ = await desk.channel()
    assert await desk.refused(UPDATE, id=id_, **{field: None}) == [("REQUIRED", [field])]
    assert (await desk.read(id_))["name"] == "Site"


async def test_at_most_500_channels(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytake_gql.desk.channels.service.MOST", 1)
    await desk.channel("A")
    assert await desk.refused(CREATE, kind="WEB_CHAT", name="B") == [("LIMIT_REACHED", None)]
    assert len(await desk.admin.ask("{ channels { id } }")) == 1


async def test_g14_secrets_never_come_back(desk: Desk) -> None:
    made = await desk.admin.ask(
        CREATE, input={"kind": "WEB_CHAT", "name": "Site", "secrets": {"identitySecret": SECRET}}
    )
    id_ = made["channel"]["id"]
    changed = await desk.update(id_, name="Loja")
    listed = await desk.admin.ask("{ channels { id settings lastError webhookUrl } }")
    refused = await desk.admin.post(UPDATE, input={"id": id_, "secrets": {"identitySecret": SECRET * 10, "x": SECRET}})
    assert [e["code"] for e in refused["data"]["updateChannel"]["userErrors"]] == ["TOO_LONG", "INVALID"]
    row = await desk.row(id_)
    told = json.dumps([made, changed, listed, refused, await desk.read(id_), await desk.audited(), row.settings])
    assert SECRET not in told
    assert row.sealed_secrets is not None
    assert SECRET.encode() not in row.sealed_secrets


async def test_g14_only_the_secrets_that_are_named_change(desk: Desk) -> None:
    id_ = await desk.channel(secrets={"identitySecret": SECRET})
    sealed = (await desk.row(id_)).sealed_secrets
    await desk.update(id_, name="Loja")
    await desk.update(id_, secrets={})
    assert (await desk.row(id_)).sealed_secrets == sealed
    await desk.update(id_, secrets={"identitySecret": None})
    assert (await desk.row(id_)).sealed_secrets is None
    await desk.update(id_, secrets={"identitySecret": SECRET})
    await desk.update(id_, secrets=None)
    assert (await desk.row(id_)).sealed_secrets is None
    named = [changes["secrets"] for _, changes in await desk.audited() if "secrets" in changes]
    assert named == [
        {"from": [], "to": ["identitySecret"]},
        {"from": ["identitySecret"], "to": []},
        {"from": [], "to": ["identitySecret"]},
        {"from": ["identitySecret"], "to": []},
    ]


async def test_deleting_a_channel_takes_its_identities_and_leaves_the_contacts(desk: Desk) -> None:
    id_ = await desk.channel()
    async with desk.make.ports.units.of_system(desk.organization.id) as uow:
        _, contact = await contacts.identify(uow, local_id("Channel", id_), "visitor-1", name="Bia")
    contact_id = global_id("Contact", contact.id)
    read = "query ($id: ID!) { contact(id: $id) { name identities { externalId displayName channel { id } } } }"
    assert await desk.admin.ask(read, id=contact_id) == {
        "name": "Bia",
        "identities": [{"externalId": "visitor-1", "displayName": "Bia", "channel": {"id": id_}}],
    }
    await desk.admin.ask(DELETE, input={"id": id_})
    assert await desk.admin.ask(read, id=contact_id) == {"name": "Bia", "identities": []}


async def test_g1_another_organizations_ids_lead_nowhere(desk: Desk, make: Factory) -> None:
    stranger = await make.organization()
    channel = global_id("Channel", (await make.channel(stranger)).id)
    queue = global_id("Queue", (await make.queue(stranger)).id)
    own = await desk.channel()
    before = await desk.read(own)
    for document, given, path in (
        (UPDATE, {"id": channel, "name": "Minha"}, ["id"]),
        (DELETE, {"id": channel}, ["id"]),
        (UPDATE, {"id": own, "queueId": queue}, ["queueId"]),
        (CREATE, {"kind": "WEB_CHAT", "name": "Outro", "queueId": queue}, ["queueId"]),
    ):
        assert await desk.refused(document, **given) == [("NOT_FOUND", path)]
    assert await desk.read(channel) is None
    assert await desk.admin.ask("{ channels { id } }") == [{"id": own}]
    assert await desk.read(own) == before


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
async def test_g2_only_admins_change_channels_and_all_read_them(
    desk: Desk, http: httpx.AsyncClient, role: Role
) -> None:
    id_ = await desk.channel()
    member = await desk.make.member(desk.organization, role)
    client = Client(http, (await desk.make.signed_in(member)).token)
    assert await client.code(CREATE, input={"kind": "WEB_CHAT", "name": "X"}) == "FORBIDDEN"
    assert await client.code(UPDATE, input={"id": id_, "name": "X"}) == "FORBIDDEN"
    assert await client.code(DELETE, input={"id": id_}) == "FORBIDDEN"
    assert await client.ask("{ channels { id name } }") == [{"id": id_, "name": "Site"}]


async def test_g2_nobody_reads_channels_without_a_token(anonymous: Client) -> None:
    assert await anonymous.code("{ channels { id } }") == "UNAUTHENTICATED"
