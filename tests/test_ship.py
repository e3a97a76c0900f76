"""What is shipped, checked without an engine: the image, the composition, the workflows and the locks."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pytake_gql.kernel.settings import ENVIRONMENT_NAMES
from tests.conftest import PROJECT

BIN = Path(sys.executable).parent
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt")


def run(*command: str | Path) -> None:
    done = subprocess.run(  # noqa: S603 - commands of ours
        [str(word) for word in command], capture_output=True, text=True, cwd=PROJECT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def compose() -> dict[str, Any]:
    composition: dict[str, Any] = YAML(typ="safe").load(PROJECT / "podman-compose.yml")
    return composition


def test_the_containerfile_has_no_fault_that_a_linter_knows() -> None:
    run(BIN / "hadolint", "Containerfile")


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("compose-spec", "podman-compose.yml"),
        ("github-workflows", ".github/workflows/test.yml"),
        ("github-workflows", ".github/workflows/build.yml"),
    ],
)
def test_the_file_fits_its_schema(schema: str, file: str) -> None:
    run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", file)


def test_the_shell_script_of_ci_can_be_read_and_run() -> None:
    run("bash", "-n", ".ci/run")
    assert (PROJECT / ".ci/run").stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize("service", ["migrate", "api", "worker"])
def test_the_services_get_the_settings_by_their_names(service: str) -> None:
    described = compose()["services"][service]
    assert set(described["environment"]) == set(ENVIRONMENT_NAMES)
    assert described["environment"]["PYTAKE_ENV"] == "production"


def test_the_image_sets_nothing_that_is_no_setting() -> None:
    text = (PROJECT / "Containerfile").read_text()
    named = set(re.findall(r"\b(PYTAKE_\w+|DATABASE_URL|REDIS_URL)=", text))
    assert named == {"PYTAKE_ENV"}
    assert named < set(ENVIRONMENT_NAMES)


def test_what_the_composition_asks_of_its_env_file_stands_in_the_example() -> None:
    text = (PROJECT / "podman-compose.yml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    offered = set(re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert asked == offered
    assert {name for name in offered if name.startswith("PYTAKE_")} < set(ENVIRONMENT_NAMES)
    run("git", "check-ignore", "--quiet", "--no-index", ".env")


def test_the_services_are_watched_restarted_and_unprivileged() -> None:
    services = compose()["services"]
    assert {name: service["restart"] for name, service in services.items()} == {
        "postgres": "unless-stopped",
        "redis": "unless-stopped",
        "migrate": "no",
        "api": "unless-stopped",
        "worker": "unless-stopped",
    }
    for name in ("postgres", "redis"):
        assert services[name]["healthcheck"]["test"]
        assert services[name]["volumes"]
    text = (PROJECT / "Containerfile").read_text()
    assert "/livez" in text
    assert re.findall(r"^USER (\w+)", text, re.MULTILINE) == ["10001"]


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_hashes_and_no_place(lock: str) -> None:
    text = (PROJECT / lock).read_text()
    pinned = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(pinned) > 20
    assert [entry.split()[0] for entry in pinned if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert re.findall(r"://|--index-url|--extra-index-url|--find-links|--trusted-host|(?<!\w)/\w+", text) == []


def test_the_locks_hold_every_dependency_and_agree() -> None:
    production, development, benchmarks = (
        dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (PROJECT / lock).read_text(), re.MULTILINE)) for lock in LOCKS
    )
    assert production.items() <= development.items()
    assert production.items() <= benchmarks.items()
    assert {name: development.get(name, version) for name, version in benchmarks.items()} == benchmarks
    text = (PROJECT / "pyproject.toml").read_text()
    section = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    named = {re.split(r"[\[>=<]", name)[0] for name in re.findall(r'^    "([^"]+)"', section, re.MULTILINE)}
    assert named - set(development) - set(benchmarks) == set()


def test_the_readme_names_every_setting() -> None:
    text = (PROJECT / "README.md").read_text()
    assert [name for name in ENVIRONMENT_NAMES if f"`{name}`" not in text] == []
