"""What Meta delivers, as far as it concerns us. Fields come and go there: what is not known is not read."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

LONGEST_ID = 480
"""Somewhat less than a message's provider id may have."""
M = TypeVar("M", bound="Shape")


class Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True)


def _seconds(value: Any) -> datetime:
    """Of WhatsApp: seconds, as text."""
    return _instant(float(value))


def _milliseconds(value: Any) -> datetime:
    """Of Instagram."""
    return _instant(float(value) / 1000)


def _instant(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("no instant") from error


Seconds = Annotated[datetime, BeforeValidator(_seconds)]
Milliseconds = Annotated[datetime, BeforeValidator(_milliseconds)]
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]


def read(shape: type[M], value: Any) -> M | None:
    """None for what has another shape."""
    try:
        return shape.model_validate(value)
    except ValidationError:
        return None
