"""What Meta's error codes mean for a message: worth another try, or not; and whether the channel's access is at fault.

Sources: developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes (WhatsApp),
developers.facebook.com/docs/graph-api/guides/error-handling and …/docs/messenger-platform/error-codes (Instagram).
A code that stands in neither table is permanent, as its message will not pass by being sent again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pytake_gql.desk.channels.ports import AnswerLost, ProviderFailed

TRANSIENT: Mapping[int, str] = MappingProxyType(
    {
        1: "API Unknown: a possible server error",
        2: "API Service: down or overloaded",
        4: "API Too Many Calls: the app's rate limit",
        17: "API User Too Many Calls",
        32: "Page-level throttling",
        341: "Application limit reached",
        613: "Calls to this API have exceeded the rate limit",
        1200: "Temporary send message failure (Instagram)",
        80_001: "Page's or account's rate limit",
        80_002: "Instagram account's rate limit",
        80_006: "Messenger's rate limit",
        80_007: "WhatsApp Business Account's rate limit",
        130_429: "Cloud API message throughput has been reached",
        131_000: "Something went wrong",
        131_016: "Service unavailable",
        131_048: "Spam rate limit hit",
        131_056: "Too many messages from the business number to the same contact",
        131_057: "The account is in maintenance mode",
        133_004: "Server temporarily unavailable",
    }
)

ACCESS: Mapping[int, str] = MappingProxyType(
    {
        0: "AuthException: the token is not valid any more",
        3: "API Method: capability or permissions issue",
        10: "Permission denied",
        33: "The business number has been deleted",
        102: "API Session: the token is not valid any more",
        190: "The access token has expired",
        **dict.fromkeys(range(200, 300), "API Permission"),
        368: "Temporarily blocked for policy violations",
        131_005: "Access denied",
        131_031: "The account has been locked",
        131_042: "Business eligibility: payment issue",
        133_010: "The number is not registered",
    }
)
"""Nothing else will pass either, until somebody mends it."""

PERMANENT: Mapping[int, str] = MappingProxyType(
    {
        100: "Invalid parameter",
        551: "This person isn't available right now (Instagram)",
        130_472: "The contact's number is part of an experiment",
        130_497: "The business may not message contacts in this country",
        131_008: "A required parameter is missing",
        131_009: "A parameter's value is not valid",
        131_021: "The recipient is the sender",
        131_026: "The message is undeliverable",
        131_037: "The number's display name is not approved",
        131_045: "Incorrect certificate",
        131_047: "More than 24 hours have passed since the contact last wrote",
        131_049: "Not delivered to keep the ecosystem healthy",
        131_050: "The contact has stopped marketing messages",
        131_051: "The message type is not supported",
        131_052: "Media download error",
        131_053: "Media upload error",
        132_000: "The number of template parameters does not match",
        132_001: "The template does not exist in the language",
        132_005: "The hydrated text is too long",
        132_007: "The template's content violates a policy",
        132_012: "A template parameter's format does not match",
        132_015: "The template is paused",
        132_016: "The template is disabled",
        135_000: "Generic user error",
    }
)
"""Not asked by the code, which takes every other code as permanent; here so that a reader sees what was weighed."""

_TOO_MANY_REQUESTS, _UNAVAILABLE, _FIRST_SERVER_ERROR = 429, 503, 500
_LONGEST = 900


def of_response(status: int, body: Any) -> ProviderFailed | AnswerLost:
    """What an answer other than 2xx means.

    A server error without Meta's own words comes from something in between: whether Meta acted is not known.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        if status in {_TOO_MANY_REQUESTS, _UNAVAILABLE}:
            return ProviderFailed(f"HTTP {status}", is_transient=True)
        if status >= _FIRST_SERVER_ERROR:
            return AnswerLost(f"HTTP {status}")
        return ProviderFailed(f"HTTP {status}", is_transient=False)
    code = error["code"]
    is_transient = code in TRANSIENT or error.get("is_transient") is True or status == _TOO_MANY_REQUESTS
    return ProviderFailed(reason(error), is_transient=is_transient, is_access_at_fault=code in ACCESS)


def reason(error: Mapping[str, Any]) -> str:
    """For people: Meta's words, and the code."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    words = details or error.get("message") or error.get("title") or "Refused"
    return f"{str(words)[:_LONGEST]} ({error.get('code')})"
