import httpx
import pytest

from tests.desk.desk import Desk, open_desk
from tests.factories import Factory


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)
