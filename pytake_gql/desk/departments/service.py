from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from pytake_gql.desk.departments.events import DepartmentCreated, DepartmentDeleted, DepartmentUpdated
from pytake_gql.desk.departments.models import Department
from pytake_gql.kernel import text
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.locks import one_at_a_time
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500


async def create(
    uow: UnitOfWork, *, name: str, description: str | None, color: str | None, icon: str | None
) -> Department:
    await one_at_a_time(uow, "departments")
    given: Changes = {"name": name, "description": description, "icon": icon}
    if color is not None:
        given["color"] = color
    values = await _checked(uow, given)
    if await uow.session.scalar(select(func.count()).select_from(Department)) == MOST:
        refuse(UserErrorCode.LIMIT_REACHED, "At most {most} of these.", most=MOST)
    department = Department(**values, created_at=uow.now())
    uow.add(department)
    uow.emit(DepartmentCreated(entity_id=department.id, changes={"name": {"from": None, "to": department.name}}))
    return department


async def update(uow: UnitOfWork, department_id: UUID, changes: Changes) -> Department:
    await one_at_a_time(uow, "departments")
    department = await get(uow, department_id)
    changed = change(department, await _checked(uow, changes, besides=department_id))
    if changed:
        uow.emit(DepartmentUpdated(entity_id=department_id, changes=changed))
    return department


async def delete(uow: UnitOfWork, department_id: UUID) -> Department:
    """Deletes it; the event's listeners refuse while queues stand in it."""
    department = await get(uow, department_id)
    changes = {"name": {"from": department.name, "to": None}}
    await uow.announce(DepartmentDeleted(entity_id=department_id, changes=changes))
    await uow.session.delete(department)
    return department


async def get(uow: UnitOfWork, department_id: UUID, *path: str) -> Department:
    """The row, locked; or the refusal NOT_FOUND under that path (`id` by default)."""
    statement = select(Department).where(Department.id == department_id).with_for_update()
    department = (await uow.session.execute(statement)).scalar_one_or_none()
    if department is None:
        raise not_found(*(path or ("id",)))
    return department


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Department]:
    rows = await session.execute(select(Department).where(col(Department.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


async def list_all(session: AsyncSession) -> Sequence[Department]:
    """In alphabetical order."""
    return (
        (await session.execute(select(Department).order_by(func.lower(Department.name), col(Department.id))))
        .scalars()
        .all()
    )


async def _checked(uow: UnitOfWork, changes: Changes, besides: UUID | None = None) -> Changes:
    """The values as they are stored, or a refusal that names all that is wrong."""
    problems, values = Problems(), dict(changes)
    if "name" in changes:
        with problems.gather():
            values["name"] = text.line(changes["name"], "name")
            await _refuse_taken(uow, values["name"], besides)
    if "description" in changes:
        with problems.gather():
            values["description"] = text.paragraph(changes["description"], "description")
    if "color" in changes:
        with problems.gather():
            values["color"] = text.color(changes["color"] or "", "color")
    if "icon" in changes:
        with problems.gather():
            values["icon"] = text.optional_line(changes["icon"], "icon", longest=60)
    if "is_active" in changes and changes["is_active"] is None:
        problems.add(UserErrorCode.REQUIRED, "This is required.", "is_active")
    problems.raise_if_any()
    return values


async def _refuse_taken(uow: UnitOfWork, name: str, besides: UUID | None) -> None:
    same = select(Department.id).where(Department.name == name, Department.id != besides)
    if (await uow.session.execute(same)).first():
        refuse(UserErrorCode.TAKEN, "Another one has this name.", "name")
