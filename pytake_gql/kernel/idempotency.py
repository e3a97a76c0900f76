"""Safe retries: the same key of the same actor answers the same, and does nothing twice (G5, D18)."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlmodel import Field, col

from pytake_gql.kernel.db import Instant, TenantModel, within_organization
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork

LIFETIME = timedelta(hours=24)
_LONGEST_KEY = 200
_RENEWED = ("request_hash", "answer", "created_at")
_ORGANIZATIONS = sa.text("SELECT engine_expired_idempotency_keys(:before, :at_most)")


class IdempotencyKey(TenantModel, table=True):
    """`answer` is the id of what the request made; null when it found nothing."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.UniqueConstraint("organization_id", "actor_id", "key"), within_organization())

    actor_id: UUID
    key: str = Field(max_length=_LONGEST_KEY)
    request_hash: bytes
    answer: UUID | None = None
    created_at: datetime = Field(sa_type=Instant, index=True)


async def claim(uow: UnitOfWork, actor_id: UUID, key: str | None, request: Any) -> IdempotencyKey | None:
    """Takes the key for this request; an equal one that runs now is waited for.

    None without a key. A row whose `answer` is set has been answered before; otherwise the caller does its work
    and sets it. The same key with another request is CONFLICT.
    """
    if key is None:
        return None
    if not key or len(key) > _LONGEST_KEY:
        refuse(
            UserErrorCode.INVALID,
            "A key has 1 to {longest} characters.",
            "idempotency_key",
            longest=_LONGEST_KEY,
        )
    digest = hashlib.sha256(orjson.dumps(request, default=str)).digest()
    values = {"id": uuid7(), "actor_id": actor_id, "key": key, "request_hash": digest, "created_at": uow.now()}
    row = uow.insert(IdempotencyKey, values)
    columns = sa.inspect(IdempotencyKey).columns
    is_expired = columns["created_at"] < uow.now() - LIFETIME
    # What is no longer valid begins anew; else the row stays as it is, and is locked and read in the same breath.
    anew = {name: sa.case((is_expired, row.excluded[name]), else_=columns[name]) for name in _RENEWED}
    taken = row.on_conflict_do_update(index_elements=["organization_id", "actor_id", "key"], set_=anew)
    found: IdempotencyKey = (
        await uow.session.execute(
            taken.returning(IdempotencyKey),
            execution_options={"populate_existing": True},
        )
    ).scalar_one()
    if found.request_hash != digest:
        refuse(UserErrorCode.CONFLICT, "This key was used for another request.", "idempotency_key")
    return found


async def forget_expired(units: UnitsOfWork, at_most: int = 100) -> None:
    """Deletes the keys older than their lifetime, organization by organization, of so many organizations a call."""
    async with units.of_system(None) as uow:
        expired = uow.now() - LIFETIME
        found = await uow.session.execute(_ORGANIZATIONS, {"before": expired, "at_most": at_most})
        organizations = list(found.scalars())
    for organization_id in organizations:
        async with units.of_system(organization_id) as uow:
            await uow.session.execute(sa.delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < expired))
