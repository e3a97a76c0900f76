"""Ready flows: data in the package, in the shape of `CreateFlowInput`, to begin with and to change."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from pytake_gql.kernel.translation import LOCALES


class ReadyFlowKey(StrEnum):
    """Which one; it may gain values."""

    GREETING = "GREETING"
    OPENING_HOURS = "OPENING_HOURS"
    LEAD_CAPTURE = "LEAD_CAPTURE"
    ORDER_STATUS = "ORDER_STATUS"


@dataclass(frozen=True, slots=True)
class ReadyFlow:
    key: ReadyFlowKey
    name: str
    description: str
    graph: dict[str, Any]
    """Not to be changed: it is read once."""


@cache
def load(key: ReadyFlowKey, locale: str) -> ReadyFlow:
    """In that language, else in English."""
    spoken = locale if locale in LOCALES else "en"
    file = files("pytake_gql.automation.flows") / "ready_flows" / f"{key.value.lower()}.{spoken}.json"
    return ReadyFlow(key, **orjson.loads(file.read_bytes()))
