"""What pydantic finds wrong with the settings of a node, in sentences."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from pytake_gql.automation.flows.findings import Findings

MOST = 20
"""Of one node."""
_LONGEST_PART = 60

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "This is required.",
        "extra_forbidden": "There is no such setting.",
        "string_too_long": "At most {max_length} characters.",
        "string_too_short": "At least {min_length} characters.",
        "string_type": "A text.",
        "int_type": "A whole number.",
        "int_from_float": "A whole number.",
        "float_type": "A number.",
        "bool_type": "True or false.",
        "list_type": "A list.",
        "dict_type": "This is an object of keys and values.",
        "model_type": "This is an object of keys and values.",
        "too_long": "At most {max_length} of these.",
        "too_short": "At least {min_length} of these.",
        "greater_than": "More than {gt}.",
        "greater_than_equal": "At least {ge}.",
        "less_than_equal": "At most {le}.",
        "literal_error": "One of {expected}.",
        "enum": "One of {expected}.",
    }
)
OTHERWISE = "This value does not fit."


def blame_settings(node_id: str, error: ValidationError, findings: Findings) -> None:
    for fault in error.errors(include_input=False, include_url=False)[:MOST]:
        template = SENTENCES.get(fault["type"]) or _ours(fault)
        values = {name: value for name, value in fault.get("ctx", {}).items() if name != "error"}
        findings.blame(node_id, template, *_path(fault["loc"]), **values)  # in the catalogue: SENTENCES, and `fields`


def _ours(fault: Any) -> str:
    """A rule of `fields` says its own sentence; what else pydantic has to say is in no language of the user's."""
    return fault["msg"] if fault["type"] == "rule" else OTHERWISE


def _path(loc: tuple[int | str, ...]) -> list[str]:
    """Without what pydantic adds: whether it is a key that does not fit, and the members of a union."""
    return [str(part)[:_LONGEST_PART] for part in loc if part != "[key]" and not str(part).startswith("json-")]
