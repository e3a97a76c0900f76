"""What a client sends: JSON of bounded size and depth, that holds a document, variables and a name."""

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from pytake_gql.kernel.errors import BadUserInput, CodedError, ErrorCode

BODY_BYTES = 256 * 1024
JSON_DEPTH = 32

# Possessive, and it always ends with a match, so that the scan is linear for whatever comes.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class PersistedQueryNotFound(CodedError):
    """Documents are not kept by hash: the client sends the text, as it does after this answer."""

    code = ErrorCode.PERSISTED_QUERY_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


@dataclass(frozen=True, slots=True)
class Call:
    query: str
    variables: dict[str, Any] | None
    operation_name: str | None

    @classmethod
    def of(cls, sent: object) -> "Call":
        """Reads the JSON of a call; raises `BadUserInput` where it has another shape."""
        if isinstance(sent, list):
            raise BadUserInput("Batches are not served: send one operation at a time.")
        if not isinstance(sent, dict):
            raise BadUserInput("Send a JSON object with query, variables and operationName.")
        query, variables, name = sent.get("query"), sent.get("variables"), sent.get("operationName")
        extensions = sent.get("extensions")
        if not isinstance(extensions, dict | None):
            raise BadUserInput("extensions must be an object.")
        if not query and extensions and "persistedQuery" in extensions:
            raise PersistedQueryNotFound
        if not isinstance(query, str) or not query.strip():
            raise BadUserInput("query must be a text that holds a GraphQL document.")
        if not isinstance(variables, dict | None):
            raise BadUserInput("variables must be an object.")
        if not isinstance(name, str | None):
            raise BadUserInput("operationName must be a text.")
        return cls(query, variables, name)


def read_json(data: bytes) -> Any:
    """The value; its depth is known before it is parsed. Raises `BadUserInput`."""
    if json_depth(data) > JSON_DEPTH:
        raise BadUserInput(f"The JSON is nested deeper than {JSON_DEPTH} levels.")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadUserInput(f"This is no JSON: {error.msg}") from error


def json_depth(data: bytes) -> int:
    """How deep arrays and objects stand in one another; of malformed JSON, at least as deep as a parser would get."""
    if data.count(b"[") + data.count(b"{") <= JSON_DEPTH:
        return 0
    brackets = _STRINGS.sub(b"", data).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def write_json(value: object) -> bytes:
    """What orjson refuses (integers above 64 bits in a JSON value) is written the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
