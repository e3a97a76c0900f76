"""What both servers have in common: found again, or started once, or ended."""

import os
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pytake_gql.embedded import processes
from pytake_gql.embedded.directory import Directory, Record
from pytake_gql.embedded.errors import EmbeddedServerError
from pytake_gql.embedded.processes import Process

HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.01
# A start may fail for a moment: the port was taken meanwhile, a starter that was killed had just begun
# another server, or the last processes of a killed PostgreSQL still hold its memory.
_PAUSES_SECONDS = (0.1, 0.3, 1.0, 3.0, 0.0)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. `url` holds its password."""

    url: str
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server. The options follow those that name its data and its port."""

    program: Path
    options: tuple[str, ...]
    stdin: bytes


class Supervisor(ABC):
    """Of one server. Its methods block, and any number of processes may call them at once.

    A server's command line begins with its data directory and its port. So it is found again among all
    processes when whoever started it was killed before it could note the pid.
    """

    title: ClassVar[str]
    name: ClassVar[str]
    program: ClassVar[str]
    data_option: ClassVar[str]
    port_option: ClassVar[str]
    # Each with the seconds that it is given to work.
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, state: Path) -> None:
        self.directory = Directory(state.absolute(), self.name)
        self.account = processes.unprivileged_account()

    @abstractmethod
    def prepare(self, password: str, *, is_new: bool, durable: bool) -> None:
        """Make the data directory. When it is there and the password `is_new`, make the data take it."""

    @abstractmethod
    def launch(self, password: str, *, durable: bool) -> Launch: ...

    @abstractmethod
    def is_ready(self, record: Record, process: Process) -> bool: ...

    @abstractmethod
    def url(self, record: Record) -> str: ...

    def ensure(self, *, durable: bool) -> Server:
        """Start it unless it runs. A server that runs is taken as it is, whatever its durability."""
        if not processes.can_be_watched():
            raise EmbeddedServerError(f"{self.title} can be started here on Linux only: name a server of your own.")
        with self._explained("started"):
            self.directory.make()
            with self.directory.lock():
                record = self.directory.read()
                found = record and self._find(record)
                if found and self._await_ready(found):
                    return self._remember(found)
                return self._start(record, durable=durable)

    def running(self) -> Server | None:
        with self._explained("looked at"):
            record = self.directory.read()
            found = record and self._find(record)
            if not found or not found.process or not self.is_ready(found, found.process):
                return None
            return self._server(found)

    def stop(self) -> None:
        with self._explained("stopped"):
            if self.directory.path.is_dir():
                with self.directory.lock():
                    self._end()

    def reset(self) -> None:
        with self._explained("reset"):
            if self.directory.path.is_dir():
                with self.directory.lock():
                    self._end()
                    self.directory.clear()

    def own(self, path: Path) -> None:
        """Hand a path that we have made to the account that the server runs as."""
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def _start(self, record: Record | None, *, durable: bool) -> Server:
        is_new = record is None
        if record is None:
            self._end()  # a server whose password is lost
            record = Record.new()
        self.prepare(record.password, is_new=is_new, durable=durable)
        for pause in _PAUSES_SECONDS:
            record = self._find(record) or self._spawn(record, durable=durable)
            if self._await_ready(record):
                return self._remember(record)
            time.sleep(pause)
        raise EmbeddedServerError(
            f"{self.title} ended while it was starting. Its log in {self.directory.path} ends with:\n"
            f"{self.directory.log_tail()}"
        )

    def _spawn(self, record: Record, *, durable: bool) -> Record:
        launch = self.launch(record.password, durable=durable)
        port = _free_port(record.port)
        record = replace(record, port=port)
        self.directory.write(record)
        command = (str(launch.program), *self._data_arguments(), self.port_option, str(port), *launch.options)
        with self.directory.open_log() as log:
            process = processes.spawn(command, account=self.account, stdin=launch.stdin, log=log)
        record = replace(record, process=process)
        self.directory.write(record)
        return record

    def _find(self, record: Record) -> Record | None:
        """Give the record of the server that runs now."""
        if record.process and record.process.is_alive():
            return record
        found = processes.find(self.program, *self._data_arguments(), account=self.account)
        if found is None:
            return None
        return replace(record, process=found.process, port=int(found.arguments[3]))

    def _data_arguments(self) -> tuple[str, str]:
        return self.data_option, str(self.directory.data)

    def _await_ready(self, record: Record) -> bool:
        """Wait. False when it ended instead."""
        process = record.process
        deadline = time.monotonic() + _READY_SECONDS
        while process and process.is_alive():
            if self.is_ready(record, process):
                return True
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"{self.title} (pid {process.pid}) is not ready after {_READY_SECONDS:.0f} seconds. "
                    f"Its log in {self.directory.path} ends with:\n{self.directory.log_tail()}"
                )
            time.sleep(_POLL_SECONDS)
        return False

    def _remember(self, record: Record) -> Server:
        if record != self.directory.read():
            self.directory.write(record)
        return self._server(record)

    def _server(self, record: Record) -> Server:
        if record.process is None or record.port is None:
            raise EmbeddedServerError(f"{self.title} does not run.")
        return Server(self.url(record), record.process.pid, record.port)

    def _end(self) -> None:
        record = self.directory.read()
        while found := self._find(record or Record(password="")):
            if found.process and not processes.end(found.process, *self.stop_signals):
                raise EmbeddedServerError(f"{self.title} (pid {found.process.pid}) does not end.")
        if record and record.process:
            self.directory.write(replace(record, process=None))

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EmbeddedServerError(
                f"{self.title} below {self.directory.state} could not be {done}: {error}"
            ) from error


def _free_port(preferred: int | None) -> int:
    """Choose the preferred one while nobody else has it, so that a URL stays true from start to start."""
    for port in (preferred or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmbeddedServerError(f"No port of {HOST} is free.")
