"""Where a run stands that takes a step: its row and its conversation's, locked and read by two statements.

Conversation before run, as everywhere. Plain values: most steps need no row of the session, and `plain` writes them
back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import orjson
import sqlalchemy as sa

from pytake_gql.automation.flow_runs.models import FlowRun
from pytake_gql.automation.flows import surroundings
from pytake_gql.automation.flows.graph import Graph
from pytake_gql.automation.flows.run import Awaited, Replied, RunState, Surroundings
from pytake_gql.desk.channels.models import Channel, ChannelKind
from pytake_gql.desk.contacts.models import Contact
from pytake_gql.desk.conversations import speaking
from pytake_gql.desk.conversations.models import Conversation, Message
from pytake_gql.desk.conversations.speaking import Spoken
from pytake_gql.kernel.db import table_of
from pytake_gql.kernel.frozen import Frozen
from pytake_gql.kernel.unit_of_work import UnitOfWork
from pytake_gql.tenancy.organizations.models import Organization

_runs, _conversations, _messages = table_of(FlowRun), table_of(Conversation), table_of(Message)
_contacts, _channels, _organizations = table_of(Contact), table_of(Channel), table_of(Organization)
_organization = sa.bindparam("of_organization", type_=sa.Uuid())
_NO_SEQ = 0

LOCK = (
    sa.select(
        *speaking.COLUMNS,
        _runs.c.id.label("run_id"),
        sa.cast(_runs.c.state, sa.Text).label("state"),
        sa.cast(_runs.c.pinned, sa.Text).label("pinned"),
        _runs.c.path_length,
        sa.type_coerce(_runs.c.unheard, sa.types.NullType()).label("unheard"),
        _runs.c.is_bulk,
    )
    .join_from(
        _runs,
        _conversations,
        sa.and_(
            _conversations.c.organization_id == _runs.c.organization_id, _conversations.c.id == _runs.c.conversation_id
        ),
    )
    .where(
        _runs.c.organization_id == _organization,
        _runs.c.id == sa.bindparam("run_id", type_=sa.Uuid()),
        sa.literal_column("flow_runs.status IN ('RUNNING', 'WAITING')"),
    )
    # PostgreSQL locks in the order that is said here.
    .with_for_update(of=[_conversations, _runs])
)
AROUND = (
    sa.select(
        sa.cast(_channels.c.kind, sa.Text).label("channel_kind"),
        _contacts.c.name.label("contact_name"),
        _contacts.c.email,
        _contacts.c.phone,
        sa.cast(_contacts.c.attributes, sa.Text).label("attributes"),
        _organizations.c.name.label("organization_name"),
        _organizations.c.timezone,
        _organizations.c.locale,
        _organizations.c.holiday_region,
        sa.cast(_organizations.c.opening_hours, sa.Text).label("opening_hours"),
        _messages.c.text,
        _messages.c.chosen,
    )
    .join_from(_organizations, _contacts, _contacts.c.organization_id == _organizations.c.id)
    .join(_channels, _channels.c.organization_id == _organizations.c.id)
    .outerjoin(
        _messages,
        sa.and_(
            _messages.c.organization_id == _organizations.c.id,
            _messages.c.conversation_id == sa.bindparam("conversation_id", type_=sa.Uuid()),
            _messages.c.seq == sa.bindparam("seq", type_=sa.Integer()),
        ),
    )
    .where(
        _organizations.c.id == _organization,
        _contacts.c.id == sa.bindparam("contact_id", type_=sa.Uuid()),
        _channels.c.id == sa.bindparam("channel_id", type_=sa.Uuid()),
    )
)
_LOCK, _AROUND = Frozen(LOCK), Frozen(AROUND)


@dataclass(slots=True)
class Standing:
    """The row of a live run, as far as a step reads and changes it."""

    id: UUID
    conversation: Spoken
    state: RunState
    pinned: Mapping[str, str]
    path_length: int
    unheard: list[int]
    is_bulk: bool

    @property
    def next_seq(self) -> int | None:
        """Of what was said and is heard next (F2)."""
        is_heard = self.state.awaits is Awaited.REPLY and self.unheard
        return self.unheard[0] if is_heard else None


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a run."""

    channel_kind: ChannelKind
    contact: surroundings.OfContact
    organization: surroundings.OfOrganization
    reply: Replied | None
    """What was said and is heard next."""

    @classmethod
    def of(cls, row: Any, *, has_reply: bool) -> Self:
        return cls(
            ChannelKind(row.channel_kind),
            surroundings.OfContact(row.contact_name, row.email, row.phone, orjson.loads(row.attributes)),
            surroundings.OfOrganization(
                row.organization_name, row.timezone, row.locale, row.holiday_region, orjson.loads(row.opening_hours)
            ),
            Replied(row.text or "", row.chosen) if has_reply else None,
        )

    async def known(self, uow: UnitOfWork, at: Standing, graphs: Iterable[Graph]) -> Surroundings:
        return await surroundings.read(
            uow.session,
            self.organization,
            self.contact,
            graphs,
            now=uow.now(),
            seed=at.id.int,
            number=at.conversation.number,
        )


async def lock(uow: UnitOfWork, run_id: UUID) -> Standing | None:
    """None for a run that ended."""
    rows = await _LOCK.rows(uow.session, {"of_organization": uow.organization_id, "run_id": run_id})
    if not rows:
        return None
    (row,) = rows
    return Standing(
        run_id,
        Spoken(*row[: len(speaking.COLUMNS)]),
        RunState.from_json(orjson.loads(row.state)),
        orjson.loads(row.pinned),
        row.path_length,
        row.unheard,
        row.is_bulk,
    )


async def look_around(uow: UnitOfWork, at: Standing) -> Around:
    """A statement of its own: what was committed while the lock was waited for is seen."""
    seq, conversation = at.next_seq, at.conversation
    asked = {
        "of_organization": uow.organization_id,
        "conversation_id": conversation.id,
        "contact_id": conversation.contact_id,
        "channel_id": conversation.channel_id,
        "seq": seq or _NO_SEQ,
    }
    (row,) = await _AROUND.rows(uow.session, asked)
    return Around.of(row, has_reply=seq is not None)
