"""PostgreSQL: one cluster, one superuser `postgres`, one database `pytake`, reachable on 127.0.0.1 alone."""

import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from pytake_gql.embedded import binaries, processes
from pytake_gql.embedded.directory import Record
from pytake_gql.embedded.errors import EmbeddedServerError
from pytake_gql.embedded.processes import Process
from pytake_gql.embedded.supervisor import HOST, Launch, Supervisor

_DATABASE = "pytake"
_USER = "postgres"
_COMMAND_SECONDS = 120
_ANSWER_SECONDS = 1.0
_READY = "ready   "  # as it stands in `postmaster.pid`
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # the protocol's question that needs no password
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres(Supervisor):
    title = "PostgreSQL"
    name = "postgres"
    program = "postgres"
    data_option = "-D"
    port_option = "-p"
    # Its fast, its immediate shutdown, and the end.
    stop_signals = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

    def prepare(self, password: str, *, is_new: bool, durable: bool) -> None:
        for half_done in self.directory.path.glob("new-*"):
            # The initdb of a starter that was killed may still write there.
            shutil.rmtree(half_done, ignore_errors=True)
        if not self.directory.data.exists():
            self._initialize(password, durable=durable)
            return
        self._forget_recycled_pid()
        if is_new:
            self._execute(self.directory.data, f"ALTER ROLE {_USER} PASSWORD '{password}'")

    def launch(self, password: str, *, durable: bool) -> Launch:  # noqa: ARG002  # it is in the data
        settings = _SETTINGS if durable else _SETTINGS | _NOT_DURABLE
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return Launch(self._program("postgres"), tuple(options), stdin=b"")

    def is_ready(self, record: Record, process: Process) -> bool:
        """Read `postmaster.pid` as pg_ctl does, whose last line is the server's state, and ask for an answer."""
        pid, *others = self._pid_file() or [""]
        if pid.strip() != str(process.pid) or others[-1:] != [_READY]:
            return False
        try:
            with socket.create_connection((HOST, record.port), timeout=_ANSWER_SECONDS) as connection:
                connection.sendall(_SSL_REQUEST)
                return connection.recv(1) in {b"N", b"S"}
        except OSError:
            return False

    def url(self, record: Record) -> str:
        return f"postgresql://{_USER}:{record.password}@{HOST}:{record.port}/{_DATABASE}"

    def _initialize(self, password: str, *, durable: bool) -> None:
        """Whole or not at all: made aside with its database, then renamed.

        The directory's name is new each time, for an initdb whose starter was killed may still be at work.
        """
        aside = Path(tempfile.mkdtemp(dir=self.directory.path, prefix="new-"))
        self.own(aside)
        password_file = aside / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        self.own(password_file)
        data = aside / "data"
        initdb = [str(self._program("initdb")), "-D", str(data), "-U", _USER, "-A", "scram-sha-256"]
        initdb += ["--pwfile", str(password_file), "--locale=C.UTF-8", "--encoding=UTF8"]
        self._run([*initdb, *(() if durable else ("--no-sync",))])
        self._execute(data, f"CREATE DATABASE {_DATABASE}")
        data.rename(self.directory.data)
        shutil.rmtree(aside)

    def _execute(self, data: Path, statement: str) -> None:
        """Run one statement in single-user mode, which needs neither a port nor a password.

        PostgreSQL goes on after an error there, and ends with success.
        """
        command = [str(self._program("postgres")), "--single", "-c", "log_min_error_statement=panic"]
        output = self._run([*command, "-D", str(data), "postgres"], stdin=f"{statement}\n")
        if "ERROR:" in output:
            raise EmbeddedServerError(f"PostgreSQL refused a statement while it was set up:\n{output}")

    def _run(self, command: list[str], *, stdin: str = "") -> str:
        """Give what it says on standard output and standard error."""
        try:
            done = subprocess.run(  # noqa: S603  # the command is ours
                command,
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
                timeout=_COMMAND_SECONDS,
                cwd="/",
                env=processes.environment(),
                start_new_session=True,
                umask=0o077,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise EmbeddedServerError(f"{Path(command[0]).name} failed: {error}\n{error.output}") from error
        return done.stdout

    def _forget_recycled_pid(self) -> None:
        """Remove a `postmaster.pid` whose pid is somebody else's, which PostgreSQL takes for a server.

        The file of a server that died is left to PostgreSQL, which knows its last processes by it.
        """
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit() or not Path("/proc", lines[0].strip()).exists():
            return
        if processes.find(self.program, *self._data_arguments(), account=self.account) is None:
            (self.directory.data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file(self) -> list[str]:
        try:
            return (self.directory.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _program(self, name: str) -> Path:
        return binaries.postgres(self.directory.binaries if self.account else None) / name
