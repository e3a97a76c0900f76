"""Turns taken by name, for rules over several rows that no constraint can say."""

import hashlib

import sqlalchemy as sa

from pytake_gql.kernel.unit_of_work import UnitOfWork


async def one_at_a_time(uow: UnitOfWork, subject: str) -> None:
    """Waits for the organization's other transactions on this subject; holds it until this one ends.

    A subject is taken always before any row is locked, or always after all of them, so that two who want both never
    wait for each other.
    """
    digest = hashlib.blake2b(uow.organization_id.bytes + subject.encode(), digest_size=8).digest()
    key = int.from_bytes(digest, signed=True)
    await uow.session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
