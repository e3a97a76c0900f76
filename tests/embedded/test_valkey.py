import signal
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from pytake_gql import embedded
from tests.embedded.machine import Starter, kill, servers_below


def settings(server: embedded.Server, *names: str) -> dict[str, str]:
    with Redis.from_url(server.url, decode_responses=True) as client:
        return dict(client.config_get(*names))


def test_it_is_valkey_9_for_itself_alone(fresh: Path) -> None:
    server = embedded.ensure_valkey(fresh)

    assert server.url.endswith(f"@127.0.0.1:{server.port}/0")
    with Redis.from_url(server.url) as client:
        about = client.info("server")
    assert (about["server_name"], about["valkey_version"]) == ("valkey", "9.1.2")
    assert about["process_id"] == server.pid
    assert settings(server, "bind", "protected-mode", "save", "appendonly") == {
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "save": "",
        "appendonly": "yes",
    }


def test_it_takes_only_its_password(fresh: Path) -> None:
    server = embedded.ensure_valkey(fresh, durable=False)

    for password in (None, "wrong"):
        with (
            Redis(host="127.0.0.1", port=server.port, password=password) as client,
            pytest.raises(AuthenticationError),
        ):
            client.ping()


def test_for_tests_it_writes_nothing(fresh: Path) -> None:
    server = embedded.ensure_valkey(fresh, durable=False)

    assert settings(server, "appendonly") == {"appendonly": "no"}
    embedded.stop(fresh)
    assert list((fresh / "valkey" / "data").iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_ended_it_starts_again_with_its_data_and_its_url(fresh: Path, how: signal.Signals) -> None:
    first = embedded.ensure_valkey(fresh)
    with Redis.from_url(first.url, decode_responses=True) as client:
        client.set("word", "maçã")
    kill(first.pid, how)

    second = embedded.ensure_valkey(fresh)

    assert second.pid != first.pid
    assert second.url == first.url
    with Redis.from_url(second.url, decode_responses=True) as client:
        assert client.get("word") == "maçã"


def test_when_its_password_is_lost_it_takes_a_new_one_and_keeps_its_data(fresh: Path) -> None:
    first = embedded.ensure_valkey(fresh)
    with Redis.from_url(first.url, decode_responses=True) as client:
        client.set("word", "maçã")
    (fresh / "valkey" / "state.json").unlink()

    second = embedded.ensure_valkey(fresh)

    assert second.url != first.url
    assert servers_below(fresh) == [second.pid]
    with Redis.from_url(second.url, decode_responses=True) as client:
        assert client.get("word") == "maçã"


def test_four_at_once_start_one_server(fresh: Path, start: Starter) -> None:
    starters = [start("ensure_valkey", fresh) for _ in range(4)]

    urls = {starter.stdout.readline().strip() for starter in starters if starter.stdout}

    server = embedded.ensure_valkey(fresh, durable=False)
    assert urls == {server.url}
    assert servers_below(fresh) == [server.pid]
