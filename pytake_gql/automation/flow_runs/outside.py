"""What a run asks of the outside world, done once and told as an event: an answer, or why there is none (F9)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from pytake_gql.automation.ai.ports import Assistant, AssistantFailed, Request, Turn
from pytake_gql.automation.flow_runs.models import FlowEffect, FlowEffectKind
from pytake_gql.automation.flows.run import EffectFailed, EffectSucceeded
from pytake_gql.kernel.public_http import Answer, Call, CallFailed, PublicHttp

AI_SECONDS = 30.0
_LEAST_ERROR_STATUS = 400
_TELLS_TYPE = "content-type"


@dataclass(frozen=True, slots=True)
class Outside:
    http: PublicHttp
    assistant: Assistant


def seconds_of(effect: FlowEffect) -> float:
    """How long it may take."""
    return float(effect.request["timeout_seconds"]) if effect.kind is FlowEffectKind.CALL_API else AI_SECONDS


async def perform(outside: Outside, effect: FlowEffect, turns: Sequence[Turn]) -> EffectSucceeded | EffectFailed:
    """Never raises: whatever goes wrong is the run's to go on with."""
    try:
        if effect.kind is FlowEffectKind.CALL_API:
            return _told(effect.number, await outside.http.call(call_of(effect)))
        request = Request(effect.organization_id, effect.request["instruction"], turns)
        async with asyncio.timeout(AI_SECONDS):
            return EffectSucceeded(effect.number, await outside.assistant.answer(request))
    except (CallFailed, AssistantFailed) as failure:
        return EffectFailed(effect.number, str(failure))
    except TimeoutError:
        return EffectFailed(effect.number, "No answer came in time.")


def call_of(effect: FlowEffect) -> Call:
    """Its id goes along: whoever is called can see that it is the same call (G4)."""
    asked = effect.request
    headers = dict(asked["headers"])
    names = {name.lower() for name in headers}
    body, kind = _body(asked["body"])
    if body is not None and _TELLS_TYPE not in names:
        headers["Content-Type"] = kind
    if "idempotency-key" not in names:
        headers["Idempotency-Key"] = idempotency_key(effect.run_id, effect.number)
    return Call(asked["method"], asked["url"], headers, body, timeout_seconds=seconds_of(effect))


def idempotency_key(run_id: UUID, number: int) -> str:
    return f"{run_id.hex}-{number}"


def _body(given: Any) -> tuple[bytes | None, str]:
    if given is None:
        return None, ""
    if isinstance(given, str):
        return given.encode(), "text/plain; charset=utf-8"
    return orjson.dumps(given), "application/json"


def _told(number: int, answer: Answer) -> EffectSucceeded | EffectFailed:
    if answer.status >= _LEAST_ERROR_STATUS:
        return EffectFailed(number, f"HTTP {answer.status}")
    try:
        return EffectSucceeded(number, orjson.loads(answer.body))
    except orjson.JSONDecodeError:
        return EffectSucceeded(number, answer.body.decode(errors="replace"))
