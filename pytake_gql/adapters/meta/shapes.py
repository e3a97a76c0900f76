"""What Meta delivers, as far as it concerns us. Fields come and go there: what is not known is not read."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pytake_gql.kernel.text import is_storable

LONGEST_ID = 480
"""Somewhat less than a message's provider id may have."""
LONGEST_WHO = 200
"""As long as a contact's identity may be."""
M = TypeVar("M", bound="Shape")


class Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True)


def _seconds(value: Any) -> datetime:
    """Of WhatsApp: seconds, as text."""
    return _instant(value, per_second=1)


def _milliseconds(value: Any) -> datetime:
    """Of Instagram."""
    return _instant(value, per_second=1000)


def _instant(value: Any, *, per_second: int) -> datetime:
    try:
        return datetime.fromtimestamp(float(value) / per_second, UTC)
    except (OverflowError, OSError, TypeError) as error:
        raise ValueError("no instant") from error


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("no text")
    return text


Seconds = Annotated[datetime, BeforeValidator(_seconds)]
Milliseconds = Annotated[datetime, BeforeValidator(_milliseconds)]
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(_storable)]
"""Of a message."""
Who = Annotated[str, Field(min_length=1, max_length=LONGEST_WHO), AfterValidator(_storable)]
"""Of a contact or an account."""


def read(shape: type[M], value: Any) -> M | None:
    """None for what has another shape."""
    try:
        return shape.model_validate(value)
    except ValidationError:
        return None
