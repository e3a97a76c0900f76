import os
import pwd
from pathlib import Path

import pytest

from pytake_gql.embedded import default_state_directory, directory


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "is_root", lambda: False)


@pytest.mark.usefixtures("ordinary")
def test_each_checkout_has_its_own_below_the_users_state(tmp_path: Path) -> None:
    one = default_state_directory(tmp_path / "one", home=Path("/home/ana"))
    two = default_state_directory(tmp_path / "two", home=Path("/home/ana"))

    assert one != two
    assert one.parent == two.parent == Path("/home/ana/.local/state/pytake")
    assert len(one.name) == 16


@pytest.mark.usefixtures("ordinary")
def test_a_link_to_the_checkout_is_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")

    assert default_state_directory(tmp_path / "link") == default_state_directory(tmp_path / "one")


@pytest.mark.usefixtures("ordinary")
def test_the_state_home_goes_before_the_home(tmp_path: Path) -> None:
    path = default_state_directory(tmp_path, home=Path("/home/ana"), state_home=Path("/state"))

    assert path.parent == Path("/state/pytake")


@pytest.mark.usefixtures("ordinary")
def test_without_either_it_is_the_accounts_home(tmp_path: Path) -> None:
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)

    assert default_state_directory(tmp_path).parent == home / ".local" / "state" / "pytake"


def test_roots_lies_outside_roots_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "is_root", lambda: True)

    path = default_state_directory(tmp_path, home=Path("/root"), state_home=Path("/root/state"))

    assert path.parent == Path("/var/lib/pytake")
