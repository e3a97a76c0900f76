"""What resolvers work with: the principal, the ports, short read sessions, and loaders of one operation."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.dataloader import DataLoader

from pytake_gql.kernel.errors import Unauthenticated
from pytake_gql.kernel.graphql.operation import Operation
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import Anonymous, MemberPrincipal, Principal, VisitorPrincipal
from pytake_gql.kernel.translation import DEFAULT_LOCALE
from pytake_gql.kernel.unit_of_work import UnitOfWork

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Batch: TypeAlias = Callable[[AsyncSession, Sequence[K]], Awaitable[Mapping[K, V]]]
CallersBatch: TypeAlias = Callable[[AsyncSession, Principal, Sequence[K]], Awaitable[Mapping[K, V]]]


class Run(Protocol):
    """A subscription that runs for all who follow the same (`shared_streams`)."""

    turns: Any
    """The `Turns` that it takes, once it follows something."""
    resumes_at: Any
    """Where an earlier run stood that this one goes on from; None: it begins as the caller asked."""

    async def renew(self) -> bool:
        """Lets only those stay who still may; False when there are none."""
        ...

    def standing(self, *, is_done: bool) -> AbstractContextManager[None]:
        """Around a wait. All that was read has been pushed; `is_done`: and nothing else is left to push."""
        ...


@dataclass(slots=True)
class Context:
    """Of one operation; a websocket makes one for each, and new loaders for each push."""

    ports: Ports
    principal: Principal = field(default_factory=Anonymous)
    request_id: str = ""
    locale: str = DEFAULT_LOCALE
    ip_address: str | None = None
    user_agent: str | None = None
    origin: str | None = None
    connection_params: dict[str, Any] | None = None
    operation: Operation | None = None
    """What is executed, once it is accepted."""
    run: Run | None = None
    """Of a subscription that equal subscribers share."""
    _uow: UnitOfWork | None = None
    _loaders: dict[Any, DataLoader[Any, Any]] = field(default_factory=dict)

    @property
    def uow(self) -> UnitOfWork:
        """The unit of work of the mutation that runs now."""
        if self._uow is None:
            raise RuntimeError("only a mutation has a unit of work")
        return self._uow

    @property
    def member(self) -> MemberPrincipal:
        if not isinstance(self.principal, MemberPrincipal):
            raise Unauthenticated
        return self.principal

    @property
    def visitor(self) -> VisitorPrincipal:
        if not isinstance(self.principal, VisitorPrincipal):
            raise Unauthenticated
        return self.principal

    @property
    def organization_id(self) -> UUID:
        if self.principal.organization_id is None:
            raise Unauthenticated
        return self.principal.organization_id

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A short session of the caller's organization; siblings resolve concurrently and must not share one."""
        async with self.ports.database.session(self.principal.organization_id) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[UnitOfWork]:
        """The unit of work of a mutation field; mutation fields run one after the other."""
        async with self.ports.units.open(self.principal) as uow:
            uow.ip_address = self.ip_address
            self._uow = uow
            try:
                yield uow
            finally:
                self._uow = None
        self.forget()

    async def share(self, key: Hashable, read: Callable[[AsyncSession], Awaitable[V]]) -> V:
        """What `read` answers, called once in this process for all of the organization who ask by this key at once.

        The key must name what is read and the authority of who asks (`SharedReads`).
        """

        async def read_once() -> V:
            async with self.read() as session:
                return await read(session)

        return await self.ports.shared_reads.share((self.principal.organization_id, key), read_once)

    async def load(self, batch: "Batch[K, V]", key: K) -> V | None:
        """One value, fetched together with all that this operation asks of the same batch function."""
        return await self._load(batch, key, batch)

    async def load_as_caller(self, batch: "CallersBatch[K, V]", key: K) -> V | None:
        """Like `load`, of what the caller may see."""
        return await self._load(batch, key, self._as_caller(batch))

    def _as_caller(self, batch: "CallersBatch[K, V]") -> "Batch[K, V]":
        return lambda session, keys: batch(session, self.principal, keys)

    async def _load(self, name: object, key: K, batch: "Batch[K, V]") -> V | None:
        value: V | None = await self._loader(name, batch).load(key)
        return value

    def _loader(self, name: object, batch: "Batch[K, V]") -> DataLoader[K, V | None]:
        loader = self._loaders.get(name)
        if loader is None:

            async def load_all(keys: list[K]) -> list[V | None]:
                async with self.read() as session:
                    found = await batch(session, keys)
                return [found.get(key) for key in keys]

            loader = self._loaders[name] = DataLoader(load_fn=load_all, max_batch_size=500)
        return loader

    def remember(self, batch: "Batch[K, V]", known: Mapping[K, V]) -> None:
        """What `load` answers without reading, until `forget`."""
        self._loader(batch, batch).prime_many(known)

    def remember_as_caller(self, batch: "CallersBatch[K, V]", known: Mapping[K, V]) -> None:
        """What `load_as_caller` answers without reading, until `forget`."""
        self._loader(batch, self._as_caller(batch)).prime_many(known)

    async def renew(self) -> bool:
        """Takes the caller's rights as they stand now; False when there are none left (G11)."""
        if self.run is not None:
            return await self.run.renew()
        principal = await self.ports.authority.renew(self.principal)
        if principal is None:
            return False
        self.principal = principal
        return True

    def forget(self) -> None:
        """Drops what was loaded: after a write, and before each push of a subscription."""
        self._loaders.clear()


Info: TypeAlias = strawberry.Info[Context, None]
