"""What the settings of nodes are made of: names, texts and ids, each with the sentence that refuses it.

Named in camelCase outside; unknown names and values of another type are refused. Texts take placeholders such as
{{contact.name}} unless they say otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from pytake_gql.automation.flows import patterns, pointers, templates
from pytake_gql.kernel.ids import parse_global_id

LONGEST_TEXT = 4096
"""What the channels take."""
LONGEST_HANDLE = 100
LONGEST_WAIT_SECONDS = 30 * 24 * 3600
LONGEST_CALL_SECONDS = 10
MOST_OPTIONS = 20
MOST_BRANCHES = 20
MOST_RULES = 20
MOST_ITEMS = 50

NEXT, ERROR, INVALID, TIMEOUT, DEFAULT = "next", "error", "invalid", "timeout", "default"
OPEN, CLOSED = "open", "closed"


class Settings(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
        use_attribute_docstrings=True,
    )

    @property
    def ways(self) -> Sequence[str]:
        """The ways out, by their handles."""
        return (NEXT,)

    @property
    def defines(self) -> Mapping[str, Sequence[str]]:
        """Variables that are set when the node is left by a handle."""
        return {}


def _id(type_name: str) -> tuple[BeforeValidator, WithJsonSchema]:
    def read(given: Any) -> UUID:
        parsed = parse_global_id(given) if isinstance(given, str) else None
        if parsed is None or parsed[0] != type_name:
            raise PydanticCustomError("rule", "Nothing was found by this id.")
        return parsed[1]

    return BeforeValidator(read), WithJsonSchema({"type": "string", "pattern": f"^{type_name}_[0-9a-f]{{32}}$"})


QueueId = Annotated[UUID, *_id("Queue")]
DepartmentId = Annotated[UUID, *_id("Department")]
MemberId = Annotated[UUID, *_id("Member")]
TagId = Annotated[UUID, *_id("Tag")]
FlowId = Annotated[UUID, *_id("Flow")]
TemplateId = Annotated[UUID, *_id("MessageTemplate")]


def checked(is_so: Callable[[str], bool], sentence: str) -> AfterValidator:
    def check(text: str) -> str:
        if not is_so(text):
            raise PydanticCustomError("rule", sentence)
        return text

    return AfterValidator(check)


def is_pattern(text: str) -> bool:
    try:
        patterns.check(text)
    except patterns.BadPattern:
        return False
    return True


def _scalar(given: Any) -> Any:
    if not isinstance(given, str | int | float | bool):
        raise PydanticCustomError("rule", "A text, a number, true or false.")
    if isinstance(given, str) and len(given) > LONGEST_TEXT:
        raise PydanticCustomError("string_too_long", "", {"max_length": LONGEST_TEXT})
    return given


def _scalar_or_list(given: Any) -> Any:
    if not isinstance(given, list):
        return _scalar(given)
    if len(given) > MOST_ITEMS:
        raise PydanticCustomError("too_long", "", {"max_length": MOST_ITEMS})
    return tuple(_scalar(item) for item in given)


def differ(*values: str) -> None:
    if len({value.casefold() for value in values}) < len(values):
        raise PydanticCustomError("rule", "Each of these is named once.")


_RESERVED = frozenset({NEXT, ERROR, INVALID, TIMEOUT, DEFAULT})
VARIABLE_SENTENCE = (
    "A variable has letters, digits and underscores, does not begin with a digit, and has at most 60 characters."
)
POINTER_SENTENCE = "A JSON pointer such as /order/status."
PATTERN_SENTENCE = (
    "A regular expression of at most 200 characters, without backreferences and lookarounds, that takes bounded time."
)
HANDLE_SENTENCE = "A name of a way out is one line, and none of: next, error, invalid, timeout, default."
URL_SENTENCE = (
    "An address begins with http:// or https:// and names a public host; only what follows it may hold values."
)
FILE_SENTENCE = "An address begins with https:// and names a public host; only what follows it may hold values."
HEADER_SENTENCE = "A header's name has letters, digits and hyphens, and is none that the request sets by itself."
SPACE_SENTENCE = "This is required."

Text = Annotated[str, Field(max_length=LONGEST_TEXT), checked(lambda t: bool(t.strip()), SPACE_SENTENCE)]
Line = Annotated[str, Field(max_length=200), checked(lambda t: bool(t.strip()), SPACE_SENTENCE)]
Variable = Annotated[str, checked(templates.is_variable, VARIABLE_SENTENCE)]
Pointer = Annotated[str, checked(pointers.is_pointer, POINTER_SENTENCE)]
Pattern = Annotated[str, checked(is_pattern, PATTERN_SENTENCE)]
Handle = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_HANDLE),
    checked(lambda t: t == t.strip() and t.isprintable() and t not in _RESERVED, HANDLE_SENTENCE),
]
Scalar = Annotated[
    str | int | float | bool,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": LONGEST_TEXT}),
]
ScalarOrList = Annotated[
    str | int | float | bool | tuple[str | int | float | bool, ...],
    PlainValidator(_scalar_or_list),
    WithJsonSchema(
        {
            "type": ["string", "number", "boolean", "array"],
            "maxLength": LONGEST_TEXT,
            "items": {"type": ["string", "number", "boolean"], "maxLength": LONGEST_TEXT},
            "maxItems": MOST_ITEMS,
        }
    ),
]
Seconds = Annotated[int, Field(ge=1, le=LONGEST_WAIT_SECONDS)]
Attempts = Annotated[int, Field(ge=1, le=10)]
