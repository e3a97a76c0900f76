"""The worker: jobs that were asked for, and a reconciler that finds all that is due.

Redis only says "look at X". The reconciler reads the same from PostgreSQL, every few seconds in each worker, and
runs it there and then: a job that was lost costs time, never work, and without Redis the work goes on.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Function, Worker, func
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pytake_gql import bootstrap, duties
from pytake_gql.automation.flow_automations import tick as firing
from pytake_gql.desk.conversations.ports import Channels
from pytake_gql.duties import Sweep
from pytake_gql.kernel import tasks
from pytake_gql.kernel.jobs import Job, JobQueue, Work, deserialize, serialize
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from pytake_gql.tenancy.mail.ports import Mailer

log = logging.getLogger(__name__)

SWEEP_SECONDS = 2.0
HOUSEKEEPING_SECONDS = 600.0
JOB_SECONDS = 60.0
STOP_SECONDS = 8.0
"""How long running jobs may take to end after SIGTERM; what is cancelled then is due again when its lease ends."""
_SWEPT_AT_ONCE = 10
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a queue is read and how many of its jobs run at once."""

    poll_seconds: float
    at_once: int


PACES: Mapping[JobQueue, Pace] = {
    JobQueue.INTERACTIVE: Pace(poll_seconds=0.02, at_once=20),
    JobQueue.BULK: Pace(poll_seconds=0.25, at_once=10),
}


class Workshop:
    """Runs jobs. Each is tried once a call: one that fails stays due, and its row says when it is tried again."""

    def __init__(self, work: Mapping[str, Work]) -> None:
        self._work = work
        self._running = 0
        self._is_closing = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def functions(self) -> list[Function]:
        """The same jobs as arq wants them."""
        return [func(self._for_arq(name), name=name) for name in self._work]

    async def run(self, job: Job) -> None:
        if self._is_closing:
            return
        self._running += 1
        self._is_idle.clear()
        try:
            async with asyncio.timeout(JOB_SECONDS):
                await self._work[job.name](*job.arguments)
        except Exception:
            log.exception("the job %s%s failed", job.name, job.arguments)
        finally:
            self._running -= 1
            if not self._running:
                self._is_idle.set()

    async def close(self) -> None:
        """Begins no more jobs, and returns when those that run have ended."""
        self._is_closing = True
        await self._is_idle.wait()

    def _for_arq(self, name: str) -> Callable[..., Any]:
        async def run(_context: dict[str, Any], *ids: str) -> None:
            await self.run(Job(name, ids))

        return run


class QueueReader:
    """Takes jobs from one queue, and comes back by itself when Redis was away."""

    def __init__(self, settings: Settings, workshop: Workshop, queue: JobQueue, pace: Pace) -> None:
        self._settings = settings
        self._workshop = workshop
        self._queue = queue
        self._pace = pace
        self._worker: Worker | None = None

    async def run(self) -> None:
        """Until cancelled."""
        pause = 0.1
        while True:
            try:
                await self._read()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("%s lost Redis, trying again in %.1f s: %s", self._queue, pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def leave(self) -> None:
        """Takes no more jobs: they stay in the queue, for others."""
        if self._worker is not None:
            self._worker.allow_pick_jobs = False

    async def _read(self) -> None:
        pool = ConnectionPool.from_url(self._settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
        redis = ArqRedis(connection_pool=pool, job_serializer=serialize, job_deserializer=deserialize)
        self._worker = Worker(
            self._workshop.functions,
            queue_name=self._queue.value,
            redis_pool=redis,
            handle_signals=False,
            max_jobs=self._pace.at_once,
            poll_delay=self._pace.poll_seconds,
            job_timeout=JOB_SECONDS + 5,
            keep_result=0,
            health_check_interval=60,
            job_serializer=serialize,
            job_deserializer=deserialize,
            log_results=False,
        )
        try:
            await self._worker.async_run()
        finally:
            await self._close(self._worker)
            # A close that times out must not take the place of our own cancellation.
            with suppress(RedisError, OSError, TimeoutError):
                await pool.disconnect()

    @staticmethod
    async def _close(worker: Worker) -> None:
        """Gives back what arq still holds: a cancelled job stays in its queue."""
        running = [worker.main_task] if worker.main_task else []
        await tasks.end([*running, *worker.job_tasks.values()])
        await tasks.end(worker.tasks.values())


class Reconciler:
    """Looks for what is due, and does it."""

    def __init__(self, workshop: Workshop, sweeps: tuple[Sweep, ...]) -> None:
        self._workshop = workshop
        self._sweeps = sweeps
        self._places = asyncio.Semaphore(_SWEPT_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled; a sweep that fails, or whose jobs take long, does not keep the others from working."""
        await asyncio.gather(*(self._repeat(sweep) for sweep in self._sweeps))

    async def _repeat(self, sweep: Sweep) -> None:
        while True:
            await self._sweep(sweep)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _sweep(self, sweep: Sweep) -> None:
        try:
            due = await sweep()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("a sweep failed, the next one is in %.0f s: %s", SWEEP_SECONDS, error)
            return
        at_once = {name: asyncio.Semaphore(places) for name, places in duties.AT_ONCE.items()}
        await asyncio.gather(*(self._run(job, at_once.get(job.name)) for job in due))

    async def _run(self, job: Job, at_once: asyncio.Semaphore | None) -> None:
        async with at_once or nullcontext(), self._places:
            await self._workshop.run(job)


async def keep_house(chores: tuple[Callable[[], Awaitable[object]], ...]) -> None:
    """Until cancelled."""
    while True:
        for chore in chores:
            try:
                await chore()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("housekeeping failed, the next is in %.0f s: %s", HOUSEKEEPING_SECONDS, error)
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


async def work(ports: Ports, mailer: Mailer, channels: Channels, stop: asyncio.Event) -> None:
    """Both queues, the reconciler and the housekeeping, until `stop` is set; what runs then may end first."""
    workshop = Workshop(duties.jobs(ports, mailer, channels))
    readers = [QueueReader(ports.settings, workshop, queue, pace) for queue, pace in PACES.items()]
    reconciler = Reconciler(workshop, duties.sweeps(ports))
    loops = [
        *(asyncio.create_task(reader.run(), name=f"read-{index}") for index, reader in enumerate(readers)),
        asyncio.create_task(reconciler.run(), name="reconcile"),
        asyncio.create_task(keep_house(duties.housekeeping(ports)), name="housekeeping"),
        asyncio.create_task(firing.keep_ticking(ports), name="tick"),
    ]
    stopping = asyncio.create_task(stop.wait())
    # A loop never returns: one that does has met a fault of ours, and the process ends to be started again.
    await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
    for reader in readers:
        reader.leave()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await workshop.close()
    broken = [task for task in loops if task.done()]
    await tasks.end([stopping, *loops])
    for task in broken:
        task.result()


async def serve(settings: Settings) -> None:
    """One worker process; SIGTERM and SIGINT end it within 10 s."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with bootstrap.ports(settings) as ports:
        log.info("the worker has begun")
        await work(ports, bootstrap.mailer(settings, ports.clock), bootstrap.channels(ports), stop)
    log.info("the worker has ended")
