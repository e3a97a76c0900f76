"""How often a caller may try to sign in, and the like: each attempt counts, also several in one document (G15)."""

from uuid import UUID

from pytake_gql.kernel import addresses
from pytake_gql.kernel.limiter import Limiter, Rate

# Of one e-mail address, whether an account has it or not.
_GUESSES = Rate(capacity=6, per_second=1 / 10)
_RESET_MAILS = Rate(capacity=3, per_second=1 / 300)
# Of one network address: an office signs in behind one.
_SIGN_INS = Rate(capacity=60, per_second=1)
_SIGN_UPS = Rate(capacity=30, per_second=1 / 10)
_REFRESHES = Rate(capacity=300, per_second=5)
_INVITATIONS = Rate(capacity=20, per_second=1 / 10)
_RESETS = Rate(capacity=20, per_second=1 / 10)


async def sign_in(limiter: Limiter, ip_address: str | None, email: str) -> None:
    await limiter.take(f"login:ip:{addresses.network(ip_address)}", _SIGN_INS)
    await limiter.take(f"login:email:{email}", _GUESSES)


async def signed_in(limiter: Limiter, email: str) -> None:
    """Gives the attempt back to the address: who knows the password does not guess."""
    await limiter.give_back(f"login:email:{email}", _GUESSES)


async def sign_up(limiter: Limiter, ip_address: str | None) -> None:
    await limiter.take(f"sign_up:ip:{addresses.network(ip_address)}", _SIGN_UPS)


async def invitation(limiter: Limiter, ip_address: str | None) -> None:
    await limiter.take(f"invitation:ip:{addresses.network(ip_address)}", _INVITATIONS)


async def refresh(limiter: Limiter, ip_address: str | None) -> None:
    await limiter.take(f"refresh:ip:{addresses.network(ip_address)}", _REFRESHES)


async def current_password(limiter: Limiter, account_id: UUID) -> None:
    await limiter.take(f"password:account:{account_id}", _GUESSES)


async def request_reset(limiter: Limiter, ip_address: str | None, email: str) -> None:
    await limiter.take(f"reset:ip:{addresses.network(ip_address)}", _RESETS)
    await limiter.take(f"reset:email:{email}", _RESET_MAILS)


async def reset(limiter: Limiter, ip_address: str | None) -> None:
    await limiter.take(f"reset:ip:{addresses.network(ip_address)}", _RESETS)
