"""A million automations, made by PostgreSQL itself, and those of them that are due."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from benchmarks import seed
from benchmarks.stage import Stage
from pytake_gql.automation.flow_automations import settings
from pytake_gql.automation.flow_automations.recurrences import Daily, Dates, Recurrence
from pytake_gql.automation.flow_automations.settings import Settings
from pytake_gql.automation.flows.models import Flow, FlowVersion
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.tenancy.organizations.models import Organization

IDLE, DUE = 1_000_000, 60_000
ORGANIZATIONS = [seed.numbered(20, number) for number in range(5)]
HELLO = {
    "nodes": [
        {"nodeId": "start", "kind": "START", "settings": {}},
        {"nodeId": "hello", "kind": "MESSAGE", "settings": {"text": "Olá {{contact.name}}, seu pedido saiu."}},
        {"nodeId": "end", "kind": "END", "settings": {}},
    ],
    "edges": [
        {"source": "start", "target": "hello", "handle": "next"},
        {"source": "hello", "target": "end", "handle": "next"},
    ],
}
_ZONE = "America/Sao_Paulo"
_INDEXES = """SELECT indexname, indexdef FROM pg_indexes
    WHERE tablename = 'flow_automations' AND indexname NOT LIKE 'pk%'"""
_AUTOMATIONS = """
INSERT INTO flow_automations (organization_id, id, name, flow_id, channel_id, status, schedule, anchored_at,
    active_since, audience, variables, max_concurrent, rate_per_minute, max_attempts, pause_on_failure, failures,
    next_firing_at, next_nominal_at, revision, created_at, updated_at)
SELECT o, ('01980000-0000-7000-8020-' || lpad(to_hex(number), 12, '0'))::uuid, 'Bom dia ' || number, o, o, 'ACTIVE',
    $2::text::jsonb, $4, $4, '{"all": true}', '{}', 100, 600, 3, true, 0,
    $3::timestamptz + make_interval(hours => 2, secs => number / 20), $3, 1, $4, $4
FROM generate_series(0, $5::integer - 1) AS number, LATERAL (SELECT ($1::uuid[])[1 + number % 5] AS o) AS of
"""
_LATER = """
UPDATE flow_automations SET next_firing_at = $1 + interval '1 day'
WHERE next_firing_at <= $1 AND organization_id = ANY ($2)
"""
_DUE = """
UPDATE flow_automations SET next_firing_at = $1, next_nominal_at = $1, last_nominal_at = NULL, last_fired_at = NULL,
    schedule = $2::text::jsonb, status = 'ACTIVE'
WHERE id < ('01980000-0000-7000-8020-' || lpad(to_hex($3::integer), 12, '0'))::uuid AND organization_id = ANY ($4)
"""


async def seed_automations(stage: Stage, count: int = IDLE + DUE) -> None:
    """Once, in a few seconds: no keys are checked, and the indexes are built behind the rows."""
    async with stage.database() as connection:
        if await connection.fetchval("SELECT true FROM organizations WHERE id = $1", ORGANIZATIONS[0]):
            return
        for organization_id in ORGANIZATIONS:
            await frame(stage, organization_id)
        await connection.execute("SET session_replication_role = replica")
        indexes = await connection.fetch(_INDEXES)
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX {name}")
        now = datetime.now(UTC)
        await connection.execute(
            _AUTOMATIONS, ORGANIZATIONS, _daily(now), now, now - timedelta(days=30), count, timeout=120
        )
        for _, definition in indexes:
            await connection.execute(definition)


async def make_due(stage: Stage, count: int = DUE) -> datetime:
    """So many are due since the minute began that runs, and no execution is there."""
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    await _aim(stage, count, at, _daily(at))
    await stage.tidy()
    return at


async def make_due_once(stage: Stage, count: int, at: datetime) -> None:
    """So many fire at that second, and never again."""
    moment = at.astimezone(ZoneInfo(_ZONE)).replace(tzinfo=None)
    await _aim(stage, count, at, _stored(Dates((moment,), is_once=True)))


async def _aim(stage: Stage, count: int, at: datetime, schedule: str) -> None:
    async with stage.database() as connection:
        await connection.execute("TRUNCATE flow_executions CASCADE")
        await connection.execute(_LATER, datetime.now(UTC), ORGANIZATIONS)  # what a run before has left
        await connection.execute(_DUE, at, schedule, count, ORGANIZATIONS)


async def frame(stage: Stage, organization_id: UUID) -> None:
    """An organization with a channel and a flow, all under its own id."""
    now = datetime.now(UTC)
    async with stage.ports.units.of_system(None) as uow:
        await uow.enter(organization_id)
        uow.add(Organization(id=organization_id, name="Loja", slug=organization_id.hex, created_at=now))
        await uow.session.flush()
        uow.add(Channel(id=organization_id, kind=ChannelKind.WEB_CHAT, name="Site", created_at=now))
        uow.add(Flow(id=organization_id, name="Olá", draft=HELLO, published_number=1, created_at=now, updated_at=now))
        await uow.session.flush()
        uow.add(FlowVersion(id=organization_id, flow_id=organization_id, number=1, graph=HELLO, published_at=now))


def _daily(at: datetime) -> str:
    """Every day at that minute."""
    local = at.astimezone(ZoneInfo(_ZONE)).time().replace(second=0, microsecond=0)
    return _stored(Daily(1, (local,)))


def _stored(recurrence: Recurrence) -> str:
    return orjson.dumps(settings.to_json(Settings(_ZONE, recurrence))).decode()
