"""Where a checkout's servers keep their things, and what is remembered of each.

    <state>/postgres/   lock  state.json  server.log  data/
    <state>/valkey/     lock  state.json  server.log  data/
    <state>/binaries/   copies for `nobody`, only when root starts the servers

`state.json` holds the password and is readable by its owner alone, as is the log. A directory for each
server, so that each can be started, stopped and locked alone.
"""

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pytake_gql.embedded.errors import EmbeddedServerError
from pytake_gql.embedded.processes import Process, is_root

_ROOTS_STATE = Path("/var/lib/pytake")
_LOG_LIMIT = 5_000_000
_TAIL_BYTES = 8_192
_TAIL_LINES = 20


def default_state_directory(project: Path, *, home: Path | None = None, state_home: Path | None = None) -> Path:
    """Name one directory for each checkout.

    `state_home` is XDG_STATE_HOME, `home` the user's home where it is not that of the account. Root's lies
    outside root's home, for the servers run as `nobody`, who cannot enter there.
    """
    checkout = hashlib.sha256(os.fsencode(project.resolve())).hexdigest()[:16]
    if is_root():
        return _ROOTS_STATE / checkout
    if state_home is None:
        state_home = (home or _home_of_account()) / ".local" / "state"
    return state_home / "pytake" / checkout


def _home_of_account() -> Path:
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        raise EmbeddedServerError(f"The user {os.geteuid()} has no home to keep the servers' state in.") from None


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a server. `process` is None while it is not known to run."""

    password: str
    port: int | None = None
    process: Process | None = None

    @classmethod
    def new(cls) -> "Record":
        return cls(password=secrets.token_urlsafe(24))


@dataclass(frozen=True, slots=True)
class Directory:
    """One server's directory below the state directory."""

    state: Path
    name: str

    @property
    def path(self) -> Path:
        return self.state / self.name

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def binaries(self) -> Path:
        return self.state / "binaries"

    def make(self) -> None:
        """Create what is missing, and refuse what would fail later with a riddle."""
        if is_root():
            _require_reachable(self.path)
            _make(self.binaries)
        _make(self.path)
        if self.state.stat().st_uid != os.geteuid():
            raise EmbeddedServerError(f"The state directory {self.state} belongs to another user.")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One at a time, in this process and in all others. The kernel lets go of it when its holder dies."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Record | None:
        """None when nothing is remembered, or nothing that can be understood."""
        try:
            stored = json.loads((self.path / "state.json").read_text())
            process = stored["process"]
            return Record(stored["password"], stored["port"], process and Process(**process))
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        process = record.process
        text = json.dumps(
            {
                "password": record.password,
                "port": record.port,
                "process": process and {"pid": process.pid, "started": process.started},
            }
        )
        descriptor, aside = tempfile.mkstemp(dir=self.path, prefix="state-")  # mkstemp's mode is 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(aside).replace(self.path / "state.json")

    def open_log(self) -> IO[bytes]:
        """For the server to append to. A long one is put aside as `server.log.1`."""
        log = self.path / "server.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(self.path / "server.log.1")
        return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def log_tail(self) -> str:
        log = self.path / "server.log"
        if not log.exists():
            return "(no log)"
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def clear(self) -> None:
        """Remove everything but the lock, which others may be waiting for."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()


def _make(path: Path) -> None:
    """As mkdir -p, with modes that no umask changes: root's are to be passed through by `nobody`."""
    for directory in (*reversed(path.parents), path):
        if not directory.is_dir():
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711 if is_root() else 0o700)


def _require_reachable(path: Path) -> None:
    """We never change the mode of a directory that we have not made."""
    for directory in (path, *path.parents):
        if directory.is_dir() and not directory.stat().st_mode & stat.S_IXOTH:
            raise EmbeddedServerError(
                f"The servers run as `nobody`, who may not pass through {directory}: "
                "choose a state directory elsewhere."
            )
