"""The command line as people use it: real processes, real servers."""

import asyncio
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from pytake_gql import cli, embedded
from pytake_gql.development import servers as lending
from pytake_gql.development.client import is_ready
from pytake_gql.development.run import PortTaken, choose_port
from tests.conftest import Servers, _clone, _drop, database_named
from tests.embedded.conftest import reachable_directory
from tests.embedded.machine import command_lines

PATIENCE = 60.0
PYTAKE = (sys.executable, "-m", "pytake_gql")


@contextmanager
def fresh_environment(servers: Servers, template: str, redis_url: str) -> Iterator[dict[str, str]]:
    """Names servers with a migrated database that is empty otherwise."""
    name = f"cli_{uuid4().hex}"
    asyncio.run(_clone(servers.database_url, name, template))
    database_url = database_named(servers.database_url, name)
    yield {"PATH": os.defpath, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "COLUMNS": "200"}
    asyncio.run(_drop(servers.database_url, name))


@pytest.fixture
def environment(servers: Servers, template: str, redis_url: str) -> Iterator[dict[str, str]]:
    with fresh_environment(servers, template, redis_url) as made:
        yield made


@dataclass(frozen=True)
class Done:
    status: int
    stdout: str
    stderr: str


Pytake: TypeAlias = Callable[..., Done]


@pytest.fixture
def pytake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pytake:
    """The command in this process, for its imports take seconds."""

    def run(*words: str, environment: dict[str, str], stdin: str = "") -> Done:
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", environment)
            patch.setattr(sys, "argv", ["pytake", *words])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            capsys.readouterr()
            with pytest.raises(SystemExit) as end:
                cli.main()
        said = capsys.readouterr()
        return Done(int(end.value.code or 0), said.out, said.err)

    return run


def until(what: Callable[[], Any]) -> Any:
    """Waits for something to be true, and gives it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    async def fetch() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def children_of(parent: int) -> dict[str, int]:
    """The pids of its API and its worker, by name."""
    found = {}
    for pid, words in command_lines().items():
        if "pytake_gql" in words and _parent(pid) == parent:
            found[words[words.index("pytake_gql") + 1]] = pid
    return found


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


# ------------------------------------------------------------------------------------------------- dev


@dataclass
class Dev:
    """`pytake dev` that answers."""

    url: str
    process: "subprocess.Popen[bytes]"
    said: Path
    database_url: str


@contextmanager
def developing(environment: dict[str, str], place: Path) -> Iterator[Dev]:
    port, said = choose_port(0), place / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*PYTAKE, "dev", "--port", str(port)], env=environment, stdout=file, stderr=file, start_new_session=True
        )
    until(lambda: "Stop with Ctrl-C" in said.read_text() or process.poll() is not None)
    assert process.poll() is None, said.read_text()
    yield Dev(f"http://127.0.0.1:{port}", process, said, environment["DATABASE_URL"])
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def dev(servers: Servers, template: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Ends with Ctrl-C, which leaves nobody behind."""
    with (
        fresh_environment(servers, template, redis_url) as environment,
        developing(environment, tmp_path_factory.mktemp("dev")) as found,
    ):
        yield found
        children = children_of(found.process.pid)
        found.process.send_signal(signal.SIGINT)
        assert found.process.wait(PATIENCE) == 0
        assert not is_ready(found.url)
        assert children.keys() == {"api", "worker"}
        assert [pid for pid in children.values() if pid in command_lines()] == []


def test_dev_check_does_one_of_everything_and_leaves_nobody_behind(environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [*PYTAKE, "dev", "--check"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-5:] == [
        "  sign-in: agent@example.com",
        "  query: the queue Vendas",
        "  mutation: a visitor wrote",
        "  subscription: the agent saw it live",
        "OK",
    ]
    assert rows(environment["DATABASE_URL"], "SELECT name, slug FROM organizations") == [
        ("Loja Exemplo", "loja-exemplo")
    ]
    assert rows(environment["DATABASE_URL"], "SELECT status, count(*) FROM conversations GROUP BY 1") == [("CLOSED", 1)]


def test_simulated_visitors_wait_in_the_queue(dev: Dev, pytake: Pytake) -> None:
    words = ("simulate", "--visitors", "3", "--messages", "2", "--pause", "0.1", "--seconds", "40", "--url", dev.url)
    done = pytake(*words, environment={})
    assert done.status == 0, done.stderr
    assert "3 visitors, 6 messages, 0 answers, 0 closed" in done.stdout
    found = rows(
        dev.database_url,
        "SELECT c.status, q.slug, c.unread_count FROM conversations c JOIN queues q ON q.id = c.queue_id",
    )
    assert found == [("QUEUED", "vendas", 2)] * 3


def test_dev_starts_children_again(dev: Dev) -> None:
    before = children_of(dev.process.pid)
    assert before.keys() == {"api", "worker"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: children_of(dev.process.pid).keys() == before.keys() and not _alive(before))
    ended = re.findall(r"(The \w+) ended \(killed by SIGKILL\); it starts again in 0\.5 s\.", dev.said.read_text())
    assert sorted(ended) == ["The API", "The worker"]
    until(lambda: is_ready(dev.url))


def test_no_child_outlives_a_dev_that_is_killed(environment: dict[str, str], tmp_path: Path) -> None:
    with developing(environment, tmp_path) as dev:
        children = children_of(dev.process.pid)
        assert children.keys() == {"api", "worker"}
        dev.process.kill()
        dev.process.wait()
        until(lambda: not _alive(children))


def _alive(children: dict[str, int]) -> bool:
    pytakes = {pid for pid, words in command_lines().items() if "pytake_gql" in words}
    return bool(pytakes & set(children.values()))


def test_a_taken_port_is_said_before_anything_starts(environment: dict[str, str], pytake: Pytake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken):
            choose_port(port)
        done = pytake("dev", "--port", str(port), environment=environment)
    assert done == Done(1, "", f"Port {port} is taken: choose another one with --port.\n")
    assert rows(environment["DATABASE_URL"], "SELECT count(*) FROM organizations") == [(0,)]


# -------------------------------------------------------------------------------------- the environment


@pytest.mark.parametrize("command", ["api", "worker", "migrate", "dev"])
def test_production_without_addresses_names_both_and_exits_2(command: str, pytake: Pytake) -> None:
    done = pytake(command, environment={"PATH": os.defpath, "PYTAKE_ENV": "production"})
    assert done.status == 2
    assert "DATABASE_URL" in done.stderr
    assert "REDIS_URL" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "mysql://localhost/pytake"), ("REDIS_URL", "http://localhost"), ("DATABASE_URL", " ")],
)
def test_a_bad_address_is_an_error_and_no_reason_to_start_another(
    environment: dict[str, str], pytake: Pytake, name: str, value: str
) -> None:
    done = pytake("migrate", environment=environment | {name: value})
    assert done.status == 2
    assert done.stderr.startswith(f"{name} must look like ")


def test_a_server_that_is_not_there_is_said_in_a_sentence(environment: dict[str, str], pytake: Pytake) -> None:
    done = pytake("migrate", environment=environment | {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"})
    assert done.status == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def state() -> Iterator[Path]:
    place = reachable_directory()
    yield place / "state"
    embedded.reset(place / "state")


def test_each_address_is_decided_alone(state: Path) -> None:
    named = {"DATABASE_URL": "postgresql://somewhere/else"}
    lent = lending.lend(named, state)
    running = embedded.running(state)
    assert running.postgres is None
    assert running.valkey
    assert lent.environment == {**named, "REDIS_URL": running.valkey.url}
    assert lent.is_ours


def test_whoever_names_both_is_lent_nothing(state: Path) -> None:
    named = {"DATABASE_URL": "postgresql://somewhere/else", "REDIS_URL": "redis://somewhere"}
    lent = lending.lend(named, state)
    assert (lent.environment, lent.is_ours, state.exists()) == (named, False, False)


def test_production_is_lent_nothing(state: Path) -> None:
    lent = lending.lend({"PYTAKE_ENV": "production"}, state)
    assert (lent.environment, lent.is_ours, state.exists()) == ({"PYTAKE_ENV": "production"}, False, False)


# --------------------------------------------------------------------------------- what is done once


def test_migrate_says_where_the_database_is(environment: dict[str, str], pytake: Pytake) -> None:
    done = pytake("migrate", environment=environment)
    at = rows(environment["DATABASE_URL"], "SELECT version_num FROM alembic_version")[0][0]
    assert (done.status, done.stdout.splitlines()[-1]) == (0, f"The database is at {at}.")


def test_schema_is_written_and_compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cli, "SDL", tmp_path / "schema.graphql")
    invoke = CliRunner().invoke
    assert invoke(cli.commands, ["schema", "--check"]).exit_code == 1
    assert invoke(cli.commands, ["schema"]).exit_code == 0
    assert invoke(cli.commands, ["schema", "--check"]).exit_code == 0
    cli.SDL.write_text(cli.SDL.read_text() + "type Stale { id: ID! }\n")
    stale = invoke(cli.commands, ["schema", "--check"])
    assert (stale.exit_code, stale.stderr) == (1, "schema.graphql is stale: write it with `pytake schema`.\n")


def test_create_admin_makes_the_first_super_admin_and_more(environment: dict[str, str], pytake: Pytake) -> None:
    for email, name in (("root@example.com", "Rosa"), ("second@example.com", "Sílvia")):
        words = ("create-admin", "--email", email, "--name", name, "--password-stdin")
        done = pytake(*words, environment=environment, stdin="correct horse battery\n")
        assert done.status == 0, done.stderr
    found = rows(
        environment["DATABASE_URL"],
        "SELECT m.email, m.name, m.role, m.conversation_scope, o.slug FROM members m "
        "JOIN organizations o ON o.id = m.organization_id ORDER BY m.email",
    )
    assert found == [
        ("root@example.com", "Rosa", "SUPER_ADMIN", "ORGANIZATION", "pytake-platform"),
        ("second@example.com", "Sílvia", "SUPER_ADMIN", "ORGANIZATION", "pytake-platform"),
    ]
    audited = rows(environment["DATABASE_URL"], "SELECT action, actor_kind FROM audit_entries ORDER BY action, id")
    assert audited == [
        ("member.appointed_super_admin", "SYSTEM"),
        ("member.appointed_super_admin", "SYSTEM"),
        ("organization.created", "SYSTEM"),
    ]


def test_create_admin_refuses_a_short_password_and_a_second_time(environment: dict[str, str], pytake: Pytake) -> None:
    words = ("create-admin", "--email", "root@example.com", "--name", "Rosa", "--password-stdin")
    short = pytake(*words, environment=environment, stdin="short\n")
    assert short.status == 1
    assert rows(environment["DATABASE_URL"], "SELECT count(*) FROM accounts") == [(0,)]
    assert pytake(*words, environment=environment, stdin="correct horse battery\n").status == 0
    again = pytake(*words, environment=environment)
    assert (again.status, again.stderr) == (1, "This address has a member here already.\n")
    assert rows(environment["DATABASE_URL"], "SELECT count(*) FROM members") == [(1,)]
