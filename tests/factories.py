"""One builder a model: sensible by default, everything can be said."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import SQLModel, col

from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations.models import Conversation, ConversationPriority, ConversationStatus
from pytake_gql.desk.conversations.order import waiting_rank
from pytake_gql.desk.departments.models import Department
from pytake_gql.desk.queues.models import Queue, QueueMember, QueueSkill
from pytake_gql.desk.skills.models import MemberSkill, Skill
from pytake_gql.desk.visitors import service as visitors
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Role, VisitorPrincipal
from pytake_gql.kernel.tokens import TokenKind, new_opaque_token, token_hash
from pytake_gql.tenancy.auth import passwords
from pytake_gql.tenancy.auth.models import RefreshToken, Session
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Account, Availability, Member
from pytake_gql.tenancy.organizations.models import Organization


@dataclass(frozen=True)
class SignedIn:
    """A member with a session, the access token that names it, and its refresh token."""

    member: Member
    session: Session
    token: str
    refresh_token: str

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
                "last_seen_at": now if values.get("availability") is Availability.ONLINE else None,
                **values,
            }
        )
        await self.save(organization.id, account, member)
        return member

    async def seen(self, member: Member) -> None:
        """The member has a live connection at the clock's present."""
        async with self.ports.units.of_system(member.organization_id) as uow:
            await presence.beat(uow, [member.id])

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
        refresh_token = new_opaque_token()
        expires_at = now + timedelta(days=30)
        chain = RefreshToken(session_id=session.id, token_hash=token_hash(refresh_token), expires_at=expires_at)
        await self.save(None, session, chain)
        claims = {"sub": str(member.account_id), "sid": str(session.id), "org": str(member.organization_id)}
        token, _ = self.ports.tokens.sign(TokenKind.ACCESS, claims, timedelta(minutes=10))
        return SignedIn(member, session, token, refresh_token)

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

    async def serves(self, queue: Queue, member: Member) -> None:
        await self.save(queue.organization_id, QueueMember(queue_id=queue.id, member_id=member.id))

    async def requires(self, queue: Queue, skill: Skill, *, min_level: int, is_mandatory: bool = True) -> None:
        row = QueueSkill(queue_id=queue.id, skill_id=skill.id, min_level=min_level, is_mandatory=is_mandatory)
        await self.save(queue.organization_id, row)

    async def skill(self, organization: Organization, **values: Any) -> Skill:
        row = Skill(**{"name": f"Assunto {uuid4().hex[:8]}", **values})
        await self.save(organization.id, row)
        return row

    async def masters(self, member: Member, skill: Skill, level: int = 3) -> None:
        """The member has the skill at that level from now on."""
        async with self.ports.units.of_system(member.organization_id) as uow:
            known = sa.delete(MemberSkill).where(col(MemberSkill.member_id) == member.id)
            await uow.session.execute(known.where(col(MemberSkill.skill_id) == skill.id))
            uow.add(MemberSkill(member_id=member.id, skill_id=skill.id, level=level))

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

    async def account(self, password: str, **values: Any) -> Account:
        """Not saved yet: for `member(account=…)`, any number of times."""
        return Account(
            **{
                "email": f"ana-{uuid4().hex[:12]}@example.com",
                "password_hash": await passwords.make_hash(password),
                "created_at": self.ports.clock.now(),
                **values,
            }
        )

    async def visitor(self, channel: Channel) -> "Visitor":
        """A browser in that web chat, with a token; nothing is stored of it yet."""
        external_id = f"visitor:{uuid4().hex}"
        claims = {"org": str(channel.organization_id), "channel": str(channel.id), "sub": external_id}
        token, _ = self.ports.tokens.sign(TokenKind.VISITOR, claims, timedelta(days=30))
        return Visitor(VisitorPrincipal(channel.organization_id, channel.id, external_id), token)

    async def waiting(self, channel: Channel, count: int, *, first_number: int) -> list[Conversation]:
        """Many at once, a second apart, as rows: faster than as many messages."""
        now = self.ports.clock.now()
        rows: list[Conversation] = []
        async with self.ports.units.of_system(channel.organization_id) as uow:
            for index in range(count):
                contact = Contact(name=f"Cliente {index}", created_at=now)
                since = now + timedelta(seconds=index)
                row = Conversation(
                    number=first_number + index,
                    status=ConversationStatus.QUEUED,
                    channel_id=channel.id,
                    contact_id=contact.id,
                    queue_id=channel.queue_id,
                    eligible_since=since,
                    queued_at=since,
                    waiting_rank=waiting_rank(ConversationPriority.NORMAL, since),
                    last_activity_at=since,
                    created_at=now,
                    updated_at=now,
                )
                uow.session.add_all([contact, row])
                rows.append(row)
        return rows

    async def conversation(self, channel: Channel, *, text: str = "Olá", **values: Any) -> Conversation:
        """Begun by a new visitor's message: it waits in the channel's queue."""
        visitor = await self.visitor(channel)
        async with self.ports.units.open(visitor.principal) as uow:
            row, _ = await visitors.write(uow, visitor.principal, visitors.Saying(text), key=None)
            for name, value in values.items():
                setattr(row, name, value)
            if row.eligible_since is not None:
                row.waiting_rank = waiting_rank(row.priority, row.eligible_since)
        return row


@dataclass(frozen=True)
class Visitor:
    principal: VisitorPrincipal
    token: str
