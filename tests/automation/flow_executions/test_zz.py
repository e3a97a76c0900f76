import collections, time
import sqlalchemy as sa
from sqlalchemy import event
from tests.automation.flow_executions.campaign import Campaign


async def test_count(campaign: Campaign) -> None:
    await campaign.contacts(100)
    execution_id = await campaign.fire(limits=campaign.limits(rate_per_minute=600000))
    await campaign.look(execution_id)
    import asyncio

    await asyncio.sleep(0.3)
    seen = collections.Counter()

    def on(conn, cursor, statement, parameters, context, executemany):
        seen[(statement[:150].replace("\n", " "), executemany)] += 1

    eng = campaign.ports.database.engine.sync_engine
    event.listen(eng, "before_cursor_execute", on)
    t = time.perf_counter()
    c = time.process_time()
    await campaign.look(execution_id)
    print("WALL", time.perf_counter() - t, "CPU", time.process_time() - c, await campaign.counts(execution_id))
    event.remove(eng, "before_cursor_execute", on)
    for k, v in seen.most_common(60):
        print(v, k)
    print("TOTAL", sum(seen.values()))
