"""What an error shows outside: a code, a message of ours, and for faults of ours a request id only (G19)."""

import logging
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from pytake_gql.kernel.errors import CodedError, ErrorCode, NotFound, RateLimited, Refusal

log = logging.getLogger(__name__)


def mask(error: GraphQLError, request_id: str) -> GraphQLError:
    """The error as clients may see it; a fault of ours is logged with its trace."""
    if error.extensions and error.extensions.get("code") in set(ErrorCode):
        return error
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    extensions: dict[str, Any] = {"requestId": request_id}
    if isinstance(cause, Refusal):
        # A subscription has no payload; what its arguments name is not there.
        cause = NotFound()
    if isinstance(cause, CodedError):
        extensions["code"] = cause.code.value
        if isinstance(cause, RateLimited):
            extensions["retryAfterSeconds"] = cause.retry_after_seconds
        return _like(error, cause.message, extensions)
    if cause is None or isinstance(cause, GraphQLError):
        # Syntax, validation and coercion: graphql-core's own, about the document and its variables.
        return _like(error, error.message, {"code": ErrorCode.BAD_USER_INPUT.value})
    log.error("request %s failed", request_id, exc_info=cause)
    return _like(error, "Something went wrong on our side.", {**extensions, "code": ErrorCode.INTERNAL.value})


def _like(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


class Masking(SchemaExtension):
    """First among the extensions, so that it sees what all the others raise."""

    def on_operation(self) -> Iterator[None]:
        yield
        self._mask(self.execution_context.result)

    def on_stream_result(self, result: Any) -> Iterator[None]:
        self._mask(result)
        yield

    def _mask(self, result: Any) -> None:
        errors = getattr(result, "errors", None)
        if errors:
            result.errors = [mask(error, self.execution_context.context.request_id) for error in errors]
