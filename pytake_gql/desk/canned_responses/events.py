from typing import ClassVar

from pytake_gql.kernel.events import Event


class CannedResponseCreated(Event):
    entity: ClassVar[str] = "CannedResponse"


class CannedResponseUpdated(Event):
    entity: ClassVar[str] = "CannedResponse"


class CannedResponseDeleted(Event):
    entity: ClassVar[str] = "CannedResponse"
