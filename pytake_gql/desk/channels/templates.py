"""Texts that WhatsApp approved beforehand: read from the provider, and filled for a message."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.desk.channels import service
from pytake_gql.desk.channels.events import ChannelTemplatesSynced
from pytake_gql.desk.channels.models import Channel, ChannelKind, MessageTemplate, TemplateStatus
from pytake_gql.desk.channels.ports import Account, Placeholder, ProviderTemplate
from pytake_gql.kernel.errors import Problems, UserErrorCode, not_found, refuse
from pytake_gql.kernel.settings import Settings
from pytake_gql.kernel.unit_of_work import UnitOfWork

MOST = 500
LONGEST_VARIABLE = 1024
BODY = "BODY"
_UNSENDABLE = re.compile(r"[\n\r\t]| {5,}")
"""What WhatsApp refuses inside a variable."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A template, and what is to stand in its placeholders."""

    template_id: UUID
    variables: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its variables: what people read, and what the provider is told."""

    text: str
    message: dict[str, Any]


async def to_read(session: AsyncSession, settings: Settings, channel_id: UUID) -> Account:
    """The account whose templates can be read, or a refusal."""
    channel = (await service.by_ids(session, [channel_id])).get(channel_id)
    if channel is None:
        raise not_found("channel_id")
    if channel.kind is not ChannelKind.WHATSAPP:
        refuse(UserErrorCode.INVALID, "Only WhatsApp has templates.", "channel_id")
    if not channel.settings.get("businessAccountId"):
        refuse(UserErrorCode.WRONG_STATE, "The channel lacks the setting businessAccountId.", "channel_id")
    return await service.account(session, settings, channel)


async def replace(uow: UnitOfWork, channel_id: UUID, found: Sequence[ProviderTemplate]) -> Channel:
    """The channel's templates are these from now on; one that was known keeps its id."""
    channel = await service.get(uow, channel_id, "channel_id")
    known = {(row.name, row.language): row for row in (await _of(uow.session, [channel_id]))}
    before, kept = len(known), _most_useful(found)
    for template in kept:
        row = known.pop((template.name, template.language), None)
        values = {
            **dataclasses.asdict(template),
            "placeholders": [dataclasses.asdict(p) for p in template.placeholders],
        }
        if row is None:
            uow.add(MessageTemplate(channel_id=channel_id, **values))
        else:
            row.sqlmodel_update(values)
    for gone in known.values():
        await uow.session.delete(gone)
    changes = {"templates": {"from": before, "to": len(kept)}}
    uow.emit(ChannelTemplatesSynced(entity_id=channel_id, changes=changes))
    await uow.session.flush()
    return channel


async def of_channels(session: AsyncSession, channel_ids: Sequence[UUID]) -> dict[UUID, list[MessageTemplate]]:
    """Each channel's templates, by name and language."""
    found: dict[UUID, list[MessageTemplate]] = {id_: [] for id_ in channel_ids}
    for row in await _of(session, channel_ids):
        found[row.channel_id].append(row)
    return found


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, MessageTemplate]:
    rows = await session.execute(select(MessageTemplate).where(col(MessageTemplate.id).in_(ids)))
    return {row.id: row for row in rows.scalars()}


def variables(template: MessageTemplate) -> list[str]:
    """The names of its placeholders, in order; what does not stand in the body says where it stands."""
    return [
        p["name"] if p["component"] == BODY else f"{p['component'].lower()}.{p['name']}" for p in template.placeholders
    ]


def preview(template: MessageTemplate, given: Sequence[str]) -> str:
    """What people would read; a placeholder without a variable stays."""
    return _text(template, [Placeholder(**p) for p in template.placeholders], given)


async def fill(uow: UnitOfWork, channel_id: UUID, choice: Choice, *path: str) -> Filled:
    """The template of that channel with its variables, or a refusal under `path` that names all that is wrong."""
    template, given = (await by_ids(uow.session, [choice.template_id])).get(choice.template_id), choice.variables
    if template is None:
        raise not_found(*path, "template_id")
    problems = Problems()
    if template.channel_id != channel_id:
        problems.add(UserErrorCode.INVALID, "This template belongs to another channel.", *path, "template_id")
    if template.status is not TemplateStatus.APPROVED:
        problems.add(UserErrorCode.WRONG_STATE, "Only an approved template can be sent.", *path, "template_id")
    if len(given) != len(template.placeholders):
        count = len(template.placeholders)
        problems.add(UserErrorCode.INVALID, "The template has {count} variables.", *path, "variables", count=count)
    for index, value in enumerate(given[: len(template.placeholders)]):
        _check(problems, value, *path, "variables", str(index))
    problems.raise_if_any()
    return _filled(template, [Placeholder(**p) for p in template.placeholders], given)


def _check(problems: Problems, value: str, *path: str) -> None:
    if not value.strip():
        problems.add(UserErrorCode.REQUIRED, "This is required.", *path)
    elif len(value) > LONGEST_VARIABLE:
        problems.add(UserErrorCode.TOO_LONG, "At most {longest} characters.", *path, longest=LONGEST_VARIABLE)
    elif _UNSENDABLE.search(value):
        problems.add(UserErrorCode.INVALID, "Control characters and line breaks are not allowed here.", *path)


def _filled(template: MessageTemplate, placeholders: Sequence[Placeholder], given: Sequence[str]) -> Filled:
    parameters = [{**dataclasses.asdict(p), "text": value} for p, value in zip(placeholders, given, strict=True)]
    message = {"name": template.name, "language": template.language, "parameters": parameters}
    return Filled(_text(template, placeholders, given), message)


def _text(template: MessageTemplate, placeholders: Sequence[Placeholder], given: Sequence[str]) -> str:
    values = {p.name: value for p, value in zip(placeholders, given, strict=False) if p.component == BODY}
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: values.get(match[1], match[0]), template.body)


def _most_useful(found: Sequence[ProviderTemplate]) -> list[ProviderTemplate]:
    """Each name and language once, and of very many those that can be sent."""
    once = {(template.name, template.language): template for template in found}
    ordered = sorted(once.values(), key=lambda t: (t.status is not TemplateStatus.APPROVED, t.name, t.language))
    return ordered[:MOST]


async def _of(session: AsyncSession, channel_ids: Sequence[UUID]) -> Sequence[MessageTemplate]:
    statement = (
        select(MessageTemplate)
        .where(col(MessageTemplate.channel_id).in_(channel_ids))
        .order_by(sa.func.lower(MessageTemplate.name), col(MessageTemplate.language))
    )
    return (await session.execute(statement)).scalars().all()
