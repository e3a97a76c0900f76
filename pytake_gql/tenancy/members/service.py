from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.pagination import Key, Page, Window, fetch_page
from pytake_gql.kernel.ports import AUTHORITY_TOPIC
from pytake_gql.kernel.principal import ConversationScope, MemberPrincipal, Role
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.events import (
    MemberDeactivated,
    MemberJoined,
    MemberQueuesSet,
    MemberRemoved,
    MemberSkillsSet,
    MemberUpdated,
)
from pytake_gql.tenancy.members.models import Account, Availability, Member

LARGEST_CAPACITY = 100
_BY_NAME = (Key(sa.func.lower(Member.name)), Key(Member.id))


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which members a list shows; what is empty does not matter."""

    search: str | None = None
    roles: Sequence[Role] = ()
    availabilities: Sequence[Availability] = ()


async def join(uow: UnitOfWork, account: Account, *, name: str, role: Role, queue_ids: Sequence[UUID] = ()) -> Member:
    """Makes the account's person a member of the organization that the unit of work is in."""
    member = Member(
        account_id=account.id,
        email=account.email,
        name=name,
        role=role,
        conversation_scope=ConversationScope.QUEUES if role is Role.AGENT else ConversationScope.ORGANIZATION,
        created_at=uow.now(),
    )
    uow.add(member)
    told = {key: {"from": None, "to": getattr(member, key)} for key in ("name", "email", "role")}
    uow.emit(MemberJoined(entity_id=member.id, changes=told, queue_ids=tuple(queue_ids)))
    return member


async def update(uow: UnitOfWork, member_id: UUID, changes: Changes) -> Member:
    """`queue_ids` and `skills` among the changes are whole lists, which those who know queues and skills write down."""
    await one_at_a_time(uow, "members")
    member = await get(uow, member_id)
    values = _checked(changes)
    queue_ids, skills = values.pop("queue_ids", None), values.pop("skills", None)
    problems = Problems()
    with problems.gather():
        _may_set_rights(uow, member, values)
    with problems.gather():
        await _keep_an_admin(uow, member, values)
    problems.raise_if_any()
    was_active = member.is_active
    if changed := change(member, values):
        uow.emit(MemberUpdated(entity_id=member.id, changes=changed))
        uow.wake(AUTHORITY_TOPIC, str(member.id))
    if queue_ids is not None:
        uow.emit(MemberQueuesSet(entity_id=member.id, queue_ids=tuple(queue_ids)))
    if skills is not None:
        uow.emit(MemberSkillsSet(entity_id=member.id, skills=tuple(skills)))
    if was_active and not member.is_active:
        presence.choose(uow, member, Availability.OFFLINE)
        uow.emit(MemberDeactivated(entity_id=member.id))
    return member


async def remove(uow: UnitOfWork, member_id: UUID, reassign_to_id: UUID | None) -> Member:
    """Takes the member out; the row stays for what it wrote. Sessions end, conversations go elsewhere."""
    await one_at_a_time(uow, "members")
    await lock_in_order(uow, member_id, reassign_to_id)
    member = await get(uow, member_id)
    if is_self(uow, member):
        refuse(UserErrorCode.WRONG_STATE, "Nobody removes oneself.", "id")
    _may_touch(uow, member)
    await _keep_an_admin(uow, member, {"is_active": False})
    if reassign_to_id is not None:
        await _may_take_over(uow, member, reassign_to_id)
    member.removed_at = uow.now()
    member.availability = Availability.OFFLINE
    told = {"name": {"from": member.name, "to": None}, "email": {"from": member.email, "to": None}}
    uow.emit(MemberRemoved(entity_id=member.id, changes=told, reassign_to_id=reassign_to_id))
    uow.wake(AUTHORITY_TOPIC, str(member.id))
    return member


async def update_profile(uow: UnitOfWork, by: MemberPrincipal, changes: Changes) -> Member:
    """The caller's own member, at home also while a super admin is elsewhere."""
    await uow.enter(by.home_organization_id)
    member = await get(uow, by.member_id)
    if changed := change(member, _checked(changes)):
        uow.emit(MemberUpdated(entity_id=member.id, changes=changed))
        uow.wake(AUTHORITY_TOPIC, str(member.id))
    return member


async def set_availability(uow: UnitOfWork, by: MemberPrincipal, availability: Availability) -> Member:
    """What the caller chose; at home, like the profile."""
    await uow.enter(by.home_organization_id)
    member = await get(uow, by.member_id)
    presence.choose(uow, member, availability)
    return member


async def lock_in_order(uow: UnitOfWork, *member_ids: UUID | None) -> None:
    """Locks the rows of several members as everybody does, by id: nobody waits in a circle (D11)."""
    wanted = [member_id for member_id in member_ids if member_id is not None]
    rows = select(Member.id).where(col(Member.id).in_(wanted)).order_by(col(Member.id))
    await uow.session.execute(rows.with_for_update(key_share=True))


async def get(uow: UnitOfWork, member_id: UUID, *path: str) -> Member:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default), for removed ones, too.

    FOR NO KEY UPDATE: rows that name the member may be written meanwhile.
    """
    statement = select(Member).where(Member.id == member_id, col(Member.removed_at).is_(None))
    found = await uow.session.execute(
        statement.with_for_update(key_share=True), execution_options={"populate_existing": True}
    )
    member = found.scalar_one_or_none()
    if member is None:
        raise not_found(*(path or ("id",)))
    return member


async def find(session: AsyncSession, member_id: UUID) -> Member | None:
    """A member who is still there."""
    statement = select(Member).where(Member.id == member_id, col(Member.removed_at).is_(None))
    return (await session.execute(statement)).scalar_one_or_none()


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Member]:
    """Members, removed ones too: history names them."""
    rows = await session.execute(select(Member).where(col(Member.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def search(
    session: AsyncSession, criteria: Criteria, wanted: Window, besides: Sequence[sa.ColumnElement[bool]] = ()
) -> Page[Member]:
    """Members in alphabetical order; `besides` are conditions that a wing above knows of, such as their queue."""
    return await fetch_page(session, _matching(sa.select(Member), criteria, besides), _BY_NAME, wanted)


async def count(session: AsyncSession, criteria: Criteria, besides: Sequence[sa.ColumnElement[bool]] = ()) -> int:
    statement = _matching(sa.select(sa.func.count()).select_from(Member), criteria, besides)
    found: int = (await session.execute(statement)).scalar_one()
    return found


def is_self(uow: UnitOfWork, member: Member) -> bool:
    return isinstance(uow.principal, MemberPrincipal) and uow.principal.member_id == member.id


def may_give(uow: UnitOfWork, role: Role, *path: str) -> None:
    """SUPER_ADMIN is given, and taken, by super admins only."""
    by = uow.principal
    if role is Role.SUPER_ADMIN and isinstance(by, MemberPrincipal) and by.role is not Role.SUPER_ADMIN:
        refuse(UserErrorCode.FORBIDDEN, "Only a super admin may do this.", *path)


def _matching(
    statement: sa.Select[Any], criteria: Criteria, besides: Sequence[sa.ColumnElement[bool]]
) -> sa.Select[Any]:
    statement = statement.where(col(Member.removed_at).is_(None), *besides)
    if words := (criteria.search or "").strip():
        fields = (col(Member.name), col(Member.email))
        statement = statement.where(sa.or_(*(field.icontains(words, autoescape=True) for field in fields)))
    if criteria.roles:
        statement = statement.where(col(Member.role).in_(criteria.roles))
    if criteria.availabilities:
        statement = statement.where(col(Member.availability).in_(criteria.availabilities))
    return statement


def _checked(changes: Changes) -> Changes:
    problems, values = Problems(), dict(changes)
    if "name" in changes:
        with problems.gather():
            values["name"] = text.line(changes["name"], "name")
    if changes.get("avatar_url") is not None:
        with problems.gather():
            given = changes["avatar_url"].strip()
            values["avatar_url"] = text.web_address(given, "avatar_url") if given else None
    for name in ("role", "is_active", "conversation_scope", "capacity", "skills", "queue_ids"):
        if name in changes and changes[name] is None:
            problems.add(UserErrorCode.REQUIRED, "This is required.", name)
    if not 0 <= (changes.get("capacity") or 0) <= LARGEST_CAPACITY:
        problems.add(UserErrorCode.INVALID, "From 0 to {most}.", "capacity", most=LARGEST_CAPACITY)
    problems.raise_if_any()
    return values


def _may_touch(uow: UnitOfWork, member: Member) -> None:
    may_give(uow, member.role, "id")


def _may_set_rights(uow: UnitOfWork, member: Member, values: Changes) -> None:
    """Nobody changes the own role or activity; super admins are changed by super admins only."""
    problems = Problems()
    with problems.gather():
        _may_touch(uow, member)
    role, is_active = values.get("role", member.role), values.get("is_active", member.is_active)
    if role is not member.role:
        with problems.gather():
            may_give(uow, role, "role")
        if is_self(uow, member):
            problems.add(UserErrorCode.WRONG_STATE, "Nobody changes the own role.", "role")
    if is_self(uow, member) and not is_active:
        problems.add(UserErrorCode.WRONG_STATE, "Nobody deactivates oneself.", "is_active")
    problems.raise_if_any()


async def _keep_an_admin(uow: UnitOfWork, member: Member, values: Changes) -> None:
    """An organization that has an active admin keeps one; taken one at a time, so that two cannot both go."""
    stays = values.get("role", member.role).serves(Role.ORG_ADMIN) and values.get("is_active", member.is_active)
    if stays or not (member.role.serves(Role.ORG_ADMIN) and member.is_active):
        return
    others = sa.select(sa.func.count()).where(
        col(Member.id) != member.id,
        col(Member.role).in_([Role.ORG_ADMIN, Role.SUPER_ADMIN]),
        col(Member.is_active),
        col(Member.removed_at).is_(None),
    )
    if (await uow.session.execute(others.select_from(Member))).scalar_one() == 0:
        refuse(UserErrorCode.WRONG_STATE, "The last active admin stays.", "id")


async def _may_take_over(uow: UnitOfWork, leaving: Member, member_id: UUID) -> None:
    taker = await get(uow, member_id, "reassign_to_id")
    if taker.id == leaving.id or not taker.is_active:
        refuse(UserErrorCode.WRONG_STATE, "Somebody else who is active takes over.", "reassign_to_id")
