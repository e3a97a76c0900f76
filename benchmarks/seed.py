"""The same shop on every machine: its ids, texts and instants follow from numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import SQLModel

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations.models import (
    AuthorKind,
    Conversation,
    ConversationPriority,
    ConversationStatus,
    Message,
    MessageDirection,
    MessageStatus,
    TimelineEntry,
    TimelineKind,
)
from pytake_gql.desk.conversations.order import waiting_rank
from pytake_gql.desk.departments.models import Department
from pytake_gql.desk.queues.models import Queue, QueueMember, RoutingStrategy
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Role
from pytake_gql.kernel.tokens import TokenKind
from pytake_gql.tenancy.auth.models import Session
from pytake_gql.tenancy.members.models import Account, Availability, Member
from pytake_gql.tenancy.organizations.models import Organization

AGENTS = 100
WATCHERS = 120
"""Members in no queue, who see all conversations of the organization."""
SERVED = 1_000
"""Conversations that agents have: the lists, and the first ones for what is sent."""
WAITING = 10_000
HISTORY = 120
"""Messages of the conversation whose history is read; the others have one."""

_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def numbered(kind: int, number: int = 0) -> UUID:
    """A UUIDv7 by number: the same in each run."""
    return UUID(int=0x01980000_0000_7000_8000_000000000000 + (kind << 32) + number)


ORGANIZATION_ID = numbered(1)
DEPARTMENT_ID = numbered(2)
DESK_ID, WAITING_ID = numbered(3, 1), numbered(3, 2)
CHANNEL_ID = numbered(4)
HISTORY_ID = numbered(9, SERVED - 1)
"""The conversation with a history; its activity is the oldest, so that no list shows it."""


@dataclass(frozen=True, slots=True)
class Agent:
    principal: MemberPrincipal
    token: str


async def seed(ports: Ports) -> list[Agent]:
    """Writes everything through the application's own sessions, and signs everybody in: agents, then watchers."""
    async with ports.units.of_system(None) as uow:
        await uow.enter(ORGANIZATION_ID)
        for rows in (_frame(), _people(), _queues(), _contacts(), _conversations(), _messages()):
            uow.session.add_all(list(rows))
            await uow.session.flush()
    return [_signed_in(ports, number) for number in range(AGENTS + WATCHERS)]


def agent_name(number: int) -> str:
    return f"Atendente {number:02}"


def _scope(number: int) -> ConversationScope:
    return ConversationScope.QUEUES if number < AGENTS else ConversationScope.ORGANIZATION


def _frame() -> Iterator[SQLModel]:
    yield Organization(id=ORGANIZATION_ID, name="Loja Medida", slug="loja-medida", created_at=_NOON)
    for number in range(AGENTS + WATCHERS):
        email = f"atendente{number}@example.com"
        yield Account(id=numbered(5, number), email=email, password_hash="!", created_at=_NOON)  # noqa: S106 - of none


def _people() -> Iterator[SQLModel]:
    yield Department(id=DEPARTMENT_ID, name="Vendas", color="#2563EB", created_at=_NOON)
    for number in range(AGENTS + WATCHERS):
        yield Member(
            organization_id=ORGANIZATION_ID,
            id=numbered(6, number),
            account_id=numbered(5, number),
            email=f"atendente{number}@example.com",
            name=agent_name(number),
            role=Role.AGENT,
            availability=Availability.ONLINE,
            conversation_scope=_scope(number),
            capacity=1_000_000,
            created_at=_NOON,
        )


def _queues() -> Iterator[SQLModel]:
    for id_, name in ((DESK_ID, "atendidas"), (WAITING_ID, "espera")):
        yield Queue(
            id=id_,
            department_id=DEPARTMENT_ID,
            name=name,
            slug=name,
            routing_strategy=RoutingStrategy.MANUAL,
            auto_assign=False,
            created_at=_NOON,
        )
    for number in range(AGENTS + WATCHERS):
        yield Session(
            id=numbered(7, number),
            account_id=numbered(5, number),
            organization_id=ORGANIZATION_ID,
            home_organization_id=ORGANIZATION_ID,
            member_id=numbered(6, number),
            created_at=_NOON,
            last_used_at=_NOON,
        )


def _contacts() -> Iterator[SQLModel]:
    for queue_id in (DESK_ID, WAITING_ID):
        for number in range(AGENTS):
            yield QueueMember(queue_id=queue_id, member_id=numbered(6, number))
    yield Channel(id=CHANNEL_ID, kind=ChannelKind.WEB_CHAT, name="Site", queue_id=DESK_ID, created_at=_NOON)
    for number in range(SERVED + WAITING):
        name = f"Cliente {number:05} — São João"
        yield Contact(organization_id=ORGANIZATION_ID, id=numbered(8, number), name=name, created_at=_NOON)


def _conversations() -> Iterator[SQLModel]:
    for number in range(SERVED + WAITING):
        is_served, at = number < SERVED, _NOON - timedelta(minutes=number)
        agent = number % AGENTS
        id_ = numbered(9, number)
        last_seq = HISTORY if id_ == HISTORY_ID else 1
        yield Conversation(
            organization_id=ORGANIZATION_ID,
            id=id_,
            number=number + 1,
            status=ConversationStatus.ACTIVE if is_served else ConversationStatus.QUEUED,
            subject=f"Pedido {number}",
            channel_id=CHANNEL_ID,
            contact_id=numbered(8, number),
            contact_name=f"Cliente {number:05} — São João",
            queue_id=DESK_ID if is_served else WAITING_ID,
            assignee_id=numbered(6, agent) if is_served else None,
            assignee_name=agent_name(agent) if is_served else None,
            last_seq=last_seq,
            last_message_id=_message_id(number, last_seq) if is_served else None,
            last_activity_at=at,
            queued_at=at,
            eligible_since=at,
            waiting_rank=None if is_served else waiting_rank(ConversationPriority.NORMAL, at),
            created_at=at,
            updated_at=at,
        )


def _messages() -> Iterator[SQLModel]:
    for number in range(SERVED):
        conversation_id = numbered(9, number)
        for seq in range(1, (HISTORY if conversation_id == HISTORY_ID else 1) + 1):
            yield from _message(number, seq)


def _message(number: int, seq: int) -> Iterator[SQLModel]:
    is_inbound = seq % 2 == 1
    at = _NOON - timedelta(minutes=number) + timedelta(seconds=seq)
    id_, conversation_id = _message_id(number, seq), numbered(9, number)
    yield TimelineEntry(
        id=numbered(11, number * 1_000 + seq),
        conversation_id=conversation_id,
        seq=seq,
        kind=TimelineKind.MESSAGE_ADDED,
        at=at,
        message_id=id_,
    )
    yield Message(
        id=id_,
        conversation_id=conversation_id,
        channel_id=CHANNEL_ID,
        seq=seq,
        direction=MessageDirection.INBOUND if is_inbound else MessageDirection.OUTBOUND,
        author_kind=AuthorKind.CONTACT if is_inbound else AuthorKind.MEMBER,
        author_id=None if is_inbound else numbered(6, seq % AGENTS),
        text=f"Mensagem {seq} do pedido {number}: tudo certo com a entrega?",
        status=MessageStatus.RECEIVED if is_inbound else MessageStatus.SENT,
        created_at=at,
    )


def _message_id(number: int, seq: int) -> UUID:
    return numbered(10, number * 1_000 + seq)


def _signed_in(ports: Ports, number: int) -> Agent:
    principal = MemberPrincipal(
        organization_id=ORGANIZATION_ID,
        home_organization_id=ORGANIZATION_ID,
        member_id=numbered(6, number),
        account_id=numbered(5, number),
        session_id=numbered(7, number),
        role=Role.AGENT,
        scope=_scope(number),
        name=agent_name(number),
    )
    claims = {"sub": str(principal.account_id), "sid": str(principal.session_id), "org": str(ORGANIZATION_ID)}
    token, _ = ports.tokens.sign(TokenKind.ACCESS, claims, timedelta(hours=1))
    return Agent(principal, token)
