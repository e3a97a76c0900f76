"""Subscriptions that many follow alike run once: one execution and one serialised frame an event, whoever listens.

A *stream* is one run of a subscription in this process. Its *subscribers* are operations of sockets. What always holds:

1. Only equals share: the subscribers of a stream have the same document, operation, variables (but for the cursor) and
   locale, and an equal audience: organization, role, and whatever else the run has asked of its caller (`audience`).
   A run that is shared and then asks for something in which its subscribers differ is thrown away before anybody
   gets anything of it; they go on apart, from where they stood.
2. Nobody misses or doubles anything by sharing (G7). Everyone begins with a run of one's own. Two runs of equal
   operations become one only while both rest at the same place: each has pushed all that it read, has heard
   every wake-up that the other has, and says by `Turns.at` that the next turn depends on nothing else.
3. Nothing is pushed to who may not have it (G11). Before each turn the rights of every subscriber's holder are known,
   not older than `FRESH_SECONDS`. Who has lost them is gone by then, and who has others than the rest goes on apart.
4. Nobody waits for a slow reader (G17): who is behind goes on apart, at the pace of the own socket, and comes back
   when there is nothing left to catch up with.

"Apart" is a run of one's own that resumes at `Turns.at`, or begins with a snapshot.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import aclosing
from typing import Any

from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult, PreExecutionError

from pytake_gql.kernel.errors import ErrorCode
from pytake_gql.kernel.graphql.audience import AnyMember, DependsOnCaller, Disclosure, audience
from pytake_gql.kernel.graphql.calls import write_json
from pytake_gql.kernel.graphql.context import Context
from pytake_gql.kernel.graphql.masking import mask
from pytake_gql.kernel.graphql.operation import Followed
from pytake_gql.kernel.graphql.outgoing import text_frames
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.graphql.sockets import Sockets
from pytake_gql.kernel.graphql.subscriber import Subscriber
from pytake_gql.kernel.graphql.turns import Turns
from pytake_gql.kernel.ids import uuid7
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.principal import MemberPrincipal, Principal

log = logging.getLogger(__name__)

FRESH_SECONDS = 2.5
"""How old the rights of a holder may be at a push: the watch over the sockets renews them every two."""

_MOST_LEARNED = 500


class Streams:
    """The running streams of one process."""

    def __init__(self, schema: Schema, ports: Ports, sockets: Sockets) -> None:
        self.schema = schema
        self.ports = ports
        self.sockets = sockets
        self.running: set[Stream] = set()
        self.resting: dict[Hashable, Stream] = {}
        """By what is followed, for whom, and where it stands: where others may join."""
        self.executions = 0
        self._learned: dict[Hashable, Disclosure] = {}

    def follow(self, subscriber: Subscriber, followed: Followed, principal: Principal) -> None:
        """Begins to push to the subscriber, whose rights are fresh."""
        disclosed = self._learned.get(followed.name, Disclosure.AUTHORITY)
        self.begin([subscriber], followed, principal, disclosed, None)

    def begin(
        self,
        subscribers: Iterable[Subscriber],
        followed: Followed,
        principal: Principal,
        disclosed: Disclosure,
        at: Any,
    ) -> None:
        stream = Stream(self, followed, principal, disclosed, at)
        for subscriber in subscribers:
            stream.subscribers.add(subscriber)
            subscriber.stream = stream
        self.running.add(stream)
        stream.task = asyncio.create_task(stream.run(), name="stream")

    def leave(self, subscriber: Subscriber) -> "asyncio.Task[None] | None":
        """Nothing more is pushed to it; gives the task of its stream where that ends now, for want of others."""
        stream, subscriber.stream = subscriber.stream, None
        if stream is None:
            return None
        stream.subscribers.discard(subscriber)
        return stream.end() if not stream.subscribers else None

    def readdress(self, subscriber: Subscriber, fresh: Principal) -> None:
        """Something about the rights of the subscriber's holder has changed, to be seen in `fresh` or not."""
        stream = subscriber.stream
        if stream is None:
            return
        if len(stream.subscribers) == 1:
            stream.readdress(fresh)
        elif audience(fresh, stream.disclosed) != stream.audience:
            stream.part([subscriber], fresh)
        elif stream.disclosed is Disclosure.MEMBER:
            stream.nudge()

    def learn(self, followed: Followed, disclosed: Disclosure) -> None:
        """What this operation will ask for: next time it is known from the beginning."""
        if len(self._learned) >= _MOST_LEARNED:
            self._learned.clear()
        self._learned[followed.name] = disclosed


class Stream:
    """One run. It is the `run` of its context."""

    def __init__(
        self, streams: Streams, followed: Followed, principal: Principal, disclosed: Disclosure, resumes_at: Any
    ) -> None:
        self._streams = streams
        self._followed = followed
        self._principal = principal
        """Of one of the subscribers: in what is disclosed they are all equal."""
        self._told_at: Any = resumes_at
        """Where the subscribers stand."""
        self._is_apart = False
        """The run asked for something in which the subscribers differ."""
        self._is_lagging = False
        """At the last push not all kept up."""
        self._rests_by: Hashable = None
        self._is_standing = False
        """It waits for what comes next, and executes nothing."""
        self.disclosed = disclosed
        self.resumes_at = resumes_at
        self.subscribers: set[Subscriber] = set()
        self.turns: Turns[Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self._context = Context(
            ports=streams.ports, principal=self._caller(), request_id=uuid7().hex, locale=followed.locale, run=self
        )

    @property
    def audience(self) -> Hashable:
        return audience(self._principal, self.disclosed)

    async def run(self) -> None:
        """Until it has ended, or nobody is left."""
        try:
            await self._push_all()
            if self._is_apart:
                self._part_differing()
            for subscriber in self._dismissed():
                subscriber.complete()
        except Exception as error:  # noqa: BLE001 - the outermost edge of a subscription
            masked = mask(GraphQLError(str(error), original_error=error), self._context.request_id)
            for subscriber in self._dismissed():
                subscriber.fail([masked])
        finally:
            self._streams.running.discard(self)
            # Whoever joins others leaves a run behind: it is to go at once, not when circles are looked for.
            self._context.run = self.turns = self.task = None
            self._context.principal = self._principal

    async def _push_all(self) -> None:
        following = self._streams.schema.follow(
            self._followed.text, self._followed.variables, self._context, self._followed.operation
        )
        async with aclosing(following) as results:
            async for result in results:
                if self._is_apart or self._is_out_of_sight(result) or not self.subscribers:
                    return
                if isinstance(result, PreExecutionError):
                    for subscriber in self._dismissed():
                        subscriber.fail(result.errors or [])
                elif isinstance(result, ExecutionResult):  # @defer and @stream, which give others, are not served
                    await self._push(result)

    async def _push(self, result: ExecutionResult) -> None:
        self._streams.executions += 1
        payload: dict[str, Any] = {"data": result.data}
        if result.errors:
            payload["errors"] = [error.formatted for error in result.errors]
        text = write_json(payload) + b"}"
        heads = [subscriber.head for subscriber in self.subscribers]
        lagging = [
            subscriber
            for subscriber, frame in zip(self.subscribers, text_frames(heads, text), strict=True)
            if not subscriber.write(frame)
        ]
        if self.turns is not None:
            self._told_at = self.turns.at
        self._is_lagging = bool(lagging)
        for subscriber in lagging:
            await self._pace(subscriber)

    async def _pace(self, subscriber: Subscriber) -> None:
        if subscriber.is_gone:
            self._streams.leave(subscriber)
        elif len(self.subscribers) == 1:
            await subscriber.room()
        elif subscriber in self.subscribers and (principal := subscriber.holder.principal):
            self.part([subscriber], principal)

    def _is_out_of_sight(self, result: Any) -> bool:
        """Whether a run that goes on from another finds that what it followed is not there for these callers."""
        codes = [(error.extensions or {}).get("code") for error in result.errors or ()]
        return self.resumes_at is not None and self.turns is None and codes == [ErrorCode.NOT_FOUND]

    async def renew(self) -> bool:
        """Whoever has lost the rights, or has others, is gone from here afterwards."""
        oldest = time.monotonic() - FRESH_SECONDS
        stale = {subscriber.holder for subscriber in self.subscribers if subscriber.holder.renewed_at < oldest}
        if stale:
            await self._streams.sockets.renew(stale)
        return bool(self.subscribers)

    @contextlib.contextmanager
    def standing(self, *, is_done: bool) -> Iterator[None]:
        assert self.turns is not None  # noqa: S101 - who waits follows something
        self._told_at = self.turns.at
        self._is_standing = True
        if is_done:
            self._rest(self.turns)
        if not self.subscribers:
            self.end()
        try:
            yield
        finally:
            self._is_standing = False
            self._stir()

    def _rest(self, turns: Turns[Any]) -> None:
        if not turns.is_quiet or (self._is_lagging and any(subscriber.is_behind for subscriber in self.subscribers)):
            return
        place = (self._followed.key, self.audience, turns.at)
        other = self._streams.resting.get(place)
        if other is None or other.turns is None or not other.turns.is_quiet:
            self._streams.resting[place] = self
            self._rests_by = place
            return
        for subscriber in self.subscribers:
            subscriber.stream = other
        other.subscribers |= self.subscribers
        self.subscribers.clear()
        self.end()

    def _stir(self) -> None:
        if self._streams.resting.get(self._rests_by) is self:
            del self._streams.resting[self._rests_by]
        self._rests_by = None

    def _caller(self) -> Principal:
        return (
            AnyMember(self._principal, self._tell) if isinstance(self._principal, MemberPrincipal) else self._principal
        )

    def _tell(self, asked: Disclosure) -> MemberPrincipal:
        """The member that answers for all; raises `DependsOnCaller` where they differ in what is asked for."""
        assert isinstance(self._principal, MemberPrincipal)  # noqa: S101 - `_caller` says so
        if asked > self.disclosed:
            ours = audience(self._principal, asked)
            holders = {subscriber.holder.principal for subscriber in self.subscribers}
            if any(holder is not None and audience(holder, asked) != ours for holder in holders):
                self._is_apart = True
                self._streams.learn(self._followed, asked)
                raise DependsOnCaller
            self.disclosed = asked
        return self._principal

    def readdress(self, fresh: Principal) -> None:
        """Goes on for its only subscriber's holder as that one stands now, and looks at once at what that changes."""
        self._stir()
        self._principal = fresh
        self._context.principal = self._caller()
        self.nudge()

    def nudge(self) -> None:
        """Has it look at once: something may have changed that no wake-up tells."""
        if self.turns is not None:
            self.turns.nudge()

    def part(self, subscribers: Collection[Subscriber], principal: Principal) -> None:
        """These go on apart, from where all stand."""
        self.subscribers.difference_update(subscribers)
        self._streams.begin(subscribers, self._followed, principal, self.disclosed, self._told_at)

    def _part_differing(self) -> None:
        groups: defaultdict[Hashable, list[Subscriber]] = defaultdict(list)
        for subscriber in self._dismissed():
            groups[subscriber.holder.principal].append(subscriber)
        for equals in groups.values():
            principal = equals[0].holder.principal
            if principal is not None:
                self._streams.begin(equals, self._followed, principal, Disclosure.MEMBER, self._told_at)

    def _dismissed(self) -> list[Subscriber]:
        """All subscribers, who have left by now."""
        left = list(self.subscribers)
        self.subscribers.clear()
        for subscriber in left:
            subscriber.stream = None
        return left

    def end(self) -> "asyncio.Task[None] | None":
        """Stops it; it has no subscriber any more.

        What it executes now it ends first, and then finds that nobody is there: of an execution that is cancelled in
        the middle resolvers would be left that nobody awaits.
        """
        self._stir()
        if self.task is not None and (self.turns is None or self._is_standing):
            self.task.cancel()
        return self.task
