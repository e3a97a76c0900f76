"""A new organization, with whoever made it as its first admin."""

from typing import NoReturn

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth import limits, passwords, sessions
from pytake_gql.tenancy.auth.sessions import Device, Grant
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members.models import Account
from pytake_gql.tenancy.organizations import service as organizations


async def sign_up(
    uow: UnitOfWork,
    ports: Ports,
    *,
    organization_name: str,
    name: str,
    email: str,
    password: str,
    timezone: str | None,
    device: Device,
) -> Grant:
    """Makes organization, account and member, and signs the member in; the password is hashed before."""
    await limits.sign_up(ports.limiter, device.ip_address)
    address = _check(organization_name, name, email, password)
    async with ports.database.session(None) as session:
        if (await session.execute(select(Account.id).where(Account.email == address))).first() is not None:
            _refuse_taken("email")
    password_hash = await passwords.make_hash(password)
    organization = await organizations.create(uow, name=organization_name, timezone=timezone)
    account = await add_account(uow, address, password_hash, "email")
    member = await members.join(uow, account, name=name.strip(), role=Role.ORG_ADMIN)
    return await sessions.begin(
        uow,
        ports.tokens,
        account_id=account.id,
        organization_id=organization.id,
        member_id=member.id,
        device=device,
    )


async def add_account(uow: UnitOfWork, address: str, password_hash: str, *path: str) -> Account:
    """Refused when somebody else was quicker with the address."""
    made = await uow.session.execute(
        insert(Account)
        .values(id=uuid7(), email=address, password_hash=password_hash, created_at=uow.now())
        .on_conflict_do_nothing(index_elements=[col(Account.email)])
        .returning(Account)
    )
    account: Account | None = made.scalar_one_or_none()
    if account is None:
        _refuse_taken(*path)
    return account


def _check(organization_name: str, name: str, email: str, password: str) -> str:
    """The address as it is stored, or a refusal that names all that is wrong with the form."""
    problems, address = Problems(), ""
    with problems.gather():
        text.line(organization_name, "organization_name")
    with problems.gather():
        text.line(name, "name")
    with problems.gather():
        address = text.email(email, "email")
    with problems.gather():
        passwords.check(password, address, "password")
    problems.raise_if_any()
    return address


def _refuse_taken(*path: str) -> NoReturn:
    refuse(UserErrorCode.TAKEN, "There is an account with this address. Sign in, or ask for a new password.", *path)
