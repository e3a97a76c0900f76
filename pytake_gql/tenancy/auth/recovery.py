"""A forgotten password: a mailed link that sets another one, once."""

from datetime import timedelta
from typing import NoReturn
from urllib.parse import urlencode

from sqlmodel import col, select

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.tokens import new_opaque_token, token_hash
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.auth import limits, passwords, service, sessions
from pytake_gql.tenancy.auth.events import PasswordChanged
from pytake_gql.tenancy.auth.models import PasswordReset
from pytake_gql.tenancy.auth.sessions import Device, Grant
from pytake_gql.tenancy.mail import service as mail
from pytake_gql.tenancy.members.models import Account

LIFETIME = timedelta(hours=1)
_SUBJECT = "Set a new password for PyTake"
_TEXT = """Somebody, probably you, asked for a new password for this address.

Open this link within an hour to choose one:

{link}

If it was not you, there is nothing to do: your password stays as it is."""


async def request(uow: UnitOfWork, ports: Ports, *, email: str, device: Device, locale: str) -> None:
    """Mails a link to whoever can sign in with the address; nobody else learns whether anyone can."""
    address = text.email(email, "email")
    await limits.request_reset(ports.limiter, device.ip_address, address)
    account = (await uow.session.execute(select(Account).where(Account.email == address))).scalar_one_or_none()
    if account is None or not await sessions.memberships(uow.session, account.id):
        return
    token = new_opaque_token()
    uow.add(PasswordReset(account_id=account.id, token_hash=token_hash(token), expires_at=uow.now() + LIFETIME))
    link = f"{uow.settings.web_url}/reset-password?{urlencode({'token': token})}"
    await mail.send(
        uow, recipient=address, subject=translate(_SUBJECT, locale), text=translate(_TEXT, locale, link=link)
    )


async def reset(uow: UnitOfWork, ports: Ports, *, token: str, new_password: str, device: Device) -> Grant:
    """Sets the password, ends every session of the account, and signs in."""
    await limits.reset(ports.limiter, device.ip_address)
    async with ports.database.session(None) as session:
        found = (
            await session.execute(
                select(PasswordReset, Account)
                .join(Account, col(Account.id) == PasswordReset.account_id)
                .where(
                    PasswordReset.token_hash == token_hash(token),
                    col(PasswordReset.used_at).is_(None),
                    PasswordReset.expires_at > uow.now(),
                )
            )
        ).one_or_none()
    if found is None:
        _refuse_token()
    pending, account = found
    passwords.check(new_password, account.email, "new_password")
    password_hash = await passwords.make_hash(new_password)
    await sessions.lock_account(uow, account.id)
    still = select(PasswordReset.id).where(PasswordReset.id == pending.id, col(PasswordReset.used_at).is_(None))
    if (await uow.session.execute(still)).first() is None:
        _refuse_token()
    await service.set_password(uow, account.id, password_hash, ending=await sessions.of_account(uow, account.id))
    grant = await service.sign_in(uow, ports, account.id, password_hash, organization_id=None, device=device)
    uow.emit(PasswordChanged(entity_id=grant.member.id))
    return grant


def _refuse_token() -> NoReturn:
    """One face for a token that is unknown, used, or too old."""
    refuse(UserErrorCode.EXPIRED, "This link was used, or is too old. Ask for a new one.", "token")
