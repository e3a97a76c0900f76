"""Secrets at rest: AES-GCM under a data key of the organization, which a master key wraps (G14)."""

import secrets
from collections.abc import Mapping
from uuid import UUID

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, select

from pytake_gql.kernel.db import TenantModel, within_organization
from pytake_gql.kernel.unit_of_work import UnitOfWork

_NONCE_BYTES = 12


class DataKey(TenantModel, table=True):
    """The key that encrypts one organization's secrets, itself encrypted by the master key of that id."""

    __tablename__ = "data_keys"
    __table_args__ = (sa.UniqueConstraint("organization_id"), within_organization())

    master_key_id: str = Field(max_length=60)
    wrapped: bytes


async def seal(uow: UnitOfWork, purpose: str, value: Mapping[str, str]) -> bytes:
    """Encrypts secrets for storage; `purpose` (table and column) is bound to the ciphertext."""
    key = await _data_key(uow)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    associated = _associated(uow.organization_id, purpose)
    return nonce + AESGCM(key).encrypt(nonce, orjson.dumps(dict(value)), associated)


async def unseal(
    session: AsyncSession,
    master_keys: Mapping[str, bytes],
    organization_id: UUID,
    purpose: str,
    sealed: bytes,
) -> dict[str, str]:
    """What `seal` took; raises `cryptography.exceptions.InvalidTag` for anything else."""
    row = (await session.execute(select(DataKey))).scalar_one()
    key = _unwrap(master_keys, row)
    plain = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _associated(organization_id, purpose))
    values: dict[str, str] = orjson.loads(plain)
    return values


async def rewrap(uow: UnitOfWork) -> bool:
    """Wraps the organization's data key by the newest master key; says whether that changed anything."""
    row = (await uow.session.execute(select(DataKey).with_for_update())).scalar_one_or_none()
    newest = next(iter(uow.settings.master_keys))
    if row is None or row.master_key_id == newest:
        return False
    row.wrapped = _wrap(uow, _unwrap(uow.settings.master_keys, row))
    row.master_key_id = newest
    return True


async def _data_key(uow: UnitOfWork) -> bytes:
    """The organization's key, made at its first secret; two who make it at once agree on one."""
    row = (await uow.session.execute(select(DataKey))).scalar_one_or_none()
    if row is None:
        made = uow.insert(
            DataKey,
            {
                "id": uow.organization_id,
                "master_key_id": next(iter(uow.settings.master_keys)),
                "wrapped": _wrap(uow, AESGCM.generate_key(256)),
            },
        )
        await uow.session.execute(made.on_conflict_do_nothing())
        row = (await uow.session.execute(select(DataKey))).scalar_one()
    return _unwrap(uow.settings.master_keys, row)


def _wrap(uow: UnitOfWork, key: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    master = next(iter(uow.settings.master_keys.values()))
    return nonce + AESGCM(master).encrypt(nonce, key, _associated(uow.organization_id, "data_keys.wrapped"))


def _unwrap(master_keys: Mapping[str, bytes], row: DataKey) -> bytes:
    nonce, sealed = row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:]
    master = AESGCM(master_keys[row.master_key_id])
    return master.decrypt(nonce, sealed, _associated(row.organization_id, "data_keys.wrapped"))


def _associated(organization_id: UUID, purpose: str) -> bytes:
    return organization_id.bytes + purpose.encode()
