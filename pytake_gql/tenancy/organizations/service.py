import secrets
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from pytake_gql.kernel.errors import UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_rows
from pytake_gql.kernel.ports import AUTHORITY_TOPIC
from pytake_gql.kernel.principal import MemberPrincipal, Role
from pytake_gql.kernel.text import slug_from
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import calendar, details, frontends
from pytake_gql.tenancy.organizations.calendar import Calendar
from pytake_gql.tenancy.organizations.events import OrganizationCreated, OrganizationDeleted, OrganizationUpdated
from pytake_gql.tenancy.organizations.models import Organization

_LONGEST_SLUG = 60
_SLUG_CONSTRAINT = "uq_organizations_slug"


async def create(
    uow: UnitOfWork,
    *,
    name: str,
    slug: str | None = None,
    timezone: str | None = None,
    locale: str | None = None,
    holiday_region: str | None = None,
    admin_email: str | None = None,
    admin_name: str | None = None,
) -> Organization:
    """Makes an organization, and the unit of work goes on inside it.

    Without a slug the name suggests one. Whoever has `admin_email` is invited as its first admin.
    """
    given = {
        "slug": slug,
        "timezone": timezone,
        "locale": locale,
        "holiday_region": holiday_region,
        "admin_email": admin_email,
        "admin_name": admin_name,
    }
    values = details.checked({"name": name} | {key: value for key, value in given.items() if value is not None})
    wanted = values.pop("slug", None)
    invited = {key: values.pop(key, None) for key in ("admin_email", "admin_name")}
    organization = Organization(id=uuid7(), slug=wanted or "", created_at=uow.now(), **values)
    await uow.enter(organization.id)
    if wanted is not None:
        uow.add(organization)
        await _flush(uow)
    else:
        await _insert_with_some_slug(uow, organization)
    changes = {key: {"from": None, "to": getattr(organization, key)} for key in ("name", "slug")}
    uow.emit(OrganizationCreated(entity_id=organization.id, changes=changes, **invited))
    return organization


async def update(uow: UnitOfWork, organization_id: UUID | None, changes: Changes) -> Organization:
    """Changes the organization worked in; another one, and whether it is active, are for super admins.

    The unit of work goes on inside the organization that changed.
    """
    if organization_id is not None and organization_id != uow.organization_id:
        if not _is_super_admin(uow):
            raise not_found("id")
        await uow.enter(organization_id)
    organization = await get(uow, uow.organization_id)
    if "is_active" in changes:
        _may_set_active(uow, is_active=changes["is_active"])
    values = details.checked(changes)
    origins = values.pop("frontends", None)
    changed = change(organization, values)
    _require_opening(uow, organization, changed)
    await _flush(uow)
    if origins is not None:
        changed |= await frontends.replace(uow, origins)
    if changed:
        uow.emit(OrganizationUpdated(entity_id=organization.id, changes=changed))
    if "is_active" in changed:
        uow.wake(AUTHORITY_TOPIC, str(organization.id))
    return organization


async def delete(uow: UnitOfWork, organization_id: UUID, confirm_slug: str) -> Organization:
    """Deletes it with everything of it; what is told of that, is told in the caller's own organization."""
    by = _member(uow)
    if organization_id in {by.organization_id, by.home_organization_id}:
        refuse(UserErrorCode.WRONG_STATE, "Switch to another organization before you delete this one.", "id")
    await uow.enter(organization_id)
    organization = await get(uow, organization_id)
    if organization.slug != confirm_slug:
        refuse(UserErrorCode.INVALID, "This is not the organization's slug.", "confirm_slug")
    await uow.session.execute(sa.delete(Organization).where(Organization.id == organization_id))  # type: ignore[arg-type]
    await uow.enter(by.home_organization_id)
    gone = {key: {"from": getattr(organization, key), "to": None} for key in ("name", "slug")}
    uow.emit(OrganizationDeleted(entity_id=organization_id, changes=gone))
    uow.wake(AUTHORITY_TOPIC, str(organization_id))
    return organization


async def get(uow: UnitOfWork, organization_id: UUID) -> Organization:
    """The row, locked, of the organization that the unit of work is in; or the refusal NOT_FOUND under `id`."""
    statement = select(Organization).where(Organization.id == organization_id).with_for_update()
    organization = (await uow.session.execute(statement)).scalar_one_or_none()
    if organization is None:
        raise not_found("id")
    return organization


async def current(session: AsyncSession, organization_id: UUID) -> Organization:
    """The session's own organization."""
    return (await session.execute(select(Organization).where(Organization.id == organization_id))).scalar_one()


def calendar_of(organization: Organization, hours: list[dict[str, Any]]) -> Calendar:
    """These opening hours, its own or a queue's, by its clock and with its holidays."""
    return Calendar.of(hours, organization.timezone, organization.holiday_region)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Organization]:
    """Of any session: for those whose caller is known to belong there."""
    across = _across(ids)
    return {row.id: _read(across, row) for row in await session.execute(sa.select(across))}


async def list_page(session: AsyncSession, search: str | None, wanted: Window) -> Page[Organization]:
    """All organizations on the platform, or those whose name or slug holds the text, in alphabetical order."""
    across = _across(None)
    order = (Key(sa.func.lower(across.c.name)), Key(across.c.id))
    page = await fetch_rows(session, _matching(sa.select(across), across, search), order, wanted)
    return page.map(lambda row: _read(across, row))


async def count(session: AsyncSession, search: str | None) -> int:
    across = _across(None)
    statement = _matching(sa.select(sa.func.count()).select_from(across), across, search)
    found: int = (await session.execute(statement)).scalar_one()
    return found


def _across(among: Sequence[UUID] | None) -> Any:
    """Organizations whatever the session's own is."""
    columns = [sa.column(column.name, column.type) for column in Organization.__table__.columns]  # type: ignore[attr-defined]
    ids = sa.cast(None if among is None else list(among), ARRAY(sa.Uuid()))
    return sa.func.engine_organizations(ids).table_valued(*columns, name="organization")


def _read(across: Any, row: Any) -> Organization:
    return Organization(**{column.name: getattr(row, column.name) for column in across.c})


def _matching(statement: sa.Select[Any], across: Any, search: str | None) -> sa.Select[Any]:
    words = (search or "").strip()
    if not words:
        return statement
    return statement.where(
        sa.or_(across.c.name.icontains(words, autoescape=True), across.c.slug.icontains(words, autoescape=True))
    )


async def _insert_with_some_slug(uow: UnitOfWork, organization: Organization) -> None:
    suggested = slug_from(organization.name, longest=_LONGEST_SLUG - 9) or "organization"
    organization.slug = suggested
    while True:
        try:
            async with uow.session.begin_nested():
                uow.add(organization)
        except IntegrityError as error:
            if _SLUG_CONSTRAINT not in str(error):
                raise
            organization.slug = f"{suggested}-{secrets.token_hex(4)}"
        else:
            return


def _require_opening(uow: UnitOfWork, organization: Organization, changed: Changes) -> None:
    """Its own calendar opens at some time, whichever part of it changed (D23)."""
    for name in ("opening_hours", "timezone", "holiday_region"):
        if name in changed:
            calendar.require_opening(calendar_of(organization, organization.opening_hours), uow.now(), name)


async def _flush(uow: UnitOfWork) -> None:
    """Row-level security hides who has a slug; the constraint does not."""
    try:
        await uow.session.flush()
    except IntegrityError as error:
        if _SLUG_CONSTRAINT not in str(error):
            raise
        refuse(UserErrorCode.TAKEN, "Another one has this slug.", "slug")


def _may_set_active(uow: UnitOfWork, *, is_active: bool | None) -> None:
    if not _is_super_admin(uow):
        refuse(UserErrorCode.FORBIDDEN, "Only a super admin may change this.", "is_active")
    if is_active is False and uow.organization_id == _member(uow).home_organization_id:
        refuse(UserErrorCode.WRONG_STATE, "Your own organization stays active.", "is_active")


def _is_super_admin(uow: UnitOfWork) -> bool:
    return isinstance(uow.principal, MemberPrincipal) and uow.principal.role is Role.SUPER_ADMIN


def _member(uow: UnitOfWork) -> MemberPrincipal:
    if not isinstance(uow.principal, MemberPrincipal):
        raise TypeError("only a member deletes organizations, or makes them active")
    return uow.principal
