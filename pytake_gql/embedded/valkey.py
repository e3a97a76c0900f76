"""Valkey: on 127.0.0.1 alone, with a password that only its configuration on standard input holds."""

import signal
import socket

from pytake_gql.embedded import binaries
from pytake_gql.embedded.directory import Record
from pytake_gql.embedded.processes import Process
from pytake_gql.embedded.supervisor import HOST, Launch, Supervisor

_ANSWER_SECONDS = 1.0


class Valkey(Supervisor):
    title = "Valkey"
    name = "valkey"
    program = "valkey-server"
    data_option = "--dir"
    port_option = "--port"
    stop_signals = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))

    def prepare(self, password: str, *, is_new: bool, durable: bool) -> None:  # noqa: ARG002  # see launch()
        if not self.directory.data.exists():
            self.directory.data.mkdir(mode=0o700)
        self.own(self.directory.data)

    def launch(self, password: str, *, durable: bool) -> Launch:
        settings = {
            "bind": HOST,
            "protected-mode": "yes",
            "requirepass": password,
            "save": '""',
            "appendonly": "yes" if durable else "no",
            "set-proc-title": "no",  # the command line stays as it was, by which the server is found again
        }
        configuration = "".join(f"{name} {value}\n" for name, value in settings.items())
        program = binaries.valkey(self.directory.binaries if self.account else None)
        return Launch(program, options=("-",), stdin=configuration.encode())

    def is_ready(self, record: Record, process: Process) -> bool:  # noqa: ARG002  # the password says it all
        """Try: it takes our password and answers, but not while it loads its data."""
        try:
            with socket.create_connection((HOST, record.port), timeout=_ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {record.password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return (answers.readline(), answers.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False

    def url(self, record: Record) -> str:
        return f"redis://:{record.password}@{HOST}:{record.port}/0"
