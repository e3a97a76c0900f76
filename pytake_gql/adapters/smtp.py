"""Mail by SMTP, and mail that goes nowhere."""

import asyncio
import logging
from email.message import EmailMessage
from email.policy import SMTP as INTERNET_LINES
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

from pytake_gql.kernel.clock import Clock
from pytake_gql.kernel.settings import SettingsError
from pytake_gql.tenancy.mail.ports import DeliveryFailed, Letter, Undeliverable

log = logging.getLogger(__name__)

STEP_SECONDS = 10.0
LETTER_SECONDS = 30.0
_FIRST_PERMANENT_REPLY = 500
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpMailer:
    """One connection a letter. `smtps://` speaks TLS from the first byte.

    `smtp://` turns to TLS where the server offers it; a password is never sent without it but to this machine.
    """

    def __init__(self, url: str, sender: str, clock: Clock) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"PYTAKE_SMTP_URL is no address: {error}") from error
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise SettingsError("PYTAKE_SMTP_URL must look like smtp://user:password@host:port, or smtps://…")
        if "@" not in parseaddr(sender)[1]:
            raise SettingsError("PYTAKE_MAIL_FROM must look like PyTake <no-reply@example.com>")
        self._host = parts.hostname
        self._is_tls = parts.scheme == "smtps"
        self._port = port or (465 if self._is_tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender
        self._clock = clock

    async def deliver(self, letter: Letter) -> None:
        message = self.compose(letter)
        try:
            async with asyncio.timeout(LETTER_SECONDS):
                await aiosmtplib.send(
                    message,
                    sender=parseaddr(self._sender)[1],
                    recipients=[letter.recipient],
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    use_tls=self._is_tls,
                    start_tls=self._start_tls(),
                    timeout=STEP_SECONDS,
                )
        except aiosmtplib.SMTPAuthenticationError as error:
            # The operator can mend the password; the letter is not to blame.
            raise DeliveryFailed(str(error)) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise _failure(refused.code)(str(refused)) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _failure(error.code)(str(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}") from error

    def compose(self, letter: Letter) -> EmailMessage:
        """The message; its id is the letter's, so that one that arrives twice is seen to be the same."""
        message = EmailMessage(policy=INTERNET_LINES)
        message["From"] = self._sender
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{letter.id.hex}@{parseaddr(self._sender)[1].rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message

    def _start_tls(self) -> bool | None:
        """None takes TLS where it is offered, True insists on it."""
        if self._is_tls:
            return False
        return True if self._password and self._host not in _LOOPBACK else None


class KeptMail:
    """Delivers nothing: letters stay in their table, where the development page shows them."""

    async def deliver(self, letter: Letter) -> None:
        log.info("a mail to %s is kept at /dev/mail: %s", letter.recipient, letter.subject)


def _failure(code: int) -> type[DeliveryFailed | Undeliverable]:
    return Undeliverable if code >= _FIRST_PERMANENT_REPLY else DeliveryFailed
