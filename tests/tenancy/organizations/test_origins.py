"""Origins as browsers write them."""

import pytest

from pytake_gql.kernel.errors import Refusal, UserErrorCode
from pytake_gql.tenancy.organizations import origins


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://app.example.com", "https://app.example.com"),
        (" HTTPS://App.Example.com ", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:80", "http://localhost"),
        ("http://loja.localhost", "http://loja.localhost"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("http://[::1]:5173", "http://[::1]:5173"),
        ("https://203.0.113.7", "https://203.0.113.7"),
        ("https://xn--caf-dma.example.com", "https://xn--caf-dma.example.com"),
    ],
)
def test_kept_as_browsers_send_them(given: str, kept: str) -> None:
    assert origins.checked(given, "origin", allows_http=False) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "*",
        "null",
        "app.example.com",
        "https://",
        "https://app.example.com/",
        "https://app.example.com/chat",
        "https://app.example.com?x=1",
        "https://app.example.com#x",
        "https://ana:senha@app.example.com",
        "https://app.example.com:0",
        "https://app.example.com:99999",
        "https://app.example.com:port",
        "https://*.example.com",
        "https://app_example.com",
        "https://-app.example.com",
        "https://app..example.com",
        "https://café.example.com",
        "https://[::1",
        "https://a b.example.com",
        "ftp://app.example.com",
        "javascript://app.example.com",
        "http://app.example.com",
        "http://localhost.example.com",
        "http://203.0.113.7",
    ],
)
def test_all_else_is_refused(given: str) -> None:
    with pytest.raises(Refusal) as refused:
        origins.checked(given, "origin", allows_http=False)
    assert [(p.code, p.field) for p in refused.value.problems] == [(UserErrorCode.INVALID, ("origin",))]


def test_development_may_do_without_tls() -> None:
    assert origins.checked("http://app.example.com", "origin", allows_http=True) == "http://app.example.com"


def test_the_length_is_bounded() -> None:
    with pytest.raises(Refusal) as refused:
        origins.checked(f"https://{'a' * 250}.example.com", "origin", allows_http=True)
    assert [p.code for p in refused.value.problems] == [UserErrorCode.TOO_LONG]
