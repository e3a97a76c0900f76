"""Passwords: what may be one, and argon2id beside the event loop (G15)."""

import asyncio
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from pytake_gql.kernel.errors import UserErrorCode, refuse

SHORTEST = 10
LONGEST = 256

# What OWASP recommends as a minimum: 19 MiB, two passes, one lane; some 40 ms of one core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Few at once: a storm of sign-ins waits here, and leaves a core and the memory to everybody else.
_threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2), thread_name_prefix="argon2")


def check(password: str, email: str, *path: str) -> str:
    """The password, if it may be one for the account of this address."""
    normal = _normal(password)
    if not normal:
        refuse(UserErrorCode.REQUIRED, "This is required.", *path)
    if len(normal) < SHORTEST:
        refuse(UserErrorCode.INVALID, "At least {shortest} characters.", *path, shortest=SHORTEST)
    if len(normal) > LONGEST:
        refuse(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=LONGEST)
    if normal.casefold() == email.casefold():
        refuse(UserErrorCode.INVALID, "The password must not be the e-mail address.", *path)
    return password


async def make_hash(password: str) -> str:
    """What is stored. No transaction may be open meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _HASHER.hash, _normal(password))


async def matches(stored: str | None, password: str) -> bool:
    """Whether it is the password; without a stored one the same work is done for nothing (G15)."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _compare, stored, _normal(password))


def _compare(stored: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(stored or "", password)
    except VerifyMismatchError:
        return False
    except InvalidHashError:
        _HASHER.hash(password)
        return False


def _normal(password: str) -> str:
    """One form for what keyboards and systems write in several: é is é."""
    return unicodedata.normalize("NFKC", password)
