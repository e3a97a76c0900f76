"""All settings, read once by `bootstrap` and frozen."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class SettingsError(Exception):
    """A setting is missing or malformed; the message names the environment variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field's metadata names its environment variable; `ENVIRONMENT_NAMES` lists them for the docs' tests."""

    environment: Environment = field(default=Environment.DEVELOPMENT, metadata={"env": "PYTAKE_ENV"})
    database_url: str = field(metadata={"env": "DATABASE_URL"})
    redis_url: str = field(metadata={"env": "REDIS_URL"})
    public_url: str = field(default="http://127.0.0.1:8000", metadata={"env": "PYTAKE_PUBLIC_URL"})
    frontend_url: str = field(default="", metadata={"env": "PYTAKE_FRONTEND_URL"})
    secret_key: bytes = field(repr=False, metadata={"env": "PYTAKE_SECRET_KEY"})
    """Signs tokens; 32 bytes or more, base64."""
    master_keys: Mapping[str, bytes] = field(repr=False, metadata={"env": "PYTAKE_MASTER_KEYS"})
    """Wrap the organizations' data keys: id to 32 bytes; the first wraps new ones. Written as id:base64,id:base64."""
    smtp_url: str | None = field(default=None, repr=False, metadata={"env": "PYTAKE_SMTP_URL"})
    mail_from: str = field(default="PyTake <no-reply@localhost>", metadata={"env": "PYTAKE_MAIL_FROM"})
    trusted_proxies: int = field(default=0, metadata={"env": "PYTAKE_TRUSTED_PROXIES"})
    """How many proxies in front append to X-Forwarded-For; 0 takes the peer's own address."""
    database_pool_size: int = field(default=20, metadata={"env": "PYTAKE_DATABASE_POOL_SIZE"})

    files_directory: str = field(default="files", metadata={"env": "PYTAKE_FILES_DIRECTORY"})
    """Where attachments lie, unless a store is named; every process of the service sees the same."""
    s3_url: str | None = field(default=None, repr=False, metadata={"env": "PYTAKE_S3_URL"})
    """An S3-compatible store: https://key:secret@host/bucket?region=name."""

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION

    @property
    def web_url(self) -> str:
        """Where links in mails lead: the front end, or the service itself while there is none."""
        return self.frontend_url or self.public_url


ENVIRONMENT_NAMES = tuple(f.metadata["env"] for f in Settings.__dataclass_fields__.values())

_DEVELOPMENT_SECRET = b"pytake development only: no secret"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables.

    The two addresses must be there: whoever lends embedded servers puts theirs in first. Outside production the
    keys default to values that anybody can read here.
    """
    kind = environment.get("PYTAKE_ENV", "development")
    if kind not in list(Environment):
        raise SettingsError(f"PYTAKE_ENV is {kind!r}: it must be development or production")
    required = ["DATABASE_URL", "REDIS_URL"]
    if kind == Environment.PRODUCTION:
        required += ["PYTAKE_SECRET_KEY", "PYTAKE_MASTER_KEYS", "PYTAKE_PUBLIC_URL", "PYTAKE_SMTP_URL"]
        required += [] if environment.get("PYTAKE_S3_URL") else ["PYTAKE_FILES_DIRECTORY"]
    missing = [name for name in required if not environment.get(name)]
    if missing:
        raise SettingsError(f"not set: {', '.join(missing)}")
    optional: dict[str, Any] = {}
    for name, key in (
        ("public_url", "PYTAKE_PUBLIC_URL"),
        ("frontend_url", "PYTAKE_FRONTEND_URL"),
        ("smtp_url", "PYTAKE_SMTP_URL"),
        ("mail_from", "PYTAKE_MAIL_FROM"),
        ("files_directory", "PYTAKE_FILES_DIRECTORY"),
        ("s3_url", "PYTAKE_S3_URL"),
    ):
        if environment.get(key):
            optional[name] = environment[key]
    for name, key in (
        ("trusted_proxies", "PYTAKE_TRUSTED_PROXIES"),
        ("database_pool_size", "PYTAKE_DATABASE_POOL_SIZE"),
    ):
        if environment.get(key):
            optional[name] = _whole_number(key, environment[key])
    return Settings(
        environment=Environment(kind),
        database_url=_address("DATABASE_URL", environment["DATABASE_URL"], ("postgresql", "postgres")),
        redis_url=_address("REDIS_URL", environment["REDIS_URL"], ("redis", "rediss")),
        secret_key=_key("PYTAKE_SECRET_KEY", environment.get("PYTAKE_SECRET_KEY")),
        master_keys=_master_keys(environment.get("PYTAKE_MASTER_KEYS")),
        **optional,
    )


def _address(name: str, value: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(value)
        port_is_readable = parts.port is None or parts.port > 0
    except ValueError as error:
        raise SettingsError(f"{name} is no address: {error}") from error
    if parts.scheme not in schemes or not parts.hostname or not port_is_readable:
        raise SettingsError(f"{name} must look like {schemes[0]}://user:password@host:port/name")
    return value


def _whole_number(name: str, value: str) -> int:
    if not value.isdigit():
        raise SettingsError(f"{name} must be a whole number, not {value!r}")
    return int(value)


def _key(name: str, value: str | None) -> bytes:
    if not value:
        return _DEVELOPMENT_SECRET
    try:
        key = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise SettingsError(f"{name} must be base64") from error
    if len(key) < 32:  # noqa: PLR2004 - the docstring of Settings says it
        raise SettingsError(f"{name} must hold at least 32 bytes, in base64")
    return key


def _master_keys(value: str | None) -> Mapping[str, bytes]:
    if not value:
        return {"development": _DEVELOPMENT_SECRET[:32]}
    keys: dict[str, bytes] = {}
    for part in value.split(","):
        identity, _, encoded = part.strip().partition(":")
        keys[identity] = _key("PYTAKE_MASTER_KEYS", encoded or None)[:32]
        if not identity or not encoded:
            raise SettingsError("PYTAKE_MASTER_KEYS must look like id:base64,id:base64")
    return keys
