"""What the machine says of its processes, asked without the code under test."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

Starter = Callable[[str, Path], "subprocess.Popen[str]"]


def command_lines() -> dict[int, list[str]]:
    """Read the words of every process's command line; a zombie has none."""
    lines = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
    return lines


def servers_below(state: Path) -> list[int]:
    """Find the servers whose command line names a path below this directory, which a new child's does too."""
    servers = [
        pid
        for pid, words in command_lines().items()
        if Path(words[0]).name in {"postgres", "valkey-server"}
        and any(word.startswith(f"{state}/") for word in words[1:])
    ]
    return [pid for pid in servers if _parent(pid) not in servers]


def kill(pid: int, how: signal.Signals) -> None:
    """Return when it is dead."""
    os.kill(pid, how)
    while _stat(pid)[0] not in {"Z", "gone"}:
        time.sleep(0.005)


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["gone", "0"]


def stranger(*, uid: int | None = None, seconds: str = "60") -> "subprocess.Popen[bytes]":
    """Start a process that has nothing to do with any server."""
    return subprocess.Popen(["/bin/sleep", seconds], user=uid)  # noqa: S603  # ours
