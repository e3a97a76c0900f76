import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from pytake_gql import embedded
from pytake_gql.embedded import supervisor
from tests.embedded.machine import Starter, kill, servers_below, stranger


@asynccontextmanager
async def connected(server: embedded.Server) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


async def keep_a_row(server: embedded.Server) -> None:
    async with connected(server) as connection:
        await connection.execute("create table kept (word text); insert into kept values ('maçã')")


async def kept_rows(server: embedded.Server) -> list[str]:
    async with connected(server) as connection:
        return [row["word"] for row in await connection.fetch("select word from kept")]


def server_owner(server: embedded.Server) -> int:
    return Path(f"/proc/{server.pid}").stat().st_uid


def begun(state: Path) -> bool:
    """Whether an initdb has got to the middle of its work."""
    return any(state.glob("postgres/new-*/data/base"))


async def settings(server: embedded.Server, *names: str) -> list[str]:
    async with connected(server) as connection:
        return [await connection.fetchval("select current_setting($1)", name) for name in names]


async def test_it_is_postgresql_18_for_itself_alone(fresh: Path) -> None:
    server = embedded.ensure_postgres(fresh)

    assert server.url.endswith(f"@127.0.0.1:{server.port}/pytake")
    assert await settings(
        server, "server_version", "listen_addresses", "unix_socket_directories", "max_connections", "port"
    ) == ["18.6", "127.0.0.1", "", "200", str(server.port)]
    assert await settings(server, "server_encoding", "lc_messages", "TimeZone") == [
        "UTF8",
        "C.UTF-8",
        "UTC",
    ]
    assert await settings(server, "fsync", "synchronous_commit", "full_page_writes") == ["on", "on", "on"]
    async with connected(server) as connection:
        assert await connection.fetchval("select datcollate from pg_database where datname = 'pytake'") == "C.UTF-8"


async def test_it_takes_only_its_password_and_only_by_scram(state: Path) -> None:
    server = embedded.ensure_postgres(state, durable=False)

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url, password="wrong")
    async with connected(server) as connection:
        assert await connection.fetchval(
            "select rolpassword ~ '^SCRAM-SHA-256' from pg_authid where rolname = 'postgres'"
        )
        methods = await connection.fetch("select distinct auth_method from pg_hba_file_rules")
    assert [row["auth_method"] for row in methods] == ["scram-sha-256"]


async def test_for_tests_it_does_not_wait_for_the_disk(state: Path) -> None:
    server = embedded.ensure_postgres(state, durable=False)

    assert await settings(server, "fsync", "synchronous_commit", "full_page_writes") == ["off", "off", "off"]


async def test_killed_it_starts_again_with_its_data_and_its_url(state: Path) -> None:
    first = embedded.ensure_postgres(state)
    await keep_a_row(first)
    kill(first.pid, signal.SIGKILL)

    second = embedded.ensure_postgres(state)

    assert second.pid != first.pid
    assert second.url == first.url
    assert await kept_rows(second) == ["maçã"]


async def test_an_initdb_killed_in_the_middle_is_begun_anew(fresh: Path, start: Starter) -> None:
    starter = start("ensure_postgres", fresh)
    while not begun(fresh):
        assert starter.poll() is None
        await asyncio.sleep(0.005)
    starter.kill()
    starter.wait()
    assert not (fresh / "postgres" / "data").exists()

    server = embedded.ensure_postgres(fresh, durable=False)

    assert await settings(server, "port") == [str(server.port)]


async def test_a_pid_file_that_names_a_strangers_process_does_not_keep_it_down(state: Path) -> None:
    first = embedded.ensure_postgres(state, durable=False)
    await keep_a_row(first)
    owner = server_owner(first)
    embedded.stop(state)
    somebody = stranger(uid=owner if os.geteuid() == 0 else None)
    pid_file = state / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{somebody.pid}\n{pid_file.parent}\n1\n{first.port}\n\n127.0.0.1\n\nready\n")

    second = embedded.ensure_postgres(state, durable=False)

    assert await kept_rows(second) == ["maçã"]
    assert somebody.poll() is None
    somebody.kill()
    somebody.wait()


async def test_when_its_password_is_lost_it_takes_a_new_one_and_keeps_its_data(state: Path) -> None:
    first = embedded.ensure_postgres(state, durable=False)
    await keep_a_row(first)
    (state / "postgres" / "state.json").unlink()

    second = embedded.ensure_postgres(state, durable=False)

    assert second.url != first.url
    assert await kept_rows(second) == ["maçã"]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(first.url, port=second.port)


def test_when_it_cannot_start_the_error_tells_what_its_log_says(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.ensure_postgres(state, durable=False)
    embedded.stop(state)
    (state / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    monkeypatch.setattr(supervisor, "_PAUSES_SECONDS", (0.0,))

    with pytest.raises(embedded.EmbeddedServerError, match=r"(?s)^PostgreSQL ended while .*incompatible with server"):
        embedded.ensure_postgres(state, durable=False)

    assert embedded.running(state) == embedded.Running(None, None)


def test_four_at_once_start_one_server(fresh: Path, start: Starter) -> None:
    starters = [start("ensure_postgres", fresh) for _ in range(4)]

    urls = {starter.stdout.readline().strip() for starter in starters if starter.stdout}

    server = embedded.ensure_postgres(fresh, durable=False)
    assert urls == {server.url}
    assert servers_below(fresh) == [server.pid]
