"""What a run may know of its contact and its organization, read in the step's transaction."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlmodel import col, select

from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.kinds import FlowNodeKind
from pytake_gql.automation.flows.run import Surroundings, Value
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.contacts.service import DEFAULT_COUNTRY
from pytake_gql.desk.conversations.models import Conversation
from pytake_gql.desk.queues.models import Queue
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations import service as organizations
from pytake_gql.tenancy.organizations.models import Organization

IsOpen: TypeAlias = Callable[[UUID | None], bool]
"""Of a queue, or of the organization."""


async def of_run(uow: UnitOfWork, run: FlowRun, conversation: Conversation, graphs: Iterable[Graph]) -> Surroundings:
    statement = (
        select(Contact, Organization)
        .join(Organization, col(Organization.id) == Contact.organization_id)
        .where(Contact.id == conversation.contact_id)
    )
    contact, organization = (await uow.session.execute(statement)).one()
    is_open = await hours(uow, organization, graphs)
    return known(contact, organization, is_open, number=conversation.number, seed=run.id.int, now=uow.now())


def known(
    contact: Contact, organization: Organization, is_open: IsOpen, *, number: int, seed: int, now: datetime
) -> Surroundings:
    region = organization.holiday_region
    return Surroundings(
        now=now,
        seed=seed,
        values=values(contact, number, organization),
        is_open=is_open,
        region=region.partition("-")[0] if region else DEFAULT_COUNTRY,
        locale=organization.locale,
    )


def values(contact: Contact, number: int, organization: Organization) -> dict[str, Value]:
    """By their names in templates."""
    table: dict[str, Value] = {
        "contact.name": contact.name,
        "contact.email": contact.email,
        "contact.phone": contact.phone,
        "conversation.number": number,
        "organization.name": organization.name,
    }
    return table | {f"contact.attributes.{key}": value for key, value in contact.attributes.items()}


async def hours(uow: UnitOfWork, organization: Organization, graphs: Iterable[Graph]) -> IsOpen:
    """Whether the queues that these graphs ask for, and the organization, are open now."""
    asked = {
        node.settings.queue_id for it in graphs for node in it.nodes.values() if node.kind is FlowNodeKind.OPENING_HOURS
    }
    spans_of: dict[UUID | None, list[dict[str, Any]]] = {None: organization.opening_hours}
    if named := asked - {None}:
        statement = select(Queue.id, Queue.opening_hours).where(col(Queue.id).in_(named))
        spans_of |= {row[0]: row[1] for row in await uow.session.execute(statement)}

    def is_open(queue_id: UUID | None) -> bool:
        # A queue that is gone since asks the organization's.
        spans = spans_of.get(queue_id, organization.opening_hours)
        return organizations.calendar_of(organization, spans).is_open(uow.now())

    return is_open
