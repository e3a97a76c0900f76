"""An organization with contacts who have been on its channel, and executions that tell all of them something."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from benchmarks import seed
from benchmarks.automations import frame
from benchmarks.stage import Stage
from pytake_gql.automation.flow_automations.models import AutomationStatus, FlowAutomation
from pytake_gql.automation.flow_executions import service
from pytake_gql.automation.flow_executions.models import ExecutionTrigger
from pytake_gql.automation.flow_executions.service import Firing
from pytake_gql.automation.flow_executions.snapshots import Audience, Limits, Snapshot

ORGANIZATION_ID = seed.numbered(40)
"""Its channel, flow, version and automation have the same id."""
FAST = Limits(max_concurrent=1000, rate_per_minute=60_000)
_LOOK_SECONDS = 0.05
_ID = "('01980000-0000-7000-8041-' || lpad(to_hex(number), 12, '0'))::uuid"
_NUMBERS = "generate_series($2::integer, $3::integer - 1) AS number"
_PEOPLE = (
    f"""INSERT INTO contacts (organization_id, id, name, attributes, is_blocked, created_at)
        SELECT $1, {_ID}, 'Cliente ' || number, '{{}}', false, now() FROM {_NUMBERS}""",  # noqa: S608 - ids of ours
    f"""INSERT INTO contact_identities (organization_id, id, contact_id, channel_id, external_id, last_wrote_at,
            created_at)
        SELECT $1, {_ID}, {_ID}, $1, 'cliente-' || number, now(), now() FROM {_NUMBERS}""",  # noqa: S608
)
_FORGET = (
    "UPDATE flow_executions SET status = 'CANCELLED', due_at = NULL WHERE organization_id = $1",
    "DELETE FROM execution_recipients WHERE organization_id = $1",
    "DELETE FROM conversations WHERE organization_id = $1",
    "DELETE FROM flow_executions WHERE organization_id = $1",
)
_DONE = "SELECT count(*) FROM execution_recipients WHERE organization_id = $1 AND status = $2"
_PACE = """
SELECT extract(epoch FROM max(updated_at) - coalesce(min(e.started_at), min(updated_at)))
FROM execution_recipients r LEFT JOIN flow_executions e ON e.id = r.execution_id AND e.status <> 'CANCELLED'
WHERE r.organization_id = $1 AND r.status = $2
"""


class NotDone(Exception):
    """Some were not reached, or not in time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many recipients came to their end, and the seconds from the first begin to the last of them."""

    count: int
    seconds: float


async def prepare(stage: Stage, contacts: int) -> None:
    """So many contacts and nothing else: what other runs have left is gone."""
    async with stage.database() as connection:
        if not await connection.fetchval("SELECT true FROM organizations WHERE id = $1", ORGANIZATION_ID):
            await frame(stage, ORGANIZATION_ID)
            await _automate(stage)
        for statement in _FORGET:
            await connection.execute(statement, ORGANIZATION_ID, timeout=120)
        known = await connection.fetchval("SELECT count(*) FROM contacts WHERE organization_id = $1", ORGANIZATION_ID)
        for statement in _PEOPLE:
            await connection.execute(statement, ORGANIZATION_ID, known, contacts, timeout=120)
    await stage.tidy()


async def fire(stage: Stage, contacts: int, limits: Limits = FAST, channel_id: UUID = ORGANIZATION_ID) -> UUID:
    """An execution for the first so many of them."""
    ids = tuple(contact_id(number) for number in range(contacts))
    firing = Firing(
        automation_id=ORGANIZATION_ID,
        trigger=ExecutionTrigger.MANUAL,
        scheduled_for=datetime.now(UTC),
        version_id=ORGANIZATION_ID,
        channel_id=channel_id,
        snapshot=Snapshot(audience=Audience(contact_ids=ids), limits=limits),
    )
    async with stage.ports.units.of_system(ORGANIZATION_ID) as uow:
        return (await service.create(uow, firing)).id


def contact_id(number: int) -> UUID:
    return UUID(int=0x01980000_0000_7000_8041_000000000000 + number)


async def done(stage: Stage, count: int, seconds: float, status: str = "COMPLETED") -> Outcome:
    """Waits for so many to have that status, at most so long."""
    deadline = time.perf_counter() + seconds
    async with stage.database() as connection:
        while (found := await connection.fetchval(_DONE, ORGANIZATION_ID, status)) < count:
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        if not found:
            raise NotDone
        return Outcome(found, float(await connection.fetchval(_PACE, ORGANIZATION_ID, status)))


async def statuses(stage: Stage) -> Mapping[str, int]:
    async with stage.database() as connection:
        rows = await connection.fetch(
            "SELECT status, count(*) FROM execution_recipients WHERE organization_id = $1 GROUP BY 1", ORGANIZATION_ID
        )
    return {row["status"]: row["count"] for row in rows}


async def _automate(stage: Stage) -> None:
    now = datetime.now(UTC)
    async with stage.ports.units.of_system(ORGANIZATION_ID) as uow:
        uow.add(
            FlowAutomation(
                id=ORGANIZATION_ID,
                name="Saiu para entrega",
                flow_id=ORGANIZATION_ID,
                channel_id=ORGANIZATION_ID,
                status=AutomationStatus.DRAFT,
                audience={"all": True},
                max_concurrent=FAST.max_concurrent,
                rate_per_minute=FAST.rate_per_minute,
                max_attempts=FAST.max_attempts,
                created_at=now,
                updated_at=now,
            )
        )
