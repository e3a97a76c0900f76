"""Tokens: signed ones that are read without a look-up, and opaque ones that are stored as a hash.

One algorithm, and an explicit kind as audience, so that no token is ever taken for one of another kind; nothing
that a token's header names is trusted (guarantees.md).
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from pytake_gql.kernel.clock import Clock

_ALGORITHM = "HS256"
_ISSUER = "pytake"


class TokenKind(StrEnum):
    ACCESS = "access"
    VISITOR = "visitor"
    UPLOAD = "upload"
    DOWNLOAD = "download"


class InvalidToken(Exception):
    """The token is malformed, forged, expired, or of another kind."""


class Tokens:
    def __init__(self, secret_key: bytes, clock: Clock) -> None:
        self._key = OctKey.import_key(hashlib.sha256(b"token" + secret_key).digest())
        self._refresh_key = hashlib.sha256(b"refresh" + secret_key).digest()
        self._clock = clock

    def sign(self, kind: TokenKind, claims: Mapping[str, Any], lifetime: timedelta) -> tuple[str, datetime]:
        """The token and when it expires."""
        now = self._clock.now()
        expires_at = (now + lifetime).replace(microsecond=0)
        registered = {
            "iss": _ISSUER,
            "aud": kind.value,
            "nbf": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode({"alg": _ALGORITHM}, {**claims, **registered}, self._key, [_ALGORITHM]), expires_at

    def verify(self, kind: TokenKind, token: str) -> dict[str, Any]:
        """The claims of a valid token of this kind; else `InvalidToken`."""
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            iss={"essential": True, "value": _ISSUER},
            aud={"essential": True, "value": kind.value},
            exp={"essential": True},
            nbf={"essential": True},
        )
        try:
            decoded = jwt.decode(token, self._key, [_ALGORITHM])
            registry.validate(decoded.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken(str(error)) from error
        return dict(decoded.claims)

    def successor(self, refresh_token: str) -> str:
        """What follows a refresh token: always the same, so that a client that lost the answer may ask again."""
        return _encode(hmac.digest(self._refresh_key, refresh_token.encode(), "sha256"))


def new_opaque_token() -> str:
    return _encode(secrets.token_bytes(32))


def token_hash(token: str) -> bytes:
    """How an opaque token is stored. It has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _encode(raw: bytes) -> str:
    return raw.hex()
