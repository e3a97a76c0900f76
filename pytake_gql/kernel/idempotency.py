"""Safe retries: the same key of the same actor answers the same, and does nothing twice (G5, D18)."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlmodel import Field, col, select

from pytake_gql.kernel.db import Instant, TenantModel, within_organization
from pytake_gql.kernel.errors import UserErrorCode, refuse
from pytake_gql.kernel.unit_of_work import UnitOfWork, UnitsOfWork

LIFETIME = timedelta(hours=24)
_LONGEST_KEY = 200
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
    row = uow.insert(
        IdempotencyKey,
        {
            "id": sa.func.gen_random_uuid(),
            "actor_id": actor_id,
            "key": key,
            "request_hash": digest,
            "created_at": uow.now(),
        },
    )
    expired = {"request_hash": digest, "answer": None, "created_at": uow.now()}
    await uow.session.execute(
        row.on_conflict_do_update(
            index_elements=["organization_id", "actor_id", "key"],
            set_=expired,
            where=col(IdempotencyKey.created_at) < uow.now() - LIFETIME,
        )
    )
    found = (
        await uow.session.execute(
            select(IdempotencyKey).where(IdempotencyKey.actor_id == actor_id, IdempotencyKey.key == key)
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
