"""An invitation's reader becomes a member, and is signed in."""

from uuid import UUID

from sqlmodel import col, select

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.limiter import Rate
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth import limits, passwords, sessions
from pytake_gql.tenancy.auth.sessions import Device, Grant
from pytake_gql.tenancy.members import invitations
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members.invitations import Pending
from pytake_gql.tenancy.members.models import Account, Member

# Of one network address: an office joins from behind one.
_ATTEMPTS = Rate(capacity=60, per_second=1)


async def accept(uow: UnitOfWork, ports: Ports, *, token: str, name: str, password: str, device: Device) -> Grant:
    """Makes the member, and the account of a person who has none; passwords are hashed before (G15).

    Who has an account proves it with its password, guessed no faster than at a login; `name` is not used then.
    """
    await ports.limiter.take(f"accept:ip:{limits.network(device.ip_address)}", _ATTEMPTS)
    found = await invitations.find_pending(ports.database, token, uow.now())
    if found is None:
        invitations.refuse_token()
    if found.account is None:
        member = await _accept_as_newcomer(uow, found, name, password)
    else:
        member = await _accept_with_account(uow, ports, found, found.account, password, device)
    return await sessions.begin(
        uow,
        ports.tokens,
        account_id=member.account_id,
        organization_id=found.invitation.organization_id,
        member_id=member.id,
        device=device,
    )


async def _accept_as_newcomer(uow: UnitOfWork, found: Pending, name: str, password: str) -> Member:
    problems, checked_name = Problems(), ""
    with problems.gather():
        checked_name = text.line(name, "name")
    with problems.gather():
        passwords.check(password, found.invitation.email, "password")
    problems.raise_if_any()
    password_hash = await passwords.make_hash(password)
    account = await members.add_account(uow, found.invitation.email, password_hash)
    if account is None:
        refuse(UserErrorCode.CONFLICT, "This person has made an account meanwhile. Try again.", "token")
    return await invitations.accept(uow, found, account, name=checked_name)


async def _accept_with_account(
    uow: UnitOfWork, ports: Ports, found: Pending, account: Account, password: str, device: Device
) -> Member:
    await limits.sign_in(ports.limiter, device.ip_address, account.email)
    is_proven = await passwords.matches(account.password_hash, password)
    if not is_proven or (await sessions.lock_account(uow, account.id)).password_hash != account.password_hash:
        refuse(UserErrorCode.INVALID_CREDENTIALS, "The password is wrong.", "password")
    await limits.signed_in(ports.limiter, account.email)
    name = found.invitation.name or await _name_elsewhere(ports, uow, account.id) or account.email.partition("@")[0]
    return await invitations.accept(uow, found, account, name=name)


async def _name_elsewhere(ports: Ports, uow: UnitOfWork, account_id: UUID) -> str | None:
    """What the person is called in another organization; there is none after a removal."""
    for organization_id, member_id in (await sessions.memberships(uow.session, account_id)).items():
        async with ports.database.session(organization_id) as session:
            return await session.scalar(select(Member.name).where(col(Member.id) == member_id))
    return None
