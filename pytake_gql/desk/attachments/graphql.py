from datetime import datetime
from typing import Self

import strawberry

from pytake_gql.desk.attachments import kinds, models, service
from pytake_gql.kernel.graphql.context import Info
from pytake_gql.kernel.graphql.mutation import UserError, mutation, user_errors
from pytake_gql.kernel.graphql.node import Node
from pytake_gql.kernel.graphql.types import input_type, object_type
from pytake_gql.kernel.ids import global_id
from pytake_gql.kernel.principal import Role


@object_type
class Attachment(Node):
    """A file that was sent with a message; it is downloaded, never shown in the place of a page."""

    url: str
    """Good until urlExpiresAt; a fresh one comes with each read."""
    url_expires_at: datetime
    """When the url ceases to lead anywhere."""
    mime_type: str
    """What its content was seen to be."""
    file_name: str | None
    """As its sender called it, made safe."""
    size_bytes: int
    """At most 16 MB."""

    @classmethod
    def of(cls, info: Info, row: models.Attachment) -> Self:
        ports = info.context.ports
        until = ports.clock.now().replace(microsecond=0) + service.URL_LIFETIME
        name = kinds.served_name(row.file_name, row.mime_type)
        url = ports.files.download_url(
            service.place(row), row.storage_key or "", name=name, media_type=row.mime_type, expires_at=until
        )
        return cls(
            id=strawberry.ID(global_id("Attachment", row.id)),
            url=url,
            url_expires_at=until,
            mime_type=row.mime_type,
            file_name=name if row.file_name else None,
            size_bytes=row.size_bytes,
        )


@object_type
class UploadHeader:
    """A header that the upload must carry."""

    name: str
    """Such as Content-Type."""
    value: str
    """Exactly so."""


@input_type
class PrepareUploadInput:
    """The file itself goes by HTTP, not through GraphQL: PUT its bytes to uploadUrl with the headers given.

    Then name attachmentId in a message.
    """

    file_name: str
    """As the other side will see it."""
    mime_type: str
    """Its type; the content must be of it."""
    size_bytes: int
    """Exactly; at most 16 MB."""


@object_type
class PrepareUploadPayload:
    """Where the bytes go."""

    attachment_id: strawberry.ID | None = None
    """To be named in one message, by whoever uploads it; null when it was refused."""
    upload_url: str | None = None
    """For one PUT; it may be tried again."""
    headers: list[UploadHeader] = strawberry.field(default_factory=list, description="To be sent with the bytes.")
    expires_at: datetime | None = None
    """Until when uploadUrl takes them."""
    user_errors: list[UserError] = user_errors()


@object_type
class AttachmentMutation:
    @mutation(Role.AGENT, visitor=True)
    async def prepare_upload(self, info: Info, input: PrepareUploadInput) -> PrepareUploadPayload:
        """Announces a file, and tells where its bytes go; what is not sent within some hours is forgotten."""
        given = service.Announcement(input.file_name, input.mime_type, input.size_bytes)
        row, ticket, until = await service.prepare(info.context.uow, info.context.ports.files, given)
        return PrepareUploadPayload(
            attachment_id=strawberry.ID(global_id("Attachment", row.id)),
            upload_url=ticket.url,
            headers=[UploadHeader(name=name, value=value) for name, value in ticket.headers],
            expires_at=until,
        )
