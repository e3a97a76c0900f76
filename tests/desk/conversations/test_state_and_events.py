"""What was read before, and what was heard since, is what a fresh read shows: after every mutation of the desk (G7).

As Zulip tests it. Only wake-ups count here: the poll that heals lost ones is too slow to help.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from pytake_gql.kernel.graphql import turns
from pytake_gql.kernel.ids import global_id
from pytake_gql.tenancy.members.models import Availability
from tests.client import Client
from tests.conftest import TravellingClock
from tests.desk.conversations import front_end
from tests.desk.conversations.doings import IN_WEB_CHAT, ON_WHATSAPP, Act, Stage, do
from tests.desk.conversations.front_end import Inbox, Json, Opened, Waiting
from tests.desk.desk import open_desk
from tests.factories import Factory
from tests.meta import connect
from tests.sockets import Served, SocketClient

PATIENCE = 4.0


@dataclass
class Screen:
    """A part of a front end: what it showed, what it has heard since, and how it would read afresh."""

    name: str
    socket: SocketClient
    read: Callable[[], Awaitable[Any]]
    before: Any = None
    heard: list[Json] = field(default_factory=list)

    def shows(self, heard: list[Json]) -> Any:
        state = self.before
        for update in heard:
            state = state.heard(update)
        return state

    async def settle(self) -> Any:
        """Listens until it shows what a fresh read shows, or for as long as one has patience; that read."""
        fresh = await self.read()
        try:
            async with asyncio.timeout(PATIENCE):
                while self.shows(self.heard) != fresh:
                    update = await self.socket.update()
                    assert update["__typename"] not in {"InboxReset", "QueueSnapshot"}, self.name
                    self.heard.append(update)
        except TimeoutError:
            assert self.shows(self.heard) == fresh, self.name
        return fresh


class Screens:
    """All that members look at while something happens."""

    def __init__(self, stage: Stage, live: Served, open_: AsyncExitStack) -> None:
        self._stage, self._live, self._open = stage, live, open_
        self.all: list[Screen] = []

    async def watch(self) -> None:
        desk = self._stage.desk
        colleague = Client(desk.http, (await desk.make.signed_in(self._stage.colleague)).token)
        me = global_id("Member", desk.agent_member.id)
        await self._inbox("the agent's own", desk.agent, {"assigneeIds": [me]}, mine=True)
        await self._inbox("all that the colleague may see", colleague, None, mine=False)
        await self._inbox("all that there are", desk.admin, None, mine=False)
        for row in (desk.queue, self._stage.other):
            await self._queue(row.name, global_id("Queue", row.id))
        for id_ in self._stage.opened:
            await self.look_at(id_)

    async def look_at(self, id_: str, *, from_nothing: bool = False) -> None:
        """A conversation on the screen of an admin, as it is read now; or one that is heard from its beginning."""
        admin = self._stage.desk.admin

        async def read() -> Opened:
            return Opened.read(await admin.ask(front_end.OPENED, id=id_))

        before = Opened() if from_nothing else await read()
        after = before.conversation.get("lastSeq", 0)
        socket = await self._subscribe(admin, front_end.EVENTS, id=id_, after=after)
        self.all.append(Screen(id_, socket, read, before))

    async def _inbox(self, name: str, client: Client, filter_: Json | None, *, mine: bool) -> None:
        async def read() -> Inbox:
            return Inbox.read(await client.ask(front_end.LISTED, filter=filter_))

        socket = await self._subscribe(client, front_end.INBOX, mine=mine)
        assert (await socket.update())["__typename"] == "InboxReset"
        self.all.append(Screen(name, socket, read, await read()))

    async def _queue(self, name: str, id_: str) -> None:
        admin, served = self._stage.desk.admin, {"queueIds": [id_], "status": ["ACTIVE", "SNOOZED"]}

        async def read() -> Waiting:
            row, others = await asyncio.gather(
                admin.ask(front_end.QUEUED, id=id_), admin.ask(front_end.LISTED, filter=served)
            )
            return Waiting.read(row, others)

        socket = await self._subscribe(admin, front_end.QUEUE, id=id_)
        snapshot = Waiting({}).heard(await socket.update())
        assert snapshot == await read()
        self.all.append(Screen(name, socket, read, snapshot))

    async def _subscribe(self, client: Client, query: str, **variables: Any) -> SocketClient:
        socket = await self._open.enter_async_context(self._live.socket())
        await socket.start(client.token or "")
        await socket.subscribe(query, **variables)
        return socket


@pytest.fixture
async def stage(make: Factory, http: httpx.AsyncClient, clock: TravellingClock) -> Stage:
    targets = {"first_response_minutes": 1, "next_response_minutes": 5, "resolution_minutes": 60}
    desk = await open_desk(make, http, **targets, auto_assign=False)
    colleague = await make.member(desk.organization, availability=Availability.ONLINE)
    other = await make.queue(desk.organization, colleague, auto_assign=False)
    await make.serves(desk.queue, colleague)
    return Stage(desk, clock, other, colleague, await desk.visitor())


@pytest.fixture
async def screens(stage: Stage, live: Served, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Screens]:
    monkeypatch.setattr(turns, "POLL_SECONDS", 60.0)
    async with AsyncExitStack() as open_:
        yield Screens(stage, live, open_)


async def holds(stage: Stage, screens: Screens, prepare: Act, act: Act) -> None:
    """Every screen shows in the end what a fresh read shows; and would not, had it missed an event."""
    await prepare(stage)
    await screens.watch()
    await act(stage)
    for id_ in stage.born:
        await screens.look_at(id_, from_nothing=True)
    fresh = await asyncio.gather(*(screen.settle() for screen in screens.all))
    heard = [screen for screen in screens.all if screen.heard]
    assert any(isinstance(screen.before, Opened) for screen in heard)
    for screen, truth in zip(screens.all, fresh, strict=True):
        if isinstance(screen.before, Opened):
            for missed in range(len(screen.heard)):
                assert screen.shows(screen.heard[:missed] + screen.heard[missed + 1 :]) != truth
        elif screen.heard:
            assert screen.shows(screen.heard[:-1]) != truth


def require_turn(name: str, *, is_long: bool) -> None:
    if ", " in name and not is_long:
        pytest.skip("a variation: --long")


@pytest.mark.parametrize("name", IN_WEB_CHAT)
async def test_g7_state_and_events(stage: Stage, screens: Screens, name: str, is_long: bool) -> None:
    require_turn(name, is_long=is_long)
    await holds(stage, screens, *IN_WEB_CHAT[name])


@pytest.mark.parametrize("name", ON_WHATSAPP)
async def test_g7_state_and_events_of_whatsapp(
    stage: Stage, screens: Screens, graph_url: tuple[Any, str], name: str, is_long: bool
) -> None:
    require_turn(name, is_long=is_long)
    recorder, url = graph_url
    stage.wire = await connect(stage.desk, recorder, url)
    await holds(stage, screens, *ON_WHATSAPP[name])


async def test_g7_typing_is_heard_begin_and_end(stage: Stage, screens: Screens) -> None:
    stage.opened = [await stage.write()]
    stage.id = stage.opened[0]
    await screens.watch()
    screen = screens.all[-1]
    # Typing is not stored: who hears a message listens already.
    await stage.send("Vou olhar", isNote=True)
    screen.heard.append(await screen.socket.update())
    me = global_id("Member", stage.desk.agent_member.id)
    for client, name, shown in (
        (stage.desk.agent, "setTyping", {("MEMBER", me)}),
        (stage.visitor, "setVisitorTyping", {("MEMBER", me), ("CONTACT", None)}),
        (stage.desk.agent, "setTyping", {("CONTACT", None)}),
        (stage.visitor, "setVisitorTyping", set()),
    ):
        whose = {"conversationId": stage.opened[0]} if name == "setTyping" else {}
        is_typing = len(shown) > len(screen.shows(screen.heard).typing)
        await do(client, name, isTyping=is_typing, **whose)
        screen.heard.append(await screen.socket.update())
        assert screen.shows(screen.heard).typing == shown
    assert screen.shows(screen.heard) == await screen.read()
