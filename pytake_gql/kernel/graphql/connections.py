"""Relay connections as plain dataclasses: no resolver for each edge."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import strawberry

from pytake_gql.kernel.graphql.types import field, object_type
from pytake_gql.kernel.pagination import Page

T = TypeVar("T")
R = TypeVar("R")


@object_type
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool
    """Whether more follow; paging backward, whether the page has a successor."""
    has_previous_page: bool
    """Whether more come before; paging forward, whether the page has a predecessor."""
    start_cursor: str | None
    """The cursor of the first item, for `before`."""
    end_cursor: str | None
    """The cursor of the last item, for `after`."""


@object_type
class Edge(Generic[T]):
    """An item and its place in the list."""

    node: T
    """The item."""
    cursor: str
    """Its place, for `after` and `before`; opaque."""


@object_type
class Connection(Generic[T]):
    """A page of a list that can grow."""

    edges: list[Edge[T]]
    """The items with their cursors."""
    nodes: list[T]
    """The items alone."""
    page_info: PageInfo
    """Where the page stands."""
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @field
    async def total_count(self) -> int:
        """How many items the whole list has; computed only when it is selected."""
        return await self.count()


def connection(page: Page[Any], count: Callable[[], Awaitable[int]]) -> Any:
    """A connection of a page that holds GraphQL objects."""
    return Connection(
        edges=[Edge(node=node, cursor=cursor) for node, cursor in zip(page.items, page.cursors, strict=True)],
        nodes=page.items,
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.cursors[0] if page.cursors else None,
            end_cursor=page.cursors[-1] if page.cursors else None,
        ),
        count=count,
    )
