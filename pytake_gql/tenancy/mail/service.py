import re
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.kernel.jobs import Job
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.mail.models import Mail

_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")
_LONGEST_SUBJECT = 250


async def send(uow: UnitOfWork, *, recipient: str, subject: str, text: str) -> Mail:
    """Writes the mail with whatever causes it; a worker sends it after the commit.

    The recipient is an address that has been checked; a subject is one line, cut at its longest.
    """
    mail = Mail(
        recipient=recipient,
        subject=" ".join(subject.split())[:_LONGEST_SUBJECT],
        text=text,
        links=_LINK.findall(text),
        created_at=uow.now(),
        due_at=uow.now(),
    )
    uow.add(mail)
    uow.enqueue(Job("deliver_mail", (str(mail.id),)))
    return mail


async def newest(session: AsyncSession, at_most: int) -> Sequence[Mail]:
    """The mails last written, newest first."""
    statement = select(Mail).order_by(col(Mail.created_at).desc(), col(Mail.id).desc()).limit(at_most)
    return (await session.execute(statement)).scalars().all()
