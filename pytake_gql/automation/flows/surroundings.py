"""What a run may know of its contact and its organization."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.run import Surroundings
from pytake_gql.automation.flows.templates import CONTACT_ATTRIBUTE, Value
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.contacts.service import DEFAULT_COUNTRY
from pytake_gql.desk.queues.models import Queue
from pytake_gql.tenancy.organizations.calendar import Calendar
from pytake_gql.tenancy.organizations.models import Organization


@dataclass(frozen=True, slots=True)
class OfContact:
    """What of a contact a run may know."""

    name: str | None
    email: str | None
    phone: str | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OfOrganization:
    """What of an organization a run may know, and goes by."""

    name: str
    timezone: str
    locale: str
    holiday_region: str | None
    opening_hours: list[dict[str, Any]]


async def read(
    session: AsyncSession,
    organization: Organization | OfOrganization,
    contact: Contact | OfContact | None,
    graphs: Iterable[Graph],
    *,
    now: datetime,
    seed: int = 0,
    number: int | None = None,
) -> Surroundings:
    """`number` is the conversation's; without contact and conversation nothing is known of them."""
    region = organization.holiday_region
    return Surroundings(
        now=now,
        seed=seed,
        values=values(organization, contact, number),
        is_open=await _hours(session, organization, graphs),
        region=region.partition("-")[0] if region else DEFAULT_COUNTRY,
        locale=organization.locale,
    )


def values(
    organization: Organization | OfOrganization, contact: Contact | OfContact | None, number: int | None
) -> dict[str, Value]:
    """By their names in templates."""
    known: dict[str, Value] = {"organization.name": organization.name, "conversation.number": number}
    if contact is not None:
        known |= {"contact.name": contact.name, "contact.email": contact.email, "contact.phone": contact.phone}
        known |= {f"{CONTACT_ATTRIBUTE}{key}": value for key, value in contact.attributes.items()}
    return known


async def _hours(
    session: AsyncSession, organization: Organization | OfOrganization, graphs: Iterable[Graph]
) -> Callable[[UUID | None, datetime], bool]:
    """Whether the queues that these graphs ask for, and the organization, are open."""
    asked = {queue_id for it in graphs for queue_id in it.calendars}
    hours: dict[UUID | None, list[dict[str, Any]]] = {None: organization.opening_hours}
    if named := asked - {None}:
        statement = select(Queue.id, Queue.opening_hours).where(col(Queue.id).in_(named))
        hours |= {row[0]: row[1] for row in await session.execute(statement)}

    def is_open(queue_id: UUID | None, at: datetime) -> bool:
        # A queue that is gone since asks the organization's.
        spans = hours.get(queue_id, organization.opening_hours)
        return Calendar.of(spans, organization.timezone, organization.holiday_region).is_open(at)

    return is_open
