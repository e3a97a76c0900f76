"""What a tick takes and puts back, the short way: one statement locks all that is due, one aims all of it (E1)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.frozen import Frozen, fetch
from pytake_gql.kernel.unit_of_work import UnitOfWork

_automations = table_of(FlowAutomation)
_CLAIM = Frozen(
    sa.select(_automations)
    .where(
        _automations.c.organization_id == sa.bindparam("of_organization", type_=sa.Uuid()),
        _automations.c.id == sa.any_(sa.bindparam("ids", type_=ARRAY(sa.Uuid()))),
        _automations.c.next_firing_at <= sa.bindparam("now", type_=Instant()),
        _automations.c.status == AutomationStatus.ACTIVE,
        _automations.c.deleted_at.is_(None),
    )
    .order_by(_automations.c.next_firing_at, _automations.c.id)
    .with_for_update(skip_locked=True, key_share=True)
)
_AIM = """
UPDATE flow_automations a
SET next_firing_at = g.next_firing_at, next_nominal_at = g.next_nominal_at, last_nominal_at = g.last_nominal_at,
    last_fired_at = g.last_fired_at, status = g.status, updated_at = g.updated_at
FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[],
            $8::timestamptz[])
  AS g (id, next_firing_at, next_nominal_at, last_nominal_at, last_fired_at, status, updated_at)
WHERE a.organization_id = $1 AND a.id = g.id
"""


@dataclass(slots=True)
class Aimed:
    """How one that was claimed stands from now on; `_AIM` takes the fields in this order."""

    id: UUID
    next_firing_at: datetime | None
    next_nominal_at: datetime | None
    last_nominal_at: datetime | None
    last_fired_at: datetime | None
    status: AutomationStatus
    updated_at: datetime

    @classmethod
    def at_nothing(cls, row: Any) -> "Aimed":
        return cls(row.id, None, None, row.last_nominal_at, row.last_fired_at, row.status, row.updated_at)


_NAMES = tuple(it.name for it in fields(Aimed))


async def claim(uow: UnitOfWork, ids: Sequence[UUID], now: datetime) -> Sequence[Any]:
    """Those of them that are due and nobody else has locked, with the columns of `FlowAutomation`."""
    return await _CLAIM.rows(uow.session, {"of_organization": uow.organization_id, "ids": list(ids), "now": now})


async def aim(uow: UnitOfWork, aimed: Sequence[Aimed]) -> None:
    """Writes them, in one statement."""
    columns = [[getattr(it, name) for it in aimed] for name in _NAMES]
    await fetch(uow.session, _AIM, uow.organization_id, *columns)
