"""The websocket door: each closing code, a context for each operation, rights that end, readers that do not read."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from redis.asyncio import Redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from pytake_gql import app
from pytake_gql.kernel.bus import Bus
from pytake_gql.kernel.graphql import outgoing, rates, sockets, websocket
from pytake_gql.kernel.graphql.outgoing import FRAME_BYTES
from pytake_gql.kernel.graphql.schema import Schema
from pytake_gql.kernel.limiter import Rate
from pytake_gql.kernel.ports import AUTHORITY_TOPIC, Ports
from pytake_gql.kernel.principal import Role
from pytake_gql.kernel.tokens import TokenKind
from pytake_gql.tenancy.auth.models import Session
from pytake_gql.tenancy.members.models import Member
from pytake_gql.tenancy.organizations.models import Frontend, FrontendEnvironment
from tests.conftest import TravellingClock
from tests.factories import Factory, SignedIn
from tests.kernel.graphql import specimen
from tests.kernel.graphql.specimen import ran
from tests.sockets import Served, serving


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def end_session(ports: Ports, caller: SignedIn, *, told: bool) -> None:
    async with ports.units.of_system(None) as uow:
        await uow.session.execute(
            sa.update(Session).where(Session.id == caller.session.id).values(ended_at=ports.clock.now())  # type: ignore[arg-type]
        )
        if told:
            uow.wake(AUTHORITY_TOPIC, str(caller.session.id))


async def test_a_socket_keeps_of_its_handshake_what_is_asked_for(doors: Served, agent: SignedIn) -> None:
    """And goes straight to its door; another path has none."""
    headers = {"cookie": "a=" + "b" * 3000, "accept-language": "pt-BR", "x-anything": "1"}
    async with doors.socket(headers=headers) as socket:
        await socket.start(agent.token)
        open_ = doors.app.state.doorway.sockets._open
        [handler] = [it for it in open_ if it.principal and it.principal.session_id == agent.session.id]
        kept = set(handler._handshake.headers.keys())
        assert kept == {"host", "accept-language", "user-agent"}
        wire = handler.socket._wire
        assert (len(wire.request.headers), len(wire.response.headers)) == (0, 0)
        assert wire.app is doors.app.state.socket_door
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{doors.host}/elsewhere", subprotocols=["graphql-transport-ws"]):  # type: ignore[list-item]
            pass
    assert refused.value.response.status_code == 403


async def test_queries_mutations_and_subscriptions_are_answered(doors: Served, agent: SignedIn) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        assert await socket.answer("{tree{id}}") == {"data": {"tree": {"id": 1}}}
        assert await socket.answer("mutation{touch{touched}}") == {"data": {"touch": {"touched": True}}}
        await socket.subscribe("subscription{count}", "s")
        assert [await socket.receive() for _ in range(4)] == [
            *({"id": "s", "type": "next", "payload": {"data": {"count": n}}} for n in (1, 2, 3)),
            {"id": "s", "type": "complete"},
        ]
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_errors_of_a_subscription_are_masked_and_coded(doors: Served, agent: SignedIn) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.subscribe("subscription{missing}")
        message = await socket.receive()
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["NOT_FOUND"]
        await socket.subscribe("subscription{governing}", "2")
        while (message := await socket.receive())["id"] != "2":
            pass
        assert message["type"] == "error"
        assert [error["extensions"]["code"] for error in message["payload"]] == ["FORBIDDEN"]


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00binary",
        "no json",
        "[]",
        "1",
        "{}",
        '{"type":1}',
        '{"type":"start"}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":1,"payload":{"query":"{tree{id}}"}}',
        '{"type":"subscribe","id":"","payload":{"query":"{tree{id}}"}}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"1","payload":{}}',
        '{"type":"subscribe","id":"1","payload":{"query":1}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{tree{id}}","variables":[]}}',
        '{"type":"complete"}',
        '{"type":"complete","id":["1"]}',
        '{"type":"ping","payload":' + "[" * 40 + "]" * 40 + "}",
        '{"type":"ping","payload":"\\ud800"}',
    ],
)
async def test_g17_4400_for_a_bad_frame(doors: Served, agent: SignedIn, frame: str | bytes) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.send(frame)
        assert (await socket.closed())[0] == 4400


async def test_4400_for_a_bad_init(doors: Served) -> None:
    async with doors.socket() as socket:
        await socket.send({"type": "connection_init", "payload": "Bearer"})
        assert (await socket.closed())[0] == 4400


async def test_4401_before_the_acknowledgement(doors: Served) -> None:
    before = ran.copy()
    async with doors.socket() as socket:
        await socket.subscribe("mutation{touch{touched}}")
        assert await socket.closed() == (4401, "Unauthorized")
    assert ran == before


@pytest.mark.parametrize(
    "payload", [None, {}, {"authorization": None}, {"authorization": 1}, {"authorization": "Bearer x"}, {"token": "x"}]
)
async def test_4403_without_a_valid_token(doors: Served, payload: object) -> None:
    async with doors.socket() as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert (await socket.closed())[0] == 4403
    assert socket.received == []


async def test_4403_for_an_expired_token_and_one_of_an_ended_session(
    doors: Served, agent: SignedIn, ports: Ports, clock: TravellingClock
) -> None:
    clock.advance(minutes=11)
    async with doors.socket() as socket:
        await socket.send({"type": "connection_init", "payload": {"authorization": f"Bearer {agent.token}"}})
        assert (await socket.closed())[0] == 4403
    clock.advance(minutes=-11)
    await end_session(ports, agent, told=False)
    async with doors.socket() as socket:
        await socket.send({"type": "connection_init", "payload": {"authorization": f"Bearer {agent.token}"}})
        assert (await socket.closed())[0] == 4403


@pytest.mark.parametrize("subprotocol", ["graphql-ws", "mqtt"])
async def test_4406_for_another_subprotocol(doors: Served, subprotocol: str) -> None:
    async with doors.socket(subprotocol=subprotocol) as socket:
        assert (await socket.closed())[0] == 4406


async def test_4408_without_an_init_in_time(doors: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert timedelta(seconds=5) == websocket.INIT_TIMEOUT
    monkeypatch.setattr(websocket, "INIT_TIMEOUT", timedelta(seconds=0.05))
    async with doors.socket() as socket:
        assert (await socket.closed())[0] == 4408


async def test_4409_for_an_id_in_use(doors: Served, agent: SignedIn) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.subscribe("subscription{forever}", "a")
        await socket.receive()
        await socket.subscribe("subscription{forever}", "a")
        assert (await socket.closed())[0] == 4409


async def test_4429_for_a_second_init(doors: Served, agent: SignedIn) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.send({"type": "connection_init"})
        assert (await socket.closed())[0] == 4429


async def test_1009_for_a_frame_above_64_kb(doors: Served, agent: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.send('{"type":"ping"}'.ljust(FRAME_BYTES))
        assert await socket.receive() == {"type": "pong"}
        await socket.send('{"type":"ping"}'.ljust(FRAME_BYTES + 1))
        assert (await socket.closed())[0] == 1009
    # The application holds it, too, whatever the server lets through.
    monkeypatch.setattr(outgoing, "FRAME_BYTES", 1000)
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.send('{"type":"ping"}'.ljust(1001))
        assert (await socket.closed())[0] == 1009


async def test_g17_fifty_operations_a_socket(doors: Served, agent: SignedIn) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        for i in range(50):
            await socket.subscribe("subscription{forever}", f"s{i}")
            assert (await socket.receive())["type"] == "next"
        await socket.subscribe("subscription{forever}", "one more")
        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("one more", "error")
        assert refused["payload"][0]["extensions"] == {"code": "RATE_LIMITED"}
        ended = ran["forever ended"]
        await socket.send({"type": "complete", "id": "s7"})
        await until(lambda: ran["forever ended"] == ended + 1)
        await socket.subscribe("subscription{forever}", "one more")
        assert (await socket.receive())["type"] == "next"
    await until(lambda: ran["forever ended"] == ended + 51)


async def test_g16_the_rate_bucket_counts_operations(
    doors: Served, agent: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MEMBER", Rate(capacity=2, per_second=0.001))
    async with doors.socket() as socket:
        await socket.start(agent.token)
        assert "errors" not in await socket.answer("{a:tree{id} b:tree{id}}")
        (error,) = (await socket.answer("{tree{id}}"))["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert error["extensions"]["retryAfterSeconds"] == pytest.approx(1000, rel=0.01)


async def test_g17_sockets_of_a_member_are_counted(
    doors: Served, agent: SignedIn, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SOCKETS_A_MEMBER", 1)
    again = await make.signed_in(agent.member)
    init = {"type": "connection_init", "payload": {"authorization": f"Bearer {again.token}"}}
    async with doors.socket() as first:
        await first.start(agent.token)
        async with doors.socket() as second:
            await second.send(init)
            assert (await second.closed())[0] == 1013
    doorway = doors.app.state.doorway
    await until(lambda: len(doorway.sockets) == 0)
    async with doors.socket() as third:
        await third.start(again.token)


async def test_g17_sockets_of_an_address_are_counted(
    doors: Served, agent: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SOCKETS_AN_ADDRESS", 1)
    await until(lambda: len(doors.app.state.doorway.sockets) == 0)
    async with doors.socket() as first:
        await first.start(agent.token)
        with pytest.raises(InvalidStatus) as refused:
            async with doors.socket():
                pass
        assert refused.value.response.status_code == 429


async def test_a_page_of_another_origin_gets_no_socket(
    production_doors: Served, agent: SignedIn, make: Factory
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with production_doors.socket(origin="https://evil.example.com"):
            pass
    assert refused.value.response.status_code == 403
    origin = f"https://{agent.session.id.hex}.example.com"
    row = Frontend(environment=FrontendEnvironment.PRODUCTION, origin=origin, is_active=True)
    await make.save(agent.member.organization_id, row)
    async with production_doors.socket(origin=origin) as socket:
        await socket.start(agent.token)
    stranger = await make.signed_in(await make.member(await make.organization()))
    async with production_doors.socket(origin=origin) as socket:
        await socket.send({"type": "connection_init", "payload": {"authorization": f"Bearer {stranger.token}"}})
        assert (await socket.closed())[0] == 4403


async def test_each_operation_has_a_context_of_its_own(doors: Served, agent: SignedIn, ports: Ports) -> None:
    specimen.contexts.clear()
    async with doors.socket() as socket:
        await socket.start(agent.token)
        assert await socket.answer("{whoami}", "1") == {"data": {"whoami": "AGENT"}}
        async with ports.units.of_system(agent.member.organization_id) as uow:
            await uow.session.execute(
                sa.update(Member).where(Member.id == agent.member.id).values(role=Role.VIEWER)  # type: ignore[arg-type]
            )
            uow.wake(AUTHORITY_TOPIC, str(agent.member.id))
        deadline = time.monotonic() + 5
        while (await socket.answer("{whoami}", "2")) != {"data": {"whoami": "VIEWER"}}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    first, *_, last = specimen.contexts
    assert first is not last
    assert len({context.request_id for context in specimen.contexts}) == len(specimen.contexts)  # type: ignore[attr-defined]


async def test_g11_an_ended_session_closes_its_sockets_at_once(doors: Served, agent: SignedIn, ports: Ports) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.subscribe("subscription{forever}")
        await socket.receive()
        ended = ran["forever ended"]
        await end_session(ports, agent, told=True)
        assert await socket.closed() == (4401, "The session has ended.")
    await until(lambda: ran["forever ended"] == ended + 1)


async def test_g11_sockets_are_watched_however_they_come_and_go(ports: Ports, schema: Schema, make: Factory) -> None:
    """The watcher ends with the last socket, and begins with the next, which may come at once."""
    member = await make.member(await make.organization())
    async with serving(app.build(ports, schema)) as served:
        for _ in range(3):
            caller = await make.signed_in(member)
            async with served.socket() as socket:
                await socket.start(caller.token)
        async with served.socket() as last:
            caller = await make.signed_in(member)
            await last.start(caller.token)
            await end_session(ports, caller, told=True)
            assert (await last.closed())[0] == 4401


async def test_g11_it_closes_them_without_redis_too(ports: Ports, schema: Schema, agent: SignedIn) -> None:
    """Nothing is told, and nobody could hear it: the poll finds the row."""
    nowhere = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    deaf = replace(ports, bus=Bus(nowhere))
    async with serving(app.build(deaf, schema)) as served, served.socket() as socket:
        await socket.start(agent.token)
        await end_session(ports, agent, told=False)
        async with asyncio.timeout(5):
            assert await socket.closed() == (4401, "The session has ended.")
    await deaf.bus.close()
    await nowhere.aclose()


async def test_g11_a_lost_role_ends_the_operations_that_need_it(doors: Served, make: Factory, ports: Ports) -> None:
    member = await make.member(await make.organization(), Role.ORG_ADMIN)
    admin = await make.signed_in(member)
    async with doors.socket() as socket:
        await socket.start(admin.token)
        await socket.subscribe("subscription{governing}", "admins only")
        await socket.receive()
        await socket.subscribe("subscription{forever}", "any member")
        await socket.receive()
        async with ports.units.of_system(member.organization_id) as uow:
            await uow.session.execute(sa.update(Member).where(Member.id == member.id).values(role=Role.AGENT))  # type: ignore[arg-type]
            uow.wake(AUTHORITY_TOPIC, str(member.id))
        refused = await socket.receive()
        assert (refused["id"], refused["type"]) == ("admins only", "error")
        assert refused["payload"][0]["extensions"]["code"] == "FORBIDDEN"
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_g12_a_token_that_expires_cuts_nothing(
    doors: Served, agent: SignedIn, clock: TravellingClock, web: httpx.AsyncClient
) -> None:
    async with doors.socket() as socket:
        await socket.start(agent.token)
        clock.advance(hours=1)
        late = await web.post(
            "/graphql", json={"query": "{whoami}"}, headers={"authorization": f"Bearer {agent.token}"}
        )
        assert late.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await asyncio.sleep(sockets.CHECK_SECONDS + 0.5)
        assert await socket.answer("{whoami}") == {"data": {"whoami": "AGENT"}}


async def test_g17_a_slow_reader_is_cut_and_nobody_waits_for_it(
    doors: Served, agent: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "PATIENCE_SECONDS", 0.5)
    open_before = len(doors.app.state.doorway.sockets)
    async with doors.socket() as slow, doors.socket() as brisk:
        await slow.start(agent.token)
        await brisk.start(agent.token)
        slow.connection.transport.pause_reading()
        produced = ran["flood"]
        await slow.subscribe("subscription{flood(kilobytes: 64, times: 100000)}")
        await until(lambda: ran["flood"] > produced + 10)
        await brisk.subscribe("subscription{count}")
        assert [(await brisk.receive())["type"] for _ in range(4)] == ["next"] * 3 + ["complete"]
        await until(lambda: len(doors.app.state.doorway.sockets) == open_before + 1)
        produced = ran["flood"]
        assert await brisk.answer("{tree{id}}") == {"data": {"tree": {"id": 1}}}
        assert ran["flood"] == produced
        slow.connection.transport.resume_reading()
        await slow.closed()


async def test_g17_a_reader_that_keeps_up_gets_everything(doors: Served, agent: SignedIn) -> None:
    """Ten times the backlog that would cut a socket."""
    async with doors.socket() as socket:
        await socket.start(agent.token)
        await socket.subscribe("subscription{flood(kilobytes: 100, times: 100)}")
        kinds = [(await socket.receive())["type"] for _ in range(101)]
    assert kinds == ["next"] * 100 + ["complete"]


async def test_a_visitors_token_opens_a_socket(doors: Served, make: Factory, ports: Ports) -> None:
    organization = await make.organization()
    channel = await make.channel(organization)
    claims = {"org": str(organization.id), "channel": str(channel.id), "sub": "visitor-1"}
    token, _ = ports.tokens.sign(TokenKind.VISITOR, claims, timedelta(minutes=10))
    async with doors.socket() as socket:
        await socket.start(token)
        assert await socket.answer("{whoami}") == {"data": {"whoami": "VISITOR"}}


async def test_g24_at_a_stop_sockets_are_told_to_come_back(
    ports: Ports, schema: Schema, agent: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "DRAIN_SECONDS", 0.5)
    async with (
        serving(app.build(ports, schema)) as served,
        httpx.AsyncClient(base_url=served.url) as web,
        served.socket() as first,
        served.socket() as second,
    ):
        await first.start(agent.token)
        await second.start(agent.token)
        assert (await web.get("/readyz")).status_code == 200
        served.server.should_exit = True
        await until(lambda: served.app.state.doorway.sockets.is_draining)
        ready = await web.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["process"]) == (503, "stopping")
        with pytest.raises(InvalidStatus) as refused:
            async with served.socket():
                pass
        assert refused.value.response.status_code == 503
        codes = [(await socket.closed())[0] for socket in (first, second)]
        assert codes == [1012, 1012]
