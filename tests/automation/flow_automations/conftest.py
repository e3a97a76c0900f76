import httpx
import pytest

from tests.automation.flow_automations.automations import Automations
from tests.automation.flow_executions.campaign import plan
from tests.desk.desk import open_desk
from tests.factories import Factory


@pytest.fixture
async def automations(make: Factory, http: httpx.AsyncClient) -> Automations:
    desk = await open_desk(make, http)
    return Automations(await plan(desk), desk.admin)
