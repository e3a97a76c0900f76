"""Which tags hang on what: one table for each kind of thing, in that thing's own domain, handled alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from pytake_gql.desk.tags.models import Tag
from pytake_gql.kernel.db import unnested
from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Links:
    """A table with `tag_id`, and the id of what has the tag in the column `owner`."""

    model: Any
    owner: str

    @property
    def _owner(self) -> Any:
        return col(getattr(self.model, self.owner))

    async def tags_of(self, session: AsyncSession, owner_ids: Sequence[UUID]) -> dict[UUID, list[Tag]]:
        """The tags of each, in alphabetical order."""
        statement = (
            sa.select(self._owner, Tag)
            .join(Tag, col(Tag.id) == self.model.tag_id)
            .where(self._owner.in_(owner_ids))
            .order_by(col(Tag.name_key))
        )
        found: dict[UUID, list[Tag]] = {id_: [] for id_ in owner_ids}
        for owner_id, tag in await session.execute(statement):
            found[owner_id].append(tag)
        return found

    async def replace(self, uow: UnitOfWork, owner_id: UUID, tag_ids: Sequence[UUID]) -> Changes:
        """From now on it has these tags, which are there, and no others; tells what changed. Its row is locked."""
        theirs = self._owner == owner_id
        before = set((await uow.session.execute(sa.select(self.model.tag_id).where(theirs))).scalars())
        wanted = set(tag_ids)
        if before == wanted:
            return {}
        if removed := before - wanted:
            await uow.session.execute(sa.delete(self.model).where(theirs, col(self.model.tag_id).in_(removed)))
        await self.add(uow, [(owner_id, tag_id) for tag_id in sorted(wanted - before)])
        return {"tag_ids": {"from": sorted(before), "to": sorted(wanted)}}

    async def add(self, uow: UnitOfWork, pairs: Sequence[tuple[UUID, UUID]]) -> None:
        """Hangs tags on things, as (owner, tag): what has it already keeps it."""
        if not pairs:
            return
        await uow.session.flush()
        given = unnested(
            id=(sa.Uuid(), [uuid7() for _ in pairs]),
            owner=(sa.Uuid(), [owner_id for owner_id, _ in pairs]),
            tag=(sa.Uuid(), [tag_id for _, tag_id in pairs]),
        )
        rows = sa.select(sa.literal(uow.organization_id, sa.Uuid()), given.c.id, given.c.owner, given.c.tag)
        links = insert(self.model).from_select(["organization_id", "id", self.owner, "tag_id"], rows)
        await uow.session.execute(links.on_conflict_do_nothing())

    async def hand_over(self, uow: UnitOfWork, from_id: UUID, to_id: UUID) -> None:
        """What the one has, the other has, too."""
        theirs = await uow.session.execute(sa.select(self.model.tag_id).where(self._owner == from_id))
        await self.add(uow, [(to_id, tag_id) for tag_id in sorted(theirs.scalars())])

    def with_all(self, owner: Any, tag_ids: Sequence[UUID]) -> list[Any]:
        """The criteria that the row whose id is in the column `owner` has all of these tags."""
        return [owner.in_(self._with([tag_id])) for tag_id in tag_ids]

    def with_any(self, owner: Any, tag_ids: Sequence[UUID]) -> Any:
        """The criterion that it has one of these."""
        return owner.in_(self._with(tag_ids))

    def _with(self, tag_ids: Sequence[UUID]) -> Any:
        return sa.select(self._owner).where(col(self.model.tag_id).in_(tag_ids))
