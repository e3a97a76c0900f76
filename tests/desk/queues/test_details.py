"""Overflow chains, pure."""

from uuid import UUID

import pytest

from pytake_gql.desk.queues.details import leads_back

A, B, C, D = (UUID(int=number) for number in range(1, 5))


@pytest.mark.parametrize(
    ("first", "overflows", "expected"),
    [
        (A, {}, True),
        (B, {}, False),
        (B, {B: C}, False),
        (B, {B: A}, True),
        (B, {B: C, C: A}, True),
        (B, {B: C, C: D, A: B}, False),
        (B, {B: C, C: B}, False),
    ],
)
def test_d9_a_chain_of_overflows_leads_back_or_ends(first: UUID, overflows: dict[UUID, UUID], expected: bool) -> None:
    assert leads_back(A, first, overflows) is expected
