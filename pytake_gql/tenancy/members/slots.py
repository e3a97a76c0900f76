"""How many conversations a member has at once: taken and freed under the lock of the member's row (D11)."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col

from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.members import presence
from pytake_gql.tenancy.members.models import Member


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


async def free_slot(uow: UnitOfWork, member_id: UUID) -> None:
    """Gives one back, of whoever had it: removed and inactive members, too."""
    await uow.session.execute(
        sa.update(Member)
        .where(col(Member.id) == member_id, col(Member.load) > 0)
        .values(load=col(Member.load) - 1)
        .execution_options(synchronize_session="fetch")
    )
    presence.tell(uow, member_id)
