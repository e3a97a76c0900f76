"""`python -m benchmarks.late_peers beat|apscheduler SECOND COUNT`: prints how late each of so many schedules fired.

Beat keeps them in memory, which is faster than its file. APScheduler keeps them in PostgreSQL, as PyTake does: a
schedule that a restart forgets is none. Fired is for beat what it has published, for APScheduler what a thread begins.
"""

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from celery import Celery
from celery.beat import ScheduleEntry, Scheduler, Service
from celery.schedules import schedule

_PERIOD = timedelta(seconds=3600)
late: list[float] = []
is_done = threading.Event()


def note(at: float, count: int) -> None:
    late.append(time.time() - at)
    if len(late) == count:
        is_done.set()


def by_apscheduler(at: float, count: int) -> None:
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    store = SQLAlchemyJobStore(url, tablename=f"apscheduler_{os.getpid()}")
    scheduler = BackgroundScheduler({"default": store}, timezone=UTC)
    scheduler.start(paused=True)
    for number in range(count):
        run_date = datetime.fromtimestamp(at, UTC)
        scheduler.add_job(
            "benchmarks.late_peers:note",
            "date",
            (at, count),
            id=str(number),
            run_date=run_date,
            misfire_grace_time=None,
        )
    scheduler.resume()


def by_beat(at: float, count: int) -> None:
    app = Celery("late", broker=os.environ["REDIS_URL"])
    app.conf.timezone = "UTC"

    class Noting(Scheduler):  # type: ignore[misc]  # Celery has no types
        def setup_schedule(self) -> None:
            last = datetime.fromtimestamp(at, UTC) - _PERIOD
            self.data = {
                str(number): ScheduleEntry(
                    name=str(number), task="say", schedule=schedule(_PERIOD, app=app), last_run_at=last, app=app
                )
                for number in range(count)
            }

        def apply_async(self, *given: Any, **named: Any) -> Any:
            answer = super().apply_async(*given, **named)
            note(at, count)
            return answer

    threading.Thread(target=Service(app, scheduler_cls=Noting).start, daemon=True).start()


if __name__ == "__main__":
    # A job is stored by the name of its function, which must be the one of this module.
    sys.modules["benchmarks.late_peers"] = sys.modules["__main__"]
    {"beat": by_beat, "apscheduler": by_apscheduler}[sys.argv[1]](float(sys.argv[2]), int(sys.argv[3]))
    is_done.wait(60)
    sys.stdout.buffer.write(orjson.dumps(late))
    sys.stdout.flush()
    os._exit(0)
