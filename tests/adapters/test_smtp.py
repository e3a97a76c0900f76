"""The SMTP adapter against a server that speaks the protocol."""

from collections.abc import Callable
from uuid import UUID

import pytest

from pytake_gql import bootstrap
from pytake_gql.adapters import smtp
from pytake_gql.adapters.smtp import KeptMail, SmtpMailer
from pytake_gql.kernel.clock import SystemClock
from pytake_gql.kernel.settings import SettingsError, read_settings
from pytake_gql.tenancy.mail.ports import DeliveryFailed, Letter, Undeliverable
from tests.adapters.smtp_server import SmtpServer, smtp_server

SENDER = "PyTake <no-reply@pytake.example.com>"
LETTER = Letter(
    UUID(int=7), "bia@example.com", "Você foi convidada", "Olá, Bia!\n.ponto\nhttps://app.example.com/?token=ç"
)


def mailer_to(server: SmtpServer, login: str = "") -> SmtpMailer:
    return SmtpMailer(f"smtp://{login}127.0.0.1:{server.port}", SENDER, SystemClock())


async def test_a_letter_arrives_as_it_was_written() -> None:
    async with smtp_server() as server:
        await mailer_to(server).deliver(LETTER)
    [message] = server.messages
    assert message["From"] == SENDER
    assert message["To"] == "bia@example.com"
    assert message["Subject"] == "Você foi convidada"
    assert message["Message-ID"] == "<00000000000000000000000000000007@pytake.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.tzinfo is not None
    assert message.get_content().replace("\r\n", "\n").rstrip("\n") == LETTER.text
    assert "MAIL FROM:<no-reply@pytake.example.com>" in server.commands[1]
    assert server.commands[2] == "RCPT TO:<bia@example.com>"


async def test_it_signs_in_with_the_password_of_the_address() -> None:
    async with smtp_server(login=("ana@x", "s:e/c")) as server:
        await mailer_to(server, "ana%40x:s%3Ae%2Fc@").deliver(LETTER)
    assert server.logins == [("ana@x", "s:e/c")]
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("replies", "kind", "text"),
    [
        ({"RCPT": "550 no such user"}, Undeliverable, "no such user"),
        ({"RCPT": "450 mailbox busy"}, DeliveryFailed, "mailbox busy"),
        ({"MAIL": "421 too many connections"}, DeliveryFailed, "too many connections"),
        ({"MAIL": "553 sender not allowed"}, Undeliverable, "sender not allowed"),
        ({"DATA": "554 this looks like spam"}, Undeliverable, "this looks like spam"),
        ({"DATA": "451 try again"}, DeliveryFailed, "try again"),
    ],
)
async def test_refusals_are_told_apart(replies: dict[str, str], kind: type[Exception], text: str) -> None:
    async with smtp_server(replies=replies) as server:
        with pytest.raises(kind, match=text):
            await mailer_to(server).deliver(LETTER)
    assert server.messages == []


async def test_a_wrong_password_is_not_the_letters_fault() -> None:
    async with smtp_server(login=("ana", "right")) as server:
        with pytest.raises(DeliveryFailed, match="wrong password"):
            await mailer_to(server, "ana:wrong@").deliver(LETTER)
    assert server.messages == []


async def test_nobody_there() -> None:
    async with smtp_server() as server:
        pass
    with pytest.raises(DeliveryFailed):
        await mailer_to(server).deliver(LETTER)


async def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "STEP_SECONDS", 0.2)
    async with smtp_server(is_mute=True) as server:
        with pytest.raises(DeliveryFailed):
            await mailer_to(server).deliver(LETTER)


async def test_a_password_is_never_sent_in_the_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_LOOPBACK", frozenset())
    async with smtp_server(login=("ana", "secret")) as server:
        with pytest.raises(DeliveryFailed, match="STARTTLS"):
            await mailer_to(server, "ana:secret@").deliver(LETTER)
    assert server.logins == []
    assert server.messages == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmtpMailer("http://mx.example.com", SENDER, SystemClock()),
        lambda: SmtpMailer("smtp://", SENDER, SystemClock()),
        lambda: SmtpMailer("smtp://mx.example.com:port", SENDER, SystemClock()),
        lambda: SmtpMailer("smtp://mx.example.com", "PyTake", SystemClock()),
    ],
)
def test_a_bad_setting_is_said_at_the_start(make: Callable[[], SmtpMailer]) -> None:
    with pytest.raises(SettingsError, match=r"PYTAKE_(SMTP_URL|MAIL_FROM)"):
        make()


async def test_without_a_server_mail_is_kept() -> None:
    environment = {"DATABASE_URL": "postgresql://localhost/x", "REDIS_URL": "redis://localhost"}
    kept = bootstrap.mailer(read_settings(environment), SystemClock())
    assert isinstance(kept, KeptMail)
    await kept.deliver(LETTER)
    sent = bootstrap.mailer(read_settings({**environment, "PYTAKE_SMTP_URL": "smtps://mx.example.com"}), SystemClock())
    assert isinstance(sent, SmtpMailer)
