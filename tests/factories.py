"""One builder a model: sensible by default, everything can be said."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import SQLModel

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.departments.models import Department
from pytake_gql.desk.queues.models import Queue, QueueMember
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Role
from pytake_gql.kernel.tokens import TokenKind
from pytake_gql.tenancy.auth.models import Session
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.models import Organization


@dataclass(frozen=True)
class SignedIn:
    """A member with a session, and the access token that names it."""

    member: Member
    session: Session
    token: str

    @property
    def principal(self) -> MemberPrincipal:
        return MemberPrincipal(
            organization_id=self.member.organization_id,
            member_id=self.member.id,
            account_id=self.member.account_id,
            session_id=self.session.id,
            home_organization_id=self.member.organization_id,
            role=self.member.role,
            scope=self.member.conversation_scope,
            name=self.member.name,
        )


class Factory:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    async def save(self, organization_id: UUID | None, *rows: SQLModel) -> None:
        """Inserts in the given order."""
        async with self.ports.units.of_system(organization_id) as uow:
            for row in rows:
                uow.add(row)
                await uow.session.flush()

    async def organization(self, **values: Any) -> Organization:
        unique = uuid4().hex[:12]
        row = Organization(
            **{
                "name": f"Loja {unique}",
                "slug": f"loja-{unique}",
                "created_at": self.ports.clock.now(),
                **values,
            }
        )
        # Nobody is inside it yet: the first row makes the room.
        async with self.ports.units.of_system(None) as uow:
            await uow.enter(row.id)
            uow.add(row)
        return row

    async def member(self, organization: Organization, role: Role = Role.AGENT, **values: Any) -> Member:
        now = self.ports.clock.now()
        email = values.pop("email", f"{role.value.lower()}-{uuid4().hex[:12]}@example.com")
        account = values.pop("account", None) or Account(email=email, password_hash="!", created_at=now)
        member = Member(
            **{
                "account_id": account.id,
                "email": account.email,
                "name": f"Ana {role.value.title()}",
                "role": role,
                "conversation_scope": (
                    ConversationScope.QUEUES if role is Role.AGENT else ConversationScope.ORGANIZATION
                ),
                "created_at": now,
                **values,
            }
        )
        await self.save(organization.id, account, member)
        return member

    async def signed_in(self, member: Member) -> SignedIn:
        now = self.ports.clock.now()
        session = Session(
            account_id=member.account_id,
            organization_id=member.organization_id,
            home_organization_id=member.organization_id,
            member_id=member.id,
            created_at=now,
            last_used_at=now,
        )
        await self.save(None, session)
        claims = {"sub": str(member.account_id), "sid": str(session.id), "org": str(member.organization_id)}
        token, _ = self.ports.tokens.sign(TokenKind.ACCESS, claims, timedelta(minutes=10))
        return SignedIn(member, session, token)

    async def department(self, organization: Organization, **values: Any) -> Department:
        row = Department(**{"name": f"Vendas {uuid4().hex[:8]}", "created_at": self.ports.clock.now(), **values})
        await self.save(organization.id, row)
        return row

    async def queue(self, organization: Organization, *members: Member, **values: Any) -> Queue:
        """A queue that these members serve, in a department of its own unless one is given."""
        if "department_id" not in values:
            values["department_id"] = (await self.department(organization)).id
        unique = uuid4().hex[:8]
        row = Queue(
            **{"name": f"Fila {unique}", "slug": f"fila-{unique}", "created_at": self.ports.clock.now(), **values}
        )
        await self.save(organization.id, row, *(QueueMember(queue_id=row.id, member_id=m.id) for m in members))
        return row

    async def channel(self, organization: Organization, **values: Any) -> Channel:
        row = Channel(
            **{
                "kind": ChannelKind.WEB_CHAT,
                "name": f"Site {uuid4().hex[:8]}",
                "created_at": self.ports.clock.now(),
                **values,
            }
        )
        await self.save(organization.id, row)
        return row

    async def contact(self, organization: Organization, **values: Any) -> Contact:
        row = Contact(**{"name": "Bia Cliente", "created_at": self.ports.clock.now(), **values})
        await self.save(organization.id, row)
        return row
