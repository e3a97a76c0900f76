import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from pytake_gql.embedded import processes
from pytake_gql.embedded.processes import Process
from tests.embedded.machine import kill, stranger

_PARENT_AND_CHILD_OF_ONE_COMMAND_LINE = "import os, time; os.fork(); time.sleep(60)"


@pytest.fixture
def mark() -> str:
    """Name something that no other process on the machine has on its command line."""
    return uuid4().hex


@pytest.fixture
def family(mark: str) -> Iterator[Process]:
    """Start a process with a child, both with the mark on their command lines."""
    command = [sys.executable, "-c", _PARENT_AND_CHILD_OF_ONE_COMMAND_LINE, mark]
    with tempfile.TemporaryFile() as log:
        process = processes.spawn(command, account=None, stdin=b"", log=log)
    while not children(process.pid):
        assert process.is_alive()
    yield process
    os.killpg(process.pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def program() -> str:
    return Path(sys.executable).name


@pytest.mark.parametrize("is_reversed", [False, True])
def test_the_parent_is_found_and_not_its_child(
    family: Process, mark: str, is_reversed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = sorted([family.pid, *children(family.pid)], reverse=is_reversed)
    monkeypatch.setattr(processes, "_pids", lambda: iter(pids))

    found = processes.find(program(), "-c", _PARENT_AND_CHILD_OF_ONE_COMMAND_LINE, mark, account=None)

    assert found
    assert found.process == family


def test_another_accounts_process_is_not_found(family: Process, mark: str) -> None:
    another = processes.Account(os.geteuid() + 1, os.getegid())

    assert family.is_alive()
    assert processes.find(program(), "-c", _PARENT_AND_CHILD_OF_ONE_COMMAND_LINE, mark, account=another) is None


def test_a_process_is_known_by_its_pid_and_its_start(family: Process) -> None:
    assert family.is_alive()
    assert not Process(family.pid, family.started + "0").is_alive()
    kill(family.pid, signal.SIGKILL)
    assert not family.is_alive()


def test_a_process_that_nobody_has_buried_is_dead() -> None:
    seconds = "60.0123"  # as nobody else sleeps
    somebody = stranger(seconds=seconds)
    found = processes.find("sleep", seconds, account=None)
    assert found
    os.kill(somebody.pid, signal.SIGKILL)
    os.waitid(os.P_PID, somebody.pid, os.WEXITED | os.WNOWAIT)

    assert Path(f"/proc/{somebody.pid}").exists()
    assert not found.process.is_alive()
    somebody.wait()


def test_it_has_a_session_of_its_own(family: Process) -> None:
    assert os.getsid(family.pid) == family.pid


def test_a_process_that_ignores_a_signal_is_sent_the_next(mark: str) -> None:
    deaf = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with tempfile.TemporaryFile() as log:
        process = processes.spawn([sys.executable, "-c", deaf, mark], account=None, stdin=b"", log=log)
        while os.fstat(log.fileno()).st_size == 0:
            assert process.is_alive()

    assert processes.end(process, (signal.SIGTERM, 0.1)) is False
    assert process.is_alive()
    assert processes.end(process, (signal.SIGTERM, 0.1), (signal.SIGKILL, 10.0)) is True
    assert not process.is_alive()
