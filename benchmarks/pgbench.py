"""PostgreSQL's own limit for statements of ours: `pgbench` of the embedded wheel, with prepared statements.

It works as the product does: in the role that owns nothing, confined to the organization, with plans kept.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchmarks import seed
from benchmarks.harness import Limits, Run, measured
from benchmarks.stage import Stage
from pytake_gql.embedded import binaries
from pytake_gql.kernel.db import API_ROLE

_MARGIN_SECONDS = 30
_SETTINGS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "role": API_ROLE,
        "app.organization_id": seed.ORGANIZATION_ID,
        "plan_cache_mode": "force_generic_plan",
        "enable_sort": "off",
    }.items()
)


class Failed(Exception):
    """What pgbench says about it."""


@dataclass(frozen=True, slots=True)
class Pgbench:
    """`transactions` of each client; it knows itself as `:client_id`, and what is defined as that to begin with."""

    statement: str
    clients: int
    transactions: int
    defined: tuple[str, ...] = ()

    async def run(self, stage: Stage, limits: Limits) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            script = _written(Path(folder, "statement.sql"), self.statement)
            async with measured(None, stage.postmaster) as taken:
                await self._run(stage.database_url, script, limits)
            lines = _log(Path(folder))
        taken.latencies = [int(line[2]) / 1e6 for line in lines]
        taken.answered = len(lines)
        ended = [int(line[4]) + int(line[5]) / 1e6 for line in lines]
        taken.seconds = max(ended) - min(ended) + taken.latencies[0]
        return taken

    async def _run(self, url: str, script: Path, limits: Limits) -> None:
        parts = urlsplit(url)
        process = await asyncio.create_subprocess_exec(
            *(str(binaries.postgres(None) / "pgbench"), "--no-vacuum", "--protocol=prepared"),
            *(f"--client={self.clients}", "--jobs=2", f"--transactions={self.transactions}"),
            *("--log", f"--log-prefix={script.parent}/taken", f"--file={script}"),
            *(f"--define={it}" for it in self.defined),
            *(f"--host={parts.hostname}", f"--port={parts.port or 5432}", f"--username={parts.username}"),
            parts.path[1:],
            env={**os.environ, "LC_ALL": "C", "PGPASSWORD": unquote(parts.password or ""), "PGOPTIONS": _SETTINGS},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(limits.seconds + _MARGIN_SECONDS):
                _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise Failed(said.decode(errors="replace"))


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _log(folder: Path) -> list[list[str]]:
    """A line for each transaction: client, number, microseconds, script, and when it ended."""
    return [line.split() for log in folder.glob("taken.*") for line in log.read_text().splitlines()]
