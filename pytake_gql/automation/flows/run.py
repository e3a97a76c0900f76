"""A run of a flow as the engine knows it: its state, what happens to it, and what it wants done. Pure data (F1).

Whoever drives a run hands the engine a state and an event and gets a `Step`: the new state, the effects, the path.
All of it is written in one transaction. `Say`, `UpdateContact`, `HandOff` and `Finish` are done inside that
transaction, in their order. `CallApi` and `AskAi` are the outside world's: at most one is open, the state awaits it by
its number, and what became of it comes back as an event. A run begins with `RunState.begin` and the event `Started`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeAlias
from uuid import UUID

from pytake_gql.automation.flows.kinds import FlowNodeKind, FlowRunStatus
from pytake_gql.automation.flows.templates import CONTACT_ATTRIBUTE, Value
from pytake_gql.desk.conversations.models import ConversationPriority


class Awaited(StrEnum):
    """What a run that waits is waiting for."""

    REPLY = "REPLY"
    TIME = "TIME"
    EFFECT = "EFFECT"


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run between its steps."""

    flow_id: UUID
    """Whose graph it is in: the flow that it began with, or the one that it jumped to last."""
    status: FlowRunStatus = FlowRunStatus.RUNNING
    node_id: str | None = None
    """Where it stands: the node that waits, or the last one."""
    variables: Mapping[str, Value] = field(default_factory=dict)
    awaits: Awaited | None = None
    wake_at: datetime | None = None
    """When `TimedOut` is due: the end of a WAIT, the patience for a reply, or the run's expiry."""
    expires: bool = False
    """Whether `wake_at` is the expiry of a run that nobody answers."""
    entered_at: datetime | None = None
    """When the node that it stands in was entered."""
    attempts: int = 0
    """Replies to this node that were not understood."""
    effects: int = 0
    """How many effects of the outside world it has asked for; the number of the last one."""
    steps: int = 0
    """Nodes entered in all (F4)."""
    visits: Mapping[str, int] = field(default_factory=dict)
    """Nodes entered, by flow and node (F4)."""
    jumps: tuple[UUID, ...] = ()
    """The flows that it came through by jumps."""
    error: str | None = None
    """Why it failed."""

    @classmethod
    def begin(cls, flow_id: UUID, variables: Mapping[str, Value] | None = None) -> Self:
        return cls(flow_id=flow_id, variables=dict(variables or {}))

    def to_json(self) -> dict[str, Any]:
        return {
            "flowId": str(self.flow_id),
            "status": self.status.value,
            "nodeId": self.node_id,
            "variables": dict(self.variables),
            "awaits": self.awaits and self.awaits.value,
            "wakeAt": self.wake_at and self.wake_at.isoformat(),
            "expires": self.expires,
            "enteredAt": self.entered_at and self.entered_at.isoformat(),
            "attempts": self.attempts,
            "effects": self.effects,
            "steps": self.steps,
            "visits": dict(self.visits),
            "jumps": [str(id_) for id_ in self.jumps],
            "error": self.error,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            flow_id=UUID(stored["flowId"]),
            status=FlowRunStatus(stored["status"]),
            node_id=stored["nodeId"],
            variables=stored["variables"],
            awaits=Awaited(stored["awaits"]) if stored["awaits"] else None,
            wake_at=datetime.fromisoformat(stored["wakeAt"]) if stored["wakeAt"] else None,
            expires=stored["expires"],
            entered_at=datetime.fromisoformat(stored["enteredAt"]) if stored["enteredAt"] else None,
            attempts=stored["attempts"],
            effects=stored["effects"],
            steps=stored["steps"],
            visits=stored["visits"],
            jumps=tuple(UUID(id_) for id_ in stored["jumps"]),
            error=stored["error"],
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the engine may know besides the run: read in the step's transaction."""

    now: datetime
    seed: int = 0
    """Of the run, and the same in each of its steps: what RANDOM draws from."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """By their names in templates: contact.name, contact.attributes.key, conversation.number, organization.name."""
    is_open: Callable[[UUID | None, datetime], bool] = lambda _queue_id, _at: True
    """Whether that queue, or without one the organization, is open at that instant."""
    region: str = "BR"
    """The ISO 3166 country that a phone without a country code is read in."""
    locale: str = "pt-BR"
    """The language of what the engine says by itself."""


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The contact wrote. Only what a run awaits is taken: without `Awaited.REPLY` the step changes nothing."""

    text: str
    chosen: str | None = None
    """The value of the option that was tapped."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """`wake_at` has come. Before it the step changes nothing."""


@dataclass(frozen=True, slots=True)
class EffectSucceeded:
    """`result`: of a CallApi the answer's body, as JSON where it is JSON, else its text; of an AskAi the text."""

    number: int
    result: Any = None


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """It could not be done, its outcome is unknown, or the answer's status is no success (400 and above)."""

    number: int
    reason: str


Happening: TypeAlias = Started | Replied | TimedOut | EffectSucceeded | EffectFailed


@dataclass(frozen=True, slots=True)
class Option:
    """What a contact may choose."""

    value: str
    title: str


@dataclass(frozen=True, slots=True)
class Say:
    """One message of the bot: a text, a text with options, a file, or a template."""

    node_id: str
    text: str
    options: tuple[Option, ...] = ()
    attachment_url: str | None = None
    template_id: UUID | None = None
    template_variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateContact:
    """None and empty leave as it is. Name, email and phone are checked and as they are stored."""

    node_id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    add_tag_ids: tuple[UUID, ...] = ()
    remove_tag_ids: tuple[UUID, ...] = ()
    opt_out: bool | None = None

    def values(self) -> dict[str, Value]:
        """What is known from now on, by its names in templates."""
        told: dict[str, Value] = {"contact.name": self.name, "contact.email": self.email, "contact.phone": self.phone}
        told |= {f"{CONTACT_ATTRIBUTE}{key}": value for key, value in self.attributes.items()}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class HandOff:
    """People take over: in the queue or department named, by the member named, else where the channel leads."""

    node_id: str | None = None
    queue_id: UUID | None = None
    department_id: UUID | None = None
    member_id: UUID | None = None
    priority: ConversationPriority | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The flow has come to its end, or nobody answered: nobody needs to take over."""


@dataclass(frozen=True, slots=True)
class CallApi:
    """A request to a public host (F9)."""

    number: int
    node_id: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Any
    """JSON, or a text; None without one."""
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class AskAi:
    """An answer by the organization's AI to what the contact said."""

    number: int
    node_id: str
    instruction: str


Effect: TypeAlias = Say | UpdateContact | HandOff | Finish | CallApi | AskAi


@dataclass(frozen=True, slots=True)
class Passed:
    """A node on the path of a run."""

    flow_id: UUID
    node_id: str
    kind: FlowNodeKind
    entered_at: datetime
    left_by: str | None = None
    """The way out; None while it waits there, and where there is none (JUMP, HANDOFF, END)."""
    error: str | None = None
    is_continued: bool = False
    """It was entered in a step before: this takes the place of what that step told of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one event led to."""

    state: RunState
    effects: tuple[Effect, ...] = ()
    path: tuple[Passed, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """(node, name) of values that were asked for and not there: they are empty."""
    is_ignored: bool = False
    """The event did not fit what the run awaits: nothing is to be written."""
