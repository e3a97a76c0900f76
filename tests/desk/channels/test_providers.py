"""Channels of WhatsApp and Instagram: what they are told (D32), their secrets (G14), and WhatsApp's templates."""

import dataclasses
import json
from typing import Any

import pytest
from sqlmodel import select

from pytake_gql.desk.channels import kinds, rotation, service, templates
from pytake_gql.desk.channels.models import Channel, ChannelKind, MessageTemplate, TemplateStatus
from pytake_gql.desk.channels.ports import ProviderTemplate
from pytake_gql.desk.conversations.models import Message
from pytake_gql.development.meta.recorder import Fault
from pytake_gql.insight.audit.models import AuditEntry
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.settings import Environment
from pytake_gql.kernel.unit_of_work import UnitOfWork
from tests.conftest import TravellingClock
from tests.desk.desk import Desk
from tests.meta import Wire

FIELDS = "id kind name status lastError webhookUrl settings templates { id }"
CREATE = f"""mutation ($input: CreateChannelInput!) {{ createChannel(input: $input) {{
    channel {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
UPDATE = f"""mutation ($input: UpdateChannelInput!) {{ updateChannel(input: $input) {{
    channel {{ {FIELDS} }} userErrors {{ code field }} }} }}"""
SYNC = """mutation ($input: SyncTemplatesInput!) { syncTemplates(input: $input) {
    channel { templates { id name language category status body variables } } userErrors { code field message } } }"""
SECRETS = {"accessToken": "EAAG-very-secret", "appSecret": "app-very-secret", "verifyToken": "verify-very-secret"}
WHATSAPP = {
    "phoneNumberId": "106540352242922",
    "businessAccountId": "102290129340398",
    "displayPhone": "+55 11 4004-1234",
}


async def test_d32_a_whatsapp_channel_is_made_and_its_secrets_never_come_back(desk: Desk) -> None:
    made = await desk.admin.ask(
        CREATE, input={"kind": "WHATSAPP", "name": "Zap", "settings": WHATSAPP, "secrets": SECRETS}
    )
    channel = made["channel"]
    assert channel == {
        "id": channel["id"],
        "kind": "WHATSAPP",
        "name": "Zap",
        "status": "CONNECTED",
        "lastError": None,
        "webhookUrl": f"{desk.make.ports.settings.public_url}/webhooks/{channel['id']}",
        "settings": WHATSAPP,
        "templates": [],
    }
    again = await desk.admin.ask(UPDATE, input={"id": channel["id"], "secrets": {"appSecret": "app-more-secret"}})
    async with desk.make.ports.database.session(desk.organization.id) as session:
        audited = [row.changes for row in (await session.execute(select(AuditEntry))).scalars()]
        row = (await session.execute(select(Channel).where(Channel.name == "Zap"))).scalar_one()
    told = json.dumps([made, again, audited], default=str)
    assert [word for word in ("very-secret", "more-secret") if word in told] == []
    assert row.sealed_secrets is not None
    assert b"secret" not in row.sealed_secrets


async def test_a_channel_is_disconnected_until_all_secrets_are_there(desk: Desk) -> None:
    given = {"kind": "INSTAGRAM", "name": "Insta", "settings": {"accountId": "17841405793187218"}}
    channel = (await desk.admin.ask(CREATE, input=given))["channel"]
    assert (channel["status"], channel["settings"]) == ("DISCONNECTED", {"accountId": "17841405793187218"})
    for name, value in SECRETS.items():
        assert channel["status"] == "DISCONNECTED"
        channel = (await desk.admin.ask(UPDATE, input={"id": channel["id"], "secrets": {name: value}}))["channel"]
    assert channel["status"] == "CONNECTED"
    changed = await desk.admin.ask(UPDATE, input={"id": channel["id"], "secrets": {"accessToken": None}})
    assert changed["channel"]["status"] == "DISCONNECTED"


async def test_d32_the_schema_names_settings_and_secrets(desk: Desk) -> None:
    for kind, settings in (
        ("WHATSAPP", ["phoneNumberId", "businessAccountId", "displayPhone", "apiUrl"]),
        ("INSTAGRAM", ["accountId", "apiUrl"]),
    ):
        schema = await desk.admin.ask("query ($k: ChannelKind!) { channelSchema(kind: $k) }", k=kind)
        assert list(schema["settings"]["properties"]) == settings
        assert schema["settings"]["required"] == settings[:1]
        assert list(schema["secrets"]["properties"]) == ["accessToken", "appSecret", "verifyToken"]
        assert schema["secrets"]["writeOnly"] is True


WRONG: list[tuple[dict[str, Any], list[tuple[str, list[str]]]]] = [
    ({}, [("REQUIRED", ["settings", "phoneNumberId"])]),
    ({"settings": {"phoneNumberId": "1/../2"}}, [("INVALID", ["settings", "phoneNumberId"])]),
    ({"settings": {"phoneNumberId": 1}}, [("INVALID", ["settings", "phoneNumberId"])]),
    ({"settings": {**WHATSAPP, "businessAccountId": "a b"}}, [("INVALID", ["settings", "businessAccountId"])]),
    ({"settings": {**WHATSAPP, "accessToken": "x"}}, [("INVALID", ["settings", "accessToken"])]),
    ({"settings": WHATSAPP, "secrets": {"appSecret": ""}}, [("INVALID", ["secrets", "appSecret"])]),
    ({"settings": WHATSAPP, "secrets": {"previousAppSecret": "x"}}, [("INVALID", ["secrets", "previousAppSecret"])]),
    *(
        ({"settings": {**WHATSAPP, "apiUrl": url}}, [("INVALID", ["settings", "apiUrl"])])
        for url in (
            "ftp://x",
            "graph.facebook.com",
            "https://",
            "https://a@b",
            "https://x?y",
            "http://x:99999",
            "http://[",
        )
    ),
]


async def test_wrong_settings_are_refused_with_their_path(desk: Desk) -> None:
    before = len(await desk.admin.ask("{ channels { id } }"))
    for given, errors in WRONG:
        refused = await desk.admin.ask(CREATE, input={"kind": "WHATSAPP", "name": "Zap", **given})
        assert refused["channel"] is None
        assert [(e["code"], e["field"]) for e in refused["userErrors"]] == errors, given
    assert len(await desk.admin.ask("{ channels { id } }")) == before


async def test_one_number_has_one_channel_in_an_organization(desk: Desk) -> None:
    given = {"kind": "WHATSAPP", "settings": WHATSAPP}
    first = (await desk.admin.ask(CREATE, input={**given, "name": "A"}))["channel"]["id"]
    taken = [{"code": "TAKEN", "field": ["settings", "phoneNumberId"]}]
    assert (await desk.admin.ask(CREATE, input={**given, "name": "B"}))["userErrors"] == taken
    assert (await desk.admin.ask(UPDATE, input={"id": first, "settings": WHATSAPP}))["userErrors"] == []
    other = {**WHATSAPP, "phoneNumberId": "2"}
    second = (await desk.admin.ask(CREATE, input={**given, "name": "B", "settings": other}))["channel"]["id"]
    assert (await desk.admin.ask(UPDATE, input={"id": second, "settings": WHATSAPP}))["userErrors"] == taken


async def test_d32_in_production_only_metas_own_address_is_taken(desk: Desk) -> None:
    settings = dataclasses.replace(desk.make.ports.settings, environment=Environment.PRODUCTION)
    async with desk.make.ports.units.of_system(desk.organization.id) as opened:
        uow = UnitOfWork(opened.session, opened.principal, opened.now(), opened._listeners, settings)
        for url in ("http://127.0.0.1:9000", "https://graph.facebook.com.evil.example", "http://graph.facebook.com",
                    "https://graph.instagram.com", "https://graph.facebook.com:8443"):  # fmt: skip
            given = {"name": "Zap", "settings": {**WHATSAPP, "apiUrl": url}}
            with pytest.raises(Refusal) as refused:
                await service.create(uow, ChannelKind.WHATSAPP, given)
            assert refused.value.problems[0].field == ("settings", "api_url")
        given = {"name": "Zap", "settings": {**WHATSAPP, "apiUrl": "https://graph.facebook.com/v24.0/"}}
        made = await service.create(uow, ChannelKind.WHATSAPP, given)
        assert made.settings["apiUrl"] == "https://graph.facebook.com/v24.0"


def test_g21_the_secret_before_is_valid_for_a_day(travelling_clock: TravellingClock) -> None:
    now = travelling_clock.now()
    first = rotation.kept({}, {"appSecret": "a", "accessToken": "t"}, now)
    assert (first, rotation.valid(first, now)) == ({"appSecret": "a", "accessToken": "t"}, ["a"])
    second = rotation.kept(first, {"appSecret": "b"}, now)
    assert (rotation.named(second), rotation.valid(second, now)) == ({"appSecret": "b"}, ["b", "a"])
    same = rotation.kept(second, {"appSecret": "b", "accessToken": "u"}, now + rotation.LIFETIME / 2)
    assert rotation.valid(same, now + rotation.LIFETIME / 2) == ["b", "a"]
    assert rotation.valid(same, now + rotation.LIFETIME) == ["b"]
    assert rotation.valid(rotation.kept(same, {"appSecret": "c"}, now), now) == ["c", "b"]
    assert rotation.kept(same, {"accessToken": "u"}, now) == {"accessToken": "u"}
    assert rotation.valid({}, now) == []


# -------------------------------------------------------------------------------------------- templates


def template(name: str, text: str, **changed: Any) -> dict[str, Any]:
    components = [{"type": "BODY", "text": text}]
    known = {"name": name, "language": "pt_BR", "category": "UTILITY", "status": "APPROVED", "components": components}
    return {**known, **changed}


async def sync(wire: Wire) -> list[dict[str, Any]]:
    answer = await wire.desk.admin.ask(SYNC, input={"channelId": f"Channel_{wire.channel.id.hex}"})
    assert answer["userErrors"] == []
    found: list[dict[str, Any]] = answer["channel"]["templates"]
    return found


async def test_templates_are_synced_and_keep_their_ids(wire: Wire) -> None:
    wire.line.templates[:] = [
        template("pedido", "Olá {{1}}, seu pedido {{2}} saiu."),
        template("aviso", "Voltamos!", status="PAUSED", category="MARKETING"),
        template("aviso", "We are back!", language="en", status="PENDING"),
        template("foto", "Oi", components=[{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Oi"}]),
    ]
    found = await sync(wire)
    assert [{**one, "id": ""} for one in found] == [
        {"id": "", "name": "aviso", "language": "en", "category": "UTILITY", "status": "PENDING",
         "body": "We are back!", "variables": []},
        {"id": "", "name": "aviso", "language": "pt_BR", "category": "MARKETING", "status": "PAUSED",
         "body": "Voltamos!", "variables": []},
        {"id": "", "name": "pedido", "language": "pt_BR", "category": "UTILITY", "status": "APPROVED",
         "body": "Olá {{1}}, seu pedido {{2}} saiu.", "variables": ["1", "2"]},
    ]  # fmt: skip
    wire.line.templates[:] = [template("pedido", "Oi {{nome}}", parameter_format="NAMED", status="REJECTED")]
    [kept] = await sync(wire)
    assert (kept["id"], kept["body"], kept["variables"], kept["status"]) == (
        found[2]["id"], "Oi {{nome}}", ["nome"], "REJECTED",
    )  # fmt: skip
    by_node = "query ($id: ID!) { node(id: $id) { id ... on MessageTemplate { name } } }"
    assert await wire.desk.agent.ask(by_node, id=kept["id"]) == {"id": kept["id"], "name": "pedido"}
    assert await wire.desk.agent.ask(by_node, id=found[0]["id"]) is None


async def test_what_the_provider_refuses_is_told_and_changes_nothing(wire: Wire) -> None:
    wire.line.templates[:] = [template("pedido", "Oi")]
    before = await sync(wire)
    wire.recorder.faults.append(Fault(status=400, code=80008))
    answer = await wire.desk.admin.ask(SYNC, input={"channelId": f"Channel_{wire.channel.id.hex}"})
    assert answer["channel"] is None
    told = "The provider refused: A fault that was ordered. (80008)"
    assert answer["userErrors"] == [{"code": "PROVIDER_FAILED", "field": ["channelId"], "message": told}]
    wire.recorder.faults.append(Fault(status=504))
    answer = await wire.desk.admin.ask(SYNC, input={"channelId": f"Channel_{wire.channel.id.hex}"})
    assert answer["userErrors"][0]["message"] == "The provider refused: HTTP 504"
    assert [row.name for row in await wire.rows(MessageTemplate)] == [before[0]["name"]]


async def test_only_whatsapp_has_templates(wire: Wire, gram: Wire) -> None:
    for channel_id, code in (
        (wire.desk.channel.id.hex, "INVALID"), (gram.channel.id.hex, "INVALID"), ("0" * 32, "NOT_FOUND"),
    ):  # fmt: skip
        answer = await wire.desk.admin.ask(SYNC, input={"channelId": f"Channel_{channel_id}"})
        assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [(code, ["channelId"])]
    settings = {k: v for k, v in wire.channel.settings.items() if k != "businessAccountId"}
    id_ = f"Channel_{wire.channel.id.hex}"
    assert (await wire.desk.admin.ask(UPDATE, input={"id": id_, "settings": settings}))["userErrors"] == []
    answer = await wire.desk.admin.ask(SYNC, input={"channelId": id_})
    assert [(e["code"], e["field"]) for e in answer["userErrors"]] == [("WRONG_STATE", ["channelId"])]
    assert await wire.desk.agent.code(SYNC, input={"channelId": id_}) == "FORBIDDEN"


async def test_of_very_many_templates_those_stay_that_can_be_sent(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST", 2)
    names = [("a", TemplateStatus.PENDING), ("b", TemplateStatus.APPROVED), ("c", TemplateStatus.APPROVED)]
    found = [ProviderTemplate(name, "en", "UTILITY", status, "Hi", ()) for name, status in names]
    async with wire.ports.units.of_system(wire.desk.organization.id) as uow:
        await templates.replace(uow, wire.channel.id, [*found, found[1]])
    assert [row.name for row in await wire.rows(MessageTemplate)] == ["b", "c"]


async def test_d28_a_template_passes_when_the_window_is_closed(wire: Wire) -> None:
    wire.line.templates[:] = [template("pedido", "Olá {{1}}, seu pedido {{2}} saiu. Tchau, {{1}}!")]
    [synced] = await sync(wire)
    await wire.says("Oi", at=1_700_000_000)
    assert (await wire.answer("Oi"))["userErrors"][0]["code"] == "CHANNEL_WINDOW_CLOSED"
    ours = await wire.answered(None, template={"templateId": synced["id"], "variables": ["Bia {{2}}", "42"]})
    row = await wire.message(ours)
    assert row.text == "Olá Bia {{2}}, seu pedido 42 saiu. Tchau, Bia {{2}}!"
    assert await wire.deliver_message(ours)
    assert wire.line.sent[0]["template"] == {
        "name": "pedido",
        "language": {"code": "pt_BR"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Bia {{2}}"}, {"type": "text", "text": "42"}]}
        ],
    }


async def test_a_template_that_does_not_fit_is_refused_with_its_path(wire: Wire) -> None:
    wire.line.templates[:] = [template("a", "{{1}} e {{2}}"), template("b", "Oi", status="PAUSED")]
    ready, paused = [one["id"] for one in await sync(wire)]
    await wire.says("Oi")
    given: list[tuple[Any, str | None, list[tuple[str, list[str]]]]] = [
        ({"templateId": ready}, None, [("INVALID", ["template", "variables"])]),
        ({"templateId": ready, "variables": ["1", "2", "3"]}, None, [("INVALID", ["template", "variables"])]),
        ({"templateId": ready, "variables": [" ", "a\nb"]}, None,
         [("REQUIRED", ["template", "variables", "0"]), ("INVALID", ["template", "variables", "1"])]),
        ({"templateId": ready, "variables": ["x" * 1025, "a\tb"]}, None,
         [("TOO_LONG", ["template", "variables", "0"]), ("INVALID", ["template", "variables", "1"])]),
        ({"templateId": paused}, None, [("WRONG_STATE", ["template", "templateId"])]),
        ({"templateId": "MessageTemplate_" + "0" * 32}, None, [("NOT_FOUND", ["template", "templateId"])]),
        ({"templateId": "nonsense"}, None, [("NOT_FOUND", ["template", "templateId"])]),
        ({"templateId": ready, "variables": ["1", "2"]}, "Oi", [("INVALID", ["template"])]),
    ]  # fmt: skip
    before = await wire.counts()
    for chosen, words, errors in given:
        refused = await wire.answer(words, template=chosen)
        assert [(e["code"], e["field"]) for e in refused["userErrors"]] == errors, chosen
    fits = {"templateId": ready, "variables": ["1", "2"]}
    assert (await wire.answer(None, template=fits, isNote=True))["userErrors"][0]["field"] == ["template"]
    assert await wire.counts() == before
    chat = await wire.desk.make.conversation(wire.desk.channel)
    refused = await wire.answer(None, where=chat.id, template=fits)
    assert [(e["code"], e["field"]) for e in refused["userErrors"]] == [("INVALID", ["template", "templateId"])]


async def test_g5_a_template_is_part_of_what_a_key_stands_for(wire: Wire) -> None:
    wire.line.templates[:] = [template("a", "{{1}}")]
    [ready] = await sync(wire)
    await wire.says("Oi")
    first = await wire.answer(None, template={"templateId": ready["id"], "variables": ["1"]}, idempotencyKey="k")
    again = await wire.answer(None, template={"templateId": ready["id"], "variables": ["1"]}, idempotencyKey="k")
    other = await wire.answer(None, template={"templateId": ready["id"], "variables": ["2"]}, idempotencyKey="k")
    assert first["message"]["id"] == again["message"]["id"]
    assert [e["code"] for e in other["userErrors"]] == ["CONFLICT"]
    assert len([row for row in await wire.rows(Message) if row.template]) == 1


def test_every_kind_is_known() -> None:
    assert set(kinds.KINDS) == set(ChannelKind)
