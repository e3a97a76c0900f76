"""Steps that only speak and ask, which is most of them: written by two statements, whatever their length.

The rows are raised and appended as `stepping` does it with those of the session, by the same verbs.
"""

from typing import Any, TypeGuard

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from pytake_gql.automation.flow_runs import doing, service
from pytake_gql.automation.flow_runs.models import LONGEST_ERROR, FlowRun, FlowRunStep
from pytake_gql.automation.flow_runs.standing import Standing
from pytake_gql.automation.flows.run import AskAi, CallApi, Effect, Passed, RunState, Say, Step
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations import speaking
from pytake_gql.desk.conversations.models import TimelineKind
from pytake_gql.desk.conversations.timeline import record
from pytake_gql.kernel.db import Instant, table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.unit_of_work import UnitOfWork

_runs, _steps = table_of(FlowRun), table_of(FlowRunStep)
_organization = sa.bindparam("of_organization", type_=sa.Uuid())
_run_id = sa.bindparam("run_id", type_=sa.Uuid())
_NO_POSITION = 0

REST = (
    sa.update(_runs)
    .where(_runs.c.organization_id == _organization, _runs.c.id == _run_id)
    .values(
        status=sa.bindparam("status", type_=sa.Text()),
        state=sa.cast(sa.bindparam("state", type_=sa.Text()), JSONB),
        path_length=sa.bindparam("path_length", type_=sa.Integer()),
        unheard=sa.bindparam("unheard", type_=ARRAY(sa.Integer())),
        wake_at=sa.bindparam("wake_at", type_=Instant()),
    )
)
_LEAVE = (
    sa.update(_steps)
    .where(
        _steps.c.organization_id == _organization,
        _steps.c.run_id == _run_id,
        _steps.c.position == sa.bindparam("left_position", type_=sa.Integer()),
    )
    .values(left_by=sa.bindparam("left_by", type_=sa.Text()), error=sa.bindparam("left_error", type_=sa.Text()))
)
WRITE: sa.Select[Any] = sa.select(sa.literal_column("1").label("written")).add_cte(
    speaking.WRITTEN.cte("spoken"), REST.cte("rested"), _LEAVE.cte("left_node")
)
_WRITE = Frozen(WRITE)
_REST = Frozen(REST.returning(_runs.c.id))


def plain_effects(step: Step) -> list[doing.Plain] | None:
    """All that it wants done, where it goes on and does no more than to speak and to ask."""
    effects = [effect for effect in step.effects if _is_plain(effect)]
    return effects if len(effects) == len(step.effects) and step.state.status in service.LIVE else None


def _is_plain(effect: Effect) -> TypeGuard[doing.Plain]:
    if isinstance(effect, Say):
        return effect.attachment_url is None and effect.template_id is None
    return isinstance(effect, CallApi | AskAi)


async def rest(uow: UnitOfWork, at: Standing) -> None:
    """Nothing was due: when the next step is, as far as it is known."""
    await _REST.rows(uow.session, _rested(uow, at, at.state))


async def write(uow: UnitOfWork, at: Standing, kind: ChannelKind, step: Step, waiting: list[doing.Plain]) -> None:
    """The path in the timeline, with what waits to be said at each node; run and conversation as they stand then."""
    left = step.path[0] if step.path and step.path[0].is_continued else None
    parameters = {
        "left_position": at.path_length if left else _NO_POSITION,
        "left_by": left.left_by if left else None,
        "left_error": _error(left) if left else None,
    }
    for passed in step.path:
        if not passed.is_continued:
            _pass(uow, at, passed)
        while waiting and waiting[0].node_id == passed.node_id:
            await doing.do_plainly(uow, at, kind, waiting.pop(0))
    for effect in waiting:
        await doing.do_plainly(uow, at, kind, effect)
    parameters |= speaking.parameters(at.conversation) | _rested(uow, at, step.state)
    await _WRITE.rows(uow.session, parameters)


def _pass(uow: UnitOfWork, at: Standing, passed: Passed) -> None:
    at.path_length += 1
    row = {
        "run_id": at.id,
        "position": at.path_length,
        "node_id": passed.node_id,
        "kind": passed.kind,
        "entered_at": passed.entered_at,
        "left_by": passed.left_by,
        "error": _error(passed),
    }
    uow.append(FlowRunStep, row)
    told = {"flow_run_id": at.id.hex, "node_id": passed.node_id}
    record(uow, at.conversation, TimelineKind.FLOW_STEP_TAKEN, data=told)


def _error(passed: Passed) -> str | None:
    return passed.error[:LONGEST_ERROR] if passed.error else None


def _rested(uow: UnitOfWork, at: Standing, state: RunState) -> dict[str, Any]:
    return {
        "of_organization": uow.organization_id,
        "run_id": at.id,
        "status": state.status.value,
        "state": orjson.dumps(state.to_json()).decode(),
        "path_length": at.path_length,
        "unheard": at.unheard,
        "wake_at": service.next_wake(uow, at, state),
    }
