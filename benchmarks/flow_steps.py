# ruff: noqa: S608 - ids of ours
"""Workers that take the steps of flows: a reply to a QUESTION, and the next QUESTION is asked."""

import asyncio
import itertools
import json
import os
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from asyncpg.connection import LoggedQuery
from sqlalchemy import event

from benchmarks import seed
from benchmarks.harness import Limits, Result, Run, compare, drive, measured
from benchmarks.pgbench import Pgbench
from benchmarks.stage import Stage
from pytake_gql.automation.flow_runs import jobs
from pytake_gql.automation.flows.kinds import FlowRunStatus
from pytake_gql.automation.flows.models import Flow, FlowVersion
from pytake_gql.automation.flows.run import Awaited, RunState
from pytake_gql.desk.channels.models import Channel, ChannelKind

AT_ONCE = 8
RUNS = 2_000
_FLOW_ID, _VERSION_ID, _CHANNEL_ID = seed.numbered(20), seed.numbered(21), seed.numbered(4, 1)
_RUN, _CONVERSATION = 22, 23
_BEGAN = datetime(2026, 1, 5, 12, tzinfo=UTC)
_GRAPH = {
    "nodes": [
        {"nodeId": "s", "kind": "START", "settings": {}},
        {"nodeId": "nome", "kind": "QUESTION", "settings": {"text": "Seu nome?", "variable": "nome", "type": "TEXT"}},
        {
            "nodeId": "pedido",
            "kind": "QUESTION",
            "settings": {"text": "Obrigado, {{nome}}. Qual é o pedido?", "variable": "pedido", "type": "TEXT"},
        },
        {"nodeId": "e", "kind": "END", "settings": {}},
    ],
    "edges": [
        {"source": "s", "handle": "next", "target": "nome"},
        {"source": "nome", "handle": "next", "target": "pedido"},
        {"source": "pedido", "handle": "next", "target": "e"},
    ],
}
_WAITING = RunState(
    flow_id=_FLOW_ID,
    status=FlowRunStatus.WAITING,
    node_id="nome",
    awaits=Awaited.REPLY,
    wake_at=datetime(2036, 1, 1, tzinfo=UTC),
    expires=True,
    entered_at=_BEGAN,
    steps=2,
    visits={"0/s": 1, "0/nome": 1},
)
_PINNED = {str(_FLOW_ID): str(_VERSION_ID)}
_ID = "('{prefix}' || lpad(to_hex(n), 8, '0'))::uuid"
"""A seeded id by number, in SQL."""


class WronglyStepped(Exception):
    """A step was lost, taken twice, or not written whole."""


def _ids(kind: int) -> str:
    return _ID.format(prefix=str(seed.numbered(kind))[:-8])


_MADE = (
    f"""INSERT INTO conversations (organization_id, id, number, status, priority, channel_id, contact_id, last_seq,
        last_activity_at, unread_count, read_seq, contact_read_seq, has_sla, is_sla_breached, created_at, updated_at)
    SELECT $1, {_ids(_CONVERSATION)}, 1000000 + n, 'BOT', 'NORMAL', '{_CHANNEL_ID}', {_ids(8)}, 4, $2, 0, 0, 0,
        false, false, $2, $2 FROM generate_series(0, {RUNS - 1}) AS n""",
    f"""INSERT INTO messages (organization_id, id, conversation_id, channel_id, seq, direction, author_kind, text,
        options, has_attachments, is_note, status, created_at, epoch, attempts, parts_sent)
    SELECT $1, gen_random_uuid(), {_ids(_CONVERSATION)}, '{_CHANNEL_ID}', 4, 'INBOUND', 'CONTACT', 'Cliente ' || n,
        '[]', false, false, 'RECEIVED', $2, 0, 0, 0 FROM generate_series(0, {RUNS - 1}) AS n""",
    f"""INSERT INTO flow_runs (organization_id, id, flow_id, version_id, conversation_id, status, state, pinned,
        path_length, unheard, is_bulk, wake_at, started_at)
    SELECT $1, {_ids(_RUN)}, '{_FLOW_ID}', '{_VERSION_ID}', {_ids(_CONVERSATION)}, 'WAITING', $3::text::jsonb,
        $4::text::jsonb, 2, '{{4}}', false, $2, $2 FROM generate_series(0, {RUNS - 1}) AS n""",
    f"""INSERT INTO flow_run_steps (organization_id, id, run_id, position, node_id, kind, entered_at, left_by)
    SELECT $1, gen_random_uuid(), {_ids(_RUN)}, it.position, it.node_id, it.kind, $2, it.left_by
    FROM generate_series(0, {RUNS - 1}) AS n,
        (VALUES (1, 's', 'START', 'next'), (2, 'nome', 'QUESTION', NULL)) AS it (position, node_id, kind, left_by)""",
)  # fmt: skip
_TAKEN = """SELECT count(*) FROM flow_runs r
    JOIN conversations c ON c.id = r.conversation_id AND c.last_seq = 6
    JOIN messages m ON m.conversation_id = c.id AND m.id = c.last_message_id AND m.seq = 6 AND m.status = 'QUEUED'
    JOIN timeline_entries t ON t.conversation_id = c.id AND t.seq = 5 AND t.kind = 'FLOW_STEP_TAKEN'
    JOIN flow_run_steps s ON s.run_id = r.id AND s.position = 3 AND s.node_id = 'pedido' AND s.left_by IS NULL
    JOIN flow_run_steps l ON l.run_id = r.id AND l.position = 2 AND l.left_by = 'next'
    WHERE r.path_length = 3 AND r.unheard = '{}' AND r.state ->> 'nodeId' = 'pedido'"""
_ALIKE = frozenset({seed.ORGANIZATION_ID, _FLOW_ID, _VERSION_ID, _CHANNEL_ID})
"""Ids that are the same in each run."""
_AN_ID = re.compile("[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_FRESH = 30


async def prepare(stage: Stage) -> None:
    """The flow, and the channel that it greets on; once."""
    async with stage.ports.units.of_system(seed.ORGANIZATION_ID) as uow:
        if await uow.session.get(Flow, (seed.ORGANIZATION_ID, _FLOW_ID)) is not None:
            return
        uow.add(
            Flow(id=_FLOW_ID, name="Medido", draft=_GRAPH, published_number=1, created_at=_BEGAN, updated_at=_BEGAN)
        )
        uow.add(Channel(id=_CHANNEL_ID, kind=ChannelKind.WEB_CHAT, name="Fluxo", created_at=_BEGAN))
        await uow.session.flush()
        uow.add(FlowVersion(id=_VERSION_ID, flow_id=_FLOW_ID, number=1, graph=_GRAPH, published_at=_BEGAN))


async def restock(stage: Stage) -> None:
    """All runs wait, each with a reply that nobody has heard."""
    given = [seed.ORGANIZATION_ID, _BEGAN, json.dumps(_WAITING.to_json()), json.dumps(_PINNED)]
    async with stage.database() as connection:
        await connection.execute("DELETE FROM conversations WHERE channel_id = $1", _CHANNEL_ID)
        for number, statement in enumerate(_MADE):
            await connection.execute(statement, *(given if number == 2 else given[:2]))
    await stage.tidy()


async def steps(stage: Stage, limits: Limits) -> Result:
    """By eight at once in one worker's process: CPU is that of the process."""
    count = await _prepared(stage, limits)
    written = await _recorded(stage)

    async def floor() -> Run:
        await restock(stage)
        each = count // AT_ONCE
        script = _script(written, each)
        run = await Pgbench(script, AT_ONCE, each, ("turn=-1",)).run(stage, limits)
        await _require_whole(stage, run.answered)
        return run

    return await compare(
        f"steps of flows, {AT_ONCE} at once",
        limits,
        partial(_product, stage, limits, count),
        floor,
        floor_name="pgbench, the same statements",
        answer="each once, written whole",
    )


async def above_sql(stage: Stage, limits: Limits) -> Result:
    """The same statements sent by the bare driver, from the same process: what a step costs besides."""
    count = await _prepared(stage, limits)
    written = await _recorded(stage)

    async def floor() -> Run:
        await restock(stage)
        places = itertools.count()

        async def send(connection: Any) -> None:
            place = next(places)
            await connection.execute(f"BEGIN; SET LOCAL app.organization_id = '{seed.ORGANIZATION_ID}'")
            for text, values in written:
                await connection.fetch(text, *(_at(value, place) for value in values))
            await connection.execute("COMMIT")

        async with AsyncExitStack() as open_:
            connections = [await open_.enter_async_context(stage.database()) for _ in range(AT_ONCE)]
            async with measured(os.getpid(), stage.postmaster) as run:
                senders = [partial(send, connection) for connection in connections]
                run.latencies = await drive(senders, Limits(1, limits.seconds, count))
        await _require_whole(stage, run.answered)
        return run

    result = await compare(
        "CPU of a flow's step",
        limits,
        partial(_product, stage, limits, count),
        floor,
        floor_name="asyncpg, the same statements",
        answer="each once, written whole",
    )
    if result.floor is None or result.product.server is None or result.floor.server is None:
        return result
    above = (result.product.server - result.floor.server) * 1000
    return replace(result, answer=f"{result.answer}; {above:.0f} µs above its SQL")


async def _prepared(stage: Stage, limits: Limits) -> int:
    await prepare(stage)
    return RUNS if limits.seconds >= 2 else RUNS // 10


async def _product(stage: Stage, limits: Limits, count: int) -> Run:
    await restock(stage)
    places = itertools.count()

    async def step() -> None:
        await _step(stage, next(places))

    async with measured(os.getpid(), stage.postmaster) as run:
        run.latencies = await drive([step] * AT_ONCE, Limits(1, limits.seconds, count))
    await _require_whole(stage, run.answered)
    return run


async def _step(stage: Stage, place: int) -> None:
    if not await jobs.step_flow_run(stage.ports, seed.ORGANIZATION_ID, seed.numbered(_RUN, place)):
        raise WronglyStepped(f"{place} was not due")


async def _require_whole(stage: Stage, stepped: int) -> None:
    async with stage.database() as connection:
        whole = await connection.fetchval(_TAKEN)
        passed = await connection.fetchval("SELECT count(*) FROM flow_run_steps WHERE position > 2")
    if not whole == passed == stepped:
        raise WronglyStepped(f"{stepped} steps, {passed} passed a node, {whole} were written whole")


async def _recorded(stage: Stage) -> list[tuple[str, tuple[Any, ...]]]:
    """What the first run's step sends, but for BEGIN and COMMIT; its new ids are seeded ones."""
    await restock(stage)
    sent: list[LoggedQuery] = []
    engine = stage.ports.database.engine
    await engine.dispose()

    def follow(connection: Any, _record: Any) -> None:
        connection.driver_connection.add_query_logger(sent.append)

    event.listen(engine.sync_engine, "connect", follow)
    try:
        await _step(stage, 0)
        await asyncio.sleep(0.1)  # the driver tells it later
    finally:
        event.remove(engine.sync_engine, "connect", follow)
        await engine.dispose()
    wanted = [(it.query, it.args) for it in sent if it.args and "pg_catalog" not in it.query]
    known = {id_ for _, values in wanted for value in values for id_ in _ids_in(value)}
    fresh = sorted(id_ for id_ in known if int(id_) >> 64 != int(seed.ORGANIZATION_ID) >> 64)
    seeded = {id_: seed.numbered(_FRESH + number) for number, id_ in enumerate(fresh)}
    return [(text, tuple(_replaced(value, seeded) for value in values)) for text, values in wanted]


def _ids_in(value: Any) -> set[UUID]:
    return {UUID(text) for text in _AN_ID.findall(str(value))} if isinstance(value, str | UUID) else set()


def _replaced(value: Any, by: dict[UUID, UUID]) -> Any:
    for before, after in by.items():
        if value == before:
            return after
        if isinstance(value, str):
            value = value.replace(str(before), str(after)).replace(before.hex, after.hex)
    return value


def _at(value: Any, place: int) -> Any:
    """The value in the step of another run."""
    return _replaced(value, {id_: UUID(int=id_.int + place) for id_ in _ids_in(value) - _ALIKE})


def _script(written: list[tuple[str, tuple[Any, ...]]], each: int) -> str:
    body = "".join(f"{_filled(text, values)};\n" for text, values in written)
    return f"\\set turn :turn + 1\n\\set place :client_id * {each} + :turn\nBEGIN;\n{body}END;\n"


def _filled(text: str, values: tuple[Any, ...]) -> str:
    return re.sub(r"\$(\d+)", lambda match: _literal(values[int(match[1]) - 1]), text)


def _literal(value: Any) -> str:
    """As text: the statement says the type."""
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    said = "{}" if value == [] else str(value)
    # pgbench takes a word behind a colon for a variable of its own.
    told = "'" + said.replace("'", "''").replace('":', '": ') + "'"
    for id_ in _ids_in(said) - _ALIKE:
        for form in (str(id_), id_.hex):
            told = told.replace(form, f"{form[:-8]}' || lpad(to_hex(:place::int), 8, '0') || '")
    return f"({told})"
