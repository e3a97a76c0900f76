from collections.abc import AsyncIterator

import httpx
import pytest

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.development.meta.recorder import Recorder
from tests.desk.desk import Desk, open_desk
from tests.factories import Factory
from tests.meta import Wire, connect, recording


@pytest.fixture
async def desk(make: Factory, http: httpx.AsyncClient) -> Desk:
    return await open_desk(make, http)


@pytest.fixture(scope="session")
async def graph_url() -> AsyncIterator[tuple[Recorder, str]]:
    """Meta's recorder and its address; the lines of each test are its own."""
    recorder = Recorder()
    async with recording(recorder) as url:
        yield recorder, url


@pytest.fixture
async def wire(desk: Desk, graph_url: tuple[Recorder, str]) -> AsyncIterator[Wire]:
    """A WhatsApp channel of the desk, and its number at Meta."""
    recorder, url = graph_url
    yield await connect(desk, recorder, url)
    recorder.faults.clear()
    recorder.is_throttling = False


@pytest.fixture
async def gram(desk: Desk, graph_url: tuple[Recorder, str]) -> AsyncIterator[Wire]:
    """An Instagram channel of the desk, and its account at Meta."""
    recorder, url = graph_url
    made = await connect(desk, recorder, url, ChannelKind.INSTAGRAM)
    made.contact = made.line.address[::-1]
    yield made
    recorder.faults.clear()
