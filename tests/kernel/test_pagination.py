"""Keyset pages: nothing twice, nothing lost, both ways, for any order."""

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from pytake_gql.desk.contacts.models import Contact
from pytake_gql.kernel.errors import BadUserInput
from pytake_gql.kernel.pagination import Key, Window, _decode, fetch_page, window
from tests.factories import Factory

ORDERS: dict[str, Sequence[Key]] = {
    "up": (Key(col(Contact.name)), Key(col(Contact.id))),
    "down": (Key(col(Contact.name), is_descending=True), Key(col(Contact.id), is_descending=True)),
    "mixed": (Key(col(Contact.name), is_descending=True), Key(col(Contact.id))),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
@pytest.mark.parametrize("size", [1, 3, 4, 100])
async def test_pages_joined_are_the_list_forward_and_backward(make: Factory, order: Sequence[Key], size: int) -> None:
    organization = await make.organization()
    for name in ("b", "a", "b", "c", "a", "b", "d"):
        await make.contact(organization, name=name)

    async def walk(*, is_backward: bool) -> list[Any]:
        pages, cursor = [], None
        for _ in range(20):
            async with make.ports.database.session(organization.id) as session:
                page = await fetch_page(session, sa.select(Contact), order, Window(size, cursor, is_backward))
            pages.append([contact.id for contact in page.items])
            more = page.has_previous if is_backward else page.has_next
            assert (page.has_next if is_backward else page.has_previous) == (cursor is not None)
            if not more:
                break
            cursor = page.cursors[0 if is_backward else -1]
        return list(itertools.chain(*(reversed(pages) if is_backward else pages)))

    async with make.ports.database.session(organization.id) as session:
        keys = [key.expression.desc() if key.is_descending else key.expression.asc() for key in order]
        expected = [row.id for row in (await session.execute(select(Contact).order_by(*keys))).scalars()]
    assert len(expected) == 7
    assert await walk(is_backward=False) == expected
    assert await walk(is_backward=True) == expected


async def test_a_row_that_comes_meanwhile_neither_repeats_nor_hides_another(make: Factory) -> None:
    organization = await make.organization()
    for name in ("b", "d"):
        await make.contact(organization, name=name)
    async with make.ports.database.session(organization.id) as session:
        first = await fetch_page(session, sa.select(Contact), ORDERS["up"], Window(1))
    for name in ("a", "c"):
        await make.contact(organization, name=name)
    async with make.ports.database.session(organization.id) as session:
        rest = await fetch_page(session, sa.select(Contact), ORDERS["up"], Window(10, first.cursors[0]))
    assert [contact.name for contact in (*first.items, *rest.items)] == ["b", "c", "d"]


@given(st.text())
def test_a_cursor_is_never_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(BadUserInput):
        assert len(_decode(text, 2)) == 2


@pytest.mark.parametrize(
    "arguments",
    [{"first": 101}, {"first": -1}, {"last": 101}, {"first": 1, "last": 1}, {"first": 1, "before": "x"}],
)
def test_a_window_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadUserInput):
        window(**arguments)


def test_windows_have_a_default() -> None:
    assert window() == Window(25)
    assert window(first=0) == Window(0)
    assert window(last=5, before="x") == Window(5, "x", is_backward=True)
