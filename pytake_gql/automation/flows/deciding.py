"""What nodes that choose the way are told: CONDITION, RANDOM, OPENING_HOURS, JUMP."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pytake_gql.automation.flows.fields import (
    CLOSED,
    DEFAULT,
    LONGEST_TEXT,
    MOST_BRANCHES,
    MOST_RULES,
    OPEN,
    PATTERN_SENTENCE,
    FlowId,
    Handle,
    QueueId,
    ScalarOrList,
    Settings,
    differ,
    is_pattern,
)
from pytake_gql.automation.flows.rules import NEEDS_NO_RIGHT, Operator


class Rule(Settings):
    left: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    """A placeholder such as {{contact.name}}, or the name in it alone."""
    operator: Operator
    """How it is held against the right side."""
    right: ScalarOrList | None = None
    """Of a list one of them; of MATCHES a regular expression (RE2), found anywhere and without placeholders."""

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        if (self.operator in NEEDS_NO_RIGHT) != (self.right is None):
            raise PydanticCustomError("rule", "IS_SET and IS_EMPTY have no right side, and all others have.")
        if isinstance(self.right, tuple) and self.operator is not Operator.IN:
            raise PydanticCustomError("rule", "Only IN takes a list.")
        if self.operator is Operator.MATCHES and not (isinstance(self.right, str) and is_pattern(self.right)):
            raise PydanticCustomError("rule", PATTERN_SENTENCE)
        return self

    @property
    def template(self) -> str:
        """The left side as a template."""
        return self.left if "{{" in self.left else f"{{{{{self.left}}}}}"


class Branch(Settings):
    name: Handle
    """The way out."""
    match: Literal["ALL", "ANY"] = "ALL"
    """Whether all rules must hold, or one."""
    rules: Annotated[list[Rule], Field(min_length=1, max_length=MOST_RULES)]
    """What is compared."""


class ConditionSettings(Settings):
    """Goes by the first branch that holds, else by 'default'."""

    branches: Annotated[list[Branch], Field(min_length=1, max_length=MOST_BRANCHES)]
    """In the order in which they are tried."""

    @model_validator(mode="after")
    def _branchesdiffer(self) -> Self:
        differ(*(branch.name for branch in self.branches))
        return self

    @property
    def ways(self) -> Sequence[str]:
        return (*(branch.name for branch in self.branches), DEFAULT)


class Chance(Settings):
    name: Handle
    """The way out."""
    weight: Annotated[int | float, Field(gt=0, le=1_000_000)]
    """How often, against the weights of the others."""


class RandomSettings(Settings):
    """Goes one of several ways by chance."""

    branches: Annotated[list[Chance], Field(min_length=1, max_length=MOST_BRANCHES)]
    """The ways, with their weights."""

    @model_validator(mode="after")
    def _branchesdiffer(self) -> Self:
        differ(*(branch.name for branch in self.branches))
        return self

    @property
    def ways(self) -> Sequence[str]:
        return tuple(branch.name for branch in self.branches)


class OpeningHoursSettings(Settings):
    """Asks whether it is open now."""

    queue_id: QueueId | None = None
    """Whose opening hours; without one the organization's."""

    @property
    def ways(self) -> Sequence[str]:
        return (OPEN, CLOSED)


class JumpSettings(Settings):
    """Goes on elsewhere: at a node of this flow, or at the beginning of another one's published version."""

    node_id: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """A node of this flow."""
    flow_id: FlowId | None = None
    """Another flow; at most 8 deep."""

    @property
    def ways(self) -> Sequence[str]:
        return ()

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if (self.node_id is None) == (self.flow_id is None):
            raise PydanticCustomError("rule", "A jump leads to a node or to a flow.")
        return self
