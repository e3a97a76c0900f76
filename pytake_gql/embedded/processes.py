"""Processes as the kernel knows them: who they are, how they begin and how they end.

Everything is read from `/proc`, from files that every user may read, so that root without CAP_SYS_PTRACE (the
default in a container) sees as much of a server that runs as `nobody` as anybody else does.
"""

import os
import pwd
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pytake_gql.embedded.errors import EmbeddedServerError

_PROC = Path("/proc")
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process for good: a pid is used again, a pid with the moment of its start is not.

    `started` is the boot's id and the kernel's clock ticks from boot to the start of the process.
    """

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Count a zombie, which nobody has buried yet, as dead."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] != "Z" and _started(fields) == self.started


@dataclass(frozen=True, slots=True)
class Found:
    """A process as it was when we looked."""

    process: Process
    parent: int
    uid: int
    program: str
    arguments: tuple[str, ...]


def can_be_watched() -> bool:
    """Whether this system shows its processes as Linux does."""
    return (_PROC / "self" / "stat").exists()


def is_root() -> bool:
    return os.geteuid() == 0


def unprivileged_account() -> Account | None:
    """`nobody` when we are root, whom PostgreSQL refuses; None: as whoever we are."""
    if not is_root():
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedServerError("The servers need a user `nobody`, for they must not be root.") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def environment() -> Mapping[str, str]:
    """Nothing of ours: a PGPORT or LC_MESSAGES of the caller's must not reach a server."""
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.defpath}


def spawn(command: Sequence[str], *, account: Account | None, stdin: bytes, log: IO[bytes]) -> Process:
    """Start a process that outlives us: its own session, no descriptor of ours, `/` under its feet."""
    # Not a pipe, which would end in the middle if we were killed.
    with os.fdopen(os.memfd_create("stdin"), "w+b") as whole:
        whole.write(stdin)
        whole.seek(0)
        child = subprocess.Popen(  # noqa: S603  # the command is ours
            command,
            stdin=whole,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    process = _identify(child.pid)  # there even when it has died already: nobody has waited for it yet
    # While we live the child is ours to bury, and its Popen must not be collected before.
    threading.Thread(target=child.wait, name=f"wait-{child.pid}", daemon=True).start()
    return process


def find(program: str, *arguments: str, account: Account | None) -> Found | None:
    """Find the process of this account whose command line begins with these words.

    `program` is a file's name, wherever the file may lie. A child that still bears its parent's command line, as
    those of PostgreSQL do for a moment, is not meant.
    """
    uid = account.uid if account else os.geteuid()
    found = {
        seen.process.pid: seen
        for seen in map(_look, _pids())
        if seen
        and seen.uid == uid
        and Path(seen.program).name == program
        and seen.arguments[: len(arguments)] == arguments
    }
    return next((seen for seen in found.values() if seen.parent not in found), None)


def end(process: Process, *signals: tuple[signal.Signals, float]) -> bool:
    """Ask in the given order, waiting so many seconds after each signal. False: it lives on."""
    for number, seconds in signals:
        if not process.is_alive():
            return True
        os.kill(process.pid, number)
        deadline = time.monotonic() + seconds
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    return not process.is_alive()


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _look(pid: int) -> Found | None:
    """Look at a process, unless it has ended or ends while we look."""
    try:
        uid = (_PROC / str(pid)).stat().st_uid
        words = os.fsdecode((_PROC / str(pid) / "cmdline").read_bytes()).split("\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # the last where others' are hidden
        return None
    fields = _stat(pid)
    if fields is None or fields[0] == "Z":
        return None
    return Found(Process(pid, _started(fields)), int(fields[1]), uid, words[0], tuple(words[1:]))


def _identify(pid: int) -> Process:
    fields = _stat(pid)
    if fields is None:
        raise ProcessLookupError(pid)
    return Process(pid, _started(fields))


def _stat(pid: int) -> list[str] | None:
    """Read the fields of `/proc/<pid>/stat` from the third on: the second, a name, may hold anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _started(fields: list[str]) -> str:
    return f"{(_PROC / 'sys/kernel/random/boot_id').read_text().strip()}:{fields[19]}"
