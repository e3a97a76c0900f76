"""What holds for both servers."""

import json
import os
import pwd
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pytake_gql import embedded
from tests.embedded.machine import Starter, command_lines, servers_below, stranger

Ensure = Callable[..., embedded.Server]

NOTHING = embedded.Running(None, None)
each_server = pytest.mark.parametrize(
    ("name", "ensure"), [("postgres", embedded.ensure_postgres), ("valkey", embedded.ensure_valkey)]
)
each_ensure = pytest.mark.parametrize("ensure", [embedded.ensure_postgres, embedded.ensure_valkey])


@each_server
def test_each_starts_alone_and_is_taken_again(state: Path, name: str, ensure: Ensure) -> None:
    first = ensure(state, durable=False)

    assert ensure(state, durable=False) == first
    assert servers_below(state) == [first.pid]
    running = embedded.running(state)
    assert {"postgres": running.postgres, "valkey": running.valkey} == {
        "postgres": None,
        "valkey": None,
        name: first,
    }


def test_running_starts_nothing_and_leaves_no_trace(fresh: Path) -> None:
    assert embedded.running(fresh) == NOTHING
    assert not fresh.exists()


def test_stop_and_reset_of_nothing_leave_no_trace(fresh: Path) -> None:
    embedded.stop(fresh)
    embedded.reset(fresh)
    assert not fresh.exists()


@each_server
def test_the_killed_starters_server_is_found_again(state: Path, start: Starter, name: str, ensure: Ensure) -> None:
    starter = start(f"ensure_{name}", state)
    assert starter.stdout
    url = starter.stdout.readline().strip()
    [pid] = servers_below(state)
    starter.kill()
    starter.wait()

    server = ensure(state, durable=False)

    assert (server.url, server.pid) == (url, pid)


@each_server
def test_a_server_whose_starter_died_before_noting_its_pid_is_found_again(
    state: Path, name: str, ensure: Ensure
) -> None:
    first = ensure(state, durable=False)
    forget(state / name, process=None)

    assert ensure(state, durable=False) == first
    assert servers_below(state) == [first.pid]
    forget(state / name, process=None)
    embedded.stop(state)
    assert servers_below(state) == []


@each_server
def test_a_recycled_pid_is_never_taken_for_the_server(state: Path, name: str, ensure: Ensure) -> None:
    first = ensure(state, durable=False)
    embedded.stop(state)
    somebody = stranger()
    forget(state / name, process={"pid": somebody.pid, "started": "another boot:1"})

    assert embedded.running(state) == NOTHING
    embedded.stop(state)
    assert somebody.poll() is None
    assert ensure(state, durable=False).url == first.url
    somebody.kill()
    somebody.wait()


@each_server
def test_the_password_is_in_no_command_line_and_the_state_is_the_owners(state: Path, name: str, ensure: Ensure) -> None:
    server = ensure(state, durable=False)

    password = json.loads((state / name / "state.json").read_text())["password"]
    assert password in server.url
    assert [words for words in command_lines().values() if any(password in word for word in words)] == []
    files = [file for file in (state / name).iterdir() if file.is_file()]
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in files} == {
        "lock": 0o600,
        "server.log": 0o600,
        "state.json": 0o600,
    }
    assert stat.S_IMODE((state / name / "data").stat().st_mode) == 0o700


@each_ensure
def test_no_server_runs_as_root(state: Path, ensure: Ensure) -> None:
    owner = Path(f"/proc/{ensure(state, durable=False).pid}").stat().st_uid

    assert owner == (os.geteuid() or pwd.getpwnam("nobody").pw_uid)


@each_server
def test_stopped_it_is_gone_and_comes_back_at_the_same_url(state: Path, name: str, ensure: Ensure) -> None:
    first = ensure(state, durable=False)

    embedded.stop(state)

    assert servers_below(state) == []
    assert embedded.running(state) == NOTHING
    assert (state / name / "data").exists()
    assert ensure(state, durable=False).url == first.url


@each_server
def test_reset_forgets_data_and_password(state: Path, name: str, ensure: Ensure) -> None:
    first = ensure(state, durable=False)

    embedded.reset(state)

    assert servers_below(state) == []
    assert [entry.name for entry in (state / name).iterdir()] == ["lock"]
    assert ensure(state, durable=False).url != first.url


@each_ensure
def test_a_port_that_somebody_took_is_given_up(state: Path, ensure: Ensure) -> None:
    first = ensure(state, durable=False)
    embedded.stop(state)
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", first.port))
        somebody.listen()

        second = ensure(state, durable=False)

    assert second.port != first.port
    assert second.url == first.url.replace(f":{first.port}/", f":{second.port}/")


@each_ensure
def test_a_directory_that_cannot_be_used_is_named_and_left_alone(place: Path, ensure: Ensure) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o500)

    with pytest.raises(embedded.EmbeddedServerError, match=str(closed)):
        ensure(closed / "state", durable=False)

    assert list(closed.iterdir()) == []
    assert stat.S_IMODE(closed.stat().st_mode) == 0o500


@each_ensure
def test_a_file_in_the_way_is_named(place: Path, ensure: Ensure) -> None:
    (place / "file").touch()

    with pytest.raises(embedded.EmbeddedServerError, match=str(place / "file")):
        ensure(place / "file" / "state", durable=False)


def forget(directory: Path, *, process: dict[str, object] | None) -> None:
    """Make the state file say this of the process."""
    path = directory / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"process": process}))
