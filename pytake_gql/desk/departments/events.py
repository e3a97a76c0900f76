from typing import ClassVar

from pytake_gql.kernel.events import Event


class DepartmentCreated(Event):
    entity: ClassVar[str] = "Department"


class DepartmentUpdated(Event):
    entity: ClassVar[str] = "Department"


class DepartmentDeleted(Event):
    entity: ClassVar[str] = "Department"
