from pytake_gql.insight.audit.models import ActorKind, AuditEntry
from pytake_gql.kernel.events import Event
from pytake_gql.kernel.principal import MemberPrincipal, Principal
from pytake_gql.kernel.unit_of_work import UnitOfWork


async def record(uow: UnitOfWork, event: Event) -> None:
    """Writes the entry in the transaction of what it tells (G23)."""
    if not event.is_audited:
        return
    kind, name = _actor(uow.principal)
    member_id = uow.principal.member_id if isinstance(uow.principal, MemberPrincipal) else None
    uow.add(
        AuditEntry(
            at=uow.now(),
            actor_kind=kind,
            actor_id=member_id,
            actor_name=name,
            action=event.action(),
            entity_type=event.entity,
            entity_id=event.entity_id,
            changes=event.changes,
            ip_address=uow.ip_address,
        )
    )


def _actor(principal: Principal) -> tuple[ActorKind, str]:
    if isinstance(principal, MemberPrincipal):
        return (ActorKind.SUPER_ADMIN if principal.is_visiting else ActorKind.MEMBER), principal.name
    return ActorKind.SYSTEM, "PyTake"
