"""An invitation accepted: by a new person, or by one who has an account (with its password)."""

from typing import NoReturn

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, refuse
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth import limits, passwords, sessions, signing_up
from pytake_gql.tenancy.auth.sessions import Device, Grant
from pytake_gql.tenancy.members import invitations
from pytake_gql.tenancy.members import service as members
from pytake_gql.tenancy.members.invitations import Pending
from pytake_gql.tenancy.members.models import Account


async def accept_invitation(
    uow: UnitOfWork, ports: Ports, *, token: str, name: str | None, password: str, device: Device
) -> Grant:
    """Makes the invited person a member and signs in; hashes before the unit of work takes its connection."""
    await limits.invitation(ports.limiter, device.ip_address)
    pending = await invitations.find_pending(ports.database, token, uow.now())
    if pending is None:
        invitations.refuse_token()
    if pending.account is None:
        given_name = _check(pending, name, password)
        password_hash = await passwords.make_hash(password)
        account = await signing_up.add_account(uow, pending.invitation.email, password_hash)
    else:
        given_name = await _known_name(ports, pending, pending.account)
        await _prove(ports, pending.account, password, device)
        account = await sessions.lock_account(uow, pending.account.id)
        if account.password_hash != pending.account.password_hash:
            _refuse_password()
    member = await invitations.accept(uow, pending, account, name=given_name)
    return await sessions.begin(
        uow,
        ports.tokens,
        account_id=account.id,
        organization_id=pending.invitation.organization_id,
        member_id=member.id,
        device=device,
    )


def _check(pending: Pending, name: str | None, password: str) -> str:
    """The new person's name: as given, or as the inviter wrote it."""
    problems, given_name = Problems(), ""
    with problems.gather():
        given_name = text.line(name or pending.invitation.name, "name")
    with problems.gather():
        passwords.check(password, pending.invitation.email, "password")
    problems.raise_if_any()
    return given_name


async def _prove(ports: Ports, account: Account, password: str, device: Device) -> None:
    await limits.sign_in(ports.limiter, device.ip_address, account.email)
    if not await passwords.matches(account.password_hash, password):
        _refuse_password()
    await limits.signed_in(ports.limiter, account.email)


async def _known_name(ports: Ports, pending: Pending, account: Account) -> str:
    """As the person is called elsewhere, or as the inviter wrote it; whoever left all places has but an address."""
    async with ports.database.session(None) as session:
        elsewhere = await sessions.memberships(session, account.id)
    for organization_id, member_id in elsewhere.items():
        async with ports.database.session(organization_id) as session:
            member = await members.find(session, member_id)
        if member is not None:
            return member.name
    return pending.invitation.name or account.email[:120]


def _refuse_password() -> NoReturn:
    refuse(UserErrorCode.INVALID_CREDENTIALS, "This is not the password of your account.", "password")
