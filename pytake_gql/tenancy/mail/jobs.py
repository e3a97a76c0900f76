from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from pytake_gql.kernel.ports import Ports
from pytake_gql.tenancy.mail.models import Mail
from pytake_gql.tenancy.mail.ports import DeliveryFailed, Letter, Mailer, Undeliverable

MOST_ATTEMPTS = 8
LEASE = timedelta(minutes=2)
"""Longer than a delivery may take: a worker that died holds a mail for no longer than this."""
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class _Claim:
    """`attempt` is the epoch: whoever lost the mail to a later attempt writes nothing."""

    letter: Letter
    attempt: int


async def deliver_mail(ports: Ports, mailer: Mailer, mail_id: str) -> None:
    """Sends one mail if it is due; run twice it does nothing, run beside itself one of the two does."""
    claim = await _claim(ports, UUID(mail_id))
    if claim is None:
        await _bury(ports, UUID(mail_id))
        return
    try:
        await mailer.deliver(claim.letter)
    except DeliveryFailed as error:
        await _put_off(ports, claim, str(error))
    except Undeliverable as error:
        await _give_up(ports, claim, str(error))
    else:
        await _finish(ports, claim, {"sent_at": ports.clock.now(), "error": None})


async def due_mails(ports: Ports, at_most: int = 200) -> list[UUID]:
    """What nobody has sent yet and is due again: the net below lost jobs and dead workers."""
    statement = (
        select(Mail.id)
        .where(col(Mail.due_at) <= ports.clock.now(), col(Mail.sent_at).is_(None), col(Mail.failed_at).is_(None))
        .order_by(col(Mail.due_at))
        .limit(at_most)
    )
    async with ports.database.session(None) as session:
        return list((await session.execute(statement)).scalars())


def pause_after(attempt: int) -> timedelta:
    """30 s after the first attempt, doubled after each one: about an hour from the first to the last."""
    return _FIRST_PAUSE * (1 << (attempt - 1))


async def _claim(ports: Ports, mail_id: UUID) -> _Claim | None:
    """Takes the mail until the lease ends, or None when it is not due."""
    async with ports.units.of_system(None) as uow:
        statement = (
            sa.update(Mail)
            .where(
                col(Mail.id) == mail_id,
                col(Mail.due_at) <= uow.now(),
                col(Mail.sent_at).is_(None),
                col(Mail.failed_at).is_(None),
                col(Mail.attempts) < MOST_ATTEMPTS,
            )
            .values(due_at=uow.now() + LEASE, attempts=col(Mail.attempts) + 1)
            .returning(Mail)
        )
        mail = (await uow.session.execute(statement)).scalar_one_or_none()
        if mail is None:
            return None
        return _Claim(Letter(mail.id, mail.recipient, mail.subject, mail.text), mail.attempts)


async def _bury(ports: Ports, mail_id: UUID) -> None:
    """A mail whose last attempt never came back has failed."""
    async with ports.units.of_system(None) as uow:
        await uow.session.execute(
            sa.update(Mail)
            .where(
                col(Mail.id) == mail_id,
                col(Mail.due_at) <= uow.now(),
                col(Mail.sent_at).is_(None),
                col(Mail.failed_at).is_(None),
                col(Mail.attempts) >= MOST_ATTEMPTS,
            )
            .values(failed_at=uow.now(), error="The last attempt never came back.", **_last_values(ports))
        )


async def _put_off(ports: Ports, claim: _Claim, error: str) -> None:
    if claim.attempt >= MOST_ATTEMPTS:
        await _give_up(ports, claim, error)
        return
    due_at = ports.clock.now() + pause_after(claim.attempt)
    await _write(ports, claim, {"due_at": due_at, "error": error[:_LONGEST_ERROR]})


async def _give_up(ports: Ports, claim: _Claim, error: str) -> None:
    await _finish(ports, claim, {"failed_at": ports.clock.now(), "error": error[:_LONGEST_ERROR]})


async def _finish(ports: Ports, claim: _Claim, values: dict[str, object]) -> None:
    await _write(ports, claim, {**values, **_last_values(ports)})


def _last_values(ports: Ports) -> dict[str, object]:
    """In production the text goes with the last word on a mail, for it carries tokens; elsewhere it can be read."""
    return {"text": "", "links": []} if ports.settings.is_production else {}


async def _write(ports: Ports, claim: _Claim, values: dict[str, object]) -> None:
    async with ports.units.of_system(None) as uow:
        await uow.session.execute(
            sa.update(Mail)
            .where(
                col(Mail.id) == claim.letter.id,
                col(Mail.attempts) == claim.attempt,
                col(Mail.sent_at).is_(None),
                col(Mail.failed_at).is_(None),
            )
            .values(**values)
        )
