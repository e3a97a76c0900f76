"""What each kind of channel is told: public settings and secrets (D32). `channelSchema` prints these models."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

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


_META_ID = re.compile("[0-9A-Za-z_-]{1,64}", re.ASCII)


def is_meta_id(text: str) -> bool:
    """Whether it may stand in an address that is called."""
    return _META_ID.fullmatch(text) is not None


def _meta_id(text: str) -> str:
    if not is_meta_id(text):
        raise ValueError("An id of Meta's has 1 to 64 letters and digits.")
    return text


def _api_url(text: str) -> str:
    """Whether it may be another than the provider's is for `service` to say: it knows the environment."""
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or "@" in parts.netloc or parts.query or parts.fragment or not text.isprintable():
        raise ValueError("An address such as https://graph.facebook.com.")
    return text.rstrip("/")


MetaId = Annotated[str, AfterValidator(_meta_id)]
ApiUrl = Annotated[str, Field(max_length=255), AfterValidator(_api_url)]
Secret = Annotated[str, Field(min_length=1, max_length=1000)]


class WhatsAppSettings(Told):
    phone_number_id: MetaId
    """Meta's id of the number that messages are sent from."""
    business_account_id: MetaId | None = None
    """Meta's id of the WhatsApp Business Account; its templates are read from there."""
    display_phone: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """The number as people read it."""
    api_url: ApiUrl | None = None
    """Meta's by default; another one is for development and tests only."""

    model_config = ConfigDict(title="WhatsApp settings", use_attribute_docstrings=True)


class InstagramSettings(Told):
    account_id: MetaId
    """Meta's id of the professional account."""
    api_url: ApiUrl | None = None
    """Meta's by default; another one is for development and tests only."""

    model_config = ConfigDict(title="Instagram settings", use_attribute_docstrings=True)


class MetaSecrets(Told):
    """Until all three are there the channel is DISCONNECTED."""

    access_token: Secret | None = None
    """With it messages are sent and templates are read."""
    app_secret: Secret | None = None
    """The app's: it signs what Meta delivers. After a change the one before is valid for 24 hours more.

    Cleared by null, both are invalid at once.
    """
    verify_token: Secret | None = None
    """Chosen by you and told to Meta, which says it when it verifies the webhook's address."""

    model_config = ConfigDict(
        title="Secrets of the Meta app", use_attribute_docstrings=True, json_schema_extra={"writeOnly": True}
    )


@dataclass(frozen=True, slots=True)
class Kind:
    settings: type[Told]
    secrets: type[Told]
    address: str | None = None
    """The setting that says, in what the provider delivers, which channel it is for; unique in an organization."""
    needed_secrets: frozenset[str] = frozenset()
    """Without one of them the channel is DISCONNECTED."""
    api_host: str | None = None
    """The provider's own, the only one that is called in production."""
    reply_window: timedelta | None = None
    """How long after the contact's last message a member may write freely (D28); None is always."""
    longest_text: int | None = None
    """Where the provider takes less than we do: by `measure`."""
    measure: Callable[[str], int] = len

    @property
    def has_provider(self) -> bool:
        """Whether somebody else carries its messages."""
        return self.address is not None


_META_SECRETS = frozenset({"accessToken", "appSecret", "verifyToken"})
_A_DAY = timedelta(hours=24)

KINDS: Mapping[ChannelKind, Kind] = MappingProxyType(
    {
        ChannelKind.WEB_CHAT: Kind(WebChatSettings, WebChatSecrets),
        ChannelKind.WHATSAPP: Kind(
            WhatsAppSettings,
            MetaSecrets,
            address="phoneNumberId",
            needed_secrets=_META_SECRETS,
            api_host="graph.facebook.com",
            reply_window=_A_DAY,
            longest_text=4096,
        ),
        ChannelKind.INSTAGRAM: Kind(
            InstagramSettings,
            MetaSecrets,
            address="accountId",
            needed_secrets=_META_SECRETS,
            api_host="graph.instagram.com",
            reply_window=_A_DAY,
            longest_text=1000,
            measure=lambda text: len(text.encode()),
        ),
    }
)

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


def is_providers(kind: ChannelKind, api_url: str) -> bool:
    """Whether the address is the provider's own, over TLS."""
    parts = urlsplit(api_url)
    return parts.scheme == "https" and parts.port in {None, 443} and parts.hostname == KINDS[kind].api_host
