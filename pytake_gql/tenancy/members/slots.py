"""How many conversations a member has at once: taken and freed under the lock of the member's row (D11)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member

_members = table_of(Member)
_organization = sa.bindparam("of_organization", type_=sa.Uuid())
_taken: Any = (
    sa.func.unnest(
        sa.bindparam("member_ids", type_=ARRAY(sa.Uuid())),
        sa.bindparam("counts", type_=ARRAY(sa.Integer())),
        sa.bindparam("instants", type_=ARRAY(Instant())),
    )
    .table_valued(sa.column("member_id", sa.Uuid()), sa.column("count", sa.Integer()), sa.column("at", Instant()))
    .render_derived(name="taken")
)


async def take_slot(uow: UnitOfWork, member_id: UUID, *, force: bool = False) -> Member | None:
    """Counts one more conversation against the capacity, and keeps the member's row locked.

    None when the member is gone, inactive, or full; `force` leaves capacity aside. One statement, so that load
    never exceeds capacity however many take at once. Agents are locked before conversations (D11).
    """
    statement = sa.update(Member).where(
        col(Member.id) == member_id, col(Member.is_active), col(Member.removed_at).is_(None)
    )
    if not force:
        statement = statement.where(col(Member.load) < col(Member.capacity))
    taken = statement.values(load=col(Member.load) + 1, last_assigned_at=uow.now()).returning(Member)
    found = await uow.session.execute(taken, execution_options={"populate_existing": True})
    member = found.scalar_one_or_none()
    if member is not None:
        presence.tell(uow, member_id)
    return member


_TAKE_ALL = Frozen(
    sa.update(_members)
    .where(
        _members.c.organization_id == sa.bindparam("of_organization", type_=sa.Uuid()),
        _members.c.id == _taken.c.member_id,
    )
    .values(load=_members.c.load + _taken.c.count, last_assigned_at=_taken.c.at)
)


async def take_slots(uow: UnitOfWork, taken: Mapping[UUID, tuple[int, datetime]]) -> None:
    """So many for each, the last at that instant; the caller has locked the rows, and seen that there is room."""
    given = {
        "of_organization": uow.organization_id,
        "member_ids": list(taken),
        "counts": [count for count, _ in taken.values()],
        "instants": [at for _, at in taken.values()],
    }
    await _TAKE_ALL.rows(uow.session, given)
    for member_id in taken:
        presence.tell(uow, member_id)


async def free_slot(uow: UnitOfWork, member_id: UUID) -> None:
    """Gives one back, of whoever had it: removed and inactive members, too."""
    await uow.session.execute(
        sa.update(Member)
        .where(col(Member.id) == member_id, col(Member.load) > 0)
        .values(load=col(Member.load) - 1)
        .execution_options(synchronize_session="fetch")
    )
    presence.tell(uow, member_id)
