"""Recording what nobody came to do: the sweep of missed deadlines (D25)."""

from uuid import UUID

from pytake_gql.desk.sla import service
from pytake_gql.kernel.ports import Ports


async def record_breaches(ports: Ports, organization_id: UUID, conversation_id: UUID) -> bool:
    """Of one conversation; says whether there was anything to record. Safe to run twice."""
    async with ports.units.of_system(organization_id) as uow:
        return await service.lapse(uow, conversation_id)
