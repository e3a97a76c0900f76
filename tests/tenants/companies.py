"""Whole organizations: a row in every tenant table, an id of every type, and a mark in every text of the other one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import sqlalchemy as sa
from sqlmodel import SQLModel, select
from sqlmodel.sql.sqltypes import AutoString

from pytake_gql.automation.flow_runs.models import FlowEffect, FlowEffectKind, FlowRun, FlowRunStep
from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.automation.flows.models import FlowVersion
from pytake_gql.automation.flows.run import RunState
from pytake_gql.desk.attributes.models import ContactAttribute, ContactAttributeKind
from pytake_gql.desk.channels.models import Channel, MessageTemplate, TemplateStatus
from pytake_gql.desk.contacts.models import ContactRedirect, ContactTag
from pytake_gql.desk.conversations.models import ConversationTag
from pytake_gql.desk.deliveries.models import DueMedium
from pytake_gql.desk.queues.models import Queue, QueueSkill, RoutingStrategy
from pytake_gql.desk.receipts.models import DueReceipt
from pytake_gql.desk.routing.models import RoutingDecision
from pytake_gql.desk.tags.models import Tag
from pytake_gql.insight.notifications.models import Notification, NotificationKind
from pytake_gql.kernel.ids import global_id, id_of
from pytake_gql.kernel.principal import Role
from pytake_gql.tenancy.auth import passwords
from pytake_gql.tenancy.members.models import Account, Availability
from pytake_gql.tenancy.organizations.models import Frontend, FrontendEnvironment, Organization
from tests.client import Client
from tests.factories import Factory, SignedIn, Visitor
from tests.tenants import executions

PASSWORD = "uma senha bem longa"
GLOBAL_TABLES = {
    "accounts",
    "discarded_files",
    "mails",
    "organizations",
    "password_resets",
    "refresh_tokens",
    "sessions",
}
TENANT_TABLES = sorted(set(SQLModel.metadata.tables) - GLOBAL_TABLES)

_PEOPLE = "(SELECT account_id FROM members WHERE organization_id = $1)"
# What belongs to the company $1, and to its people, by table.
_SCOPES = dict.fromkeys(TENANT_TABLES, "organization_id = $1") | {
    "organizations": "id = $1",
    "accounts": f"id IN {_PEOPLE}",
    "sessions": f"account_id IN {_PEOPLE}",
}

# Texts with a grammar of their own, which a mark would break; most are too short to tell anything.
_UNMARKED = {
    "timezone",
    "locale",
    "holiday_region",
    "color",
    "entity_type",
    "external_id",
    "opening_hours",
    "data",
    "mime_type",
    "phone_key",
}
_DISTINCT = 12
"""Characters from which on a text is nobody else's by chance."""

_CHANNEL = """mutation ($input: CreateChannelInput!) {
    createChannel(input: $input) { channel { id } userErrors { code field message } } }"""
_INVITE = """mutation ($input: InviteMemberInput!) {
    inviteMember(input: $input) { invitation { id } userErrors { code field message } } }"""
_PULL = "mutation { pullNextConversation(input: {}) { conversation { id } emptyReason } }"
_SEND = """mutation ($input: SendMessageInput!) {
    sendMessage(input: $input) { message { id } userErrors { code field message } } }"""
_CLOSE = "mutation ($id: ID!) { closeConversation(input: {id: $id}) { userErrors { code field message } } }"
_PREPARE = """mutation { prepareUpload(input: {
    fileName: "Nota fiscal 1234.pdf", mimeType: "application/pdf", sizeBytes: 9}) {
    attachmentId uploadUrl headers { name value } } }"""
_CANNED = """mutation ($input: SaveCannedResponseInput!) {
    saveCannedResponse(input: $input) { cannedResponse { id } userErrors { code field message } } }"""
_FLOW = """mutation ($input: CreateFlowInput!) {
    createFlow(input: $input) { flow { id } userErrors { code field message } } }"""
_PUBLISH = """mutation ($input: PublishFlowInput!) {
    publishFlow(input: $input) { flow { id } userErrors { code field message } } }"""
_RATE = 'mutation { rateVisit(input: {rating: 5, comment: "Muito bom"}) { userErrors { code field message } } }'
_LOG = '{ auditLog(entityType: "Channel", first: 1) { nodes { id } } }'

_hashes: list[str] = []


@dataclass(frozen=True)
class Company:
    organization: Organization
    admin: SignedIn
    agent: SignedIn
    super_admin: SignedIn
    visitor: Visitor
    queue: Queue
    channel_id: UUID
    ids: dict[str, str]
    """One of each type that `node` may answer: its global id."""
    conversation_ids: Sequence[str]
    email: str

    @property
    def id(self) -> UUID:
        return self.organization.id


async def found(make: Factory, http: httpx.AsyncClient) -> Company:
    """A company at work: somebody waits, somebody is answered, somebody was; set up through the public doors."""
    organization = await make.organization()
    frontend = Frontend(environment=FrontendEnvironment.PRODUCTION, origin=f"https://{uuid4().hex}.example.com")
    await make.save(organization.id, frontend)
    account = await _account(make)
    admin = await make.signed_in(await make.member(organization, Role.ORG_ADMIN, account=account))
    agent = await make.signed_in(await make.member(organization, Role.AGENT, availability=Availability.ONLINE))
    super_admin = await make.signed_in(await make.member(organization, Role.SUPER_ADMIN))
    overflow = await make.queue(organization, agent.member)
    targets = {"first_response_minutes": 60, "next_response_minutes": 30, "resolution_minutes": 480}
    queue = await make.queue(organization, agent.member, admin.member, overflow_queue_id=overflow.id, **targets)
    skill = await make.skill(organization)
    await make.masters(agent.member, skill)
    await make.save(organization.id, QueueSkill(queue_id=queue.id, skill_id=skill.id, min_level=1, is_mandatory=False))
    boss = Client(http, admin.token)
    channel_id = await _made(boss, _CHANNEL, "channel", kind="WEB_CHAT", name=f"Site {uuid4().hex[:8]}",
                             queueId=global_id("Queue", queue.id), secrets={"identitySecret": "s" * 40})  # fmt: skip
    invitation = await _made(boss, _INVITE, "invitation", email=f"{uuid4().hex}@example.com", role="AGENT",
                             queueIds=[global_id("Queue", queue.id)])  # fmt: skip
    channel = await _channel(make, organization, channel_id)
    active, closed, waiting, message, visitor = await _talk(make, http, channel, agent)
    canned = await _made(boss, _CANNED, "cannedResponse", shortcut=uuid4().hex[:8], text=f"Bom dia {uuid4().hex}")
    flow = await _flow(boss, queue.id)
    template = _template(channel)
    await make.save(organization.id, template)
    await make.save(organization.id, _medium(make, id_of(active), id_of(message), channel.id))
    await make.save(organization.id, _receipt(make, id_of(active), id_of(message), channel.id))
    entry = (await boss.ask(_LOG))["nodes"][0]["id"]
    conversation, contact = id_of(active), await _contact(boss, active)
    await make.save(organization.id, _decision(make, conversation, agent.member.id))
    tag, attribute = await _described(make, organization, id_of(contact), conversation)
    run = await _run(make, organization, id_of(flow), conversation)
    fired = await executions.fired(make, organization.id, run, channel.id, id_of(contact), admin.member.id)
    notification = _notification(make, admin.member.id, conversation, channel.id)
    notification.flow_automation_id = id_of(fired["FlowAutomation"])
    await make.save(organization.id, notification)
    return Company(
        organization=organization,
        admin=admin,
        agent=agent,
        super_admin=super_admin,
        visitor=visitor,
        queue=queue,
        channel_id=channel.id,
        ids={
            "Organization": global_id("Organization", organization.id),
            "Member": global_id("Member", agent.member.id),
            "Invitation": invitation,
            "Department": global_id("Department", queue.department_id),
            "Queue": global_id("Queue", queue.id),
            "Skill": global_id("Skill", skill.id),
            "Channel": channel_id,
            "Contact": contact,
            "ContactAttribute": global_id("ContactAttribute", attribute.id),
            "Tag": global_id("Tag", tag.id),
            "MessageTemplate": global_id("MessageTemplate", template.id),
            "Conversation": active,
            "Message": message,
            "Attachment": await _enclosed(boss, message),
            "CannedResponse": canned,
            "Flow": flow,
            "FlowRun": global_id("FlowRun", run),
            **fired,
            "Notification": global_id("Notification", notification.id),
            "ActiveSession": global_id("ActiveSession", admin.session.id),
            "AuditEntry": entry,
            "VisitorChat": global_id("VisitorChat", conversation),
            "VisitorMessage": message.replace("Message_", "VisitorMessage_"),
        },
        conversation_ids=(active, closed, waiting),
        email=account.email,
    )


async def _flow(boss: Client, queue_id: UUID) -> str:
    """A published one that asks a queue's hours, and says something of its own in the transcript of a simulation."""
    nodes = [
        {"nodeId": "start", "kind": "START"},
        {"nodeId": "hours", "kind": "OPENING_HOURS", "settings": {"queueId": global_id("Queue", queue_id)}},
        {"nodeId": "hello", "kind": "MESSAGE", "label": uuid4().hex, "settings": {"text": f"Bom dia {uuid4().hex}"}},
    ]
    ways = [("start", "next", "hours"), ("hours", "open", "hello"), ("hours", "closed", "hello")]
    edges = [{"source": source, "handle": handle, "target": target} for source, handle, target in ways]
    graph = {"nodes": nodes, "edges": edges}
    id_ = await _made(boss, _FLOW, "flow", name=f"Fluxo {uuid4().hex}", graph=graph)
    return await _made(boss, _PUBLISH, "flow", id=id_)


async def _run(make: Factory, organization: Organization, flow_id: UUID, conversation_id: UUID) -> UUID:
    """A run that waits for its step and for the outside world, long after the walk."""
    async with make.ports.database.session(organization.id) as session:
        version = (await session.execute(select(FlowVersion).where(FlowVersion.flow_id == flow_id))).scalar_one()
    now = make.ports.clock.now()
    run = FlowRun(
        flow_id=flow_id,
        version_id=version.id,
        conversation_id=conversation_id,
        status=FlowRunStatus.WAITING,
        state=RunState.begin(flow_id, {"segredo": uuid4().hex}).to_json(),
        pinned={str(flow_id): str(version.id)},
        wake_at=now + timedelta(days=30),
        started_at=now,
    )
    past = FlowRun(
        **run.model_dump(exclude={"id", "organization_id", "status", "wake_at", "finished_at"}),
        status=FlowRunStatus.COMPLETED,
        finished_at=now,
    )
    passed = FlowRunStep(
        run_id=run.id, position=1, node_id=f"no-{uuid4().hex}", kind=FlowNodeKind.START, entered_at=now
    )
    effect = FlowEffect(
        run_id=run.id,
        number=1,
        kind=FlowEffectKind.CALL_API,
        request={"url": f"https://api.example.com/{uuid4().hex}"},
        due_at=now + timedelta(days=30),
    )
    await make.save(organization.id, past, run, passed, effect)
    return run.id


def _template(channel: Channel) -> MessageTemplate:
    """As the provider would have told it."""
    name = f"modelo-{uuid4().hex}"
    text = f"Seu pedido {uuid4().hex} saiu"
    return MessageTemplate(
        channel_id=channel.id,
        name=name,
        language="pt_BR",
        category="UTILITY",
        status=TemplateStatus.APPROVED,
        body=text,
    )


def _medium(make: Factory, conversation_id: UUID, message_id: UUID, channel_id: UUID) -> DueMedium:
    """A file that is fetched long after the walk."""
    return DueMedium(
        conversation_id=conversation_id,
        message_id=message_id,
        channel_id=channel_id,
        reference=f"https://lookaside.fbsbx.com/{uuid4().hex}",
        due_at=make.ports.clock.now() + timedelta(days=30),
    )


def _receipt(make: Factory, conversation_id: UUID, message_id: UUID, channel_id: UUID) -> DueReceipt:
    """What is told long after the walk."""
    return DueReceipt(
        id=conversation_id,
        conversation_id=conversation_id,
        message_id=message_id,
        channel_id=channel_id,
        due_at=make.ports.clock.now() + timedelta(days=30),
    )


def _decision(make: Factory, conversation_id: UUID, chosen_id: UUID) -> RoutingDecision:
    """As routing would have left it, had it chosen the agent."""
    verdict = {"member_id": chosen_id.hex, "reason": "ELIGIBLE"}
    return RoutingDecision(
        conversation_id=conversation_id,
        strategy=RoutingStrategy.ROUND_ROBIN,
        chosen_id=chosen_id,
        decided_at=make.ports.clock.now(),
        verdicts=[verdict],
    )


def _notification(make: Factory, member_id: UUID, conversation_id: UUID, channel_id: UUID) -> Notification:
    return Notification(
        member_id=member_id,
        kind=NotificationKind.SLA_BREACHED,
        conversation_id=conversation_id,
        channel_id=channel_id,
        created_at=make.ports.clock.now(),
    )


async def _described(
    make: Factory, organization: Organization, contact_id: UUID, conversation_id: UUID
) -> tuple[Tag, ContactAttribute]:
    """A tag on both, a custom field, and an id that was merged into the contact."""
    name = f"Etiqueta {uuid4().hex[:8]}"
    tag = Tag(name=name, name_key=name.casefold())
    attribute = ContactAttribute(key=uuid4().hex, name="Plano", kind=ContactAttributeKind.CHOICE, choices=["Ouro"])
    on_contact = ContactTag(contact_id=contact_id, tag_id=tag.id)
    on_conversation = ConversationTag(conversation_id=conversation_id, tag_id=tag.id)
    await make.save(organization.id, tag, attribute, on_contact, on_conversation)
    await make.save(organization.id, ContactRedirect(contact_id=contact_id))
    return tag, attribute


async def _account(make: Factory) -> Account:
    """Hashed once: it takes its time."""
    if not _hashes:
        _hashes.append(await passwords.make_hash(PASSWORD))
    email = f"ana-{uuid4().hex[:12]}@example.com"
    return Account(email=email, password_hash=_hashes[0], created_at=make.ports.clock.now())


async def _made(client: Client, document: str, what: str, **given: Any) -> str:
    payload = await client.ask(document, input=given)
    assert payload["userErrors"] == []
    id_: str = payload[what]["id"]
    return id_


async def _channel(make: Factory, organization: Organization, id_: str) -> Channel:
    async with make.ports.database.session(organization.id) as session:
        row = await session.get(Channel, (organization.id, UUID(id_.rpartition("_")[2])))
    assert row is not None
    return row


async def _talk(
    make: Factory, http: httpx.AsyncClient, channel: Channel, agent: SignedIn
) -> tuple[str, str, str, str, Visitor]:
    """Three conversations: with the agent, closed and rated, waiting; and the first one's message and visitor."""
    greets = 'mutation { sendVisitorMessage(input: {text: "Oi, alguém aí?"}) { userErrors { code } } }'
    visitors = [await make.visitor(channel) for _ in range(3)]
    helper, ids = Client(http, agent.token), []
    for visitor in visitors[:2]:
        await Client(http, visitor.token).ask(greets)
        ids.append((await helper.ask(_PULL))["conversation"]["id"])
    key = f"chave-{uuid4().hex}"
    said = {"text": "Em que posso ajudar?", "attachmentIds": [await _uploaded(http, helper)]}
    message = await _made(helper, _SEND, "message", conversationId=ids[0], **said)
    await _made(helper, _SEND, "message", conversationId=ids[0], text="Cuidado", isNote=True, idempotencyKey=key)
    await _made(helper, _SEND, "message", conversationId=ids[0], text="Sim?", replyToId=message)
    assert (await helper.ask(_CLOSE, id=ids[1]))["userErrors"] == []
    assert (await Client(http, visitors[1].token).ask(_RATE))["userErrors"] == []
    await Client(http, visitors[2].token).ask(greets)
    waiting = (await helper.ask("{ conversations(filter: {status: QUEUED}) { nodes { id } } }"))["nodes"][0]["id"]
    return ids[0], ids[1], waiting, message, visitors[0]


async def _uploaded(http: httpx.AsyncClient, client: Client) -> str:
    prepared = await client.ask(_PREPARE)
    headers = {header["name"]: header["value"] for header in prepared["headers"]}
    assert (await http.put(prepared["uploadUrl"], content=b"%PDF-1.7\n", headers=headers)).status_code == 204
    id_: str = prepared["attachmentId"]
    return id_


async def _enclosed(client: Client, message: str) -> str:
    asked = "query ($id: ID!) { node(id: $id) { ... on Message { attachments { id } } } }"
    id_: str = (await client.ask(asked, id=message))["attachments"][0]["id"]
    return id_


async def _contact(client: Client, conversation: str) -> str:
    found = await client.ask("query ($id: ID!) { conversation(id: $id) { contact { id } } }", id=conversation)
    id_: str = found["contact"]["id"]
    return id_


# ------------------------------------------------------------------------------- what the owner sees of it


async def rows(owner: asyncpg.Connection, company: Company) -> dict[str, list[dict[str, Any]]]:
    """Every row of the company, by table; and what its people have that belongs to no organization."""
    dump = {}
    for table, scope in _SCOPES.items():
        statement = f"SELECT to_jsonb(t) FROM {table} t WHERE {scope} ORDER BY id"  # noqa: S608 - names of ours
        dump[table] = [json.loads(row[0]) for row in await owner.fetch(statement, company.id)]
    return dump


async def mark(owner: asyncpg.Connection, company: Company) -> str:
    """Writes a word that stands nowhere else into every text of the company."""
    word = f"zq{uuid4().hex[:10]}"
    for name, scope in _SCOPES.items():
        if settings := [text for column in SQLModel.metadata.tables[name].columns if (text := _marked(column, word))]:
            statement = f"UPDATE {name} SET {', '.join(settings)} WHERE {scope}"  # noqa: S608 - names of ours
            await owner.execute(statement, company.id)
    return word


def _is_text(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.String | AutoString) and not isinstance(column.type, sa.Enum)


def _marked(column: sa.Column[Any], word: str) -> str | None:
    if column.name in _UNMARKED:
        return None
    if _is_text(column):
        longest = getattr(column.type, "length", None) or 1000
        suffix = " || '@example.com'" if column.name == "email" else ""
        unique = f"'{word}-' || id::text" if longest >= 60 else f"'{word}'"
        return f"{column.name} = {unique}{suffix}" if longest > len(word) else None
    if column.name in {"attributes", "settings", "changes"}:
        return f"{column.name} = {column.name} || jsonb_build_object('title', '{word}')"
    if column.name == "options":
        return f"options = jsonb_build_array(jsonb_build_object('value', '{word}', 'title', '{word}'))"
    return None


def ids_in(dump: dict[str, list[dict[str, Any]]]) -> set[str]:
    """The ids of all rows, as they stand in global ids."""
    return {row["id"].replace("-", "") for found in dump.values() for row in found}


def texts_in(dump: dict[str, list[dict[str, Any]]]) -> set[str]:
    """All texts that are long enough to be told from another company's."""
    texts = {
        row[column.name]
        for table, found in dump.items()
        for column in SQLModel.metadata.tables[table].columns
        if _is_text(column)
        for row in found
    }
    return {text for text in texts if text and len(text) >= _DISTINCT}


@dataclass(frozen=True)
class Secrets:
    """What must never stand in an answer: the other company's ids and texts."""

    ids: frozenset[str]
    texts: frozenset[str]

    @classmethod
    async def of(cls, owner: asyncpg.Connection, company: Company, *others: Company) -> "Secrets":
        dump = await rows(owner, company)
        known: set[str] = set().union(*[texts_in(await rows(owner, other)) for other in others])
        return cls(frozenset(ids_in(dump)), frozenset(texts_in(dump) - known))

    def in_(self, answer: Any) -> list[str]:
        told = json.dumps(answer, ensure_ascii=False)
        plain = told.replace("-", "")
        return [*(id_ for id_ in self.ids if id_ in plain), *(text for text in self.texts if text in told)]

    def in_any(self, answers: Iterable[Any]) -> list[str]:
        return [secret for answer in answers for secret in self.in_(answer)]
