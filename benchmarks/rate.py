"""The rate of a WhatsApp number, kept for a minute by three workers: counted where the provider takes the messages."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator
from uuid import UUID

import uvicorn

from benchmarks import campaigns
from benchmarks.campaigns import ORGANIZATION_ID
from benchmarks.harness import Limits, Result, Run
from benchmarks.processes import background
from benchmarks.stage import Stage
from pytake_gql.desk.channels import service as channels
from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.desk.conversations.pace import PACES
from pytake_gql.development.meta.recorder import Line, Recorder

PER_SECOND = PACES[ChannelKind.WHATSAPP].per_account.per_second
WORKERS = 3
SECONDS = 60.0
_SLACK = 0.05
_FIRST_SECONDS = 3.0
"""Buckets begin empty: what comes meanwhile is not counted."""
_IDENTITIES = """
INSERT INTO contact_identities (organization_id, id, contact_id, channel_id, external_id, last_wrote_at, created_at)
SELECT organization_id, gen_random_uuid(), id, $2, '55119' || (10000000 + row_number() OVER ()), now(), now()
FROM contacts WHERE organization_id = $1
"""


class WrongRate(Exception):
    """More than five per cent off, or somebody was told twice."""


async def rate(stage: Stage, limits: Limits) -> Result:
    """Latencies are the pauses between two messages."""
    seconds = SECONDS if limits.seconds >= 2 else 5.0
    recorder = Recorder()
    line = recorder.add(Line("15550001111", "token-of-benchmarks", "secret-of-benchmarks", "waba-1", "verify-1"))
    await campaigns.prepare(stage, int((seconds + 15) * PER_SECOND))
    async with _serving(recorder) as url, contextlib.AsyncExitStack() as workers:
        channel_id = await _connect(stage, line, url)
        for _ in range(WORKERS):
            command = (sys.executable, "-m", "pytake_gql", "worker")
            await workers.enter_async_context(background(stage.environment, *command))
        await campaigns.fire(stage, int((seconds + 15) * PER_SECOND), channel_id=channel_id)
        while not line.taken_at:  # noqa: ASYNC110 - the line does not tell
            await asyncio.sleep(0.05)
        await asyncio.sleep(_FIRST_SECONDS)
        before, started = len(line.sent), time.perf_counter()
        await asyncio.sleep(seconds)
        run = Run(seconds=time.perf_counter() - started, answered=len(line.sent) - before)
    run.latencies = [b[0] - a[0] for a, b in zip(line.taken_at[before:-1], line.taken_at[before + 1 :], strict=True)]
    found = run.answered / run.seconds / PER_SECOND
    if abs(found - 1) > _SLACK or len({sent["to"] for sent in line.sent}) != len(line.sent):
        raise WrongRate(f"{found:.3f} of {PER_SECOND:.0f} a second, {len(line.sent)} sent")
    return Result(
        f"a number's rate by {WORKERS} workers, {seconds:.0f} s",
        run.numbers,
        f"{run.answered}, {found - 1:+.1%} of {PER_SECOND:.0f}/s, each told once",
    )


async def _connect(stage: Stage, line: Line, url: str) -> UUID:
    secrets = {"accessToken": line.token, "appSecret": line.app_secret, "verifyToken": line.verify_token}
    settings = {"apiUrl": url, "phoneNumberId": line.address, "businessAccountId": line.business_account_id}
    async with stage.ports.units.of_system(ORGANIZATION_ID) as uow:
        given = {"name": f"Número {time.time_ns()}", "settings": settings, "secrets": secrets}
        channel = await channels.create(uow, ChannelKind.WHATSAPP, given)
    async with stage.database() as connection:
        await connection.execute(_IDENTITIES, ORGANIZATION_ID, channel.id)
    return channel.id


@contextlib.asynccontextmanager
async def _serving(recorder: Recorder) -> AsyncIterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(recorder.app(), lifespan="off", log_config=None, loop="none"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
