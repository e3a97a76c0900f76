from typing import ClassVar

from pytake_gql.kernel.events import Event


class QueueUnroutable(Event):
    """What waits in the queue waits in vain: nobody in it could ever meet its mandatory skills (D14)."""

    entity: ClassVar[str] = "Queue"
    is_audited: ClassVar[bool] = False
