import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytake_gql import embedded
from tests.embedded.machine import Starter, servers_below

_STARTER = """
import pathlib, sys, time
from pytake_gql import embedded
ensure = getattr(embedded, sys.argv[1])
print(ensure(pathlib.Path(sys.argv[2]), durable=False).url, flush=True)
time.sleep(60)
"""


def reachable_directory() -> Path:
    """Make a directory that `nobody` can pass through: pytest's own are closed when root runs the tests."""
    path = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="pytake-test-"))
    path.chmod(0o711)
    return path


@pytest.fixture
def place() -> Iterator[Path]:
    path = reachable_directory()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def fresh(place: Path) -> Iterator[Path]:
    """Name a state directory that does not exist. After the test its servers are stopped, and proven gone."""
    state = place / "state"
    yield state
    embedded.stop(state)
    assert servers_below(state) == []


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """Make a state directory whose PostgreSQL has been started once, which takes seconds."""
    path = reachable_directory()
    embedded.ensure_postgres(path / "state", durable=False)
    embedded.stop(path / "state")
    yield path / "state"
    shutil.rmtree(path)


@pytest.fixture
def state(request: pytest.FixtureRequest, made: Path, fresh: Path) -> Path:
    """Copy the PostgreSQL that was made, with its owners. Nothing runs in it. Valkey needs nothing made."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params["ensure"] is embedded.ensure_valkey:
        return fresh
    fresh.mkdir()
    fresh.chmod(0o711)
    if (made / "binaries").exists():
        (fresh / "binaries").symlink_to(made / "binaries")
    subprocess.run(["/bin/cp", "-a", made / "postgres", fresh], check=True)  # noqa: S603  # paths of ours
    return fresh


@pytest.fixture
def start() -> Iterator[Starter]:
    """Call `ensure_postgres` or `ensure_valkey` in a process that prints the URL and lives on."""
    starters: list[subprocess.Popen[str]] = []

    def call(ensure: str, state: Path) -> subprocess.Popen[str]:
        starter = subprocess.Popen(  # noqa: S603  # our own interpreter
            [sys.executable, "-c", _STARTER, ensure, str(state)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        starters.append(starter)
        return starter

    yield call
    for starter in starters:
        starter.kill()
        starter.communicate()
