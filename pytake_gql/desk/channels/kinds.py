"""What each kind of channel is told: public settings and secrets (D32). `channelSchema` prints these models."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from pytake_gql.desk.channels.models import ChannelKind
from pytake_gql.kernel.errors import Problems, Refusal, UserErrorCode, Verbatim
from pytake_gql.tenancy.organizations import origins

MOST_PROBLEMS = 20


class Told(BaseModel):
    """Named in camelCase outside and in the table; unknown names are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )


def _origin(text: str) -> str:
    try:
        return origins.checked(text, allows_http=False)
    except Refusal as refusal:
        raise ValueError(refusal.problems[0].template) from refusal


Origin = Annotated[str, Field(max_length=255), AfterValidator(_origin)]


class WebChatSettings(Told):
    title: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """What stands above the chat; by default the organization's name."""
    greeting: Annotated[str, Field(max_length=2000)] | None = None
    """What the visitor reads before writing."""
    color: Annotated[str, Field(pattern="^#[0-9A-Fa-f]{6}$")] = "#2563EB"
    """Of the chat's head and of the visitor's messages."""
    locale: Literal["pt-BR", "en"] | None = None
    """The language of the chat; by default the organization's."""
    allowed_origins: Annotated[list[Origin], Field(max_length=50)] = []
    """The sites that may carry the chat, such as https://www.example.com; empty is all of the organization's."""

    model_config = ConfigDict(title="Web chat settings", use_attribute_docstrings=True)


class WebChatSecrets(Told):
    identity_secret: Annotated[str, Field(min_length=16, max_length=200)] | None = None
    """With it the site signs who its visitor is, so that nobody else can claim to be that user."""

    model_config = ConfigDict(
        title="Web chat secrets", use_attribute_docstrings=True, json_schema_extra={"writeOnly": True}
    )


@dataclass(frozen=True, slots=True)
class Kind:
    settings: type[Told]
    secrets: type[Told]


KINDS: Mapping[ChannelKind, Kind] = MappingProxyType({ChannelKind.WEB_CHAT: Kind(WebChatSettings, WebChatSecrets)})
"""The kinds that can be made."""

_FAULTS = MappingProxyType(
    {
        "missing": (UserErrorCode.REQUIRED, "This is required."),
        "extra_forbidden": (UserErrorCode.INVALID, "There is no such setting."),
        "string_too_long": (UserErrorCode.TOO_LONG, "At most {max_length} characters."),
        "string_too_short": (UserErrorCode.INVALID, "At least {min_length} characters."),
        "too_long": (UserErrorCode.TOO_MANY, "At most {max_length} of these."),
        "string_pattern_mismatch": (UserErrorCode.INVALID, "A colour has the form #1A2B3C."),
        "literal_error": (UserErrorCode.INVALID, "One of {expected}."),
        "model_type": (UserErrorCode.INVALID, "This is an object of keys and values."),
    }
)


def checked(model: type[Told], given: Any, field: str) -> dict[str, Any]:
    """As it is stored: without what is null; or a refusal with the paths inside `field`."""
    try:
        told = model.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = Problems()
        for fault in error.errors(include_input=False, include_url=False)[:MOST_PROBLEMS]:
            code, template = _FAULTS.get(fault["type"], (UserErrorCode.INVALID, _said(fault)))
            values = {name: value for name, value in fault.get("ctx", {}).items() if name != "error"}
            problems.add(code, template, field, *(Verbatim(part) for part in fault["loc"]), **values)
        problems.raise_if_any()
        raise
    return told.model_dump(by_alias=True, exclude_none=True)


def schema(kind: ChannelKind) -> dict[str, Any]:
    """JSON Schemas under `settings` and `secrets`."""
    known = KINDS[kind]
    return {"settings": known.settings.model_json_schema(), "secrets": known.secrets.model_json_schema()}


def _said(fault: Any) -> str:
    """The template of a rule of ours, or a word that fits every wrong type."""
    error = fault.get("ctx", {}).get("error")
    return str(error) if error else "This value does not fit."
