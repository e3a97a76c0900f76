"""The browser origins of an organization: replaced as one list."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.kernel.errors import Problems, UserErrorCode
from pytake_gql.kernel.events import Changes, change
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import origins
from pytake_gql.tenancy.organizations.models import Frontend, FrontendEnvironment

MOST = 50


@dataclass(frozen=True, slots=True)
class GivenFrontend:
    environment: FrontendEnvironment
    origin: str
    is_active: bool


async def list_all(session: AsyncSession) -> Sequence[Frontend]:
    """In their own order."""
    order = col(Frontend.position), col(Frontend.id)
    return (await session.execute(select(Frontend).order_by(*order))).scalars().all()


def checked(given: Sequence[GivenFrontend], *path: str) -> list[GivenFrontend]:
    """The list with its origins as browsers write them, or a refusal that names all that is wrong."""
    problems, seen, result = Problems(), set[str](), list[GivenFrontend]()
    if len(given) > MOST:
        problems.add(UserErrorCode.TOO_MANY, "At most {most} of these.", *path, most=MOST)
        problems.raise_if_any()
    for index, item in enumerate(given):
        here = (*path, str(index), "origin")
        with problems.gather():
            allows_http = item.environment is FrontendEnvironment.DEVELOPMENT
            origin = origins.checked(item.origin, *here, allows_http=allows_http)
            if origin in seen:
                problems.add(UserErrorCode.TAKEN, "Each origin is named once.", *here)
            seen.add(origin)
            result.append(GivenFrontend(item.environment, origin, item.is_active))
    problems.raise_if_any()
    return result


async def replace(uow: UnitOfWork, checked_list: Sequence[GivenFrontend]) -> Changes:
    """Makes the list the organization's; tells the change, which is empty where nothing changed."""
    rows = {row.origin: row for row in await list_all(uow.session)}
    before = [_told(row) for row in rows.values()]
    for position, item in enumerate(checked_list):
        values: Changes = {"environment": item.environment, "is_active": item.is_active, "position": position}
        if (row := rows.pop(item.origin, None)) is not None:
            change(row, values)
        else:
            uow.add(Frontend(origin=item.origin, **values))
    for row in rows.values():
        await uow.session.delete(row)
    after = [_told(item) for item in checked_list]
    return {"frontends": {"from": before, "to": after}} if before != after else {}


def _told(item: Frontend | GivenFrontend) -> dict[str, str | bool]:
    return {"environment": item.environment.value, "origin": item.origin, "isActive": item.is_active}
