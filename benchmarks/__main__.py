"""`python -m benchmarks`: starts what it needs, measures, prints one table, and stops what it started."""

import argparse
import sys

import uvloop

from benchmarks import (
    beside,
    counts,
    fan_out,
    fire,
    flow_steps,
    late,
    preview,
    pull,
    rate,
    reading,
    recipients,
    route,
    search,
    send,
    snapshot,
    table,
)
from benchmarks.harness import Limits, Result
from benchmarks.stage import stage

MEASURES = {
    "list": reading.list_conversations,
    "history": reading.history,
    "pull": pull.pull,
    "pull-bare": pull.bare_pull,
    "pull-http": pull.pull_over_http,
    "route": route.route,
    "freed": route.freed,
    "snapshot": snapshot.snapshot,
    "send": send.send,
    "seen": send.seen,
    "fan-out": fan_out.one_group,
    "groups": fan_out.hundred_groups,
    "preview": preview.preview,
    "flow-steps": flow_steps.steps,
    "flow-step-cpu": flow_steps.above_sql,
    "fire": fire.fire,
    "late-beat": late.against_beat,
    "late-apscheduler": late.against_apscheduler,
    "recipients-arq": recipients.against_arq,
    "recipients-celery": recipients.against_celery,
    "rate": rate.rate,
    "beside": beside.beside,
    # The last: it fills the database.
    "search": search.search,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="*", choices=MEASURES, default=list(MEASURES), help="these only; none: only count"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="the most that one side runs in one round")
    parser.add_argument("--rounds", type=int, default=3, help="how often the sides take turns")
    parser.add_argument("--short", action="store_true", help="one round of a second each: does it still work?")
    options = parser.parse_args()
    limits = Limits(1, 1.0) if options.short else Limits(options.rounds, options.seconds)
    uvloop.run(measure(options.only, limits))


async def measure(names: list[str], limits: Limits) -> None:
    results: list[Result] = []
    async with stage() as ready:
        counted = await counts.count(ready)
        for name in names:
            print(f"{name} …", file=sys.stderr)
            results.append(await MEASURES[name](ready, limits))
    table.show(results)
    table.show_counts(counted, counts.NAMES)


if __name__ == "__main__":
    main()
