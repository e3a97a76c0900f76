"""Signing in and out, and changing the password.

Passwords are hashed while no transaction is open: a unit of work takes its connection with its first statement,
so each verb reads with a short session of its own, hashes, and only then works with the unit (G15).
"""

from collections.abc import Iterable, Sequence
from typing import NoReturn
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select, update

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Refusal, Unauthenticated, UserErrorCode, not_found, refuse
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import MemberPrincipal
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth import limits, passwords, sessions
from pytake_gql.tenancy.auth.events import PasswordChanged
from pytake_gql.tenancy.auth.models import PasswordReset, Session
from pytake_gql.tenancy.auth.sessions import Device, EndReason, Grant
from pytake_gql.tenancy.members.models import Account
from pytake_gql.tenancy.organizations import service as organizations
from pytake_gql.tenancy.organizations.models import Organization


async def login(
    uow: UnitOfWork, ports: Ports, *, email: str, password: str, organization_id: UUID | None, device: Device
) -> Grant:
    """Signs in; whatever is wrong with the address, the password or the account has one face (G15)."""
    address = _as_stored(email)
    await limits.sign_in(ports.limiter, device.ip_address, address)
    account = await _find_account(ports, address)
    if not await passwords.matches(account.password_hash if account else None, password) or account is None:
        _refuse_credentials()
    grant = await sign_in(uow, ports, account.id, account.password_hash, organization_id=organization_id, device=device)
    await limits.signed_in(ports.limiter, address)
    return grant


async def sign_in(
    uow: UnitOfWork,
    ports: Ports,
    account_id: UUID,
    proven_hash: str,
    *,
    organization_id: UUID | None,
    device: Device,
) -> Grant:
    """A session for an account whose password was just proven, in that organization or the one last used."""
    account = await sessions.lock_account(uow, account_id)
    open_to = await sessions.memberships(uow.session, account.id)
    if account.password_hash != proven_hash or not open_to:
        _refuse_credentials()
    if organization_id is not None and organization_id not in open_to:
        raise not_found("organization_id")
    last = account.last_organization_id
    chosen = organization_id or (last if last in open_to else None) or next(iter(open_to))
    return await sessions.begin(
        uow,
        ports.tokens,
        account_id=account.id,
        organization_id=chosen,
        member_id=open_to[chosen],
        device=device,
    )


async def refresh(uow: UnitOfWork, ports: Ports, refresh_token: str, device: Device) -> Grant | None:
    """The session's next tokens; None, committed and not raised, when the token is worth nothing."""
    await limits.refresh(ports.limiter, device.ip_address)
    return await sessions.refresh(uow, ports.tokens, refresh_token)


async def logout(
    uow: UnitOfWork, ports: Ports, *, refresh_token: str | None, everywhere: bool, device: Device
) -> Sequence[Session]:
    """Ends the caller's session, or that of a refresh token; a token that is worth nothing ends nothing."""
    by = uow.principal
    if isinstance(by, MemberPrincipal):
        own = await sessions.of_account(uow, by.account_id)
        ending: Sequence[Session] = [session for session in own if everywhere or session.id == by.session_id]
    elif refresh_token is not None:
        await limits.refresh(ports.limiter, device.ip_address)
        found = await sessions.by_refresh_token(uow, refresh_token)
        if found is None:
            return []
        ending = await sessions.of_account(uow, found[0].account_id) if everywhere else [found[0]]
    else:
        raise Unauthenticated
    await sessions.end(uow, ending, EndReason.LOGGED_OUT)
    return ending


async def change_password(uow: UnitOfWork, ports: Ports, by: MemberPrincipal, *, current: str, new: str) -> None:
    """Sets another password and ends every other session of the account (G12)."""
    await limits.current_password(ports.limiter, by.account_id)
    async with ports.database.session(None) as session:
        account = (await session.execute(select(Account).where(Account.id == by.account_id))).scalar_one()
    passwords.check(new, account.email, "new_password")
    if not await passwords.matches(account.password_hash, current):
        _refuse_credentials("current_password")
    password_hash = await passwords.make_hash(new)
    if (await sessions.lock_account(uow, by.account_id)).password_hash != account.password_hash:
        _refuse_credentials("current_password")
    others = [s for s in await sessions.of_account(uow, by.account_id) if s.id != by.session_id]
    await set_password(uow, by.account_id, password_hash, ending=others)
    await uow.enter(by.home_organization_id)
    uow.emit(PasswordChanged(entity_id=by.member_id))


async def set_password(uow: UnitOfWork, account_id: UUID, password_hash: str, *, ending: Iterable[Session]) -> None:
    """Also makes every mailed reset useless. The account is locked."""
    await uow.session.execute(update(Account).where(col(Account.id) == account_id).values(password_hash=password_hash))
    await uow.session.execute(
        update(PasswordReset)
        .where(col(PasswordReset.account_id) == account_id, col(PasswordReset.used_at).is_(None))
        .values(used_at=uow.now())
    )
    await sessions.end(uow, ending, EndReason.PASSWORD_CHANGED)


async def organizations_of(session: AsyncSession, account_id: UUID) -> list[Organization]:
    """Where the account is a member, in alphabetical order."""
    ids = list(await sessions.memberships(session, account_id))
    found = (await organizations.by_ids(session, ids)).values()
    return sorted(found, key=lambda organization: (organization.name.casefold(), organization.id))


async def _find_account(ports: Ports, email: str) -> Account | None:
    async with ports.database.session(None) as session:
        return (await session.execute(select(Account).where(Account.email == email))).scalar_one_or_none()


def _as_stored(email: str) -> str:
    """The address as an account would have it; one that is none leads to no account."""
    try:
        return text.email(email)
    except Refusal:
        return email.strip().lower()[: text.LONGEST_EMAIL]


def _refuse_credentials(*path: str) -> NoReturn:
    refuse(UserErrorCode.INVALID_CREDENTIALS, "The e-mail address or the password is wrong.", *path)
