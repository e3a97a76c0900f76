"""A shop to play with: an organization whose ids are the same on every machine."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import SQLModel

from pytake_gql.automation.flows import service as flows
from pytake_gql.automation.flows.ready import ReadyFlowKey
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.departments.models import Department
from pytake_gql.desk.queues.models import Queue, QueueMember, RoutingStrategy
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization

NAME = "Loja Exemplo"
LOCALE = "pt-BR"
PASSWORD = "pytake-demo"  # noqa: S105 - of a shop that exists on developers' machines only


def _numbered(number: int) -> UUID:
    return UUID(int=0x01980000_0000_7000_8000_000000000000 + number)


ORGANIZATION_ID = _numbered(1)
SALES_ID, SUPPORT_ID = _numbered(0x11), _numbered(0x12)
SALES_QUEUE_ID, SUPPORT_QUEUE_ID = _numbered(0x21), _numbered(0x22)
CHANNEL_ID = _numbered(0x31)
CHANNEL = global_id("Channel", CHANNEL_ID)
BOT_CHANNEL_ID = _numbered(0x32)
BOT_CHANNEL = global_id("Channel", BOT_CHANNEL_ID)
"""Where a flow greets."""
QUEUE = global_id("Queue", SALES_QUEUE_ID)


@dataclass(frozen=True, slots=True)
class Login:
    email: str
    name: str
    role: Role
    scope: ConversationScope
    number: int

    @property
    def member_id(self) -> UUID:
        return _numbered(0x100 + self.number)

    @property
    def account_id(self) -> UUID:
        return _numbered(0x200 + self.number)


ADMIN = Login("admin@example.com", "Alice Admin", Role.ORG_ADMIN, ConversationScope.ORGANIZATION, 1)
AGENT = Login("agent@example.com", "Bruno Atendente", Role.AGENT, ConversationScope.QUEUES, 2)
COLLEAGUE = Login("agent2@example.com", "Carla Atendente", Role.AGENT, ConversationScope.QUEUES, 3)
VIEWER = Login("viewer@example.com", "Davi Leitor", Role.VIEWER, ConversationScope.ORGANIZATION, 4)
LOGINS = (ADMIN, AGENT, COLLEAGUE, VIEWER)


async def is_planted(ports: Ports) -> bool:
    async with ports.database.session(ORGANIZATION_ID) as session:
        return await session.get(Organization, ORGANIZATION_ID) is not None


async def plant(ports: Ports, password_hash: str) -> None:
    """Makes the shop, all or nothing."""
    async with ports.units.of_system(None) as uow:
        await uow.enter(ORGANIZATION_ID)
        now = uow.now()
        await _add(uow, Organization(id=ORGANIZATION_ID, name=NAME, slug="loja-exemplo", created_at=now))
        await _add(
            uow,
            *(
                Account(id=who.account_id, email=who.email, password_hash=password_hash, created_at=now)
                for who in LOGINS
            ),
        )
        await _add(uow, *(_member(who, uow) for who in LOGINS))
        await _add(
            uow,
            Department(id=SALES_ID, name="Vendas", color="#2563EB", created_at=now),
            Department(id=SUPPORT_ID, name="Suporte", color="#16A34A", created_at=now),
        )
        await _add(
            uow,
            _queue(SALES_QUEUE_ID, SALES_ID, "Vendas", "vendas", uow),
            _queue(SUPPORT_QUEUE_ID, SUPPORT_ID, "Suporte", "suporte", uow),
        )
        await _add(
            uow,
            *(
                QueueMember(queue_id=queue_id, member_id=who.member_id)
                for queue_id in (SALES_QUEUE_ID, SUPPORT_QUEUE_ID)
                for who in (AGENT, COLLEAGUE)
            ),
            Channel(
                id=CHANNEL_ID,
                kind=ChannelKind.WEB_CHAT,
                name="Chat do site",
                queue_id=SALES_QUEUE_ID,
                settings={"title": "Loja Exemplo", "greeting": "Olá! Como podemos ajudar?"},
                created_at=now,
            ),
        )
        planted = {key: await flows.plant(uow, key, LOCALE) for key in ReadyFlowKey}
        await _add(
            uow,
            Channel(
                id=BOT_CHANNEL_ID,
                kind=ChannelKind.WEB_CHAT,
                name="Chat com robô",
                queue_id=SALES_QUEUE_ID,
                flow_id=planted[ReadyFlowKey.GREETING].id,
                settings={"title": "Loja Exemplo (robô)"},
                created_at=now,
            ),
        )


async def _add(uow: UnitOfWork, *rows: SQLModel) -> None:
    """Parents first: each call is written before the next."""
    for row in rows:
        uow.add(row)
    await uow.session.flush()


def _member(who: Login, uow: UnitOfWork) -> Member:
    return Member(
        id=who.member_id,
        account_id=who.account_id,
        email=who.email,
        name=who.name,
        role=who.role,
        conversation_scope=who.scope,
        capacity=20,
        created_at=uow.now(),
    )


def _queue(id_: UUID, department_id: UUID, name: str, slug: str, uow: UnitOfWork) -> Queue:
    """Pulled by its agents: a newcomer sees conversations wait."""
    return Queue(
        id=id_,
        department_id=department_id,
        name=name,
        slug=slug,
        routing_strategy=RoutingStrategy.MANUAL,
        auto_assign=False,
        first_response_minutes=15,
        created_at=uow.now(),
    )
