"""What nodes that do something are told: SET_VARIABLE, UPDATE_CONTACT, WAIT, API_CALL, AI_REPLY, HANDOFF."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from pytake_gql.automation.flows import public_urls
from pytake_gql.automation.flows.fields import (
    ERROR,
    HEADER_SENTENCE,
    LONGEST_CALL_SECONDS,
    MOST_ITEMS,
    NEXT,
    URL_SENTENCE,
    DepartmentId,
    Line,
    MemberId,
    Pointer,
    QueueId,
    Scalar,
    Seconds,
    Settings,
    TagId,
    Text,
    Variable,
    checked,
)
from pytake_gql.desk.conversations.models import ConversationPriority


class SetVariableSettings(Settings):
    """Sets a variable."""

    variable: Variable
    """Which one."""
    value: Scalar | None
    """A text, a number, true or false; a text that is one placeholder keeps the type of its value."""

    @property
    def defines(self) -> Mapping[str, Sequence[str]]:
        return {NEXT: (self.variable,)}


class UpdateContactSettings(Settings):
    """Keeps what is known about the contact. A value that does not fit, such as no e-mail address, is left out."""

    name: Line | None = None
    """What the contact is called."""
    email: Line | None = None
    """The e-mail address."""
    phone: Line | None = None
    """The phone."""
    attributes: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=60)], Scalar],
        Field(max_length=MOST_ITEMS),
    ] = Field(default_factory=dict)
    """By key of Contact.attributes; the others stay."""
    add_tag_ids: Annotated[tuple[TagId, ...], Field(max_length=MOST_ITEMS)] = ()
    """Tags that the contact gets."""
    remove_tag_ids: Annotated[tuple[TagId, ...], Field(max_length=MOST_ITEMS)] = ()
    """Tags that the contact loses."""
    opt_out: bool | None = None
    """True: no more proactive messages. False: they are welcome again."""


class WaitSettings(Settings):
    """Lets time pass."""

    seconds: Seconds
    """How long, at most 30 days."""


class ApiCallSettings(Settings):
    """Calls a public HTTP API."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    """The HTTP method."""
    url: Annotated[str, Field(max_length=2000), checked(public_urls.is_call, URL_SENTENCE)]
    """Where; values in it are escaped, and stand behind the host."""
    headers: Annotated[
        dict[
            Annotated[str, checked(public_urls.is_header, HEADER_SENTENCE)],
            Annotated[str, Field(max_length=2000), checked(str.isprintable, "One line.")],
        ],
        Field(max_length=MOST_ITEMS),
    ] = Field(default_factory=dict)
    """Shown to org admins only."""
    body: JsonValue = None
    """JSON with placeholders in its texts, sent as JSON; or one text, sent as it is."""
    timeout_seconds: Annotated[int, Field(ge=1, le=LONGEST_CALL_SECONDS)] = LONGEST_CALL_SECONDS
    """How long the answer may take before it is left by 'error'."""
    save: Annotated[dict[Variable, Pointer], Field(max_length=MOST_ITEMS)] = Field(default_factory=dict)
    """Variable to the JSON pointer of its value in the answer, such as /order/status."""

    @property
    def ways(self) -> Sequence[str]:
        return (NEXT, ERROR)

    @property
    def defines(self) -> Mapping[str, Sequence[str]]:
        return {NEXT: tuple(self.save)}


class AiReplySettings(Settings):
    """Lets the organization's AI answer what the contact said."""

    instruction: Text
    """What the AI is told to do."""
    variable: Variable | None = None
    """What keeps the answer."""
    send: bool = True
    """Whether the contact gets the answer."""

    @property
    def ways(self) -> Sequence[str]:
        return (NEXT, ERROR)

    @property
    def defines(self) -> Mapping[str, Sequence[str]]:
        return {NEXT: (self.variable,)} if self.variable else {}


class HandoffSettings(Settings):
    """Gives the conversation to people; without a target to those whom the channel names."""

    queue_id: QueueId | None = None
    """The queue that it waits in."""
    department_id: DepartmentId | None = None
    """The department in whose queue it waits."""
    member_id: MemberId | None = None
    """The member who gets it."""
    priority: ConversationPriority | None = None
    """How urgent it is from now on."""
    note: Annotated[str, Field(max_length=2000)] | None = None
    """What those who take over read."""

    @property
    def ways(self) -> Sequence[str]:
        return ()

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if sum(target is not None for target in (self.queue_id, self.department_id, self.member_id)) > 1:
            raise PydanticCustomError("rule", "A handoff leads to a queue, a department or a member.")
        return self
