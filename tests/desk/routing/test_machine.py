"""Everything at once, in any order, with dying workers: D2, D11, D16, D20, D24 and D25 hold after each step."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pytake_gql import bootstrap
from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Settings
from tests.desk.routing.floor import AGENTS, Act, Floor, StandingClock, Verb

_SMALL = some.integers(0, 35)
_OFTEN = (Verb.WRITE, Verb.WRITE, Verb.ROUTE_QUEUE, Verb.PULL, Verb.REPLY, Verb.CHOOSE, Verb.CLOSE)
_ACTS = some.builds(Act, verb=some.sampled_from([*_OFTEN, *Verb]), who=_SMALL, which=_SMALL, how=_SMALL)
_BATCHES = some.lists(_ACTS, min_size=2, max_size=8)


@dataclass
class Process:
    """Ports on a loop of their own, for examples that are no coroutines; wake-ups are only kept."""

    runner: asyncio.Runner
    ports: Ports
    clock: StandingClock
    jobs: list[Job]


@pytest.fixture
def process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    clock, jobs = StandingClock(), list[Job]()
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        made = bootstrap.ports(replace(settings, database_pool_size=12), clock)
        ports = runner.run(made.__aenter__())

        async def keep(wanted: list[Job]) -> None:
            jobs.extend(wanted)

        monkeypatch.setattr(ports.jobs, "enqueue", keep)
        yield Process(runner, ports, clock, jobs)
        runner.run(made.__aexit__(None, None, None))


class Machine(RuleBasedStateMachine):
    """Each rule is a step of the whole floor; what it does happens on several connections at once."""

    process: ClassVar[Process]

    def run(self, doing: Coroutine[Any, Any, None]) -> None:
        self.process.runner.run(doing)

    @initialize(writers=some.integers(0, 9))
    def open(self, writers: int) -> None:
        of = self.process
        self.floor = of.runner.run(Floor.built(of.ports, of.clock, of.jobs))
        self.run(self.floor.check())
        self.run(self.floor.do([Act(Verb.WRITE, who, 0, 0) for who in range(writers)]))

    @rule(acts=_BATCHES)
    def act(self, acts: list[Act]) -> None:
        self.run(self.floor.do(acts))

    @rule(acts=_BATCHES)
    def act_while_workers_wake(self, acts: list[Act]) -> None:
        async def both() -> None:
            await asyncio.gather(self.floor.do(acts), self.floor.deliver())

        self.run(both())

    @rule(acts=_BATCHES, delays=some.lists(some.integers(0, 60), min_size=1, max_size=3))
    def kill_workers(self, acts: list[Act], delays: list[int]) -> None:
        self.run(self.floor.kill(acts, [delay / 1000 for delay in delays]))

    @rule(
        seconds=some.sampled_from([0.5, 10, 10.5, 61, 90, 180]),
        connected=some.lists(some.integers(0, AGENTS - 1), unique=True),
    )
    def travel(self, seconds: float, connected: list[int]) -> None:
        self.run(self.floor.travel(seconds, connected))

    @rule()
    def sweep(self) -> None:
        self.run(self.floor.sweep())

    @invariant()
    def holds(self) -> None:
        self.run(self.floor.check())

    def teardown(self) -> None:
        self.run(self.floor.sweep())
        self.run(self.floor.check())


def test_d11_d16_d20_hold_after_each_step_whatever_happens_at_once(process: Process, is_long: bool) -> None:
    class Here(Machine): ...

    Here.process = process
    run_state_machine_as_test(
        Here,
        settings=hypothesis_settings(
            max_examples=60 if is_long else 5,
            stateful_step_count=40 if is_long else 18,
            deadline=None,
            database=None,
            # What goes wrong only at times is told at once, not searched for a smaller form of.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
