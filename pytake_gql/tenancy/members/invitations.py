"""An e-mail makes its reader a member: invited, looked at, accepted or cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import urlencode
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.kernel import text
from pytake_gql.kernel.db import Database
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.principal import MemberPrincipal, Role
from pytake_gql.kernel.tokens import new_opaque_token, token_hash
from pytake_gql.kernel.translation import translate
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.mail import service as mail
from pytake_gql.tenancy.members import service
from pytake_gql.tenancy.members.events import InvitationCancelled, MemberInvited
from pytake_gql.tenancy.members.models import Account, Invitation, Member
from pytake_gql.tenancy.organizations.events import OrganizationCreated
from pytake_gql.tenancy.organizations.models import Organization

LIFETIME = timedelta(days=7)
MOST_OPEN = 500
_BY_TOKEN = sa.text("SELECT organization_id, invitation_id FROM engine_invitation(:of_token)")
_SUBJECT = "{organization} invites you to PyTake"
_TEXT = """Hello,

{inviter} invites you to answer the customers of {organization} on PyTake.

Open this link within seven days to accept:

{link}

If you did not expect this, there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An invitation that may be accepted now; `account` is the invited person's, who may have one."""

    invitation: Invitation
    organization_name: str
    account: Account | None


async def invite(
    uow: UnitOfWork, *, email: str, name: str | None, role: Role, queue_ids: Sequence[UUID] = ()
) -> Invitation:
    """Mails an invitation. An address invited before gets a new one, and the old token dies."""
    await one_at_a_time(uow, "members")
    problems, address, given_name = Problems(), "", None
    with problems.gather():
        address = text.email(email, "email")
        await _refuse_members(uow, address)
    with problems.gather():
        given_name = text.optional_line(name, "name")
    with problems.gather():
        service.may_give(uow, role, "role")
    problems.raise_if_any()
    token = new_opaque_token()
    invitation = await _find_open(uow, address) or await _new(uow, address)
    invitation.name, invitation.role, invitation.queue_ids = given_name, role, list(queue_ids)
    invitation.token_hash = token_hash(token)
    invitation.invited_by_id = _inviter_id(uow)
    invitation.expires_at = uow.now() + LIFETIME
    uow.add(invitation)
    told = {"email": {"from": None, "to": address}, "role": {"from": None, "to": role}}
    uow.emit(MemberInvited(entity_id=invitation.id, changes=told, queue_ids=tuple(queue_ids)))
    await _send(uow, address, token)
    return invitation


async def invite_first_admin(uow: UnitOfWork, event: OrganizationCreated) -> None:
    """Hears of organizations that nobody is in yet."""
    if event.admin_email is not None:
        await invite(uow, email=event.admin_email, name=event.admin_name, role=Role.ORG_ADMIN)


async def cancel(uow: UnitOfWork, invitation_id: UUID) -> Invitation:
    """Makes the mailed link useless; WRONG_STATE once it was accepted."""
    statement = select(Invitation).where(Invitation.id == invitation_id, col(Invitation.cancelled_at).is_(None))
    invitation = (await uow.session.execute(statement.with_for_update())).scalar_one_or_none()
    if invitation is None:
        raise not_found("id")
    if invitation.accepted_at is not None:
        refuse(UserErrorCode.WRONG_STATE, "This invitation was accepted.", "id")
    invitation.cancelled_at = uow.now()
    told = {"email": {"from": invitation.email, "to": None}}
    uow.emit(InvitationCancelled(entity_id=invitation.id, changes=told))
    return invitation


async def find_pending(database: Database, token: str, now: datetime) -> Pending | None:
    """What the token stands for, read from the inside of its organization; None when it is worth nothing."""
    async with database.session(None) as session:
        led = (await session.execute(_BY_TOKEN, {"of_token": token_hash(token)})).one_or_none()
    if led is None:
        return None
    async with database.session(led.organization_id) as session:
        invitation = await session.get(Invitation, (led.organization_id, led.invitation_id))
        if invitation is None or not _is_open(invitation, now):
            return None
        organization = await session.get_one(Organization, led.organization_id)
        with_address = select(Account).where(Account.email == invitation.email)
        account = (await session.execute(with_address)).scalar_one_or_none()
    return Pending(invitation, organization.name, account)


async def accept(uow: UnitOfWork, found: Pending, account: Account, *, name: str) -> Member:
    """Makes the account's person a member, once; the unit of work goes on inside the organization."""
    await uow.enter(found.invitation.organization_id)
    await one_at_a_time(uow, "members")
    statement = select(Invitation).where(Invitation.id == found.invitation.id).with_for_update()
    invitation = (await uow.session.execute(statement)).scalar_one_or_none()
    is_same = invitation is not None and invitation.token_hash == found.invitation.token_hash
    if invitation is None or not is_same or not _is_open(invitation, uow.now()):
        refuse_token()
    await _refuse_members(uow, account.email, "token")
    invitation.accepted_at = uow.now()
    return await service.join(uow, account, name=name, role=invitation.role, queue_ids=invitation.queue_ids)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Invitation]:
    """All but the cancelled ones."""
    statement = select(Invitation).where(col(Invitation.id).in_(ids), col(Invitation.cancelled_at).is_(None))
    return {row.id: row for row in (await session.execute(statement)).scalars()}


async def list_all(session: AsyncSession) -> Sequence[Invitation]:
    """All but the cancelled ones, the newest first; of those accepted long ago only as many as fit."""
    statement = (
        select(Invitation)
        .where(col(Invitation.cancelled_at).is_(None))
        .order_by(col(Invitation.accepted_at).is_not(None), col(Invitation.id).desc())
        .limit(MOST_OPEN)
    )
    return (await session.execute(statement)).scalars().all()


def refuse_token() -> NoReturn:
    """One face for a token that is unknown, used, cancelled, or too old."""
    refuse(UserErrorCode.EXPIRED, "This invitation was used, or is too old. Ask for a new one.", "token")


def _is_open(invitation: Invitation, now: datetime) -> bool:
    return invitation.accepted_at is None and invitation.cancelled_at is None and invitation.expires_at > now


def _of_open() -> Any:
    return sa.and_(col(Invitation.accepted_at).is_(None), col(Invitation.cancelled_at).is_(None))


async def _find_open(uow: UnitOfWork, email: str) -> Invitation | None:
    """Also an expired one: its place is taken by the new mail."""
    statement = select(Invitation).where(Invitation.email == email, _of_open()).with_for_update()
    return (await uow.session.execute(statement)).scalar_one_or_none()


async def _new(uow: UnitOfWork, email: str) -> Invitation:
    open_ones = select(sa.func.count()).select_from(Invitation).where(_of_open())
    if (await uow.session.execute(open_ones)).scalar_one() >= MOST_OPEN:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST_OPEN)
    return Invitation(email=email, role=Role.VIEWER, token_hash=b"", expires_at=uow.now(), created_at=uow.now())


async def _refuse_members(uow: UnitOfWork, email: str, *path: str) -> None:
    same = select(Member.id).where(Member.email == email, col(Member.removed_at).is_(None))
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "This person is a member already.", *(path or ("email",)))


def _inviter_id(uow: UnitOfWork) -> UUID | None:
    """The member's; a super admin who is no member here has none."""
    by = uow.principal
    is_here = isinstance(by, MemberPrincipal) and by.home_organization_id == uow.organization_id
    return by.member_id if isinstance(by, MemberPrincipal) and is_here else None


async def _send(uow: UnitOfWork, email: str, token: str) -> None:
    statement = select(Organization).where(Organization.id == uow.organization_id)
    organization = (await uow.session.execute(statement)).scalar_one()
    inviter = uow.principal.name if isinstance(uow.principal, MemberPrincipal) else "PyTake"
    link = f"{uow.settings.web_url}/accept-invitation?{urlencode({'token': token})}"
    locale = organization.locale
    body = translate(_TEXT, locale, inviter=inviter, organization=organization.name, link=link)
    subject = translate(_SUBJECT, locale, organization=organization.name)
    await mail.send(uow, recipient=email, subject=subject, text=body)
