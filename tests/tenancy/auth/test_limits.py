"""Callers without a token are counted by their network address, in each of the fields that need none (G15, G16)."""

from typing import Any

import pytest

from pytake_gql.kernel.limiter import Rate
from pytake_gql.tenancy.auth import limits
from tests.client import Client
from tests.tenancy.auth.documents import ACCEPT, FORGOT, LOGIN, LOGOUT, REFRESH, RESET, SIGN_UP

PASSWORD = "correct horse battery"
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "signUp": (
        "_SIGN_UPS",
        SIGN_UP,
        {"organizationName": "Loja", "name": "Ana", "email": "ana", "password": PASSWORD},
    ),
    "login": ("_SIGN_INS", LOGIN, {"email": "ana-{}@example.com", "password": PASSWORD}),
    "refreshSession": ("_REFRESHES", REFRESH, {"refreshToken": "0"}),
    "logout": ("_REFRESHES", LOGOUT, {"refreshToken": "0"}),
    "requestPasswordReset": ("_RESETS", FORGOT, {"email": "ana-{}@example.com"}),
    "resetPassword": ("_RESETS", RESET, {"token": "0", "newPassword": PASSWORD}),
    "acceptInvitation": ("_INVITATIONS", ACCEPT, {"token": "0", "password": PASSWORD}),
}


@pytest.mark.parametrize("name", CASES)
async def test_g16_a_network_address_may_ask_only_so_often(
    anonymous: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rate, document, given = CASES[name]
    monkeypatch.setattr(limits, rate, Rate(capacity=2, per_second=1 / 3600))
    for i in range(2):
        answer = await anonymous.ask(document, input=_numbered(given, i))
        assert answer.get("session") is None
    assert await anonymous.code(document, input=_numbered(given, 2)) == "RATE_LIMITED"


def _numbered(given: dict[str, Any], number: int) -> dict[str, Any]:
    return {key: value.format(number) for key, value in given.items()}
