"""The first super admin, made by whoever has a shell on the server; the others are made by super admins."""

from typing import ClassVar
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.events import Event
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import ConversationScope, Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth import passwords
from pytake_gql.tenancy.members.models import Account, Member
from pytake_gql.tenancy.organizations.events import OrganizationCreated
from pytake_gql.tenancy.organizations.models import Organization

PLATFORM_ID = UUID("01980000-0000-7000-8000-0000000000ff")
_PLATFORM_NAME = "PyTake"
_PLATFORM_SLUG = "pytake-platform"


class MemberAppointedSuperAdmin(Event):
    """From the command line, by nobody that PyTake knows."""

    entity: ClassVar[str] = "Member"


async def has_account(ports: Ports, email: str) -> bool:
    """Whether somebody signs in with this address: that person keeps the password."""
    async with ports.database.session(None) as session:
        address = text.email(email, "email")
        return (await session.execute(select(Account.id).where(Account.email == address))).first() is not None


async def appoint(ports: Ports, *, email: str, name: str, password: str | None) -> Member:
    """Makes a member of the platform's own organization, and that organization when it is the first one.

    `password` is needed unless the address has an account, whose password stays.
    """
    address = text.email(email, "email")
    password_hash = await passwords.make_hash(passwords.check(password, address, "password")) if password else None
    async with ports.units.of_system(None) as uow:
        await _enter_platform(uow)
        account = await _account(uow, address, password_hash)
        await _refuse_twice(uow, account)
        member = Member(
            account_id=account.id,
            email=account.email,
            name=text.line(name, "name", longest=120),
            role=Role.SUPER_ADMIN,
            conversation_scope=ConversationScope.ORGANIZATION,
            created_at=uow.now(),
        )
        uow.add(member)
        await uow.session.flush()
        uow.emit(MemberAppointedSuperAdmin(entity_id=member.id, changes={"email": {"from": None, "to": member.email}}))
    return member


async def _enter_platform(uow: UnitOfWork) -> None:
    await uow.enter(PLATFORM_ID)
    if await uow.session.get(Organization, PLATFORM_ID) is None:
        uow.add(Organization(id=PLATFORM_ID, name=_PLATFORM_NAME, slug=_PLATFORM_SLUG, created_at=uow.now()))
        await uow.session.flush()
        uow.emit(OrganizationCreated(entity_id=PLATFORM_ID))


async def _account(uow: UnitOfWork, address: str, password_hash: str | None) -> Account:
    found = (await uow.session.execute(select(Account).where(Account.email == address))).scalar_one_or_none()
    if found is not None:
        return found
    if password_hash is None:
        refuse(UserErrorCode.REQUIRED, "This is required.", "password")
    account = Account(email=address, password_hash=password_hash, created_at=uow.now())
    uow.add(account)
    await uow.session.flush()
    return account


async def _refuse_twice(uow: UnitOfWork, account: Account) -> None:
    there = select(Member.id).where(Member.account_id == account.id, col(Member.removed_at).is_(None))
    if (await uow.session.execute(there)).first() is not None:
        refuse(UserErrorCode.TAKEN, "This address has a member here already.", "email")
