"""Turns taken by name, for rules over several rows that no constraint can say."""

import hashlib
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from pytake_gql.kernel.unit_of_work import UnitOfWork


async def one_at_a_time(uow: UnitOfWork, subject: str) -> None:
    """Waits for the organization's other transactions on this subject; holds it until this one ends.

    A subject is taken always before any row is locked, or always after all of them, so that two who want both never
    wait for each other.
    """
    await all_at_a_time(uow, [subject])


async def all_at_a_time(uow: UnitOfWork, subjects: Collection[str]) -> None:
    """`one_at_a_time` for several, in one order and one statement."""
    keys = sorted(_key(uow, subject) for subject in subjects)
    each = sa.func.unnest(sa.literal(keys, ARRAY(sa.BigInteger()))).column_valued("key")
    await uow.session.execute(sa.select(sa.func.pg_advisory_xact_lock(each)))


def _key(uow: UnitOfWork, subject: str) -> int:
    digest = hashlib.blake2b(uow.organization_id.bytes + subject.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
