"""Delivery: claimed, retried, given up, and never sent twice (G4)."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import pytest

from pytake_gql.kernel.ports import Ports
from pytake_gql.kernel.settings import Environment
from pytake_gql.tenancy.mail import jobs, service
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.mail.ports import DeliveryFailed, Letter, Undeliverable
from tests.conftest import TravellingClock

TEXT = "Olá! Abra https://app.example.com/reset-password?token=abc123.\nOu http://localhost:8000/x, se preferir."


@dataclass
class RecordingMailer:
    """Keeps what it was given; `faults` are raised one after the other first."""

    faults: list[Exception] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    async def deliver(self, letter: Letter) -> None:
        self.letters.append(letter)
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)


@pytest.fixture
async def mail(ports: Ports) -> Mail:
    async with ports.units.of_system(None) as uow:
        return await service.send(uow, recipient="bia@example.com", subject=" Sua\nsenha ", text=TEXT)


async def stored(ports: Ports, mail: Mail) -> Mail:
    async with ports.database.session(None) as session:
        return await session.get_one(Mail, mail.id)


async def test_a_mail_is_written_with_its_links_and_wakes_a_worker(ports: Ports) -> None:
    async with ports.units.of_system(None) as uow:
        mail = await service.send(uow, recipient="bia@example.com", subject=" Sua\nsenha ", text=TEXT)
        assert [(job.name, job.arguments) for job in uow.jobs] == [("deliver_mail", (str(mail.id),))]
    row = await stored(ports, mail)
    assert (row.recipient, row.subject, row.text) == ("bia@example.com", "Sua senha", TEXT)
    assert row.links == ["https://app.example.com/reset-password?token=abc123", "http://localhost:8000/x"]
    assert (row.attempts, row.sent_at, row.due_at) == (0, None, row.created_at)
    assert mail.id in await jobs.due_mails(ports, 10_000)


async def test_g4_a_mail_is_sent_once_however_often_the_job_runs(ports: Ports, mail: Mail) -> None:
    mailer = RecordingMailer()
    await asyncio.gather(*(jobs.deliver_mail(ports, mailer, str(mail.id)) for _ in range(5)))
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert mailer.letters == [Letter(mail.id, "bia@example.com", "Sua senha", TEXT)]
    row = await stored(ports, mail)
    assert row.sent_at is not None
    assert (row.attempts, row.error, row.text) == (1, None, TEXT)
    assert mail.id not in await jobs.due_mails(ports, 10_000)


async def test_a_transient_fault_is_tried_again_later(ports: Ports, mail: Mail, clock: TravellingClock) -> None:
    mailer = RecordingMailer([DeliveryFailed("451 try later")])
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    row = await stored(ports, mail)
    assert (row.attempts, row.error, row.sent_at, row.failed_at) == (1, "451 try later", None, None)
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert len(mailer.letters) == 1
    assert mail.id not in await jobs.due_mails(ports, 10_000)
    clock.advance(seconds=31)
    assert mail.id in await jobs.due_mails(ports, 10_000)
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert len(mailer.letters) == 2
    row = await stored(ports, mail)
    assert (row.attempts, row.error) == (2, None)
    assert row.sent_at is not None


async def test_eight_attempts_and_no_more(ports: Ports, mail: Mail, clock: TravellingClock) -> None:
    mailer = RecordingMailer([DeliveryFailed(f"fault {i}") for i in range(1, 20)])
    for _ in range(12):
        await jobs.deliver_mail(ports, mailer, str(mail.id))
        clock.advance(hours=2)
    assert len(mailer.letters) == jobs.MOST_ATTEMPTS == 8
    row = await stored(ports, mail)
    assert row.failed_at is not None
    assert (row.attempts, row.error, row.sent_at) == (8, "fault 8", None)


async def test_what_is_refused_for_good_is_not_tried_again(ports: Ports, mail: Mail, clock: TravellingClock) -> None:
    mailer = RecordingMailer([Undeliverable("550 no such user")])
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    clock.advance(days=1)
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert len(mailer.letters) == 1
    row = await stored(ports, mail)
    assert row.failed_at is not None
    assert (row.error, row.sent_at) == ("550 no such user", None)


async def test_the_lease_of_a_dead_worker_ends(ports: Ports, mail: Mail, clock: TravellingClock) -> None:
    class Dead(RecordingMailer):
        async def deliver(self, letter: Letter) -> None:
            raise asyncio.CancelledError(letter.id)

    with pytest.raises(asyncio.CancelledError):
        await jobs.deliver_mail(ports, Dead(), str(mail.id))
    mailer = RecordingMailer()
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert mailer.letters == []
    clock.advance(seconds=jobs.LEASE.total_seconds() + 1)
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert len(mailer.letters) == 1


async def test_a_mail_whose_last_attempt_never_came_back_has_failed(
    ports: Ports, mail: Mail, clock: TravellingClock
) -> None:
    async with ports.units.of_system(None) as uow:
        (await uow.session.get_one(Mail, mail.id)).attempts = jobs.MOST_ATTEMPTS
    clock.advance(seconds=1)
    mailer = RecordingMailer()
    await jobs.deliver_mail(ports, mailer, str(mail.id))
    assert mailer.letters == []
    assert (await stored(ports, mail)).error == "The last attempt never came back."
    assert mail.id not in await jobs.due_mails(ports, 10_000)


async def test_who_lost_the_lease_has_no_say(ports: Ports, mail: Mail, clock: TravellingClock) -> None:
    """The slow worker's fault comes back after another one sent the mail."""

    class Slow(RecordingMailer):
        async def deliver(self, letter: Letter) -> None:  # noqa: ARG002
            clock.advance(seconds=jobs.LEASE.total_seconds() + 1)
            await jobs.deliver_mail(ports, RecordingMailer(), str(mail.id))
            raise DeliveryFailed("too late")

    await jobs.deliver_mail(ports, Slow(), str(mail.id))
    row = await stored(ports, mail)
    assert (row.attempts, row.error) == (2, None)
    assert row.sent_at is not None


@pytest.mark.parametrize("faults", [[], [Undeliverable("550")]])
async def test_in_production_a_text_with_tokens_goes_once_it_is_done_with(
    ports: Ports, mail: Mail, faults: list[Exception]
) -> None:
    production = replace(ports, settings=replace(ports.settings, environment=Environment.PRODUCTION))
    mailer = RecordingMailer(faults)
    await jobs.deliver_mail(production, mailer, str(mail.id))
    assert mailer.letters[0].text == TEXT
    row = await stored(ports, mail)
    assert (row.text, row.links, row.subject) == ("", [], "Sua senha")


async def test_an_unknown_mail_is_nothing_to_do(ports: Ports) -> None:
    mailer = RecordingMailer()
    await jobs.deliver_mail(ports, mailer, str(UUID(int=1)))
    assert mailer.letters == []


def test_pauses_double() -> None:
    assert [jobs.pause_after(attempt) for attempt in (1, 2, 3, 7)] == [
        timedelta(seconds=30),
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(minutes=32),
    ]
