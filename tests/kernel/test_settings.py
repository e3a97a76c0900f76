"""Settings: what is missing or malformed is named, and nothing falls back silently."""

import base64

import pytest

from pytake_gql.kernel.settings import ENVIRONMENT_NAMES, Environment, SettingsError, read_settings

LOCAL = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:5432/x", "REDIS_URL": "redis://127.0.0.1:6379/0"}
KEY = base64.b64encode(bytes(range(32))).decode()
PRODUCTION = {
    **LOCAL,
    "PYTAKE_ENV": "production",
    "PYTAKE_SECRET_KEY": KEY,
    "PYTAKE_MASTER_KEYS": f"new:{KEY},old:{KEY}",
    "PYTAKE_PUBLIC_URL": "https://chat.example.com",
    "PYTAKE_SMTP_URL": "smtps://mail.example.com",
    "PYTAKE_FILES_DIRECTORY": "/var/lib/pytake/files",
}


def test_development_needs_the_two_addresses_only() -> None:
    settings = read_settings(LOCAL)
    assert settings.environment is Environment.DEVELOPMENT
    assert not settings.is_production
    assert settings.web_url == "http://127.0.0.1:8000"


def test_production_takes_its_keys_in_their_order() -> None:
    settings = read_settings({**PRODUCTION, "PYTAKE_FRONTEND_URL": "https://app.example.com"})
    assert settings.is_production
    assert list(settings.master_keys) == ["new", "old"]
    assert settings.secret_key == bytes(range(32))
    assert settings.web_url == "https://app.example.com"


def test_production_names_a_directory_or_a_store_for_files() -> None:
    store = "https://key:secret@s3.example.com/pytake?region=sa-east-1"
    settings = read_settings({**PRODUCTION, "PYTAKE_FILES_DIRECTORY": "", "PYTAKE_S3_URL": store})
    assert settings.s3_url == store
    assert read_settings(PRODUCTION).files_directory == "/var/lib/pytake/files"


def test_secrets_are_not_printed() -> None:
    printed = repr(read_settings({**PRODUCTION, "PYTAKE_S3_URL": "https://key:s3-secret@s3.example.com/pytake"}))
    assert "s3-secret" not in printed
    assert "master_keys" not in printed
    assert "secret_key" not in printed
    assert "mail.example.com" not in printed


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
        ({"DATABASE_URL": "mysql://h/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql:///x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://h:port/x"}, "DATABASE_URL"),
        ({"REDIS_URL": "http://h"}, "REDIS_URL"),
        ({"PYTAKE_ENV": "staging"}, "PYTAKE_ENV"),
        ({"PYTAKE_SECRET_KEY": ""}, "PYTAKE_SECRET_KEY"),
        ({"PYTAKE_SECRET_KEY": "c2hvcnQ="}, "PYTAKE_SECRET_KEY"),
        ({"PYTAKE_SECRET_KEY": "no base64!"}, "PYTAKE_SECRET_KEY"),
        ({"PYTAKE_MASTER_KEYS": KEY}, "PYTAKE_MASTER_KEYS"),
        ({"PYTAKE_MASTER_KEYS": f":{KEY}"}, "PYTAKE_MASTER_KEYS"),
        ({"PYTAKE_SMTP_URL": ""}, "PYTAKE_SMTP_URL"),
        ({"PYTAKE_FILES_DIRECTORY": ""}, "PYTAKE_FILES_DIRECTORY"),
        ({"PYTAKE_TRUSTED_PROXIES": "one"}, "PYTAKE_TRUSTED_PROXIES"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read_settings({**PRODUCTION, **changed})


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL, REDIS_URL"):
        read_settings({"PYTAKE_ENV": "production"})


def test_each_setting_has_one_name() -> None:
    assert len(set(ENVIRONMENT_NAMES)) == len(ENVIRONMENT_NAMES)
