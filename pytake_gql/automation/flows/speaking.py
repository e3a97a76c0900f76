"""What nodes that speak and listen are told: MESSAGE, MENU, QUESTION, END."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pytake_gql.automation.flows import public_urls
from pytake_gql.automation.flows.answers import QuestionType
from pytake_gql.automation.flows.fields import (
    FILE_SENTENCE,
    INVALID,
    MOST_ITEMS,
    MOST_OPTIONS,
    NEXT,
    SPACE_SENTENCE,
    TIMEOUT,
    Attempts,
    Handle,
    Line,
    Pattern,
    Seconds,
    Settings,
    TemplateId,
    Text,
    Variable,
    checked,
    differ,
)


class MessageSettings(Settings):
    """Says something: a text, a file, both, or a template of WhatsApp's."""

    text: Text | None = None
    """What is said."""
    attachment_url: Annotated[str, Field(max_length=2000), checked(public_urls.is_file, FILE_SENTENCE)] | None = None
    """Where the file is, by https on a public host."""
    template_id: TemplateId | None = None
    """An approved template, instead of text and file; passes when the reply window is closed."""
    template_variables: Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(max_length=MOST_ITEMS)] = ()
    """One for each placeholder of the template, in order."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        is_written = self.text is not None or self.attachment_url is not None
        if is_written == (self.template_id is not None):
            raise PydanticCustomError("rule", "A message is a text, a file, or instead of both a template.")
        return self


class MenuOption(Settings):
    value: Handle
    """The way out; takes no placeholders."""
    title: Annotated[str, Field(max_length=120), checked(lambda t: bool(t.strip()), SPACE_SENTENCE)]
    """What the contact reads: up to 20 characters stay whole on a button, 24 in a list."""


class MenuSettings(Settings):
    """Offers options: buttons or a list where the channel has them, else numbered lines. Each option is a way out."""

    text: Text
    """What is said above the options."""
    options: Annotated[list[MenuOption], Field(min_length=1, max_length=MOST_OPTIONS)]
    """What may be chosen: by tapping, by number, by title or by value."""
    variable: Variable | None = None
    """What keeps the value chosen."""
    attempts: Attempts = 3
    """How many replies may not fit before it is left by 'invalid'."""
    timeout_seconds: Seconds | None = None
    """How long a reply may take before it is left by 'timeout'."""

    @model_validator(mode="after")
    def _optionsdiffer(self) -> Self:
        differ(*(option.value for option in self.options))
        return self

    @property
    def ways(self) -> Sequence[str]:
        return (*(option.value for option in self.options), INVALID, TIMEOUT)

    @property
    def defines(self) -> Mapping[str, Sequence[str]]:
        return {option.value: (self.variable,) for option in self.options} if self.variable else {}


class QuestionSettings(Settings):
    """Asks, and keeps an answer of the type that is asked for."""

    text: Text
    """What is asked."""
    variable: Variable
    """What keeps the answer."""
    type: QuestionType
    """What the answer has to be; a DATE is kept as 2026-03-08, a PHONE as +5511987654321, a CHOICE as one of them."""
    choices: Annotated[list[Line], Field(min_length=1, max_length=MOST_OPTIONS)] | None = None
    """Of a CHOICE, and of nothing else."""
    pattern: Pattern | None = None
    """A regular expression (RE2) that the whole answer has to match."""
    error_text: Text | None = None
    """What is said when an answer does not fit; by default what is wrong with it."""
    attempts: Attempts = 3
    """How many answers may not fit before it is left by 'invalid'."""
    timeout_seconds: Seconds | None = None
    """How long an answer may take before it is left by 'timeout'."""

    @model_validator(mode="after")
    def _choices_are_a_choices(self) -> Self:
        if (self.type is QuestionType.CHOICE) != (self.choices is not None):
            raise PydanticCustomError("rule", "A CHOICE has choices, and nothing else has.")
        differ(*(self.choices or ()))
        return self

    @property
    def ways(self) -> Sequence[str]:
        return (NEXT, INVALID, TIMEOUT)

    @property
    def defines(self) -> Mapping[str, Sequence[str]]:
        return {NEXT: (self.variable,)}


class EndSettings(Settings):
    """Ends the flow."""

    text: Text | None = None
    """What is said last."""

    @property
    def ways(self) -> Sequence[str]:
        return ()
