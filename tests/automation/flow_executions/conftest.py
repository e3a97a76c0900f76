import httpx
import pytest

from tests.automation.flow_executions.campaign import Campaign, plan
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


@pytest.fixture
async def campaign(desk: Desk) -> Campaign:
    """One that says hello, and ends."""
    return await plan(desk)
