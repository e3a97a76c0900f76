import httpx
import pytest

from tests.automation.flow_runs.bots import Bot
from tests.desk.desk import open_desk
from tests.factories import Factory


@pytest.fixture
async def bot(make: Factory, http: httpx.AsyncClient) -> Bot:
    return Bot(await open_desk(make, http))
