import datetime as dt
from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from pytake_gql.kernel.events import Changes
from pytake_gql.kernel.graphql.access import query
from pytake_gql.kernel.graphql.connections import Connection, connection
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, local_id, mutation, present, user_errors
from pytake_gql.kernel.graphql.node import Node, finds
from pytake_gql.kernel.graphql.scalars import TimeZone
from pytake_gql.kernel.graphql.types import enum_type, field, input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.pagination import window
from pytake_gql.kernel.principal import MemberPrincipal, Role
from pytake_gql.tenancy.organizations import frontends, models, opening_hours, service
from pytake_gql.tenancy.organizations.frontends import GivenFrontend
from pytake_gql.tenancy.organizations.opening_hours import OpeningSpan, Weekday

enum_type(Weekday)
enum_type(models.FrontendEnvironment)


@object_type
class OpeningHours:
    """One span [opensAt, closesAt) that starts on this weekday, wall-clock in the organization's timezone.

    A day may have several. closesAt at or before opensAt is on the next day, so 00:00 to 00:00 is the whole day.
    """

    weekday: Weekday
    """The day on which it starts."""
    opens_at: dt.time
    """The first moment."""
    closes_at: dt.time
    """The first moment after it."""

    @classmethod
    def of(cls, span: OpeningSpan) -> Self:
        return cls(weekday=span.weekday, opens_at=span.opens_at, closes_at=span.closes_at)


@input_type
class OpeningHoursInput:
    """One span [opensAt, closesAt); spans of one calendar do not overlap."""

    weekday: Weekday
    """The day on which it starts."""
    opens_at: dt.time
    """The first moment."""
    closes_at: dt.time
    """The first moment after it; at or before opensAt it is on the next day."""

    def to_span(self) -> OpeningSpan:
        return OpeningSpan(self.weekday, self.opens_at, self.closes_at)


@object_type
class Frontend:
    """A browser front end of the organization, or a site that carries its web chat.

    Its origin is allowed by CORS and on the websocket.
    """

    environment: models.FrontendEnvironment
    """What it is for; only DEVELOPMENT may do without https."""
    origin: str
    """Such as https://app.example.com: scheme, host and, where it is not the usual one, port."""
    is_active: bool
    """Inactive ones are not let in."""

    @classmethod
    def of(cls, row: models.Frontend) -> Self:
        return cls(environment=row.environment, origin=row.origin, is_active=row.is_active)


@object_type
class Organization(Node):
    """A company on the platform."""

    row_id: strawberry.Private[UUID]
    name: str
    """As people know it."""
    slug: str
    """Unique on the platform; lower-case letters, digits and hyphens."""
    logo_url: str | None
    """A picture, by https."""
    timezone: TimeZone
    """What its opening hours and reports are read in."""
    locale: str
    """The language of its mails and summaries: pt-BR or en."""
    holiday_region: str | None
    """ISO 3166 country (and subdivision) whose public holidays `skipHolidays` means, such as BR or BR-SP."""
    opening_hours: list[OpeningHours]
    """What an OPENING_HOURS node without a queue asks. Empty is open at all times."""
    is_active: bool
    """Nobody signs in to an inactive one, and its channels take nothing."""
    created_at: datetime
    """When it was made."""

    @field
    async def frontends(self, info: Info) -> list[Frontend]:
        """Its browser front ends, in their own order."""
        # A super admin may look at another organization than the one worked in.
        async with info.context.ports.database.session(self.row_id) as session:
            return [Frontend.of(row) for row in await frontends.list_all(session)]

    @classmethod
    def of(cls, row: models.Organization) -> Self:
        return cls(
            id=strawberry.ID(global_id("Organization", row.id)),
            row_id=row.id,
            name=row.name,
            slug=row.slug,
            logo_url=row.logo_url,
            timezone=TimeZone(row.timezone),
            locale=row.locale,
            holiday_region=row.holiday_region,
            opening_hours=[OpeningHours.of(span) for span in opening_hours.from_json(row.opening_hours)],
            is_active=row.is_active,
            created_at=row.created_at,
        )


@finds("Organization")
async def find_organization(info: Info, id_: UUID) -> Organization | None:
    """The own one; a super admin finds any."""
    by = info.context.principal
    if not isinstance(by, MemberPrincipal) or (id_ != by.organization_id and by.role is not Role.SUPER_ADMIN):
        return None
    row = await info.context.load(service.by_ids, id_)
    return Organization.of(row) if row else None


@input_type
class FrontendInput:
    """A browser origin that is let in."""

    environment: models.FrontendEnvironment
    """What it is for; only DEVELOPMENT may do without https."""
    origin: str
    """Such as https://app.example.com: scheme, host and, where it is not the usual one, port; no path."""
    is_active: bool = True
    """Inactive ones are not let in."""

    def to_given(self) -> GivenFrontend:
        return GivenFrontend(self.environment, self.origin, self.is_active)


@input_type
class CreateOrganizationInput:
    """A new organization, and whom to invite as its first admin."""

    name: str
    """As people know it."""
    slug: str | None = None
    """Unique on the platform; the name suggests one."""
    timezone: TimeZone | None = None
    """America/Sao_Paulo by default."""
    locale: str | None = None
    """pt-BR (the default) or en."""
    holiday_region: str | None = None
    """ISO 3166, such as BR (the default) or BR-SP."""
    admin_email: str
    """Who is invited as its first admin."""
    admin_name: str
    """The name of the first admin."""


@input_type
class UpdateOrganizationInput:
    """Without id the caller's own; another one, and isActive, are for super admins. Absent fields stay as they are."""

    id: strawberry.ID | None = None
    """The organization; the caller's own by default."""
    name: strawberry.Maybe[str | None]
    """As people know it."""
    slug: strawberry.Maybe[str | None]
    """Unique on the platform; lower-case letters, digits and hyphens."""
    logo_url: strawberry.Maybe[str | None]
    """A picture, by https."""
    timezone: strawberry.Maybe[TimeZone | None]
    """What its opening hours and reports are read in."""
    locale: strawberry.Maybe[str | None]
    """pt-BR or en."""
    holiday_region: strawberry.Maybe[str | None]
    """ISO 3166, such as BR or BR-SP."""
    opening_hours: strawberry.Maybe[list[OpeningHoursInput] | None]
    """The whole list; empty is open at all times. At most 50 spans, which do not overlap."""
    is_active: strawberry.Maybe[bool | None]
    """Nobody signs in to an inactive one."""
    frontends: strawberry.Maybe[list[FrontendInput] | None]
    """The whole list, at most 50."""

    def changes(self) -> Changes:
        given = present(self)
        if given.get("opening_hours") is not None:
            given["opening_hours"] = [item.to_span() for item in given["opening_hours"]]
        if given.get("frontends") is not None:
            given["frontends"] = [item.to_given() for item in given["frontends"]]
        return given


@input_type
class DeleteOrganizationInput:
    """The organization to delete, with everything of it."""

    id: strawberry.ID
    """The organization; never the one worked in."""
    confirm_slug: str
    """Must repeat the organization's slug."""


@object_type
class OrganizationPayload:
    """The organization that changed."""

    organization: Organization | None = None
    """Null when nothing changed."""
    user_errors: list[UserError] = user_errors()


@object_type
class OrganizationQuery:
    @query(Role.VIEWER)
    async def organization(self, info: Info) -> Organization:
        """The organization that the caller works in."""
        async with info.context.read() as session:
            return Organization.of(await service.current(session, info.context.organization_id))

    @query(Role.SUPER_ADMIN)
    async def organizations(
        self,
        info: Info,
        search: str | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Organization]:
        """Every organization, in alphabetical order; super admins only. `search` looks into name and slug."""
        wanted = window(first, after, last, before)

        async def count() -> int:
            async with info.context.read() as session:
                return await service.count(session, search)

        async with info.context.read() as session:
            page = await service.list_page(session, search, wanted)
        found: Connection[Organization] = connection(page.map(Organization.of), count)
        return found


@object_type
class OrganizationMutation:
    @mutation(Role.SUPER_ADMIN)
    async def create_organization(self, info: Info, input: CreateOrganizationInput) -> OrganizationPayload:
        """Makes an organization and invites its first admin by mail; super admins only."""
        row = await service.create(
            info.context.uow,
            name=input.name,
            slug=input.slug,
            timezone=input.timezone,
            locale=input.locale,
            holiday_region=input.holiday_region,
            admin_email=input.admin_email,
            admin_name=input.admin_name,
        )
        return OrganizationPayload(organization=Organization.of(row))

    @mutation(Role.ORG_ADMIN)
    async def update_organization(self, info: Info, input: UpdateOrganizationInput) -> OrganizationPayload:
        """Changes the fields that are present; another organization, and isActive, only for super admins."""
        id_ = None if input.id is None else local_id("Organization", input.id, "id")
        row = await service.update(info.context.uow, id_, input.changes())
        return OrganizationPayload(organization=Organization.of(row))

    @mutation(Role.SUPER_ADMIN)
    async def delete_organization(self, info: Info, input: DeleteOrganizationInput) -> OrganizationPayload:
        """Deletes an organization with everything of it, for ever; super admins only."""
        id_ = local_id("Organization", input.id, "id")
        row = await service.delete(info.context.uow, id_, input.confirm_slug)
        return OrganizationPayload(organization=Organization.of(row))
